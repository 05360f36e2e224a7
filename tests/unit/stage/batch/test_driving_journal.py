"""The journal of a head, and where jobs are by it: `stage.batch.driving.journal`, `stage.batch.driving.board`."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import IntegrityError
from stage.batch.driving.board import Board
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.engines.base import Cause, JobState

LINES = [
    ["open", {"version": 1, "jobs": 4, "pid": 1, "host": "here"}],
    ["begin", [0, 1], [0, 0], [100, 200]],
    ["handle", [0, 1], ["a", "b"]],
    ["news", [0, 1], ["RUNNING", "HELD"], ["", "needs a look"], ["n1", ""]],
    ["end", [[0, "SUCCEEDED", "", 0, "", "n1", 0], [1, "FAILED", "memory", 137, "too much\n— far", "n2", 1]]],
    ["begin", [1, 2], [1, 0], [400, 200]],
    ["end", [[2, "FAILED", "exit", 3, "no", "", 0]]],
    ["prune", [3]],
]


def written(path: Path, lines: list[list[object]] = LINES) -> Path:
    journal = Journal(path)
    for line in lines:
        journal.write([list(line)])
    journal.close()
    return path


def board(path: Path, **options: bool) -> Board:
    found = Board(4, **options)
    for lines in read_journal(path):
        found.replay(lines)
    return found


def test_what_was_written_is_where_jobs_are(tmp_path: Path) -> None:
    """States, attempts, memory and counts of failures come back from the lines."""
    found = board(written(tmp_path / "journal"), history=True)

    assert [JobState.SUCCEEDED, JobState.PENDING, JobState.FAILED, JobState.PRUNED] == [
        found.state_of(n) for n in range(4)
    ]
    assert ([1, 2, 1, 0], [100, 400, 200, 0]) == (found.begun[:4].tolist(), found.memory_mb[:4].tolist())
    assert (1, 1) == (found.failures[1], found.memory_failures[1])
    assert [1] == found.given()
    attempts = [
        (a.number, a.attempt, a.memory_mb, a.state, a.cause, a.exit_code) for a in found.all_attempts()
    ]
    assert [
        (0, 0, 100, JobState.SUCCEEDED, Cause.NONE, 0),
        (1, 0, 200, JobState.FAILED, Cause.MEMORY, 137),
        (2, 0, 200, JobState.FAILED, Cause.EXIT, 3),
        (1, 1, 400, JobState.PENDING, Cause.NONE, None),
    ] == attempts


def test_message_with_a_line_break_is_one_line(tmp_path: Path) -> None:
    """Whatever an engine says does not break the journal."""
    path = written(tmp_path / "journal")

    assert len(LINES) == len(path.read_text().splitlines())
    assert "too much\n— far" == board(path, history=True).attempts[1].message


def test_cut_line_counts_for_nothing_and_is_taken_away(tmp_path: Path) -> None:
    """Wherever the last line was cut, all before it is there, and what is written next is whole."""
    path = written(tmp_path / "journal")
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert JobState.UNREADY == board(path).state_of(3)
        written(path, [["prune", [3]]])
        assert JobState.PRUNED == board(path).state_of(3)
        assert len(LINES) == len(path.read_bytes().splitlines())


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    """Before a head has begun, all jobs wait."""
    assert {JobState.UNREADY: 4} == board(tmp_path / "journal").counts()


@pytest.mark.parametrize(
    "line",
    [b'{"kind": 1}', b"nonsense", b'["unknown", 1]', b'["prune", 1, [99]]', b'["end", 1, [[0, "FAILED"]]]'],
)
def test_damaged_journal_is_refused_by_name(tmp_path: Path, line: bytes) -> None:
    """A line that no head has written is an error that says what to do, not a crash."""
    path = written(tmp_path / "journal")
    path.write_bytes(path.read_bytes() + line + b"\n" + b'["cancel", 2]\n')

    with pytest.raises(IntegrityError) as caught:
        board(path)
    assert "bad-journal" == caught.value.code
    assert caught.value.hint


def test_journal_of_other_jobs_is_refused(tmp_path: Path) -> None:
    """A journal is of one workflow: another number of jobs is another submission."""
    (lines,) = read_journal(written(tmp_path / "journal"))

    with pytest.raises(IntegrityError, match="4 jobs, not 5"):
        Board(5).replay(lines)


def test_restart_counts_retries_anew_and_attempts_on(tmp_path: Path) -> None:
    """What failed waits again without its failures; the number of the next attempt is one that was never used."""
    path = written(tmp_path / "journal", [*LINES, ["restart", {"requestMemory": 9}, [2, 3]]])
    found = board(path)

    assert [JobState.UNREADY] * 2 == [found.state_of(n) for n in (2, 3)]
    assert (0, 1) == (found.failures[2], found.begun[2])
    assert [{"requestMemory": 9}] == found.changes


def test_final_job_is_the_last_row(tmp_path: Path) -> None:
    """Number -1 is the final job, in no count of the others."""
    lines = [*LINES, ["begin", [-1], [0], [0]], ["end", [[-1, "SUCCEEDED", "", 0, "", "", 0]]]]
    found = board(written(tmp_path / "journal", lines))

    assert JobState.SUCCEEDED == found.state_of(-1)
    assert 4 == sum(found.counts().values())
