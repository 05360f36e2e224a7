"""`SlurmEngine`: jobs as arrays of a Slurm cluster, watched by one query an interval."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from registry.errors import BusyError, InternalError
from stage.batch.engines.base import DrivenEngine, EngineSettings, JobEvent, JobRequest
from stage.batch.engines.slurm.client import Client, RefusedError
from stage.batch.engines.slurm.desk import Desk, tag, tag_of
from stage.batch.engines.slurm.indices import write_indices
from stage.batch.engines.slurm.lists import Lists
from stage.batch.engines.slurm.options import SlurmOptions
from stage.batch.engines.slurm.pace import Pace
from stage.batch.engines.slurm.scripts import Scripts
from stage.batch.engines.slurm.site import Limits, describe, largest_memory_mb
from stage.batch.engines.slurm.states import state_of
from stage.batch.engines.slurm.watch import Watch, row_of
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow

__all__ = ["SlurmEngine"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_PATIENCE = 6
_IDS_AT_ONCE = 100
_PING_S = 15.0


class SlurmEngine(DrivenEngine):
    """Gives jobs to Slurm.

    Parameters
    ----------
    settings : EngineSettings
        The site's.

    Raises
    ------
    UsageError
        If its section has something of the wrong kind.
    """

    name: ClassVar[str] = "slurm"
    looks_ahead: bool = True
    leaves: bool = True

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._options = SlurmOptions.of(settings)
        self._client = Client(timeout_s=self._options.command_timeout)
        self._limits = Limits(jobs=self._options.max_jobs)
        self._pace = Pace(self._options.max_poll_interval)
        self._watch = Watch(self._options.grace_seconds)
        self._opened: Desk | None = None
        self._tag = ""
        self._news: list[JobEvent] = []
        self._to_cancel: dict[str, set[int]] = defaultdict(set)

    @property
    def capacity(self) -> int | None:
        """The number of jobs that it should have at once: ``maxJobs``, or half of what the site allows to all."""
        return self._limits.jobs

    @property
    def _desk(self) -> Desk:
        if self._opened is None:
            raise InternalError("the engine was not opened")
        return self._opened

    def ping(self) -> str:
        """Ask whether the scheduler answers, and the partition is there.

        Returns
        -------
        str
            Version, controllers, partitions.
        """
        # Somebody waits for the answer.
        return describe(Client(timeout_s=min(_PING_S, self._options.command_timeout)), self._options)

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return the memory of the largest node.

        Parameters
        ----------
        pattern : str, optional
            Regular expression of the names of nodes that count.

        Returns
        -------
        int or None
            Megabytes; None if no node is of such a name.
        """
        return largest_memory_mb(self._client, self._options, pattern)

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write a job script for each kind of jobs.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            The scripts.
        """
        scripts = self._scripts(where)
        scripts.write_top_priority(max((s.priority or 0 for s in workflow.settings), default=0))
        return list(dict.fromkeys(scripts.path(settings) for settings in workflow.settings))

    def _scripts(self, where: SubmitDir) -> Scripts:
        return Scripts(where.engine, self.settings, self._options)

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Ask the site for its limits, and find the jobs that an earlier head has left in the queue.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping of int to (int, str)
            Attempt and handle of jobs that had not ended.

        Returns
        -------
        sequence of (int, int, str)
            Number, attempt and handle.

        Raises
        ------
        BusyError
            If the scheduler does not answer for a minute.
        """
        self._limits = Limits.of(self._patiently(self._client.configuration), self._options)
        self._tag = tag(self.settings.run_name, where.tag)
        lists = Lists(where.engine / "arrays")
        self._opened = Desk(
            self._client, self._watch, lists, self._scripts(where), tag=self._tag, directory=where.root
        )
        self._desk.size_limit = self._limits.array_size
        self._desk.array_limit = self._options.array_limit
        return self._find(lists, known)

    def _find(self, lists: Lists, known: Mapping[int, tuple[int, str]]) -> list[tuple[int, int, str]]:
        """Watch again what belongs to this submission."""
        there = lists.all()
        if not there:
            return []
        alive: dict[int, set[int]] = defaultdict(set)
        ids: dict[int, str] = {}
        for words in self._patiently(self._client.queue):
            tagged = tag_of(words[8])
            if tagged is None or tagged[0] != self._tag:
                continue
            row = row_of(words)
            ids[tagged[1]] = words[0]
            if state_of(row)[0] is not None and row.indices is not None:
                alive[tagged[1]] |= row.indices
        found: dict[int, tuple[int, int, str]] = {}
        for number, jobs in there.items():
            slurm_id = ids.get(number) or jobs.noted_id()
            if not slurm_id and not jobs.has_last_words:
                jobs.give_up()  # the head was killed before Slurm had it
                continue
            elements = jobs.read()
            mine = {}
            for index, (job, attempt) in elements.items():
                is_wanted = job not in found and known.get(job, (attempt, ""))[0] == attempt
                if is_wanted and (job in known or index in alive[number]):
                    mine[index] = (job, attempt)
                    found[job] = (job, attempt, f"{slurm_id}_{index}")
                elif index in alive[number]:
                    self._to_cancel[slurm_id].add(index)
            if mine:
                self._watch.add(slurm_id or f"?{number}", jobs, mine, size=len(elements))
        return list(found.values())

    def _patiently(self, asks: Callable[[], _T]) -> _T:
        for turn in range(_PATIENCE):
            try:
                return asks()
            except BusyError as error:
                if turn == _PATIENCE - 1:
                    raise
                _log.warning("%s; asking again", error.message)
                time.sleep(min(self._pace.refused(), self._options.max_poll_interval))
        raise InternalError("asked without end")

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Submit some attempts, as few arrays.

        Parameters
        ----------
        requests : sequence of JobRequest
            The attempts.

        Returns
        -------
        sequence of str or JobEvent
            For each Slurm's number of it, or its end if Slurm refuses it.

        Raises
        ------
        BusyError
            If the scheduler is busy, and has taken none.
        """
        try:
            told = self._desk.take(requests)
        except BusyError:
            self._pace.refused()
            raise
        self._pace.started()
        return told

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait until it is time to ask, and ask once for all jobs.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        sequence of JobEvent
            What has changed.
        """
        if self._news:
            return self._told()
        due = self._pace.due_in()
        if due > timeout_s or not (self._watch or self._desk.kept):
            time.sleep(timeout_s)
            return ()
        time.sleep(due)
        try:
            self._ask()
        except (BusyError, RefusedError) as error:
            # Whatever ails the scheduler is not the jobs' doing: they go on meanwhile.
            _log.warning("%s; it is asked again in %g s", error.message, self._pace.refused())
        return self._told()

    def _ask(self) -> None:
        self._cancel_now()
        if self._watch:
            answer = self._client.queue()
            now = time.monotonic()
            events = self._watch.take(answer, now)
            self._cancel_strangers(answer)
            events += self._ask_accounting()
            events += self._watch.give_up_missing(now)
            self._desk.ended(events)
            self._news += events
        self._pace.asked(news=bool(self._news))
        if self._desk.kept:
            given_up = self._desk.submit_kept()
            self._desk.ended(given_up)
            self._news += given_up
            if self._desk.busy:
                self._pace.refused()

    def _told(self) -> list[JobEvent]:
        told, self._news = self._news, []
        return told

    def _ask_accounting(self) -> list[JobEvent]:
        missing = self._watch.missing()
        if not missing or not self._limits.is_accounted:
            return []
        by_job = {
            f"{array.slurm_id}_{index}": (array, index)
            for array, index in missing
            if array.slurm_id.isdigit()
        }
        try:
            known = self._client.accounted(list(by_job)[:_IDS_AT_ONCE])
        except RefusedError as error:
            _log.warning("the accounting does not answer: %s", error.message)
            return []
        return self._watch.take_accounts(
            (by_job[job], words) for job, words in known.items() if job in by_job
        )

    def _cancel_strangers(self, answer: Sequence[Sequence[str]]) -> None:
        """End arrays of ours that Slurm took without saying so: their jobs were given to it again."""
        for words in answer:
            tagged = tag_of(words[8]) if words[0] not in self._watch.arrays else None
            if tagged and tagged[0] == self._tag and state_of(row_of(words))[0] is not None:
                self._to_cancel.setdefault(words[0], set())

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs, many at once.

        Parameters
        ----------
        numbers : sequence of int
            Jobs that have not ended.
        """
        self._news += self._desk.drop(numbers)
        for number in numbers:
            if number in self._watch:
                array, index = self._watch.place(number)
                self._to_cancel[array.slurm_id].add(index)
        try:
            self._cancel_now()
        except BusyError as error:
            _log.warning("%s; jobs are cancelled with the next query", error.message)
        self._pace.started()

    def _cancel_now(self) -> None:
        while self._to_cancel:
            some = list(self._to_cancel.items())[:_IDS_AT_ONCE]
            try:
                self._client.ask("scancel", *(self._id_of(slurm_id, indices) for slurm_id, indices in some))
            except RefusedError as error:  # one of them has ended meanwhile; the others are done
                _log.info("scancel: %s", error.message)
            for slurm_id, _ in some:
                del self._to_cancel[slurm_id]

    def _id_of(self, slurm_id: str, indices: set[int]) -> str:
        array = self._watch.arrays.get(slurm_id)
        if not indices or (array is not None and indices >= set(array.active)):
            return slurm_id
        return f"{slurm_id}_[{write_indices(indices)}]"

    def close(self) -> None:
        """Leave Slurm to what it does."""
        self._opened = None
