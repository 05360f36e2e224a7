"""What a pipeline was made from: as long as none of it changes, looking at a campaign imports no task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests" / "integration"))

from tiny_campaign import call, make_upstream  # noqa: E402

LOADED = (
    "import contextlib, io, json, sys\n"
    "from cli.main import run_command\n"
    "out = io.StringIO()\n"
    "with contextlib.redirect_stdout(out): run_command(['status', '--json'])\n"
    "print(json.dumps([json.loads(out.getvalue())['graph_problem'],"
    " [m for m in ('weather_tasks', 'pydantic', 'yaml', 'lark', 'alembic', 'rich') if m in sys.modules]]))"
)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Folder with a campaign whose graph was just built."""
    make_upstream(tmp_path)
    (tmp_path / "part.yaml").write_text("tasks:\n  total: weather_tasks.total\n")
    (tmp_path / "whole.yaml").write_text(
        "imports: [part.yaml]\ntasks:\n  clean: weather_tasks.clean\n  summarise: weather_tasks.summarise\n"
    )
    call("clone", "upstream", "camp", "-p", "whole.yaml", "-i", "net/raw", cwd=tmp_path)
    return tmp_path


def status(work: Path) -> tuple[str, list[str]]:
    """Return what status says of the graph, and which modules it has loaded, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=work / "camp", env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    problem, loaded = json.loads(done.stdout)
    return problem, loaded


def test_nothing_is_imported_while_nothing_has_changed(work: Path) -> None:
    """Neither the user's tasks nor what only pipelines need."""
    assert status(work) == ("", [])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("weather_tasks.py", "limit: float = 100.0", "limit: float = 200.0"),
        (
            "whole.yaml",
            "clean: weather_tasks.clean",
            "clean: {class: weather_tasks.clean, config: {limit: 5}}",
        ),
        ("part.yaml", "total: weather_tasks.total", "sum: weather_tasks.total"),
    ],
)
def test_a_change_of_code_or_pipeline_is_noticed(work: Path, name: str, old: str, new: str) -> None:
    """The answer is that of loading the pipeline: out of date, and which part."""
    path = work / name
    path.write_text(path.read_text().replace(old, new))
    problem, loaded = status(work)

    assert problem.startswith("out of date: pipeline: ")
    assert "weather_tasks" in loaded


def test_a_touched_file_is_looked_at_and_found_the_same(work: Path) -> None:
    """A newer time is a reason to load the pipeline, and no change."""
    os.utime(work / "weather_tasks.py", ns=(time.time_ns(), time.time_ns()))
    problem, loaded = status(work)

    assert problem == ""
    assert "weather_tasks" in loaded


def test_an_edit_of_the_campaign_is_noticed(work: Path) -> None:
    """What was noted speaks of the pipeline that the graph was built from, not of another."""
    call("edit", "-c", "clean:limit=7", cwd=work / "camp")

    assert "clean:limit was 100.0, is 7.0" in status(work)[0]
    call("build", cwd=work / "camp")

    assert status(work) == ("", [])


def test_damaged_notes_are_passed_over(work: Path) -> None:
    """The file is a note only: with anything else in it the pipeline is loaded."""
    for content in (b"", b"[]", b"{", b'{"pipeline": 1}', b"\xff"):
        (work / "camp/.campaign.sources.json").write_bytes(content)
        assert status(work)[0] == ""


def test_a_variable_in_the_pipeline_is_asked_for_each_time(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a part is found by the environment, nothing is noted: that may change unseen."""
    monkeypatch.setenv("PART", str(work / "part.yaml"))
    (work / "whole.yaml").write_text((work / "whole.yaml").read_text().replace("part.yaml", "$PART"))
    (work / "camp/.campaign.sources.json").unlink()
    call("build", cwd=work / "camp")

    assert not (work / "camp/.campaign.sources.json").exists()
    assert "weather_tasks" in status(work)[1]
