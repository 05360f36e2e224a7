"""The parts of the engine of Slurm that need none: groups, indices, words, states, options, times to ask."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BusyError, StorageError, UsageError
from stage.batch.engines.base import Cause, EngineSettings, JobRequest, JobState
from stage.batch.engines.slurm.client import Client, OverLimitError, RefusedError, said_by
from stage.batch.engines.slurm.desk import tag, tag_of
from stage.batch.engines.slurm.grouping import Group, cut, group, in_levels
from stage.batch.engines.slurm.indices import read_indices, write_indices
from stage.batch.engines.slurm.lists import JobList, LastWord
from stage.batch.engines.slurm.options import SlurmOptions, sbatch_options
from stage.batch.engines.slurm.pace import Pace
from stage.batch.engines.slurm.script import quoted
from stage.batch.engines.slurm.site import Limits
from stage.batch.engines.slurm.states import Row, end_of, state_of
from stage.batch.engines.slurm.watch import Watch, row_of
from stage.batch.workflow.model import JobSettings

KIND = JobSettings("task")


def job(number: int, *after: int) -> JobRequest:
    """Return a request."""
    return JobRequest(number, f"j{number}", 0, ("true",), Path("log"), KIND, None, after)


def grouped(jobs: Sequence[JobRequest], waits: dict[int, list[tuple[str, int]]], limit: int = 100) -> list[tuple[Any, ...]]:  # fmt: skip
    """Return numbers by index, arrays and elements waited for, of each group."""
    groups, kept = group(jobs, kind_of=lambda r: r.settings.label, waits_for=waits, size_limit=limit)
    shown = [({i: r.number for i, r in g.elements.items()}, g.corresponding, g.common) for g in groups]
    return [*shown, *(r.number for r in kept)]  # type: ignore[list-item]


@given(st.sets(st.integers(0, 5000), min_size=1))
def test_indices_are_read_as_they_are_written(indices: set[int]) -> None:
    """Any set of indices is the same after writing and reading it."""
    assert indices == read_indices(write_indices(indices))


def test_indices_are_read_as_slurm_writes_them() -> None:
    """Ranges, steps, brackets and the limit of those that run at once are understood; other text is refused."""
    assert {1, 4, 5, 6, 10, 12, 14} == read_indices("[1,4-6,10-14:2%5]")
    with pytest.raises(ValueError, match="N/A"):
        read_indices("N/A")


def test_jobs_without_parents_are_one_array_cut_to_size() -> None:
    """Five jobs, at most two to an array, are three arrays that count from 0."""
    found = grouped([job(i) for i in range(5)], {}, 2)

    assert [({0: 0, 1: 1}, (), ()), ({0: 2, 1: 3}, (), ()), ({0: 4}, (), ())] == found


def test_children_get_the_index_of_their_parents() -> None:
    """One parent each in one array, or one each in two arrays at the same index, and one that all have in common."""
    waits = {i: [("7", i - 10), ("8", i - 10), ("3", 0)] for i in (10, 12, 15)}

    assert [({0: 10, 2: 12, 5: 15}, ("7", "8"), (("3", 0),))] == grouped([job(i) for i in waits], waits)
    assert [({0: 10, 2: 12}, ("7", "8"), (("3", 0),)), ({5: 15}, ("7", "8"), (("3", 0),))] == grouped(
        [job(i) for i in waits], waits, 2
    )


def test_several_children_of_a_parent_are_layers_or_wait_for_it_together() -> None:
    """Two children each make two arrays; many children of few parents make an array for each parent."""
    two = {10: [("7", 0)], 11: [("7", 1)], 20: [("7", 0)], 21: [("7", 1)]}
    many = {i: [("7", i % 2)] for i in range(10, 20)}

    assert [({0: 10, 1: 11}, ("7",), ()), ({0: 20, 1: 21}, ("7",), ())] == grouped([job(i) for i in two], two)
    shapes = [(len(e), c, w) for e, c, w in grouped([job(i) for i in many], many)]
    assert [(5, (), (("7", 0),)), (5, (), (("7", 1),))] == shapes


def test_what_cannot_be_said_shortly_is_kept() -> None:
    """A job that waits for very many, and many jobs that each wait for others, are not given with their dependencies."""
    wide = {500: [("7", i) for i in range(200)]}
    odd = {i: [("7", i), ("7", i + 1)] for i in range(60)}

    assert [500] == grouped([job(500)], wide)
    assert list(range(60)) == grouped([job(i) for i in range(60)], odd)
    assert 9 == len(grouped([job(i) for i in range(9)], {i: odd[i] for i in range(9)}))


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30), st.integers(1, 7))
def test_each_job_is_in_one_group_that_waits_for_all_its_parents(
    parents: list[list[int]], limit: int
) -> None:
    """Whatever waits for whatever: none is lost or doubled, and a group waits for just what its jobs wait for."""
    waits = {100 + n: [(f"{p % 3}", p // 3) for p in sorted(set(ps))] for n, ps in enumerate(parents)}
    groups, kept = group([job(n) for n in waits], kind_of=lambda _: 0, waits_for=waits, size_limit=limit)

    told = [r.number for g in groups for r in g.elements.values()] + [r.number for r in kept]
    assert sorted(waits) == sorted(told)
    for one in groups:
        assert 1 <= len(one.elements) <= limit
        for index, request in one.elements.items():
            meant = {*one.common, *((a, index) for a in one.corresponding)}
            assert set(waits[request.number]) == meant


def test_levels_put_parents_first() -> None:
    """Jobs that are handed over together come in levels, in none of which one waits for another."""
    levels = in_levels([job(0), job(1, 0), job(2), job(3, 1, 2), job(4, 99)])

    assert [[0, 2, 4], [1], [3]] == [[r.number for r in level] for level in levels]
    assert [] == in_levels([])
    halves = cut(Group({3: job(0), 5: job(1)}, ("7",)), 1)
    assert [[3], [5]] == [list(g.elements) for g in halves]


@pytest.mark.parametrize(
    ("state", "reason", "status", "word", "cause", "code"),
    [
        ("COMPLETED", "None", 0, 0, Cause.NONE, 0),
        ("FAILED", "NonZeroExitCode", 14 << 8, 14, Cause.EXIT, 14),
        ("FAILED", "NonZeroExitCode", 3 << 8, None, Cause.EXIT, 3),
        ("FAILED", "RaisedSignal:9(Killed)", 9, None, Cause.EXIT, -9),
        ("FAILED", "NonZeroExitCode", 75 << 8, None, Cause.START, 75),
        ("OUT_OF_MEMORY", "OutOfMemory", 253, 137, Cause.MEMORY, 137),
        ("OUT_OF_MEMORY", "OutOfMemory", 253, 0, Cause.NONE, 0),
        ("TIMEOUT", "TimeLimit", 0, None, Cause.TIME, 0),
        ("NODE_FAIL", "NodeDown", 1, None, Cause.NODE, -1),
        ("PREEMPTED", "None", 0, None, Cause.PREEMPTED, 0),
        ("CANCELLED", "None", 15, 143, Cause.CANCELLED, None),
        ("CANCELLED", "DependencyNeverSatisfied", 0, None, Cause.PARENT, None),
    ],
)
def test_ends_are_told_by_the_word_of_the_scheduler(
    state: str, reason: str, status: int, word: int | None, cause: Cause, code: int | None
) -> None:
    """What Slurm calls an end is its cause here; the code is that of the program where it left one."""
    left = None if word is None else LastWord(word, "12", "n1", 0)
    end = end_of(Row(frozenset({0}), "12", state, reason, 0, status, "n1"), left)

    assert (cause, code) == (end.cause, end.exit_code)
    assert (cause == Cause.NONE) == (end.state == JobState.SUCCEEDED)
    assert state_of(Row(None, "12", state, reason))[0] is None


def test_job_that_no_node_could_take_did_not_start() -> None:
    """A job that has failed and was on no node has not been started, and says why."""
    end = end_of(Row(frozenset({0}), "12", "FAILED", "BadConstraints", 0, 256), None)

    assert (JobState.FAILED, Cause.START, "Slurm: FAILED (BadConstraints)") == (
        end.state,
        end.cause,
        end.message,
    )


@pytest.mark.parametrize(
    ("state", "reason", "wanted"),
    [
        ("PENDING", "Resources", JobState.PENDING),
        ("PENDING", "JobHeldAdmin", JobState.HELD),
        ("PENDING", "PartitionDown", JobState.HELD),
        ("PENDING", "launch failed requeued held", JobState.HELD),
        ("SUSPENDED", "None", JobState.HELD),
        ("CONFIGURING", "None", JobState.PENDING),
        ("COMPLETING", "None", JobState.RUNNING),
    ],
)
def test_what_has_not_ended_is_where_slurm_says(state: str, reason: str, wanted: JobState) -> None:
    """Held is what waits for a person; its message has Slurm's reason."""
    found, message = state_of(Row(None, "12", state, reason))

    assert wanted == found
    assert (wanted == JobState.HELD) == bool(message)
    assert reason in message or wanted != JobState.HELD


def test_words_of_slurm_about_memory_are_found_by_the_job(tmp_path: Path) -> None:
    """Both ways in which Slurm says that it ended a job for its memory are understood, for that job alone."""
    jobs = JobList(tmp_path)
    jobs.said.write_text(
        "slurmstepd-n1: error: StepId=38766.batch exceeded memory limit (172470272 > 52428800), being killed\n"
        "slurmstepd-n1: error: *** JOB 38766 ON n1 CANCELLED AT 2026-11-22T13:23:40 ***\n"
        "slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=5013.batch. Some of your processes may\n"
    )

    said = jobs.words_of_memory("38766")
    assert said.startswith("StepId=38766.batch exceeded memory limit")
    assert "oom-kill" in jobs.words_of_memory("5013")
    assert "" == jobs.words_of_memory("3876") == jobs.words_of_memory("501")
    end = end_of(Row(frozenset({0}), "38766", "FAILED", "JobLaunchFailure", 0, 9, "n1"), None, said)
    assert (Cause.MEMORY, said) == (end.cause, end.message)


def test_last_word_is_that_of_the_last_start(tmp_path: Path) -> None:
    """An element that was put back in the queue leaves a word for each start; half-written ones count for nothing."""
    jobs = JobList(tmp_path / "000001")
    jobs.write({4: job(17)})
    for name, text in (("4.0", "3 12 n1\n"), ("4.10", "0 12 n2\n"), ("4.11.new", ""), ("4.9", "")):
        (jobs.folder / "ended" / name).write_text(text)

    assert LastWord(0, "12", "n2", 10) == jobs.last_word(4)
    assert LastWord(3, "12", "n1", 0) == jobs.last_word(4, 0)
    assert jobs.last_word(5) is None
    assert {4: (17, 0)} == jobs.read()


def test_accounting_tells_what_the_scheduler_has_forgotten(tmp_path: Path) -> None:
    """An element that the queue does not name ends as its accounting says, and not again when its time is up."""
    watch = Watch(grace_s=5)
    jobs = JobList(tmp_path / "000001")
    watch.add("12", jobs, {0: (100, 0), 1: (101, 0), 2: (102, 0)}, 3)
    line = ["12", "2", "14", "RUNNING", "None", "0", "0", "n1", "task.abc.1"]
    assert [102] == [e.number for e in watch.take([line], 0.0)]
    said = [((a, i), w) for (a, i), w in zip(watch.missing(), [("FAILED", "7:0", "n3"), ("OUT_OF_MEMORY", "0:125", "n3")], strict=True)]  # fmt: skip

    assert [(100, Cause.EXIT, 7), (101, Cause.MEMORY, -125)] == [
        (e.number, e.cause, e.exit_code) for e in watch.take_accounts(said)
    ]
    assert [] == watch.give_up_missing(100.0)
    assert [] == watch.take([line], 1.0)
    assert [102] == [e.number for e in (*watch.take([], 2.0), *watch.give_up_missing(7.0))]
    assert 0 == len(watch)


def test_array_that_was_cancelled_before_it_began_has_no_indices(tmp_path: Path) -> None:
    """What Slurm says of all that has not begun is said of each element that it does not name otherwise."""
    watch = Watch(grace_s=5)
    watch.add("12", JobList(tmp_path), {i: (i, 0) for i in range(3)}, 3)
    lines = [
        ["12", "N/A", "12", "CANCELLED", "JobArrayTaskLimit", "0", "0", "", "t.a.1"],
        ["12", "0", "13", "RUNNING", "None", "0", "0", "n1", "t.a.1"],
    ]

    assert [(0, "RUNNING"), (1, "DELETED"), (2, "DELETED")] == [
        (e.number, e.state) for e in watch.take(lines, 0.0)
    ]
    assert row_of(lines[0]).indices is None


def test_questions_come_seldom_while_nothing_happens() -> None:
    """Intervals are 0, 1, 3, 5, 10, 15, 20 s, short again after news; a busy scheduler gets twice the time each time."""
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    waits = []
    for _ in range(8):
        waits.append(pace.due_in())
        now[0] += waits[-1]
        pace.asked(news=False)
    assert [0, 1, 3, 5, 10, 15, 20, 20] == waits
    pace.asked(news=True)
    assert 1 == pace.due_in()
    assert [2, 4, 8, 16, 32, 64, 120, 120] == [pace.refused() for _ in range(8)]
    pace.asked(news=False)
    assert 3 == pace.due_in()
    pace.started()
    assert 1 == pace.due_in()


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", BusyError),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.", BusyError),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", BusyError),
        ("sbatch: error: If munged is up, restart with --num-threads=10\nsbatch: error: Munge encode failed", BusyError),
        ("sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates", OverLimitError),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", OverLimitError),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination", RefusedError),
    ],
)  # fmt: skip
def test_refusals_are_told_apart(
    says: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Busy is asked again, over a limit is made smaller, refused is the end of it; Slurm's words are kept."""
    program = tmp_path / "sbatch"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'X'\n{says}\nX\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(kind) as caught:
        Client().ask("sbatch")

    assert kind is type(caught.value)
    assert said_by(says) in str(caught.value)


def test_program_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs is busy after the time that was set; one that is not there is named; SLURM_* of a job is not passed on."""
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    (tmp_path / "sinfo").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    monkeypatch.setenv("SBATCH_PARTITION", "debug")
    monkeypatch.setenv("SLURM_CONF", "/etc/x.conf")
    client = Client(timeout_s=0.2)
    with pytest.raises(BusyError, match="has not answered"):
        client.queue()
    with pytest.raises(StorageError, match="there is no no-such-program here"):
        client.ask("no-such-program")
    variables = dict(line.split("=", 1) for line in Client().ask("sinfo").splitlines() if "=" in line)

    assert {"SLURM_CONF": "/etc/x.conf", "SLURM_BITSTR_LEN": "0"} == {
        n: v for n, v in variables.items() if n.startswith(("SLURM", "SBATCH"))
    }


def test_options_of_the_site_and_of_jobs_make_options_of_sbatch() -> None:
    """A job's own value goes before the site's; limits of jobs at once are licences; users may only step back."""
    site = SlurmOptions.of(
        EngineSettings(
            "here",
            {"partition": "main", "account": "survey", "licenses": "fs:1", "concurrencyLimits": {"db_limit": "pg:2"},
             "sbatchOptions": ["--mail-type=END", "#SBATCH --gres gpu:1"]},
        )
    )  # fmt: skip
    needs = JobSettings("a", queue="big", accounting_group="calib", priority=-5, concurrency_limit="db_limit", extra=(("constraint", "fast"), ("sbatchOptions", "--exclusive")))  # fmt: skip

    assert ["--ntasks=1", "--requeue", "--comment=r", "--partition=big", "--account=calib", "--constraint=fast", "--nice=15",
            "--licenses=fs:1,pg:2", "--mail-type=END", "--gres=gpu:1", "--exclusive"] == sbatch_options(needs, site, top_priority=10, run="r")  # fmt: skip
    fields = SlurmOptions.of(
        EngineSettings("here", {"queue": "long", "accountingGroup": "a", "account": "b"})
    )
    assert ("long", "b") == (fields.partition, fields.account)
    plain = sbatch_options(
        JobSettings("a", concurrency_limit="other"), SlurmOptions(), top_priority=0, run=""
    )
    assert ["--ntasks=1", "--requeue", "--licenses=other:1"] == plain


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sbatchOptions": "--job-name=x"}, r"site.here.sbatchOptions cannot be '--job-name=x'"),
        ({"sbatchOptions": "-J x"}, "cannot be '-Jx': it is what jobs are found by"),
        ({"sbatchOptions": "qos high"}, "it is no option of sbatch"),
        ({"sbatchOptions": "--comment='x"}, "No closing quotation"),
        ({"maxJobs": "many"}, "site.here.maxJobs cannot be 'many': it is to be a whole number"),
        ({"maxArraySize": 0}, "above zero"),
        ({"graceSeconds": -1}, "number of seconds"),
        ({"concurrencyLimits": "db"}, "it is to be a section"),
        ({"partition": ["a"]}, "it is to be text"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options: dict[str, Any], says: str) -> None:
    """Each says which setting, what it is, and what it should be."""
    with pytest.raises(UsageError, match=says):
        SlurmOptions.of(EngineSettings("here", options))


def test_limits_are_the_lower_of_the_site_and_the_user() -> None:
    """Arrays are cut to the site's size or the user's, whichever is lower; a site without arrays is refused by name."""
    site = {
        "MaxArraySize": "1001",
        "MaxJobCount": "10000",
        "AccountingStorageType": "accounting_storage/slurmdbd",
    }

    assert Limits(1000, 5000, is_accounted=True) == Limits.of(site, SlurmOptions())
    assert Limits(20, 300, is_accounted=True) == Limits.of(
        site, SlurmOptions(max_array_size=20, max_jobs=300)
    )
    assert Limits(300, 300, is_accounted=False) == Limits.of(
        {"MaxArraySize": "1001"}, SlurmOptions(max_jobs=300)
    )
    with pytest.raises(UsageError, match="arrays switched off"):
        Limits.of({"MaxArraySize": "0"}, SlurmOptions(site="here"))


@pytest.mark.parametrize("text", ["plain", "two words", "it's $HOME", "a\nb\tc", "back\\slash\n'", ""])
def test_words_stay_words_on_one_line(text: str) -> None:
    """Whatever is in a word, a shell gets it back, and a list keeps one line for it."""
    import subprocess

    assert "\n" not in quoted(text)
    assert "\t" not in quoted(text)
    done = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(text)}"], capture_output=True, text=True, check=True
    )
    assert text == done.stdout


def test_names_of_jobs_tell_whose_they_are() -> None:
    """The tag and the list's number are in a job's name; names of others say nothing."""
    mine = tag("u_me_run", "/data/submit/1")
    assert (mine, 7) == tag_of(f"my.task.{mine}.7")
    assert mine != tag("u_me_run", "/data/submit/2")
    assert mine.isalnum()
    assert tag_of("wrap") is None
    assert tag_of("a.b.c") is None
