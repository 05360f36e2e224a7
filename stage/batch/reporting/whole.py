"""What became of a submission as a whole: one word, by its jobs and by whether anybody drives them."""

from __future__ import annotations

from typing import NamedTuple

from stage.batch.driving.states import RunStates
from stage.batch.engines.base import JobState

__all__ = ["Whole", "whole_of"]

_MOVING = (JobState.RUNNING, JobState.PENDING, JobState.READY)


class Whole(NamedTuple):
    """A submission in a word.

    Parameters
    ----------
    state : str
        Its state.
    flag : str
        What a person should see first; empty mostly.
    percent : int
        Jobs that succeeded, of all.
    note : str
        What there is to be said; empty mostly.
    """

    state: str
    flag: str = ""
    percent: int = 0
    note: str = ""


def whole_of(states: RunStates, id_text: str, *, needs_head: bool = True) -> Whole:
    """Say what became of a submission that was handed over.

    Parameters
    ----------
    states : RunStates
        Its jobs.
    id_text : str
        What it is called in commands.
    needs_head : bool, optional
        Whether its engine is told each job by a head.

    Returns
    -------
    Whole
        By the jobs; what is to be done is in the note, as a command.
    """
    counts = states.counts()
    succeeded = counts.get(JobState.SUCCEEDED, 0)
    percent = 100 * succeeded // states.n_jobs if states.n_jobs else 100
    restart = f"stage batch restart --id {id_text}"
    if states.is_ended:
        return _ended(states, percent, id_text, is_all=succeeded == states.n_jobs)
    flag = _flag(states, counts)
    if states.head is None and needs_head:
        note = f"nobody drives it: its head has ended before its jobs. To go on: {restart}"
        return Whole(JobState.UNKNOWN, "!", percent, note)
    held = counts.get(JobState.HELD, 0)
    moving = next((s for s in _MOVING if counts.get(s)), None)
    if held and moving is None:
        why = states.messages.get(_first_held(states), "")
        note = f"{held:,} held{': ' if why else ''}{why}. See: stage batch report --id {id_text}"
        return Whole(JobState.HELD, flag, percent, note)
    is_begun = bool((states.attempts > 0).any())
    if is_begun or moving is JobState.RUNNING:
        return Whole(JobState.RUNNING, flag, percent)
    return Whole(moving or JobState.READY, flag, percent)


def _ended(states: RunStates, percent: int, id_text: str, *, is_all: bool) -> Whole:
    restart = f"stage batch restart --id {id_text}"
    final = states.state_of(-1)
    if states.is_cancelled:
        return Whole(JobState.DELETED, "D", percent, f"it was cancelled. To go on after all: {restart}")
    if is_all and final in {JobState.SUCCEEDED, JobState.UNREADY}:
        return Whole(JobState.SUCCEEDED, "", percent)
    if is_all:
        why = states.messages.get(-1, "")
        said = f"all jobs succeeded, and the final job failed{': ' if why else ''}{why}; see final_job.out"
        return Whole(JobState.FAILED, "F", percent, f"{said}. To run it again: {restart}")
    counts = states.counts()
    failed, pruned = counts.get(JobState.FAILED, 0), counts.get(JobState.PRUNED, 0)
    never = f", and {pruned:,} that wait for such never began" if pruned else ""
    why = f"Why: stage batch report --id {id_text}. "
    return Whole(JobState.FAILED, "F", percent, f"{failed:,} failed{never}. {why}To go on: {restart}")


def _flag(states: RunStates, counts: dict[JobState, int]) -> str:
    if states.is_cancelled:
        return "D"
    return "H" if counts.get(JobState.HELD) else "F" if counts.get(JobState.FAILED) else ""


def _first_held(states: RunStates) -> int:
    return next((n for n in states.messages if n >= 0 and states.state_of(n) is JobState.HELD), -1)
