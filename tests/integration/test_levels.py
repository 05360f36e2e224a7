"""One task from a call in a few lines up to a campaign's jobs: the same at every level, and no level needs the one above."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stage.campaign.campaign import Campaign
from stage.pipeline.task import Task
from stage.pipeline.testing import MemoryRepo, make_quantum
from tests.integration.tiny_campaign import MONTHS, ROOT, STATIONS, call, make_upstream

OPTIONAL = (
    "astropy",
    "lsst",
    "pandas",
    "parsl",
    "PIL",
    "psycopg",
    "pyarrow",
    "reproject",
    "s3fs",
    "scipy",
    "sep",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream with readings, and the file of the tasks beside it."""
    folder = tmp_path_factory.mktemp("levels")
    make_upstream(folder)
    return folder


@pytest.fixture(scope="module")
def expected(world: Path) -> dict[str, Any]:
    """What comes out where a person calls the functions one after another, in a loop of three lines."""
    sys.path.insert(0, str(world))
    try:
        tasks = importlib.import_module("weather_tasks")
    finally:
        sys.path.remove(str(world))
    readings = {
        s: [json.loads((world / "readings" / f"{s}-{m}.json").read_text()) for m in MONTHS] for s in STATIONS
    }
    cleaned = {s: [tasks.clean(r) for r in readings[s]] for s in STATIONS}
    summaries = {s: tasks.summarise(cleaned[s]) for s in STATIONS}
    return {
        "tasks": tasks,
        "clean": cleaned,
        "summary": summaries,
        "total": tasks.total(list(summaries.values())),
    }


def _values(campaign: Campaign, run: str) -> dict[str, Any]:
    get = campaign.get
    return {
        "clean": {s: [get("clean", f"station={s}", f"month={m}", collections=[run]).value for m in MONTHS] for s in STATIONS},
        "summary": {s: get("summary", f"station={s}", collections=[run]).value for s in STATIONS},
        "total": get("total", collections=[run]).value,
    }  # fmt: skip


def test_as_one_quantum_with_a_repository_in_memory(world: Path, expected: dict[str, Any]) -> None:
    """What a test of a task does: the quantum's inputs are put, its output is got, and no file was written."""
    task, repo = expected["tasks"].summarise.task_class(), MemoryRepo()
    quantum = make_quantum(task, {"station": "bex"}, {"clean": [{"month": m} for m in MONTHS]})
    for ref, value in zip(quantum.inputs["clean"], expected["clean"]["bex"], strict=True):
        repo.put(value, ref)
    task.run_quantum(quantum, repo)

    assert repo.get(quantum.outputs["summary"][0]) == expected["summary"]["bex"]


def test_at_every_level_the_same_comes_out(world: Path, expected: dict[str, Any]) -> None:
    """In one process, in two workers, task by task, and as a job in a process of its own without a database: byte by byte."""
    call(
        "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", cwd=world
    )
    camp = world / "camp"
    call("run", "-q", "-j0", cwd=camp)
    call("run", "-q", "-j2", "--new-run", cwd=camp)
    call("run", "-q", "-j0", "--new-run", "--until", "clean", cwd=camp, code=0)
    call("run", "-q", "-j0", cwd=camp)
    call("prep", cwd=camp)
    words = ("exec", "submit/camp/r3/graph.qg", "--quanta", "all", "--record", "0.zst", "-q")
    code = "import sys; from cli.main import run_command as r; c = r(sys.argv[1:]); sys.exit(c or 9 * ('sqlite3' in sys.modules))"
    subprocess.run([sys.executable, "-c", code, *words], cwd=camp, env=_environment(), check=True)
    call("merge", "0.zst", cwd=camp)
    campaign = Campaign.load(camp)

    assert campaign.state.collections.past_runs == ("camp/r3", "camp/r2", "camp/r1", "camp/r0")
    values = _values(campaign, "camp/r0")
    assert values == {name: expected[name] for name in values}
    for run in ("camp/r1", "camp/r2", "camp/r3"):
        found = campaign.diff("camp/r0", run)
        assert {d.dataset_type: (d.n_same, d.n_changed, d.only_old, d.only_new) for d in found.outputs} == {}
        assert found.same, run


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_core_needs_nothing_that_is_optional(world: Path, tmp_path: Path) -> None:
    """C-31: clone, run, ask, push and report go with none of the extras installed, as if they could not be imported."""
    code = (
        "import sys\n"
        f"for name in {OPTIONAL!r}: sys.modules[name] = None\n"
        "from cli.main import run_command\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    code = run_command(line.split())\n"
        "    assert not code, (line, code)\n"
        f"print('none of', [n for n in {OPTIONAL!r} if sys.modules.get(n) is not None])\n"
    )
    camp = f"--campaign-dir {tmp_path / 'camp'}"
    lines = (
        f"clone upstream {tmp_path / 'camp'} -p pipeline.yaml -i net/raw",
        f"run -q -j1 {camp}",
        f"status --upstream {camp}",
        f"report --html {tmp_path / 'report.html'} {camp}",
        f"query datasets clean --where month=202601 {camp}",
        f"why total {camp}",
        f"draw pipeline --status {camp}",
        f"push --register-dataset-types {camp}",
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world, env=_environment(), input="\n".join(lines), capture_output=True,
        text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("none of []\n")


def test_tasks_of_the_examples_are_put_together_and_inherit_from_none(world: Path) -> None:
    """T-17: what they share are functions and subtasks; each task has nothing above it but `Task`."""
    for name in ("stage.demo.frames", "stage.demo.coadds"):
        importlib.import_module(name)
    ours = [c for c in _below(Task) if c.__module__.startswith("stage.demo")]

    assert len(ours) >= 7
    assert [c.__name__ for c in ours if c.__bases__ != (Task,)] == []
    for file in (ROOT / "examples").rglob("*.py"):
        bases = [
            line for line in file.read_text().splitlines() if line.startswith("class ") and "Task(" in line
        ]
        assert [line for line in bases if "(Task)" not in line] == [], file


def _below(kind: type) -> list[type]:
    return [c for direct in kind.__subclasses__() for c in (direct, *_below(direct))]
