"""Two campaigns and their upstream, in any order of runs, pushes and removals, against a model of a page.

The model is what a person would say: upstream holds, of each run and data ID, the dataset of who pushed it first; a push
adds what is missing, or is refused as a whole where upstream has another dataset, and puts its runs in front of a chain.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry.errors import ConflictError, NotFoundError
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

LONG = os.environ.get("STAGE_FAULTS") == "long"
RUNS = ("u/1", "u/2")
KINDS = ("calexp", "calexp_log")
CHAIN = "u/best"
PLACES = tuple(product((1, 2), (0, 1)))

Key = tuple[str, int, int]
"""Dataset type, visit, detector."""


@dataclass
class Side:
    """What one repository holds of the runs: key to id."""

    runs: dict[str, dict[Key, bytes]] = field(default_factory=dict)

    def lacks(self, other: Side, run: str) -> bool:
        """Whether the other one has something of a run that this one has not."""
        return bool(other.runs.get(run, {}).items() - self.runs.get(run, {}).items())

    def differs(self, other: Side, run: str) -> bool:
        """Whether both have something under one key, and not the same."""
        mine, theirs = self.runs.get(run, {}), other.runs.get(run, {})
        return any(mine[key] != theirs[key] for key in mine.keys() & theirs.keys())


class TwoCampaigns(RuleBasedStateMachine):
    """The real ones beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sync-machine-"))
        made.copy_world(self.folder)
        shutil.copytree(self.folder / "campaign", self.folder / "other")
        self.upstream = Repo.open(self.folder / "up", writable=True)
        self.staging = [made.open_staging(self.folder / name) for name in ("campaign", "other")]
        self.theirs, self.ours = Side(), [Side(), Side()]
        self.chain: list[str] = []

    def teardown(self) -> None:
        """Leave nothing."""
        for repo in (self.upstream, *self.staging):
            repo.close()
        shutil.rmtree(self.folder)

    @rule(who=st.integers(0, 1), run=st.sampled_from(RUNS), place=st.sampled_from(PLACES))
    def execute(self, who: int, run: str, place: tuple[int, int]) -> None:
        """One more quantum of a run is done in a campaign."""
        held = self.ours[who].runs.setdefault(run, {})
        if ("calexp", *place) in held:
            return
        visit, detector = place
        done = made.make_run(self.staging[who], run, visits=(visit,), detectors=(detector,), content=f"{who}")
        for kind, i in zip(KINDS, done.dataset_ids, strict=True):
            held[kind, visit, detector] = i

    @rule(who=st.integers(0, 1), runs=st.sampled_from([("u/1",), ("u/2",), RUNS]), into_chain=st.booleans())
    def push(self, who: int, runs: tuple[str, ...], into_chain: bool) -> None:
        """A push does what its plan said, and what the model says."""
        chosen = [run for run in runs if self.ours[who].runs.get(run)]
        if not chosen:
            return
        mine = self.ours[who]
        conflicting = any(self.theirs.differs(mine, run) for run in chosen)
        plan = plan_push(
            self.staging[who], self.upstream, chosen, campaign=made.CAMPAIGN, register_dataset_types=True,
            chain=CHAIN if into_chain else None,
        )  # fmt: skip
        assert ({c.code for c in plan.conflicts} == {"dataset-exists"}) is conflicting
        try:
            result = execute_push(plan, self.staging[who], self.upstream)
        except ConflictError:
            assert conflicting
            return
        moved = into_chain and any(run not in self.chain for run in chosen)
        expected = any(self.theirs.lacks(mine, run) for run in chosen) or moved
        assert (result.push_id is not None) is expected
        for run in chosen:
            self.theirs.runs.setdefault(run, {}).update(mine.runs[run])
        if into_chain:
            self.chain = [*(run for run in chosen if run not in self.chain), *self.chain]

    @precondition(lambda self: any(self.theirs.runs.values()))
    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        """Upstream's keeper removes a dataset; who has it may push it again."""
        there = sorted((run, key) for run, held in self.theirs.runs.items() for key in held)
        run, key = data.draw(st.sampled_from(there))
        with self.upstream.registry.write() as tx:
            tx.delete_datasets([self.theirs.runs[run].pop(key)])

    @invariant()
    def upstream_is_as_the_model_says(self) -> None:
        """Each dataset, the chain, and a whole file for each row."""
        with self.upstream.registry.read() as snap:
            for run, held in self.theirs.runs.items():
                found = {
                    (kind, visit, detector): i
                    for kind in KINDS
                    for visit, detector, i in _rows(snap, kind, run)
                }
                assert found == held
            children = {c.name: list(c.children) for c in snap.collections() if c.name == CHAIN}
            assert children.get(CHAIN, []) == self.chain
        assert made.dangling(self.folder / "up") == []


def _rows(snap: Any, kind: str, run: str) -> Any:
    try:
        found = snap.datasets(kind, [run], find_first=False)
    except NotFoundError:  # the type or the run is not there yet
        return []
    return found.rows(("visit", "detector", "id"))


TwoCampaigns.TestCase.settings = settings(
    max_examples=150 if LONG else 6, stateful_step_count=25 if LONG else 15, deadline=None
)
TestTwoCampaigns = TwoCampaigns.TestCase
