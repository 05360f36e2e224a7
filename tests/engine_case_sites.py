"""Several sites for the contract suite of engines: two of this machine, to which jobs go by turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stage.batch.engines.base import EngineSettings, JobEvent, JobRequest
from stage.batch.engines.sites import SitesEngine, sites_options
from tests.engine_cases import EngineCase, EngineLab

__all__ = ["CASE", "ByTurns"]


class ByTurns(SitesEngine):
    """Even jobs go to one site, odd ones to the other: the suite's jobs name none."""

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Give each the site that it is for."""
        sites = ("even", "odd")
        return super().start(
            [replace(r, settings=replace(r.settings, compute_site=sites[r.number % 2])) for r in requests]
        )


@contextlib.contextmanager
def _service(root: Path) -> Iterator[EngineLab]:
    options = {"cores": 6, "memory": 4000}
    sites = sites_options({"even": ("local", options), "odd": ("local", options)}, "even")
    yield EngineLab("tests.engine_case_sites:ByTurns", EngineSettings("here", sites), walltime=0.01)


CASE = EngineCase("sites", _service)
