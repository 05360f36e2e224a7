"""`SitesEngine`: a submission whose jobs run on several sites, each by its own engine."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from registry.errors import StageError, UsageError, nearest
from stage.batch.engines.base import (
    Cause,
    DrivenEngine,
    Engine,
    EngineSettings,
    JobEvent,
    JobRequest,
    JobState,
)
from stage.batch.engines.finding import find_engine
from stage.batch.engines.one_site import OneSite, SiteDir, split_handle
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings, Workflow
from stage.graph.table import Csr

__all__ = ["SitesEngine", "sites_options"]

_SLICE_S = 0.1
"""So long one site is listened to while others may have news."""


def sites_options(sites: Mapping[str, tuple[str, Mapping[str, Any]]], default: str) -> dict[str, Any]:
    """Return the options of the engine of several sites.

    Parameters
    ----------
    sites : mapping of str to (str, mapping)
        By the site's name its engine and that one's options.
    default : str
        The site of jobs that name none.

    Returns
    -------
    dict
        For `EngineSettings`.
    """
    made = {name: {"engine": engine, "options": dict(options)} for name, (engine, options) in sites.items()}
    return {"sites": made, "default": default}


class SitesEngine(DrivenEngine):
    """Several sites in one submission: each job goes to the one that its ``computeSite`` names.

    Parameters
    ----------
    settings : EngineSettings
        As of `sites_options`.

    Raises
    ------
    UsageError
        If a site's engine walks through workflows by itself, or there are no sites.
    """

    name: ClassVar[str] = "sites"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._sites = {name: OneSite(name, self._made(name, told)) for name, told in _told(settings).items()}
        self._default = str(settings.options.get("default") or settings.site)
        self._unplaced: dict[int, int] = {}
        self._said: list[JobEvent] = []
        # Jobs go on without a head only if those of every site do.
        self.leaves = all(s.engine.leaves for s in self._sites.values())

    def _made(self, site: str, told: Mapping[str, Any]) -> DrivenEngine:
        own = replace(self.settings, site=site, options=told.get("options") or {})
        found: Engine = find_engine(str(told["engine"]), own)
        if not isinstance(found, DrivenEngine):
            raise UsageError(
                f"engine '{found.name}' of site '{site}' walks through the jobs by itself, and knows of no other site",
                code="no-head",
                hint="Let all jobs go there (--compute-site), or give that site another engine (wmsServiceClass).",
            )
        return found

    @property
    def sites(self) -> Mapping[str, DrivenEngine]:
        """The engine of each site."""
        return {name: site.engine for name, site in self._sites.items()}

    def ping(self) -> str:
        """Ask all sites whether they answer.

        Returns
        -------
        str
            What each answers.

        Raises
        ------
        StageError
            The error of the first that does not, with the name of the site.
        """
        answers = []
        for name, site in self._sites.items():
            try:
                answers.append(f"{name}: {site.engine.ping()}")
            except StageError as error:
                error.message = f"site '{name}': {error.message}"
                raise
        return "; ".join(answers)

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Let the engine of each site write what it needs for its jobs.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            What was written.

        Raises
        ------
        UsageError
            If jobs name a site that there is not.
        """
        of_kind = [self._site_of(s) for s in workflow.settings]
        written: list[Path] = []
        for name, site in self._sites.items():
            mine = np.array([found is site for found in of_kind], dtype=np.bool_)
            own = SiteDir(where.root, name)
            own.engine.mkdir(parents=True, exist_ok=True)
            written += site.engine.prepare(_part(workflow, mine), own)
        return written

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Open the engine of each site. One that does not answer now is asked again, and keeps its jobs meanwhile.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping of int to (int, str)
            Jobs that had not ended.

        Returns
        -------
        sequence of (int, int, str)
            Jobs that a site has, or may have when it answers again.

        Raises
        ------
        StageError
            If no site can be opened.
        """
        by_site: dict[str, dict[int, tuple[int, str]]] = defaultdict(dict)
        self._unplaced.clear()
        for number, (attempt, handle) in known.items():
            site, rest = split_handle(handle)
            if site in self._sites:
                by_site[site][number] = attempt, rest
            else:
                self._unplaced[number] = attempt
        for name, one in self._sites.items():
            one.open(SiteDir(where.root, name), by_site[name])
        self._wake()
        faults = [s.fault for s in self._sites.values() if s.fault]
        if len(faults) == len(self._sites):
            raise faults[0]
        if not any(s.is_away for s in self._sites.values()):
            self._unplaced.clear()  # no site has them: they begin again
        waiting = [(n, attempt, "") for n, attempt in self._unplaced.items()]
        return [h for s in self._sites.values() for h in s.handles()] + waiting

    def _wake(self) -> None:
        """Open what is not open; where no site is left that could have a job, it is lost."""
        for site in self._sites.values():
            for number in site.awake(self._unplaced) or ():
                del self._unplaced[number]

    def _forget(self) -> list[JobEvent]:
        """Return the ends of jobs that no site has, once all were asked."""
        if not self._unplaced or any(s.is_away for s in self._sites.values()):
            return []
        one = next(iter(self._sites.values()))
        lost = [one.lost(n, attempt) for n, attempt in self._unplaced.items()]
        self._unplaced.clear()
        return lost

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Give each site its attempts. What a site has no room for, or cannot take now, waits here.

        Parameters
        ----------
        requests : sequence of JobRequest
            Any number.

        Returns
        -------
        sequence of str or JobEvent
            For each its handle, or its end if its site cannot start it.
        """
        by_site: dict[str, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            by_site[self._site_of(request.settings).name].append(place)
        answers: dict[int, str | JobEvent] = {}
        for name, places in by_site.items():
            answers |= zip(places, self._sites[name].take([requests[p] for p in places]), strict=True)
        return [answers[place] for place in range(len(requests))]

    def _site_of(self, settings: JobSettings) -> OneSite:
        name = settings.compute_site or self._default
        if name not in self._sites:
            raise UsageError(
                f"jobs of '{settings.label}' are for the site '{name}', which this submission does not have",
                code="no-site",
                hint=nearest(name, self._sites),
            )
        return self._sites[name]

    def limits(self, settings: JobSettings) -> Mapping[str, int | None]:
        """Return how many jobs the site of a kind of jobs should have at once, and its own limits.

        Parameters
        ----------
        settings : JobSettings
            What such jobs have in common.

        Returns
        -------
        mapping of str to int or None
            By names of the site.
        """
        site = self._site_of(settings)
        own = {f"{site.name}/{name}": most for name, most in site.engine.limits(settings).items()}
        return {site.name: site.engine.capacity, **own}

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Listen to all sites.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        sequence of JobEvent
            What has changed.

        Raises
        ------
        StageError
            If a site has failed for good, and nothing goes on at any other.
        """
        until, wait = time.monotonic() + timeout_s, 0.0
        while True:
            self._wake()
            said, self._said = [*self._said, *self._forget()], []
            for site in self._sites.values():
                said += site.turn(wait)
            left = until - time.monotonic()
            if said or left <= 0:
                break
            busy = sum(s.is_answering and s.has_work for s in self._sites.values())
            wait = left if busy == len(self._sites) == 1 else min(left, _SLICE_S) / max(busy, 1)
            if not busy:
                time.sleep(wait)
        self._end_if_stuck(said)
        return said

    def _end_if_stuck(self, said: Sequence[JobEvent]) -> None:
        fault = next((s.fault for s in self._sites.values() if s.fault), None)
        if fault is not None and not said and not any(s.has_work for s in self._sites.values()):
            raise fault

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs, each at its site.

        Parameters
        ----------
        numbers : sequence of int
            Which.
        """
        for site in self._sites.values():
            site.cancel(numbers)
        for number in self._unplaced.keys() & set(numbers):
            attempt = self._unplaced.pop(number)
            self._said.append(JobEvent(number, attempt, JobState.DELETED, Cause.CANCELLED))

    def close(self) -> None:
        """Close the engine of each site; one that cannot be closed does not keep others open."""
        faults: list[StageError] = []
        for site in self._sites.values():
            try:
                site.close()
            except StageError as error:
                faults.append(error)
        if faults:
            raise faults[0]


def _told(settings: EngineSettings) -> Mapping[str, Mapping[str, Any]]:
    told = settings.options.get("sites")
    if not (isinstance(told, Mapping) and told):
        raise UsageError(
            "the engine 'sites' is not named in a file: it is there where jobs go to several sites",
            code="bad-site",
            hint="Name a site for some tasks: pipetask: {LABEL: {computeSite: NAME}}.",
        )
    return told


def _part(workflow: Workflow, kinds: npt.NDArray[np.bool_]) -> Workflow:
    """Return the jobs of some kinds as a workflow, with what they wait for among themselves."""
    keep = kinds[np.asarray(workflow.settings_of, dtype=np.int64)]
    jobs = np.flatnonzero(keep)
    place = np.full(workflow.n_jobs, -1, dtype=np.int64)
    place[jobs] = np.arange(len(jobs))
    kind = np.cumsum(kinds) - 1
    parents = workflow.parents.take(jobs)
    waits = place[parents.indices]
    rows = np.bincount(parents.rows()[waits >= 0], minlength=len(jobs))
    return replace(
        workflow,
        settings=[s for s, k in zip(workflow.settings, kinds, strict=True) if k],
        names=[workflow.names[n] for n in jobs.tolist()],
        settings_of=kind[workflow.settings_of[jobs]].astype(np.int32),
        quanta=workflow.quanta.take(jobs),
        parents=Csr(
            np.concatenate(([0], np.cumsum(rows))).astype(np.int64), waits[waits >= 0].astype(np.int32)
        ),
        values={},
    )
