"""A file system that is full, under a run or upstream: what fails says so, and with some room the same command finishes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream, stage

TASKS = """
from stage import Input, Output, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={"reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH)},
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=BOTH)},
)
def clean(reading, size: int = 600_000):
    return {"text": "y" * size}
"""
KB = 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for three of six outputs."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def resize(place: Path, kilobytes: int) -> None:
    """Give the file system another size."""
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(place)], check=True)


@pytest.mark.slow
def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path, small: Path) -> None:
    """Quanta for which there is no room fail by name, then the registry itself; later the run is finished."""
    make_upstream(tmp_path)
    (tmp_path / "big_tasks.py").write_text(TASKS)
    (tmp_path / "big.yaml").write_text("tasks:\n  clean: {function: big_tasks.clean}\n")
    call("clone", "upstream", small / "camp", "-p", "big.yaml", "-i", "net/raw", cwd=tmp_path)
    camp = small / "camp"
    report = json.loads(stage("run", "-q", "-j", "1", "--json", cwd=camp, code=3).stdout)

    assert report["tasks"]["clean"] == {"failed": 3, "succeeded": 3}
    assert all("No space left on device" in f["message"] for f in report["failures"])
    assert [p for p in camp.rglob("*") if p.name.endswith(".part")] == []
    # Not a page is left, also for the registry.
    resize(small, shutil.disk_usage(small).used // KB)
    said = stage("run", "-q", "-j", "1", cwd=camp, code=1).stderr
    assert "full" in said or "No space left" in said
    resize(small, 30_000)
    report = json.loads(stage("run", "-q", "-j", "1", "--json", cwd=camp).stdout)
    assert report["tasks"]["clean"] == {"succeeded": 6}


@pytest.mark.slow
def test_a_push_to_a_full_upstream_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, small: Path
) -> None:
    """Nothing is registered of what did not fit, nothing is left aside, and what has arrived is not moved twice."""
    make_upstream(tmp_path, "--datastore", str(small / "data"))
    (tmp_path / "big_tasks.py").write_text(TASKS)
    (tmp_path / "big.yaml").write_text("tasks:\n  clean: {function: big_tasks.clean}\n")
    call("clone", "upstream", "camp", "-p", "big.yaml", "-i", "net/raw", cwd=tmp_path)
    camp = tmp_path / "camp"
    call("run", "-q", "-j", "0", cwd=camp)
    said = call("push", "--register-dataset-types", cwd=camp, code=1).stderr
    (run,) = json.loads((camp / ".campaign.json").read_text())["collections"]["past_runs"]

    assert f"artifacts did not arrive at {small / 'data'}" in said
    assert "No space left on device" in said
    assert [p for p in small.rglob("*") if p.name.endswith(".part")] == []
    assert run not in call("repo", "info", "upstream", "--json", cwd=tmp_path).stdout
    place = small / "data" / run / "clean"
    before = {p: p.stat().st_ino for p in place.rglob("*.json")}
    assert 1 <= len(before) < 6
    resize(small, 30_000)
    call("push", "--register-dataset-types", cwd=camp)
    assert {p: p.stat().st_ino for p in before} == before
    assert len(list(place.rglob("*.json"))) == 6
