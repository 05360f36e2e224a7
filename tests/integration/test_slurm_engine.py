"""The engine of Slurm on a real one: arrays and their limits, dependencies, one query for all, a busy scheduler, loss."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import BusyError, StorageError, UsageError
from stage.batch.engines.base import Cause, EngineSettings, JobState
from stage.batch.engines.slurm import grouping
from stage.batch.engines.slurm.engine import SlurmEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings
from tests.batch_world import make_workflow
from tests.clusters import Slurm
from tests.slurm_world import BUSY, Programs, World

pytestmark = pytest.mark.service

LIMIT = "AssocMaxSubmitJobLimit"


@pytest.fixture
def programs(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    """Slurm's programs, watched; what they have started is gone afterwards."""
    made = Programs(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    slurm.cancel_all()


def test_jobs_go_as_arrays_cut_to_the_limit(programs: Programs, tmp_path: Path) -> None:
    """Eleven jobs of two kinds, at most four to an array, are four submissions; each runs once, and tells as itself."""
    world = World(SubmitDir(tmp_path / "run"), {"maxArraySize": 4, "maxJobs": 50})
    world.open()
    more = JobSettings("more", request_memory=100, request_cpus=2)
    jobs = [world.request(i, f"echo it is {i}; exit {i % 2}") for i in range(7)]
    jobs += [world.request(i, "echo $SLURM_CPUS_PER_TASK", kind=more) for i in range(7, 11)]
    world.start(jobs)
    submitted = programs.calls("sbatch")

    assert ["0-3", "0-2", "0-3"] == [c.split("--array=")[1].split()[0] for c in submitted]
    assert "--mem=100M" in submitted[2]
    assert "--cpus-per-task=2" in submitted[2]
    assert 50 == world.engine.capacity
    world.until_ended(range(11))
    assert [f"it is {i}\n" for i in range(7)] == [world.log(i) for i in range(7)]
    assert ["2\n"] * 4 == [world.log(i, label="more") for i in range(7, 11)]
    assert [0, 1, 0, 1, 0, 1, 0] == [world.ends[i].exit_code for i in range(7)]


def test_elements_wait_for_their_own_parents(programs: Programs, tmp_path: Path) -> None:
    """Jobs with a parent each are an array after an array; a child of what fails is given up, and told as that."""
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    first = [world.request(0, "touch init")]
    parents = [
        world.request(i, f"test -e init && touch p{i} && exit {int(i == 3)}", after=[0]) for i in range(1, 6)
    ]
    children = [world.request(i + 10, f"test -e p{i}", after=[0, i]) for i in range(1, 6)]
    last = [world.request(20, "exit 0", after=[11, 12]), world.request(21, "exit 0", after=[11, 13])]
    world.start([*first, *parents, *children, *last])
    chains = [c.split("--dependency=")[1].split()[0] for c in programs.calls("sbatch") if "--dependency" in c]

    world.until_ended([0, *range(1, 6), *range(11, 16), 20, 21])
    by_number = {n: e.state for n, e in world.ends.items()}
    assert {13, 21} == {n for n, e in world.ends.items() if e.cause == Cause.PARENT}
    assert {3, 13, 21} == {n for n, state in by_number.items() if state != JobState.SUCCEEDED}
    init, array, corresponding = (world.handles[n].split("_")[0] for n in (0, 1, 11))
    assert [f"afterok:{init}", f"aftercorr:{array},afterok:{init}"] == chains[:2]
    assert {f"afterok:{corresponding}_0:{corresponding}_{i}" for i in (1, 2)} == set(chains[2:])


def test_what_slurm_cannot_be_told_shortly_waits_here(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that waits for more than Slurm is to be told goes when the last of them has ended well, or is given up."""
    monkeypatch.setattr(grouping, "_LONGEST", 3)
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    parents = [world.request(i, f"touch p{i} && exit {i // 4}") for i in range(5)]
    gather = [
        world.request(10, "ls p0 p1 p2 p3", after=range(4)),
        world.request(11, "exit 0", after=range(1, 5)),
    ]
    world.start([*parents, *gather, world.request(12, "exit 0", after=[10])])

    assert ["kept"] * 3 == [world.handles[n] for n in (10, 11, 12)]
    world.until_ended([*range(5), 10, 11, 12])
    assert [JobState.SUCCEEDED, Cause.PARENT, JobState.SUCCEEDED] == [
        world.ends[10].state, world.ends[11].cause, world.ends[12].state
    ]  # fmt: skip
    assert "p0\np1\np2\np3\n" == world.log(10)
    assert not any("--dependency" in call for call in programs.calls("sbatch"))


def test_one_query_an_interval_for_all_jobs(programs: Programs, tmp_path: Path) -> None:
    """However many jobs there are, the queue is asked once an interval, and the files of none are looked at meanwhile."""
    world = World(SubmitDir(tmp_path / "run"), {"maxArraySize": 5, "maxPollInterval": 0.5})
    world.open()
    began = time.monotonic()
    world.start([world.request(i, "sleep 2") for i in range(30)])
    world.until_ended(range(30))
    seconds = time.monotonic() - began

    assert 6 == len(programs.calls("sbatch"))
    assert 2 <= len(programs.calls("squeue")) <= 1 + seconds / 0.5
    assert ["show config"] == programs.calls("scontrol")


def test_busy_scheduler_is_left_alone_and_nothing_is_lost(programs: Programs, tmp_path: Path) -> None:
    """A scheduler that says it is busy takes none; later all; and what it says no word of is asked for again."""
    world = World(SubmitDir(tmp_path / "run"), {"maxPollInterval": 0.1})
    world.open()
    jobs = [world.request(i, "echo once >> $SLURM_ARRAY_TASK_ID") for i in range(3)]
    programs.spoil("sbatch", 1, BUSY)
    with pytest.raises(BusyError, match="Socket timed out"):
        world.start(jobs)
    world.start(jobs)
    programs.spoil("squeue", 2, "slurm_load_jobs error: Resource temporarily unavailable")
    world.until_ended(range(3))

    assert {JobState.SUCCEEDED} == {e.state for e in world.ends.values()}
    assert ["once\n"] * 3 == [(world.where.root / str(i)).read_text() for i in range(3)]


def test_array_taken_without_an_answer_is_found(programs: Programs, tmp_path: Path) -> None:
    """Where the answer to a submission is lost on its way, the array is found in the queue, and not given again."""
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    programs.spoil("sbatch", 1, BUSY, late=True)
    world.start([world.request(i, "echo once >> $SLURM_ARRAY_TASK_ID") for i in range(2)])
    world.until_ended(range(2))

    assert 1 == len(programs.calls("sbatch"))
    assert ["once\n"] * 2 == [(world.where.root / str(i)).read_text() for i in range(2)]


def test_array_that_turns_up_late_does_nothing(programs: Programs, tmp_path: Path) -> None:
    """An array that was given up for busy, and is there after all, runs nothing and is ended."""
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    jobs = [world.request(i, "sleep 1; echo once >> $SLURM_ARRAY_TASK_ID") for i in range(2)]
    programs.spoil("sbatch", 1, BUSY, late=True)
    programs.spoil("squeue", 1, "slurm_load_jobs error: Socket timed out on send/recv operation")
    with pytest.raises(BusyError):
        world.start(jobs)
    (programs.folder / "sbatch.late").unlink()
    world.start(jobs)
    world.until_ended(range(2))

    assert ["once\n"] * 2 == [(world.where.root / str(i)).read_text() for i in range(2)]


def test_limit_of_the_site_makes_smaller_arrays(programs: Programs, tmp_path: Path) -> None:
    """An array that is over a limit of the site is halved; what has no room at all waits until there is some."""
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    programs.spoil("sbatch", 2, f"{LIMIT}; Job violates accounting/QOS policy (job submit limit, ...)")
    world.start([world.request(i, "exit 0") for i in range(8)])

    arrays = [c.split("--array=")[1].split()[0] for c in programs.calls("sbatch")]
    assert ["0-7", "0-3", "0-1", "0-1", "0-3"] == arrays
    programs.spoil("sbatch", 1, LIMIT)
    kept = world.start([world.request(8, "exit 0")])
    assert ["kept"] == kept
    world.until_ended(range(9))
    assert {JobState.SUCCEEDED} == {e.state for e in world.ends.values()}


def test_refused_and_held_jobs_say_why(programs: Programs, slurm: Slurm, tmp_path: Path) -> None:
    """What Slurm refuses has failed to start, in its words; what it keeps back is HELD with its reason, until released."""
    world = World(SubmitDir(tmp_path / "run"))
    world.open()
    huge = JobSettings("huge", request_memory=900_000_000)
    nowhere = JobSettings("nowhere", queue="nowhere")
    held = JobSettings("held", extra=(("sbatchOptions", ["--hold"]),))
    world.start([world.request(0, "exit 0", kind=huge), world.request(1, "exit 0", kind=nowhere)])
    handles = world.start([world.request(2, "exit 0", kind=held)])

    assert [Cause.START, Cause.START] == [world.ends[n].cause for n in (0, 1)]
    assert "invalid partition specified: nowhere" in world.ends[1].message
    world.until(lambda: world.states(2) == [JobState.HELD])
    assert "JobHeldUser" in world.said[-1].message
    slurm.ask("scontrol", "release", handles[0])
    world.until_ended([2])
    assert JobState.SUCCEEDED == world.ends[2].state


def test_what_slurm_has_forgotten_leaves_word(programs: Programs, tmp_path: Path) -> None:
    """Where the queue does not show what has ended, jobs are known by what they left; one that left nothing is lost."""
    programs.wrap("squeue", "| sed -E '/COMPLETED|FAILED|CANCELLED/d'")
    world = World(SubmitDir(tmp_path / "run"), {"graceSeconds": 0.5})
    world.open()
    world.start([world.request(0, "exit 0"), world.request(1, "exit 7"), world.request(2, "kill -9 $PPID")])
    world.until_ended(range(3))

    assert [(JobState.SUCCEEDED, Cause.NONE, 0), (JobState.FAILED, Cause.EXIT, 7), (JobState.FAILED, Cause.NODE, None)] == [
        (world.ends[i].state, world.ends[i].cause, world.ends[i].exit_code) for i in range(3)
    ]  # fmt: skip


def test_many_are_cancelled_by_one_call(programs: Programs, tmp_path: Path) -> None:
    """Jobs of several arrays, one of which goes on, are cancelled at once; also those that Slurm does not have yet."""
    world = World(SubmitDir(tmp_path / "run"), {"maxArraySize": 4})
    world.open()
    world.start([world.request(i, "echo begun; sleep 30") for i in range(7)])
    programs.spoil("sbatch", 99, LIMIT)
    world.start([world.request(8, "exit 0")])
    world.until(lambda: all(JobState.RUNNING in world.states(i) for i in range(7)))
    world.engine.cancel([*range(6), 8])
    world.until_ended([*range(6), 8])

    assert 1 == len(programs.calls("scancel"))
    assert {Cause.CANCELLED} == {e.cause for e in world.ends.values()}
    assert 6 not in world.ends


def test_new_head_takes_over_what_was_never_noted(programs: Programs, tmp_path: Path) -> None:
    """A head dies between starting jobs and noting it: the next finds them by their tag, ended or not, and no others."""
    world = World(SubmitDir(tmp_path / "run"))
    other = World(SubmitDir(tmp_path / "other"))
    world.open()
    other.open()
    other.start([other.request(0, "sleep 30")])
    world.start(
        [
            world.request(0, "exit 0"),
            world.request(1, "sleep 3; exit 4"),
            world.request(2, "exit 0", attempt=2),
        ]
    )
    unsubmitted = world.where.engine / "arrays" / "000009"
    unsubmitted.mkdir()
    (unsubmitted / "jobs").write_text("0\t5\t0\t/dev/null\ttrue\n")
    time.sleep(2)
    world.engine = world.make()
    found = world.engine.open(world.where, {0: (0, ""), 2: (3, ""), 5: (0, "")})

    assert {(0, 0), (1, 0)} == {(n, attempt) for n, attempt, _ in found}
    world.until_ended([0, 1])
    assert [0, 4] == [world.ends[n].exit_code for n in (0, 1)]
    assert unsubmitted.with_name("000009.void").is_dir()


def test_scripts_are_written_before_anything_is_submitted(programs: Programs, tmp_path: Path) -> None:
    """Preparing writes a script for each kind of jobs, the same each time, with all that was asked for; Slurm takes it."""
    options = {"partition": "main", "sbatchOptions": "--mail-type=NONE\n#SBATCH --exclusive=user", "setup": "COLOUR='deep blue'"}  # fmt: skip
    world = World(SubmitDir(tmp_path / "run"), options)
    workflow = make_workflow(["echo $COLOUR $SHAPE"], request_walltime=90, request_disk=7, priority=3, preemptible=False,
                             environment=(("SHAPE", "round 'ish'"),), extra=(("qos", "normal"),))  # fmt: skip
    first = world.engine.prepare(workflow, world.where)
    texts = [p.read_text() for p in first]

    assert [world.where.engine / "task.sbatch"] == first == world.engine.prepare(workflow, world.where)
    assert texts == [p.read_text() for p in first]
    wanted = ["--ntasks=1", "--no-requeue", "--comment=u_me_run", "--partition=main", "--qos=normal", "--time=90",
              "--tmp=7M", "--mail-type=NONE", "--exclusive=user"]  # fmt: skip
    assert wanted == [line.split()[1] for line in texts[0].splitlines() if line.startswith("#SBATCH")]
    assert [] == programs.calls("sbatch")
    world.open()
    world.start([world.request(0, "echo $COLOUR $SHAPE", kind=workflow.settings[0])])
    world.until_ended([0])
    assert first == list(world.where.engine.glob("*.sbatch"))


def test_ping_names_what_answers_and_what_does_not(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version, controller and partitions are told; a partition that is not there, and no Slurm at all, are named."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)

    def engine(**options: object) -> SlurmEngine:
        return SlurmEngine(EngineSettings("here", options, "run"))

    assert "is UP; partitions: main (1 of 1 nodes up)" in engine(partition="main").ping()
    with pytest.raises(StorageError, match="no partition 'big'") as caught:
        engine(partition="big").ping()
    assert caught.value.hint == "There are: main."
    memory = engine().memory_limit_mb(".*worker.*")
    assert memory == engine().memory_limit_mb(slurm.nodes[0]) == engine(partition="main").memory_limit_mb()
    assert memory is not None
    assert memory > 1000
    assert engine().memory_limit_mb("^nothing$") is None
    with pytest.raises(UsageError, match="no regular expression"):
        engine().memory_limit_mb("(")
    monkeypatch.setenv("SLURM_CONF", os.devnull)
    with pytest.raises(StorageError, match="Slurm does not answer"):
        engine().ping()
