"""`Watch`: the arrays that Slurm has, and what each answer of the scheduler says anew about their elements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stage.batch.engines.base import Cause, JobEvent, JobState
from stage.batch.engines.slurm.indices import read_indices
from stage.batch.engines.slurm.lists import JobList
from stage.batch.engines.slurm.states import End, Row, end_by_word, end_of, state_of

__all__ = ["ArrayJob", "Element", "Watch", "row_of"]


@dataclass(slots=True)
class Element:
    """One job of an array, as it was last told.

    Parameters
    ----------
    number, attempt : int
        Which.
    state : JobState, optional
        Where it is.
    message, host : str, optional
        Slurm's reason; where it runs.
    missing_since : float or None, optional
        When Slurm first did not name it.
    """

    number: int
    attempt: int
    state: JobState = JobState.PENDING
    message: str = ""
    host: str = ""
    missing_since: float | None = None


@dataclass(slots=True)
class ArrayJob:
    """One array that Slurm has.

    Parameters
    ----------
    slurm_id : str
        Slurm's number of it.
    jobs : JobList
        What its elements are.
    active : dict of int to Element
        Those that have not ended, by index.
    size : int
        How many it had.
    said : list, optional
        What Slurm last said of it.
    """

    slurm_id: str
    jobs: JobList
    active: dict[int, Element]
    size: int
    said: list[list[str]] = field(default_factory=list)


class Watch:
    """What is with Slurm.

    Parameters
    ----------
    grace_s : float
        How long an element that Slurm does not know may take to leave word, before it is lost.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace = grace_s
        self.arrays: dict[str, ArrayJob] = {}
        self._place: dict[int, tuple[ArrayJob, int]] = {}

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, number: int) -> bool:
        return number in self._place

    def place(self, number: int) -> tuple[ArrayJob, int]:
        """Return where a job is.

        Parameters
        ----------
        number : int
            A job that has not ended.

        Returns
        -------
        array : ArrayJob
            Its array.
        index : int
            Which element.
        """
        return self._place[number]

    def add(self, slurm_id: str, jobs: JobList, elements: Mapping[int, tuple[int, int]], size: int) -> None:
        """Watch an array.

        Parameters
        ----------
        slurm_id : str
            Slurm's number of it.
        jobs : JobList
            Its list.
        elements : mapping of int to (int, int)
            Job and attempt by index, of those that have not ended.
        size : int
            How many it had in the beginning.
        """
        made = ArrayJob(slurm_id, jobs, {i: Element(n, a) for i, (n, a) in elements.items()}, size)
        self.arrays[slurm_id] = made
        self._place.update((element.number, (made, index)) for index, element in made.active.items())

    def take(self, answer: Iterable[list[str]], now: float) -> list[JobEvent]:
        """Compare what Slurm says with what it said before.

        Parameters
        ----------
        answer : iterable of list of str
            As of `Client.queue`.
        now : float
            Seconds.

        Returns
        -------
        list of JobEvent
            What is new.
        """
        of_array: dict[str, list[list[str]]] = defaultdict(list)
        for words in answer:
            of_array[words[0]].append(words)
        events: list[JobEvent] = []
        for array in list(self.arrays.values()):
            said = of_array.get(array.slurm_id, [])
            # Of most arrays nothing is new, and to see that is cheap.
            if not said or said != array.said:
                array.said = said
                events += self._compare(array, [row_of(words) for words in said], now)
        return events

    def _compare(self, array: ArrayJob, rows: Sequence[Row], now: float) -> Iterator[JobEvent]:
        left = set(array.active)
        others = None
        for row in rows:
            if row.indices is None:
                others = row
                continue
            for index in sorted(left & row.indices):
                yield from self._news(array, index, row)
            left -= row.indices
        for index in sorted(left):
            if others is not None:
                yield from self._news(array, index, others)
            else:
                yield from self._look_for(array, index, now)

    def _news(self, array: ArrayJob, index: int, row: Row) -> Iterator[JobEvent]:
        element = array.active[index]
        element.missing_since = None
        state, message = state_of(row)
        if state is None:
            word = of_memory = None
            if row.state != "COMPLETED":
                word = array.jobs.last_word(index, row.restart)
                of_memory = array.jobs.words_of_memory(row.job) if row.state == "FAILED" else ""
            yield self.end(array, index, end_of(row, word, of_memory or ""), row.host)
        elif (state, message, row.host) != (element.state, element.message, element.host):
            element.state, element.message, element.host = state, message, row.host
            yield JobEvent(element.number, element.attempt, state, message=message, host=row.host)

    def _look_for(self, array: ArrayJob, index: int, now: float) -> Iterator[JobEvent]:
        """Ask the files of an element that Slurm does not name: it keeps what has ended for some minutes only."""
        element = array.active[index]
        word = array.jobs.last_word(index)
        if word is not None:
            yield self.end(array, index, end_by_word(word, array.jobs.words_of_memory(word.job)), word.host)
        elif element.missing_since is None:
            element.missing_since = now

    def missing(self) -> list[tuple[ArrayJob, int]]:
        """Return elements of which neither Slurm nor they themselves say anything.

        Returns
        -------
        list of (ArrayJob, int)
            Array and index.
        """
        return [
            (array, index)
            for array in self.arrays.values()
            for index, element in array.active.items()
            if element.missing_since is not None
        ]

    def take_accounts(
        self, said: Iterable[tuple[tuple[ArrayJob, int], tuple[str, str, str]]]
    ) -> list[JobEvent]:
        """Take in what the accounting says of elements that the scheduler has forgotten.

        Parameters
        ----------
        said : iterable of ((ArrayJob, int), (str, str, str))
            Of each its state, exit status like ``1:0``, and node.

        Returns
        -------
        list of JobEvent
            Ends.
        """
        events: list[JobEvent] = []
        for (array, index), (state, status, host) in said:
            code, _, number = status.partition(":")
            waited = (int(code) << 8 | int(number or 0)) if code.isdigit() else 0
            row = Row(frozenset({index}), "", state, "by its accounting", status=waited, host=host)
            if state_of(row)[0] is None:
                events.append(self.end(array, index, end_of(row, None), host))
        return events

    def give_up_missing(self, now: float) -> list[JobEvent]:
        """Take for lost what has left no word for too long.

        Parameters
        ----------
        now : float
            Seconds.

        Returns
        -------
        list of JobEvent
            Their ends.
        """
        lost = End(
            JobState.FAILED, Cause.NODE, message="Slurm does not know it any more, and it left no word"
        )
        return [
            self.end(array, index, lost)
            for array, index in self.missing()
            if now - (array.active[index].missing_since or now) >= self._grace
        ]

    def end(self, array: ArrayJob, index: int, end: End, host: str = "") -> JobEvent:
        """Note an end.

        Parameters
        ----------
        array : ArrayJob
            Which array.
        index : int
            Which element.
        end : End
            How it ended.
        host : str, optional
            Where.

        Returns
        -------
        JobEvent
            To tell.
        """
        element = array.active.pop(index)
        self._place.pop(element.number, None)
        if not array.active:
            del self.arrays[array.slurm_id]
        place = host or element.host
        return JobEvent(
            element.number, element.attempt, end.state, end.cause, end.exit_code, end.message, place
        )


def row_of(words: Sequence[str]) -> Row:
    """Return what one line of Slurm's answer says.

    Parameters
    ----------
    words : sequence of str
        As of `Client.queue`.

    Returns
    -------
    Row
        Of an array that is over before it began Slurm names no indices.
    """
    try:
        indices: frozenset[int] | None = read_indices(words[1])
    except ValueError:
        indices = None
    restart, status = (int(w) if w.isdigit() else 0 for w in words[5:7])
    return Row(indices, words[2], words[3], words[4], restart, status, words[7])
