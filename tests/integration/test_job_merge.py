"""Merging what many jobs recorded: killed and done again, while jobs still run, and with some of it damaged."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

import stage
from registry.errors import NotFoundError, UsageError
from stage.campaign.merging import records_below
from stage.execution.job import execute_job
from stage.execution.merge import MergeResult, merge_records
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from sync.sizes import sizes_of
from tests.execution_lab import Lab, make_lab
from tests.integration.tiny_campaign import call, make_upstream, template_folder

LONG = os.environ.get("STAGE_FAULTS") == "long"
TABLES = ("dataset", "artifact", "quantum", "quantum_input", "quantum_output")
BATCH = 5


@pytest.fixture(scope="module")
def jobs_done(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Fourteen quanta, run in five jobs of which one was tried twice; nothing is merged."""
    lab = make_lab(tmp_path_factory.mktemp("done"), batches=2, samples=3)
    prepare_run(lab.staging, lab.graph)
    for i, ordinals in enumerate([range(3), range(3, 6), range(6, 9), range(9, 12), range(12, 14)]):
        execute_job(lab.graph_uri, ordinals, record(lab, i), lab.store_root, attempt=0)
    execute_job(lab.graph_uri, range(3), record(lab, 0), lab.store_root, attempt=1, force=True)
    lab.staging.close()
    return lab


def record(lab: Lab, job: int) -> Path:
    """The record file of a job."""
    return lab.root / "records" / "0" / f"{job}.jsonl"


def copy_of(lab: Lab, folder: Path) -> Lab:
    """The same elsewhere."""
    shutil.copytree(lab.root, folder, symlinks=True)
    return Lab(folder, lab.staging, lab.graph, lab.graph_uri).reopen()


def records(lab: Lab) -> list[str]:
    """The record files of all jobs."""
    return records_below(lab.root / "records")


def rows(lab: Lab) -> dict[str, list[tuple[object, ...]]]:
    """Return what the registry holds."""
    lab.staging.close()
    database = sqlite3.connect(lab.root / "staging.sqlite3")
    found = {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in TABLES}
    database.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(
    jobs_done: Lab, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[object, ...]]]:
    """What one merge of all leaves."""
    lab = copy_of(jobs_done, tmp_path_factory.mktemp("whole") / "lab")
    assert merge_records(lab.staging, lab.graph, records(lab)).n_merged == 17  # with what was outdone
    return rows(lab)


def merge_killed(lab: Lab, after: int) -> bool:
    """Merge in a process that is killed at one of its fault points; return whether it was."""
    lab.staging.close()
    pid = os.fork()
    if not pid:
        try:
            left = after

            def at(_name: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            own = lab.reopen()
            merge_records(own.staging, own.graph, records(own), at=at)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_merge_killed_at_any_point_and_done_again_ends_the_same(
    jobs_done: Lab,
    undisturbed: dict[str, list[tuple[object, ...]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed at each fault point in turn, then repeated: the same rows as after one merge."""
    monkeypatch.setattr("stage.execution.merge._BATCH", BATCH)
    killed = 0
    while True:
        lab = copy_of(jobs_done, tmp_path / str(killed))
        if not merge_killed(lab, killed):
            break
        lab = lab.reopen()
        merge_records(lab.staging, lab.graph, records(lab))
        assert undisturbed == rows(lab)
        killed += 1

    assert killed == 7  # one before anything is written, two for each batch
    assert undisturbed == rows(lab)


@pytest.mark.parametrize("turn", range(20 if LONG else 3))
def test_merge_killed_at_a_random_moment_and_done_again_ends_the_same(
    jobs_done: Lab, undisturbed: dict[str, list[tuple[object, ...]]], tmp_path: Path, turn: int
) -> None:
    """Wherever the process is when it is killed, the next merge ends as if it had never been."""
    moment = random.Random(turn).random() * 0.05
    lab = copy_of(jobs_done, tmp_path / "lab")
    lab.staging.close()
    pid = os.fork()
    if not pid:
        try:
            own = lab.reopen()
            merge_records(own.staging, own.graph, records(own))
        finally:
            os._exit(0)
    time.sleep(moment)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    lab = lab.reopen()
    merge_records(lab.staging, lab.graph, records(lab))

    assert undisturbed == rows(lab)


def test_merges_while_jobs_run_and_in_any_order_end_the_same(
    jobs_done: Lab, undisturbed: dict[str, list[tuple[object, ...]]], tmp_path: Path
) -> None:
    """One job after the other comes in, some of them twice, the first start of one before the last: the same rows."""
    order = [[0], [3], [0, 1], [4, 2], [2]]
    lab = copy_of(jobs_done, tmp_path / "lab")
    later = record(lab, 0).with_name("0.jsonl.start-1")
    held = later.read_bytes()
    later.unlink()
    results: list[MergeResult] = []
    for some in order:
        if 1 in some:
            later.write_bytes(held)
        if some == [0]:  # its first start has left a record of files that the second replaced
            result = merge_records(lab.staging, lab.graph, [record(lab, 0)], leave_out_bad=True)
        else:
            result = merge_records(lab.staging, lab.graph, [record(lab, i) for i in some])
        results.append(result)

    assert sum(r.n_merged for r in results[1:]) + results[0].n_merged >= 14
    again = lab.again()
    assert merge_records(again.staging, again.graph, records(again)).n_merged == 0
    found = rows(again)
    assert [len(found[n]) for n in TABLES[:2]] == [len(undisturbed[n]) for n in TABLES[:2]]
    assert sorted(map(repr, found["artifact"])) == sorted(map(repr, undisturbed["artifact"]))


def test_file_that_an_older_start_has_changed_is_found_by_its_checksum(
    jobs_done: Lab, tmp_path: Path
) -> None:
    """Of a job that was started twice files are read: one of the right size and other bytes is named, and left out."""
    lab = copy_of(jobs_done, tmp_path / "lab")
    made = RecordFile.load(record(lab, 0)).outcomes[-1].artifacts[0]
    path = Path(lab.store_root) / made.uri
    path.write_bytes(bytes(len(path.read_bytes())))
    result = merge_records(lab.staging, lab.graph, records(lab), leave_out_bad=True)

    assert len(result.refused) == 1
    assert "checksum is" in next(iter(result.refused.values()))
    assert result.n_merged == 16


def test_sizes_of_many_files(tmp_path: Path) -> None:
    """Each file has its size, what is not there -1, wherever it lies."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"123")
    (tmp_path / "y").write_bytes(b"")
    found = sizes_of(
        ["a/x", "a/none", "y", "y/below", f"{tmp_path}/a/x", f"file://{tmp_path}/a/x"], str(tmp_path)
    )

    assert found.tolist() == [3, -1, 0, -1, 3, 3]


@pytest.fixture(scope="module")
def submitted() -> Path:
    """A campaign whose ten quanta were run in three jobs, which recorded below the submission's directory."""
    folder = template_folder("job-merge")
    make_upstream(folder)
    env, camp = {"PYTHONPATH": str(folder)}, folder / "camp"
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder, env=env)
    call("prep", cwd=camp, env=env)
    (graph,) = camp.glob("submit/*/*/graph.qg")
    for i, quanta in enumerate(("0-5", "6-8", "9")):
        where = graph.parent / "records" / str(i // 2) / f"{i}.jsonl"
        call("exec", graph, "--quanta", quanta, "--record", where, "-j", "0", cwd=camp, env=env)
    return camp


def test_merge_of_a_run_takes_all_and_names_what_is_damaged(submitted: Path, tmp_path: Path) -> None:
    """One damaged record and one lost output are named with an exit code of 3; all else is merged, the rest later."""
    shutil.copytree(submitted.parent, tmp_path / "all", symlinks=True)
    camp = tmp_path / "all" / "camp"
    (graph,) = camp.glob("submit/*/*/graph.qg")
    run = RecordFile.load(graph.parent / "records/0/0.jsonl").run
    damaged = graph.parent / "records/1/2.jsonl"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-20])
    lost = Path(
        camp / "data" / RecordFile.load(graph.parent / "records/0/1.jsonl").outcomes[0].artifacts[0].uri
    )
    kept = lost.read_bytes()
    lost.unlink()
    told = json.loads(call("merge", "--run", run, "--json", cwd=camp, code=3).stdout)

    assert told["executed"] == 8
    assert len(told["refused"]) == 2
    assert str(damaged) in told["refused"]
    text = call("merge", "--run", run, cwd=camp, code=3).stdout
    assert f"left out {damaged}: record file {damaged} is refused: it was cut off" in text
    lost.write_bytes(kept)
    damaged.write_bytes(whole)
    assert json.loads(call("merge", "--run", run, "--json", cwd=camp).stdout)["executed"] == 2
    assert json.loads(call("merge", "--run", run, "--json", cwd=camp).stdout)["executed"] == 0


def test_what_is_to_be_merged_has_to_be_said_once(submitted: Path) -> None:
    """Neither nothing, nor files and a run; no run that is not there, and none that has recorded nothing."""
    camp = stage.Campaign.load(submitted)
    with pytest.raises(UsageError, match="has to be said"):
        camp.merge()
    with pytest.raises(UsageError, match="and a run too"):
        camp.merge("a", run="b")
    with pytest.raises(NotFoundError, match="has no run 'b'"):
        camp.merge(run="b")
