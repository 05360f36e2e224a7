"""An upstream and a campaign whose pushes are broken off, given up and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from registry.model.columns import Columns
from registry.model.records import QUANTUM, QUANTUM_INPUT
from registry.model.refs import new_id
from sync import journal
from sync.faults import At, no_fault
from sync.ledger import Push, pushes
from sync.plan import CampaignInfo, PushPlan
from sync.push import PushResult, execute_push, plan_push
from sync.pushing.abort import AbortPlan, AbortResult, execute_abort, plan_abort
from sync.repo import Repo
from sync.transfer import Mode
from sync.unpush import UnpushPlan, UnpushResult, execute_unpush, plan_unpush
from tests import sync_builders as made
from tests.databases import Database

RUN = "u/me/trial/1"
CHAIN = "u/me/best"
OTHER = CampaignInfo(bytes(16), "other", "another one", json.dumps({"name": "other"}))


class World:
    """A copy of an upstream (``up``) and of a campaign that has fetched from it (``campaign``)."""

    def __init__(self, root: Path, database: Database | None = None) -> None:
        self.root = root
        made.copy_world(root, database)

    @contextmanager
    def opened(self, campaign: str = "campaign") -> Iterator[tuple[Repo, Repo]]:
        """Staging and upstream, to write."""
        with (
            made.open_staging(self.root / campaign) as staging,
            Repo.open(self.root / "up", writable=True) as upstream,
        ):
            yield staging, upstream

    def run(self, name: str = RUN, **options: object) -> made.Run:
        """Make a run in staging."""
        with made.open_staging(self.root / "campaign") as staging:
            return made.make_run(staging, name, **options)  # type: ignore[arg-type]

    def plan(
        self, *runs: str, chain: str | None = CHAIN, info: CampaignInfo = made.CAMPAIGN, campaign: str = "campaign"
    ) -> PushPlan:  # fmt: skip
        """Plan to push."""
        with self.opened(campaign) as (staging, upstream):
            return plan_push(
                staging, upstream, runs or [RUN], campaign=info, register_dataset_types=True, chain=chain
            )

    def push(
        self, *runs: str, at: At = no_fault, mode: Mode = "auto", chain: str | None = CHAIN,
        info: CampaignInfo = made.CAMPAIGN, campaign: str = "campaign",
    ) -> PushResult:  # fmt: skip
        """Push as the user would."""
        plan = self.plan(*runs, chain=chain, info=info, campaign=campaign)
        with self.opened(campaign) as (staging, upstream):
            return execute_push(plan, staging, upstream, at=at, mode=mode)

    def abort(
        self, *runs: str, at: At = no_fault, campaign: str = "campaign"
    ) -> tuple[AbortPlan, AbortResult]:
        """Give up what was broken off."""
        with self.opened(campaign) as (staging, upstream):
            plan = plan_abort(staging, upstream, runs, campaign=made.CAMPAIGN)
            return plan, execute_abort(plan, staging, upstream, at=at)

    def unpush(self, what: str = RUN, at: At = no_fault) -> tuple[UnpushPlan, UnpushResult]:
        """Take a push back."""
        with Repo.open(self.root / "up", writable=True) as upstream:
            plan = plan_unpush(upstream, what)
            return plan, execute_unpush(plan, upstream, at=at)

    def ledger(self) -> list[Push]:
        """What upstream's ledger has, the latest first."""
        with Repo.open(self.root / "up") as upstream, upstream.registry.read() as snap:
            return pushes(snap)

    def states(self) -> list[str]:
        """How far pushes have come, as staging knows."""
        with made.open_staging(self.root / "campaign") as staging, staging.registry.read() as snap:
            return [entry.state for entry in journal.entries(snap, "push")]

    def files(self) -> dict[str, str]:
        """All files upstream, those that were being written aside among them, and all directories."""
        found = made.tree(self.root / "up")
        return {name: digest for name, digest in found.items() if not name.startswith("registry.sqlite3")}

    def rows(self) -> list[str]:
        """All rows upstream but those that stay: the ledger, dataset types (with their tables), numbers of things."""
        # Who may write undoes what a killed one left half done in the database; who may only read refuses it.
        with Repo.open(self.root / "up", writable=True) as upstream, upstream.registry.read() as snap:
            names = [c.name for c in snapshot_runs(snap)]
            out = [f"{c.name} {c.type} {c.children} {c.doc}" for c in snap.collections()]
            for kind in snap.dataset_types():
                out += [
                    f"{kind.name} {row}"
                    for row in snap.datasets(kind.name, ["*"], find_first=False, artifacts=True).rows()
                ]
            out += [f"quantum {row}" for row in snap.quanta(names, latest=False).rows()] if names else []
            out += [f"input {row}" for row in snap.quantum_inputs(names).rows()] if names else []
            out += [f"output {row}" for row in snap.quantum_outputs(names).rows()] if names else []
        return sorted(out)


def snapshot_runs(snap: object) -> list[object]:
    """The RUNs of a snapshot."""
    from registry.model.collections import CollectionType

    return snap.collections(types=[CollectionType.RUN])  # type: ignore[attr-defined, no-any-return]


def read_by(repo: Repo, run: str, ids: Sequence[bytes]) -> None:
    """Record a quantum of a RUN that has read some datasets."""
    quantum = new_id()
    row = (quantum, run, "look", "{}", "succeeded", 0, 1, 2, 1, 1, "here", "", new_id())
    with repo.registry.write() as tx:
        tx.register_run(run)
        tx.insert_quanta(Columns.from_rows(QUANTUM, [row]))
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, [(quantum, i, "raw", True) for i in ids]))
