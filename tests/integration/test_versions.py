"""Code and packages that are not those with which a run was prepared: every quantum says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stage.campaign.campaign import Campaign
from stage.execution import prep
from tests.integration.tiny_campaign import TASKS, call, make_upstream

if TYPE_CHECKING:
    import pytest


def told(camp: Path) -> tuple[Any, str]:
    """Return the versions and the log of one quantum of the newest run."""
    words = ("station=aar", "month=202601")
    metadata = json.loads(call("get", "clean_metadata", *words, cwd=camp).stdout)
    return metadata["versions"], call("log", "clean", *words, cwd=camp).stdout


def campaign_at(folder: Path, version: str) -> Path:
    """Make a campaign whose tasks have a version."""
    make_upstream(folder)
    (folder / "weather_tasks.py").write_text(f'__version__ = "{version}"\n{TASKS}')
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder)
    return folder / "camp"


def test_what_is_the_same_is_not_spoken_of(tmp_path: Path) -> None:
    """A quantum's metadata have the version of its code, and nothing else where all is as it was."""
    camp = campaign_at(tmp_path, "1.0")
    call("run", "-q", "-j1", cwd=camp)
    versions, log = told(camp)

    assert {**versions, "python": ""} == {"python": "", "task": "1.0"}
    assert "WARNING" not in log


def test_other_code_than_was_planned_is_named(tmp_path: Path) -> None:
    """A graph that is run as it was built, with newer code, has both versions in log and metadata."""
    camp = campaign_at(tmp_path, "1.0")
    (tmp_path / "weather_tasks.py").write_text(f'__version__ = "1.1"\n{TASKS}')
    call("run", "-q", "-j1", "--use-qg-configs", cwd=camp)
    versions, log = told(camp)

    assert (versions["task"], versions["planned"]) == ("1.1", "1.0")
    assert "the code of task 'clean' is version 1.1 here, and was 1.0 when the graph was built" in log


def test_other_packages_than_were_recorded_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job in another environment than the one that prepared the run says which packages differ."""
    camp = campaign_at(tmp_path, "1.0")
    real = prep.package_versions()
    monkeypatch.setattr(prep, "package_versions", lambda: {**real, "numpy": "0.1", "only-there": "2"})
    run = Campaign.load(camp).prep()
    monkeypatch.undo()
    folder = camp / "submit" / run
    call("exec", folder / "graph.qg", "--quanta", "all", "--record", folder / "a.jsonl", "-j1", cwd=tmp_path)
    call("merge", folder / "a.jsonl", cwd=camp)
    versions, log = told(camp)

    assert versions["packages"] == {"numpy": ["0.1", real["numpy"]], "only-there": ["2", "not there"]}
    assert f"numpy 0.1 (here {real['numpy']}), only-there 2 (here not there)" in log
