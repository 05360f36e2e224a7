"""The pages on tasks and pipelines: every block in them is run."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from stage.pipeline.importing import extend_path
from stage.pipeline.pipeline import Pipeline

DOCS = Path(__file__).resolve().parents[3] / "docs"
FILES = re.compile(r"```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)```", re.DOTALL)
SESSIONS = re.compile(r"```python\n(>>> .*?)```", re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory with all the files that the pages show."""
    for page in ("tasks.md", "pipelines.md"):
        for name, text in FILES.findall((DOCS / page).read_text(encoding="utf-8")):
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    extend_path([str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize("page", ["tasks.md", "pipelines.md"])
def test_every_example_does_what_the_page_says(page: str, place: Path) -> None:
    """The sessions of a page, run in order beside the files that it shows, print what it prints."""
    sessions = SESSIONS.findall((DOCS / page).read_text(encoding="utf-8"))
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, page, page, 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.append)

    assert "".join(report) == ""
    assert runner.tries > 5


@pytest.mark.parametrize("module", ["config", "connections", "struct"])
def test_examples_in_docstrings(module: str) -> None:
    """Small examples beside the code do what they say."""
    result = doctest.testmod(import_module(f"stage.pipeline.{module}"))

    assert result.failed == 0
    assert result.attempted > 0


def test_every_pipeline_shown_can_be_checked(place: Path) -> None:
    """The YAML files of the pages are pipelines that pass their checks."""
    shown = sorted(p.name for p in place.glob("*.yaml"))
    for name in shown:
        Pipeline.load(place / name).check()

    assert {"count.yaml", "pipeline.yaml", "strict.yaml"} <= set(shown)
