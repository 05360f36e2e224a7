"""Limits of how many jobs an engine has at once, by name: `stage.batch.driving.rooms`, `stage.batch.engines.limits`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import UsageError
from stage.batch.driving.frontier import Frontier
from stage.batch.driving.head import run_head
from stage.batch.engines.base import EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.limits import numbered_limit
from stage.batch.engines.slurm.options import SlurmOptions, sbatch_options
from stage.batch.workflow.model import JobSettings, Workflow
from stage.graph.table import Csr
from tests.batch_world import Paper, make_workflow, submit_dir
from tests.sites_world import Moody, sites_engine


class Counting(Paper):
    """An engine on paper that counts the jobs it has at once, by what limits them."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(takes=2)
        self.settings = EngineSettings("here", {"concurrencyLimits": limits})
        self.most: Counter[str] = Counter()

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Count what there is."""
        answers = super().start(requests)
        now = Counter(r.settings.concurrency_limit or "" for r in self.running.values())
        self.most |= now
        return answers


def of_kinds(*limits: str | None, n_jobs: int) -> Workflow:
    """Return a workflow of jobs that are of these kinds by turns."""
    workflow = make_workflow(["true"] * n_jobs)
    kinds = tuple(replace(workflow.settings[0], concurrency_limit=name) for name in limits)
    of = np.arange(n_jobs, dtype=np.int32) % len(kinds)
    return replace(workflow, settings=kinds, settings_of=of)


def test_head_keeps_limits_with_a_number_on_any_engine(tmp_path: Path) -> None:
    """Jobs under a limit are never more at once than its number; those without, or with a scheduler's limit, are free."""
    engine = Counting(db=2, disk="1", licence="pg:3")
    workflow = of_kinds("db", "disk", "licence", None, n_jobs=40)
    result = run_head(submit_dir(tmp_path / "run"), engine=engine, workflow=workflow)

    assert {JobState.SUCCEEDED: 40} == result.counts
    assert {"db": 2, "disk": 1, "licence": 10, "": 10} == engine.most


def test_a_full_lane_does_not_hold_up_others() -> None:
    """The most urgent of what has room begins; what has none keeps its place in the order."""
    n = 6
    none = Csr(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
    lanes = np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    free = np.zeros(n, dtype=np.bool_)
    found = Frontier(none, np.array([9, 8, 7, 1, 2, 3]), free, free, lane_of=lanes)
    left = [1, 5]

    def enter(lane: int) -> bool:
        left[lane] -= 1
        return left[lane] >= 0

    assert [0, 5, 4, 3] == found.take(10, enter)
    assert (2, [1, 2]) == (found.n_ready, found.take(10))


def test_each_site_has_as_many_jobs_as_it_has_room_for(tmp_path: Path) -> None:
    """Of two sites with room for three each, neither is given more, and what waits is not begun by the journal."""
    engine = sites_engine(tmp_path, capacity=3, concurrencyLimits={"db": 1})
    workflow = of_kinds("db", None, n_jobs=30)
    near, far = workflow.settings
    workflow = replace(
        workflow, settings=(replace(near, compute_site="near"), replace(far, compute_site="far"))
    )
    result = run_head(submit_dir(tmp_path / "run"), engine=engine, workflow=workflow)

    assert {JobState.SUCCEEDED: 30} == result.counts
    sites = [s for s in engine.sites.values() if isinstance(s, Moody)]
    assert [1, 3] == [s.most_at_once for s in sites]
    assert {"far": 3} == engine.limits(workflow.settings[1])
    assert {"near": 3, "near/db": 1} == engine.limits(workflow.settings[0])


@pytest.mark.parametrize("number", [0, True, 1.5, [2]])
def test_a_number_that_is_none_of_jobs_is_refused(number: object) -> None:
    """The error names the setting and the value."""
    settings = EngineSettings("here", {"concurrencyLimits": {"db": number}})

    assert {} == numbered_limit(settings, "other")
    with pytest.raises(UsageError, match=r"site\.here\.concurrencyLimits\.db is .* 1 or more"):
        numbered_limit(settings, "db")


def test_slurm_wants_no_licence_for_what_the_head_keeps() -> None:
    """A number is the head's; a text is a licence; a limit without either is a licence of its name."""
    site = SlurmOptions.of(EngineSettings("here", {"concurrencyLimits": {"db": 2, "pg": "pg:2"}}))
    found = {
        name: [o for o in sbatch_options(JobSettings("a", concurrency_limit=name), site, top_priority=0, run="r") if "licen" in o]
        for name in ("db", "pg", "other")
    }  # fmt: skip

    assert {"db": [], "pg": ["--licenses=pg:2"], "other": ["--licenses=other:1"]} == found
