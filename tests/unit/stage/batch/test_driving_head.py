"""How a head drives jobs: `stage.batch.driving.head`, with an engine on paper where that is enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from registry.errors import BusyError, StorageError, UsageError
from stage.batch.driving import head
from stage.batch.driving.asking import Ask, ask, asked
from stage.batch.driving.board import Board
from stage.batch.driving.head import HeadResult, run_head
from stage.batch.driving.journal import read_journal
from stage.batch.driving.restart import restart
from stage.batch.driving.states import read_states
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.local import LocalEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import WhenRun, Workflow
from tests.batch_world import Paper, make_workflow, submit_dir
from tests.processes_killed import killed_at, points_of

CHAIN = {1: [0], 2: [1]}


@pytest.fixture
def where(tmp_path: Path) -> SubmitDir:
    return submit_dir(tmp_path / "run")


def failed(number: int, attempt: int, cause: Cause, code: int | None = 1) -> tuple[tuple[int, int], JobEvent]:
    return (number, attempt), JobEvent(number, attempt, JobState.FAILED, cause, code, "so it was")


def local(cores: int = 2) -> LocalEngine:
    return LocalEngine(EngineSettings("here", {"cores": cores}))


def test_jobs_go_in_their_order_and_within_what_the_engine_takes(where: SubmitDir) -> None:
    """Each job goes to the engine once, after what it waits for, and no more at once than there is room for."""
    workflow = make_workflow(["true"] * 12, {i: [i - 4] for i in range(4, 12)})
    engine = Paper(capacity=3)
    result = run_head(where, engine=engine, workflow=workflow)

    assert HeadResult({JobState.SUCCEEDED: 12}, None, elapsed_s=result.elapsed_s) == result
    assert result.is_success
    assert 3 == engine.most_at_once
    order = [r.number for r in engine.requests]
    assert all(order.index(i) > order.index(i - 4) for i in range(4, 12))


def test_failure_prunes_what_waits_for_it_and_nothing_else(where: SubmitDir) -> None:
    """Jobs behind one that failed are PRUNED, others run, and the message stays."""
    workflow = make_workflow(["true"] * 5, {1: [0], 2: [1], 4: [3]})
    result = run_head(where, engine=Paper(ends=dict([failed(0, 0, Cause.EXIT, 3)])), workflow=workflow)
    found = read_states(where, workflow)

    assert {JobState.FAILED: 1, JobState.PRUNED: 2, JobState.SUCCEEDED: 2} == result.counts
    assert not result.is_success
    assert ("so it was", 3, Cause.EXIT) == (found.messages[0], found.exit_code_of(0), found.cause_of(0))
    assert found.is_ended


def test_memory_grows_from_attempt_to_attempt(where: SubmitDir) -> None:
    """Each attempt after want of memory is told more, to the most that there may be; a report has all of them."""
    needs = {"request_memory": 3072, "request_memory_max": 20480, "memory_multiplier": 2.0}
    workflow = make_workflow(["true"], **needs)
    ends = dict([failed(0, n, Cause.MEMORY if n else Cause.EXIT, 14) for n in range(9)])
    run_head(where, engine=(engine := Paper(ends=ends)), workflow=workflow)
    found = read_states(where, workflow)

    assert [3072, 6144, 12288, 20480] == [r.memory_mb for r in engine.requests]
    assert [0, 1, 2, 3] == [r.attempt for r in engine.requests]
    assert [3072, 6144, 12288, 20480] == [a.memory_mb for a in found.history]
    assert JobState.FAILED == found.state_of(0)
    assert "20480 MB" in found.messages[0]


def test_each_attempt_has_a_command_and_a_log_of_its_own(where: SubmitDir) -> None:
    """Attempt and values of the job are put into the command, what has no value stays, and the log has its number."""
    workflow = make_workflow(["echo 'a b'"], number_of_retries=1)
    workflow = replace(
        workflow, settings=[replace(workflow.settings[0], arguments="-x{attempt} -c {script} {other}")]
    )
    run_head(where, engine=(engine := Paper(ends=dict([failed(0, 0, Cause.EXIT)]))), workflow=workflow)

    assert [("sh", f"-x{n}", "-c", "echo 'a b'", "{other}") for n in (0, 1)] == [
        r.command for r in engine.requests
    ]
    assert [f"jobs/task/task_0.{n}.out" for n in (0, 1)] == [
        str(r.log.relative_to(where.root)) for r in engine.requests
    ]


def test_looking_ahead_gives_chains_at_once(where: SubmitDir) -> None:
    """An engine that looks ahead is told what each job waits for there, and hears nothing twice."""
    workflow = make_workflow(["true"] * 3, CHAIN)
    engine = Paper(looks_ahead=True)
    result = run_head(where, engine=engine, workflow=workflow)

    assert [(), (0,), (1,)] == [r.after for r in engine.requests]
    assert result.is_success


def test_children_given_up_for_their_parent_are_begun_again_without_counting(where: SubmitDir) -> None:
    """Where the engine gives up a child since its parent failed, the child waits for the parent's next attempt."""
    workflow = make_workflow(["true"] * 2, {1: [0]}, number_of_retries=1)
    engine = Paper(looks_ahead=True, ends=dict([failed(0, 0, Cause.EXIT)]))
    result = run_head(where, engine=engine, workflow=workflow)

    assert result.is_success
    assert [(0, 0), (1, 0), (0, 1), (1, 0)] == [(r.number, r.attempt) for r in engine.requests]


def test_child_begun_on_a_parent_that_was_not_done_costs_it_nothing(where: SubmitDir) -> None:
    """A child that fails while its parent is to begin again is begun again too, without any retry of its own."""
    workflow = make_workflow(["true"] * 2, {1: [0]})
    ends = dict([failed(0, 0, Cause.NODE), failed(1, 0, Cause.EXIT)])

    class Hasty(Paper):
        def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
            return super().start([replace(r, after=()) for r in requests])

    result = run_head(where, engine=Hasty(looks_ahead=True, ends=ends), workflow=workflow)

    assert result.is_success


def test_busy_engine_is_asked_again_later_each_time(
    where: SubmitDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy scheduler is given 0, 1, 3, … seconds; attempts that it did not take are not counted."""
    monkeypatch.setattr(head, "SCHEDULE_S", tuple(s / 50 for s in head.SCHEDULE_S))
    times: list[float] = []

    class Busy(Paper):
        def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
            times.append(time.monotonic())
            if len(times) < 5:
                raise BusyError("the scheduler is busy")
            return super().start(requests)

    result = run_head(where, engine=(engine := Busy()), workflow=make_workflow(["true"]))
    waits = np.diff(times)

    assert result.is_success
    assert [0] == [r.attempt for r in engine.requests]
    assert all(w >= s for w, s in zip(waits, head.SCHEDULE_S, strict=False))


def test_services_that_are_away_for_a_while_are_asked_again(where: SubmitDir) -> None:
    """A query that fails for the moment ends no head; one that fails for good does, and the next head goes on."""

    class Away(Paper):
        fails = (StorageError("away", transient=True),)

        def poll(self, timeout_s: float) -> Sequence[JobEvent]:
            if self.fails:
                error, *rest = self.fails
                self.fails = tuple(rest)  # type: ignore[assignment]
                raise error
            return super().poll(timeout_s)

    assert run_head(where, engine=Away(), workflow=make_workflow(["true"])).is_success
    other = submit_dir(where.root / "other")
    engine = Away()
    engine.fails = (StorageError("gone"),)
    with pytest.raises(StorageError, match="gone"):
        run_head(other, engine=engine, workflow=make_workflow(["true"]))
    assert run_head(other, engine=Paper(), workflow=make_workflow(["true"])).is_success


def test_start_that_failed_in_between_is_found_out(where: SubmitDir) -> None:
    """When nobody knows which jobs an engine took, it is opened again: what it has goes on, the rest begins again."""

    class Torn(Paper):
        def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
            if not self.requests:
                super().start(requests[:2])
                raise StorageError("no answer", transient=True)
            return super().start(requests)

    result = run_head(where, engine=(engine := Torn(leaves=True)), workflow=make_workflow(["true"] * 3))

    assert result.is_success
    assert [(0, 0), (1, 0), (2, 1)] == [(r.number, r.attempt) for r in engine.requests]


def test_one_head_at_a_time(where: SubmitDir) -> None:
    """A second head is refused, and says who has it; so is a restart."""
    workflow = make_workflow(["true"])

    def again(counts: object) -> None:
        assert read_states(where, workflow).head is not None
        for act in (lambda: run_head(where, engine=Paper(), workflow=workflow), lambda: restart(where, workflow=workflow)):  # fmt: skip
            with pytest.raises(BusyError) as caught:
                act()
            assert "has-head" == caught.value.code

    assert run_head(where, engine=Paper(), workflow=workflow, on_change=again).is_success
    assert read_states(where, workflow).head is None


def test_job_without_a_command_is_refused_before_anything_begins(where: SubmitDir) -> None:
    """A kind of job without a program is an error that names it."""
    workflow = make_workflow(["true"])
    workflow = replace(workflow, settings=[replace(workflow.settings[0], executable="")])

    with pytest.raises(UsageError, match="'task' have no command"):
        run_head(where, engine=Paper(), workflow=workflow)


@pytest.mark.parametrize(
    ("when", "fails", "expected"),
    [
        (WhenRun.ALWAYS, True, JobState.SUCCEEDED),
        (WhenRun.ALWAYS, False, JobState.SUCCEEDED),
        (WhenRun.SUCCESS, True, None),
        (WhenRun.SUCCESS, False, JobState.SUCCEEDED),
        (WhenRun.NEVER, False, None),
    ],
)
def test_final_job_runs_when_it_is_to(
    where: SubmitDir, when: WhenRun, fails: bool, expected: JobState | None
) -> None:
    """ALWAYS also after failures, SUCCESS only without any, NEVER never; what it prints is in its file."""
    workflow = make_workflow(["true"] * 3, CHAIN, final="pwd", where=where, when_final=when)
    engine = Paper(ends=dict([failed(0, 0, Cause.EXIT)]) if fails else {})
    result = run_head(where, engine=engine, workflow=workflow)

    assert expected == result.final
    assert result.is_ended
    assert (expected is not None) == where.final_log.exists()
    if expected:
        assert where.root.samefile(where.final_log.read_text().strip())


def test_final_job_has_its_own_retries_and_memory(where: SubmitDir) -> None:
    """It is tried again as its settings say, with more memory after want of it, and its output is all kept."""
    script = "echo try; test $(ulimit -d) -ge 60000 || exit 14; test -e again || { touch again; exit 1; }"
    needs = {
        "request_memory": 32,
        "memory_multiplier": 2.0,
        "request_memory_max": 128,
        "number_of_retries": 2,
    }
    workflow = make_workflow([], final=script, where=where, final_needs=needs)
    result = run_head(where, engine=Paper(), workflow=workflow)
    found = read_states(where, workflow)

    assert result.is_success
    assert [(32, Cause.MEMORY), (64, Cause.EXIT), (64, Cause.NONE)] == [
        (a.memory_mb, a.cause) for a in found.history
    ]
    assert 3 == where.final_log.read_text().count("try")


def test_final_job_that_fails_is_no_success(where: SubmitDir) -> None:
    """All jobs may be done: without the final one the submission is not."""
    workflow = make_workflow(["true"], final="echo why; exit 5", where=where)
    result = run_head(where, engine=Paper(), workflow=workflow)

    assert (JobState.FAILED, False) == (result.final, result.is_success)
    assert "exit code 5: why" == read_states(where, workflow).messages[-1]


def test_cancel_ends_all_and_runs_the_final_job(where: SubmitDir) -> None:
    """Jobs that run and that wait are DELETED, those that succeeded stay, and the final job runs as it is to."""
    workflow = make_workflow(
        ["true", "sleep 60", "true"], {1: [0], 2: [1]}, final="true", where=where, number_of_retries=3
    )

    def cancel(counts: dict[JobState, int]) -> None:
        if counts.get(JobState.RUNNING) and counts.get(JobState.SUCCEEDED) and asked(where) is None:
            ask(where, Ask.CANCEL)

    result = run_head(where, engine=local(), workflow=workflow, on_change=cancel)  # type: ignore[arg-type]

    assert {JobState.SUCCEEDED: 1, JobState.DELETED: 2} == result.counts
    assert (True, JobState.SUCCEEDED) == (result.is_cancelled, result.final)
    assert asked(where) is None


def test_nothing_begins_after_a_cancel(where: SubmitDir) -> None:
    """Children that an engine gives up when their parents are ended are deleted too, not begun again."""

    class GivesUp(Paper):
        def cancel(self, numbers: Sequence[int]) -> None:
            super().cancel(numbers[:1])
            for number in numbers[1:]:
                self._said.append(JobEvent(number, 0, JobState.DELETED, Cause.PARENT))

        def poll(self, timeout_s: float) -> Sequence[JobEvent]:
            ask(where, Ask.CANCEL)
            said, self._said = self._said, []
            return said

    engine = GivesUp(looks_ahead=True)
    result = run_head(where, engine=engine, workflow=make_workflow(["true"] * 3, CHAIN))

    assert {JobState.DELETED: 3} == result.counts
    assert 3 == len(engine.requests)


def test_cancel_while_the_final_job_runs_ends_that(where: SubmitDir) -> None:
    """What all others have come to stays, the final job is DELETED, and is not tried again before a restart."""
    workflow = make_workflow(
        ["true"], final="touch begun; sleep 60", where=where, final_needs={"number_of_retries": 3}
    )

    def cancel() -> None:
        while not (where.root / "begun").exists():
            time.sleep(0.01)
        ask(where, Ask.CANCEL)

    thread = threading.Thread(target=cancel)
    thread.start()
    result = run_head(where, engine=Paper(), workflow=workflow)
    thread.join()

    assert ({JobState.SUCCEEDED: 1}, JobState.DELETED) == (result.counts, result.final)
    assert JobState.DELETED == run_head(where, engine=Paper(), workflow=workflow).final
    where.final_script.write_text("true")
    restart(where, workflow=workflow)
    assert run_head(where, engine=Paper(), workflow=workflow).is_success


def test_restart_runs_what_did_not_succeed_with_what_was_changed(where: SubmitDir) -> None:
    """Failed and pruned jobs go again, with other memory, in new attempts; the others do not."""
    workflow = make_workflow(["true"] * 4, {1: [0], 2: [1]}, request_memory=100)
    run_head(where, engine=Paper(ends=dict([failed(1, 0, Cause.EXIT)])), workflow=workflow)

    assert 2 == restart(where, {"requestMemory": 700, "numberOfRetries": 2}, workflow=workflow)
    result = run_head(where, engine=(engine := Paper()), workflow=workflow)

    assert result.is_success
    assert [(1, 1, 700), (2, 0, 700)] == [(r.number, r.attempt, r.memory_mb) for r in engine.requests]
    assert 2 == engine.requests[0].settings.number_of_retries


def test_restart_may_leave_out_what_never_began(where: SubmitDir) -> None:
    """Without those that never began, only what failed goes again."""
    workflow = make_workflow(["true"] * 3, CHAIN)
    run_head(where, engine=Paper(ends=dict([failed(1, 0, Cause.EXIT)])), workflow=workflow)

    assert 1 == restart(where, include_unlaunched=False, workflow=workflow)
    assert {JobState.SUCCEEDED: 2, JobState.PRUNED: 1} == run_head(
        where, engine=Paper(), workflow=workflow
    ).counts


@pytest.mark.parametrize(
    "changes",
    [
        {"requestMemry": 1},
        {"requestMemory": "much"},
        {"requestCpus": -1},
        {"pipetask": {"nolabel": {"requestMemory": 1}}},
    ],
)
def test_restart_refuses_changes_that_make_no_sense(where: SubmitDir, changes: dict[str, object]) -> None:
    """A wrong name, type or label is refused with a hint, and nothing begins again."""
    workflow = make_workflow(["true"])
    run_head(where, engine=Paper(ends=dict([failed(0, 0, Cause.EXIT)])), workflow=workflow)

    with pytest.raises(UsageError) as caught:
        restart(where, changes, workflow=workflow)
    assert caught.value.hint
    assert {JobState.FAILED: 1} == read_states(where, workflow).counts()


def test_restart_of_one_label_changes_that_one(where: SubmitDir) -> None:
    """What is under a label is for its jobs alone, and counts before what is for all."""
    workflow = make_workflow(["true"])
    run_head(where, engine=Paper(ends=dict([failed(0, 0, Cause.EXIT)])), workflow=workflow)
    restart(where, {"requestMemory": 1, "pipetask": {"task": {"requestMemory": 2}}}, workflow=workflow)
    run_head(where, engine=(engine := Paper()), workflow=workflow)

    assert [2] == [r.memory_mb for r in engine.requests]


def _life(where: SubmitDir, workflow: Workflow, engine: DrivenEngine) -> object:
    return lambda at: run_head(where, engine=engine, workflow=workflow, at=at)


def test_head_killed_at_any_step_is_gone_on_with(tmp_path: Path) -> None:
    """Wherever a head is killed, the next one ends as one that was never killed, and no job ran twice at once."""
    script = "exec 9>one.$0; flock -n 9 || exit 9; sleep 0.03; echo x >> ran.$0"
    scripts = [script.replace("$0", str(i)) for i in range(5)]

    def world(name: str) -> tuple[SubmitDir, Workflow]:
        where = submit_dir(tmp_path / name)
        workflow = make_workflow(scripts, {3: [0, 1], 4: [2, 3]}, final="sleep 0.02; ls > all", where=where)
        return where, workflow

    where, workflow = world("whole")
    points = points_of(_life(where, workflow, local()))  # type: ignore[arg-type]
    assert {"begun", "started", "heard", "ended", "pruned", "final begun", "final heard"} <= set(points)
    for i, point in enumerate(points):
        where, workflow = world(f"killed-{i}")
        killed_at(point, _life(where, workflow, local()), nth=1 + i % 2)  # type: ignore[arg-type]
        result = run_head(where, engine=local(), workflow=workflow)

        assert ({JobState.SUCCEEDED: 5}, JobState.SUCCEEDED) == (result.counts, result.final), point
        assert all((where.root / f"ran.{n}").exists() for n in range(5)), point


def test_new_head_takes_over_what_goes_on_without_one(where: SubmitDir) -> None:
    """With an engine whose jobs outlive the head, a new head hears their ends and starts none of them again."""
    workflow = make_workflow(["true"] * 3)
    engine = Paper(leaves=True, takes=5)

    class Stop(Exception):  # noqa: N818
        pass

    def at(name: str) -> None:
        if name == "heard":
            raise Stop

    with pytest.raises(Stop):
        run_head(where, engine=engine, workflow=workflow, at=at)
    result = run_head(where, engine=engine, workflow=workflow)

    assert result.is_success
    assert {n: (0, f"paper-{n}") for n in range(3)} == engine.known
    assert 3 == len(engine.requests)


def test_jobs_of_a_killed_head_of_which_nobody_knows_begin_again_without_counting(where: SubmitDir) -> None:
    """Attempts that are gone with their head use up no retries, but their numbers: a zombie of theirs is known as such."""
    workflow = make_workflow(["true"])
    for _ in range(4):
        killed_at("started", _life(where, workflow, Paper()))  # type: ignore[arg-type]
    result = run_head(where, engine=(engine := Paper()), workflow=workflow)
    found = read_states(where, workflow)

    assert result.is_success
    assert [4] == [r.attempt for r in engine.requests]
    assert [JobState.UNKNOWN] * 4 + [JobState.SUCCEEDED] == [a.state for a in found.history]


def test_what_waits_and_what_could_begin_are_told_apart(where: SubmitDir) -> None:
    """To a reader, jobs that wait for others are UNREADY, those that wait for room READY."""
    workflow = make_workflow(["true"] * 3, CHAIN)

    assert {JobState.READY: 1, JobState.UNREADY: 2} == read_states(where, workflow).counts()


def test_cost_grows_as_the_number_of_jobs_and_no_faster(tmp_path: Path) -> None:
    """Ten times the jobs cost about ten times the processor time; a new head knows them all in a fraction of that."""
    costs = []
    for n in (1000, 10_000):
        where = submit_dir(tmp_path / str(n))
        workflow = make_workflow(["true"] * n, {i: [i - n // 2] for i in range(n // 2, n)})
        began = time.process_time()
        assert run_head(where, engine=Paper(), workflow=workflow).is_success
        costs.append(time.process_time() - began)
    board, began = Board(n), time.process_time()
    for lines in read_journal(where.journal):
        board.replay(lines)

    assert costs[1] < 25 * costs[0]
    assert time.process_time() - began < costs[1] / 3
    assert {JobState.SUCCEEDED: n} == board.counts()
