"""`Desk`: hands jobs to Slurm as arrays, and keeps those that it does not take yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from registry.errors import BusyError
from registry.model.digest import digest_bytes
from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.batch.engines.slurm.client import Client, OverLimitError, RefusedError
from stage.batch.engines.slurm.grouping import Group, Place, cut, group, in_levels
from stage.batch.engines.slurm.indices import write_indices
from stage.batch.engines.slurm.lists import JobList, Lists
from stage.batch.engines.slurm.scripts import Scripts
from stage.batch.engines.slurm.watch import Watch

__all__ = ["KEPT", "Desk", "tag", "tag_of"]

KEPT = "kept"
"""The handle of a job that Slurm does not have yet: a new head begins it again."""


class Desk:
    """Submits.

    Parameters
    ----------
    client : Client
        Talks to Slurm.
    watch : Watch
        What Slurm has; gets what is submitted.
    lists : Lists
        The lists of the submission.
    scripts : Scripts
        Its job scripts.
    tag : str
        By which its jobs are known in the queue.
    directory : pathlib.Path
        Where jobs run.
    """

    def __init__(
        self, client: Client, watch: Watch, lists: Lists, scripts: Scripts, *, tag: str, directory: Path
    ) -> None:
        self._client = client
        self._watch = watch
        self._lists = lists
        self._scripts = scripts
        self._tag = tag
        self._directory = directory
        self.size_limit = 1000
        self.array_limit: int | None = None
        self.kept: dict[int, tuple[JobRequest, set[int]]] = {}
        """Jobs that are not with Slurm, and what each still waits for that Slurm is not asked to watch over."""
        self.failed: set[int] = set()
        """Jobs whose last attempt here did not end well."""
        self.busy: BusyError | None = None
        """Why the last submission came to a stop."""

    def take(self, requests: Sequence[JobRequest]) -> list[str | JobEvent]:
        """Take some attempts: to Slurm, or to those that are kept.

        Parameters
        ----------
        requests : sequence of JobRequest
            The attempts.

        Returns
        -------
        list of str or JobEvent
            For each its handle, or its end.

        Raises
        ------
        BusyError
            If Slurm took none.
        """
        told: dict[int, str | JobEvent] = {}
        ready = []
        for request in requests:
            if any(parent in self.failed for parent in request.after):
                told[request.number] = _without_parent(request)
                self.failed.add(request.number)
                continue
            self.failed.discard(request.number)
            ready.append(request)
        told |= self._submit(ready, may_keep=False)
        return [told[request.number] for request in requests]

    def submit_kept(self) -> list[JobEvent]:
        """Give Slurm what was kept and waits for nothing more.

        Returns
        -------
        list of JobEvent
            Ends of those that Slurm refuses, or whose parents failed.
        """
        ends: list[JobEvent] = []
        for number, (request, waits) in list(self.kept.items()):
            if waits & self.failed:
                del self.kept[number]
                self.failed.add(number)
                ends.append(_without_parent(request))
        ready = [request for request, waits in self.kept.values() if not waits]
        if not ready:
            return ends
        for request in ready:
            del self.kept[request.number]
        told = self._submit(ready, may_keep=True)
        return ends + [event for event in told.values() if isinstance(event, JobEvent)]

    def ended(self, events: Iterable[JobEvent]) -> None:
        """Note ends that were heard of: what waits for them may go, or is given up.

        Parameters
        ----------
        events : iterable of JobEvent
            News.
        """
        well = set()
        for event in events:
            if event.state == JobState.SUCCEEDED:
                well.add(event.number)
            elif event.state in {JobState.FAILED, JobState.DELETED}:
                self.failed.add(event.number)
        if well:
            for _, waits in self.kept.values():
                waits.difference_update(well)

    def drop(self, numbers: Iterable[int]) -> list[JobEvent]:
        """Give up jobs that Slurm does not have.

        Parameters
        ----------
        numbers : iterable of int
            Jobs.

        Returns
        -------
        list of JobEvent
            The ends of those that were kept.
        """
        found = [self.kept.pop(n)[0] for n in numbers if n in self.kept]
        self.failed.update(r.number for r in found)
        return [JobEvent(r.number, r.attempt, JobState.DELETED, Cause.CANCELLED) for r in found]

    def _submit(self, requests: Sequence[JobRequest], *, may_keep: bool) -> dict[int, str | JobEvent]:
        told: dict[int, str | JobEvent] = {}
        busy: BusyError | None = None
        for level in in_levels(requests):
            left = self._groups(level, told)
            if busy is None:
                left, busy = self._hand_in(deque(left), told)
                if busy and not may_keep and all(handle == KEPT for handle in told.values()):
                    for number in told:
                        del self.kept[number]
                    raise busy
            self._keep((r for each in left for r in each.elements.values()), told)
        self.busy = busy
        return told

    def _groups(self, requests: Iterable[JobRequest], told: dict[int, str | JobEvent]) -> list[Group]:
        """Put jobs together; keep those that have to wait here."""
        waits_for: dict[int, list[Place]] = {}
        ready = []
        for request in requests:
            if any(parent in self.kept for parent in request.after):
                self._keep([request], told)
            else:
                waits_for[request.number] = self._places(request)
                ready.append(request)
        groups, kept = group(ready, kind_of=self._kind, waits_for=waits_for, size_limit=self.size_limit)
        self._keep(kept, told)
        return groups

    def _hand_in(
        self, groups: deque[Group], told: dict[int, str | JobEvent]
    ) -> tuple[list[Group], BusyError | None]:
        """Submit arrays, one after the other; return those for which there is no room now, or no answer, and why."""
        while groups:
            wanted = groups.popleft()
            try:
                told |= self._give(wanted)
            except OverLimitError as error:
                if len(wanted.elements) > 1:
                    self.size_limit = (len(wanted.elements) + 1) // 2
                    groups.extendleft(reversed(cut(wanted, self.size_limit)))
                elif self._watch:
                    return [
                        wanted,
                        *groups,
                    ], None  # there is room when some of those that Slurm has have ended
                else:
                    told |= _refused(wanted, error)
            except RefusedError as error:
                told |= _refused(wanted, error)
            except BusyError as error:
                return [wanted, *groups], error
        return [], None

    def _kind(self, request: JobRequest) -> tuple[Path, int | None]:
        return self._scripts.path(request.settings), request.memory_mb

    def _places(self, request: JobRequest) -> list[Place]:
        found = (self._watch.place(p) for p in request.after if p in self._watch)
        return [(array.slurm_id, index) for array, index in found]

    def _keep(self, requests: Iterable[JobRequest], told: dict[int, str | JobEvent]) -> None:
        for request in requests:
            waits = {p for p in request.after if p in self.kept or p in self._watch}
            self.kept[request.number] = (request, waits)
            told[request.number] = KEPT

    def _give(self, wanted: Group) -> Mapping[int, str]:
        """Submit one array."""
        elements = wanted.elements
        one = next(iter(elements.values()))
        script, memory_mb = self._kind(one)
        jobs = self._lists.new(elements)
        at_once = f"%{self.array_limit}" if self.array_limit else ""
        options = [
            f"--job-name={script.stem}.{self._tag}.{jobs.number}",
            f"--array={write_indices(elements)}{at_once}",
            f"--chdir={self._directory}",
            f"--output={str(jobs.said).replace('%', '%%')}",
            "--open-mode=append",
        ]
        if memory_mb:
            options.append(f"--mem={memory_mb}M")
        if dependency := self._dependency(wanted):
            options += [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"]
        try:
            slurm_id = self._client.submit(script, [str(jobs.folder)], options)
        except RefusedError:
            jobs.remove()
            raise
        except BusyError:
            found = self._taken_after_all(jobs)
            if found is None:
                jobs.give_up()
                raise
            slurm_id = found
        jobs.note_id(slurm_id)
        self._watch.add(
            slurm_id, jobs, {i: (r.number, r.attempt) for i, r in elements.items()}, size=len(elements)
        )
        return {r.number: f"{slurm_id}_{i}" for i, r in elements.items()}

    def _dependency(self, wanted: Group) -> str:
        parts = [f"aftercorr:{slurm_id}" for slurm_id in wanted.corresponding]
        named: list[str] = []
        for slurm_id in dict.fromkeys(array for array, _ in wanted.common):
            indices = [i for array, i in wanted.common if array == slurm_id]
            is_whole = len(indices) == self._watch.arrays[slurm_id].size
            named += [slurm_id] if is_whole else [f"{slurm_id}_{i}" for i in indices]
        if named:
            parts.append(":".join(["afterok", *named]))
        return ",".join(parts)

    def _taken_after_all(self, jobs: JobList) -> str | None:
        """Look whether Slurm has taken an array though it did not answer."""
        try:
            rows = self._client.queue()
        except BusyError:
            return None
        return next((row[0] for row in rows if tag_of(row[8]) == (self._tag, jobs.number)), None)


def tag_of(name: str) -> tuple[str, int] | None:
    """Return to which submission a job in the queue belongs, and which of its lists is its own.

    Parameters
    ----------
    name : str
        The job's name.

    Returns
    -------
    tuple of (str, int) or None
        Tag and number; None if it is none of this engine's.
    """
    parts = name.rsplit(".", 2)
    return (parts[1], int(parts[2])) if len(parts) == 3 and parts[2].isdigit() else None


def tag(run: str, directory: str) -> str:
    """Return by what the jobs of a submission are known in the queue.

    Parameters
    ----------
    run : str
        Its run.
    directory : str
        By what engines know it: its directory.

    Returns
    -------
    str
        Ten characters.
    """
    return digest_bytes(f"{run}\n{directory}".encode()).rpartition(":")[2][:10]


def _refused(wanted: Group, error: RefusedError) -> dict[int, str | JobEvent]:
    return {
        r.number: JobEvent(r.number, r.attempt, JobState.FAILED, Cause.START, message=error.message)
        for r in wanted.elements.values()
    }


def _without_parent(request: JobRequest) -> JobEvent:
    said = "something that it waits for did not succeed"
    return JobEvent(request.number, request.attempt, JobState.FAILED, Cause.PARENT, message=said)
