"""The commands that bring data into a repository and out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.exit_codes import ExitCode
from cli.main import run_command

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in an empty directory; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def act(*words: str) -> tuple[int, str, str]:
        code = run_command(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return act


def rows(call: Call, *words: str) -> Any:
    """Return what a command writes as JSON."""
    code, out, err = call(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_field_repository_comes_in_and_goes_out(call: Call, shared: Path) -> None:
    """An export of the field's butler with three files missing: refused by name, then without them; out and in again."""
    source = str(shared / "data/butler-exports/pipelines_check/export.yaml")
    assert call("repo", "create", "one")[0] == 0

    code, _, err = call("repo", "import", "one", source)
    assert code == ExitCode.NOT_FOUND
    assert all(name in err for name in ("bias_10", "dark_10", "flat_r", "--skip-missing"))

    code, out, _ = call("repo", "import", "one", source, "--skip-missing")
    assert code == 0
    for line in (
        "bfKernel: 1 new dataset",
        "left out, its file is missing: ",
        "never unpickled",
        "7 validity ranges",
    ):
        assert line in out

    told = rows(call, "repo", "export", "one", "out", "--files", "copy")
    assert told["files"] == sum(told["datasets"].values()) == 11
    assert call("repo", "create", "two")[0] == 0
    again = rows(call, "repo", "import", "two", "out")
    assert again["validity_ranges"] == 7
    assert {k: v for k, v in again["datasets"].items() if v} == told["datasets"]


def test_records_alone(call: Call, shared: Path) -> None:
    """Dimension records of some elements go out as one file each, and come in again."""
    source = str(shared / "data/butler-exports/base.yaml")
    call("repo", "create", "one")
    call("repo", "import", "one", source)
    assert call("repo", "create", "two")[0] == 0

    code, out, _ = call("repo", "export", "one", "out", "--records", "instrument,detector")

    assert (code, out) == (0, "instrument: 1 record\ndetector: 4 records\n")
    assert ["detector.jsonl", "instrument.jsonl"] == sorted(p.name for p in Path("out").iterdir())
    code, out, _ = call("repo", "import", "two", "out/instrument.jsonl", "out/detector.jsonl")
    assert (code, out) == (0, "instrument: 1 new record\ndetector: 4 new records\n")


def test_a_part(call: Call, shared: Path) -> None:
    """Types, collections and an expression choose datasets; records alone cannot be asked for with them."""
    folder = shared / "data/butler-exports"
    call("repo", "create", "one")
    words = (str(folder / "base.yaml"), str(folder / "datasets.yaml"), "--mode", "none")
    assert call("repo", "import", "one", *words)[0] == 0

    told = rows(
        call, "repo", "export", "one", "out", "--dataset-type", "b*", "--collections", "imported_g",
        "--where", "instrument = 'Cam1' AND detector > 1",
    )  # fmt: skip

    assert told["datasets"] == {"bias": 2}
    assert told["records"] == {"instrument": 1, "detector": 2}
    assert (
        call("repo", "export", "one", "b", "--records", "detector", "--dataset-type", "b*")[0]
        == ExitCode.USAGE
    )
    assert call("repo", "export", "one", "out")[0] == ExitCode.CONFLICT


def test_ingest_by_the_paths_of_files(call: Call, shared: Path) -> None:
    """A pattern of files and what their paths tell are enough to take them in."""
    call("repo", "create", "one")
    call("repo", "import", "one", str(shared / "data/butler-exports/base.yaml"))
    call("repo", "register-dataset-type", "one", "note", "Text", "detector")
    Path("Cam1").mkdir()
    for detector in (1, 2):
        Path(f"Cam1/d{detector}.txt").write_text(f"note {detector}")

    words = (
        "--run",
        "notes",
        "--data-id-from",
        "{instrument}/d{detector}.txt",
        "--mode",
        "direct",
        "--checksum",
    )
    code, out, err = call("repo", "ingest", "one", "note", "Cam1/*.txt", *words)

    assert (code, out, err) == (0, "ingested 2 datasets of type note into notes\n", "")
    code, out, _ = call(
        "get", "--repo", "one", "note", "instrument=Cam1", "detector=2", "--collections", "notes"
    )
    assert (code, out.strip()) == (0, "note 2")
