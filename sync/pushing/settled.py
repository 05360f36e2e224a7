"""What the journal knows of pushes: which were broken off, and which RUNs have not changed since theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from registry.model.refs import new_id
from sync import journal
from sync.explain import schema_version
from sync.ledger import has_push
from sync.lookups import known_collections
from sync.plan import CampaignInfo, Note, Outgoing, PushPlan
from sync.pushing.accounts import of_kept
from sync.pushing.asking import Terms
from sync.pushing.members import members
from sync.withdrawals import is_aborted, taken_back

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["VERB", "acknowledge", "begin", "note", "noted_pushes", "settled_plan"]

VERB = "push"
_NOTHING: Mapping[str, Any] = {
    "runs": [], "marks": {}, "upstream": "", "upstream_marks": {}, "dataset_types": [], "where": "", "policies": [],
    "datasets": {}, "skipped": {}, "notes": [],
}  # fmt: skip


def begin(plan: PushPlan, staging: Repo, upstream: Repo) -> bytes:
    """Note in staging that a push begins.

    Parameters
    ----------
    plan : PushPlan
        The plan.
    staging, upstream : Repo
        The two sides.

    Returns
    -------
    bytes
        Its id: that of a push of the same RUNs which was broken off before its commit, or a new one.
    """
    with upstream.registry.read() as theirs, staging.registry.write() as tx:
        push_id = _settle(plan, tx, theirs) or new_id()
        journal.note(tx, push_id, VERB, journal.BEGUN, _payload(plan))
    return push_id


def note(
    plan: PushPlan, push_id: bytes, state: str, staging: Repo, upstream_marks: Mapping[str, str] = {}
) -> None:
    """Note in staging how far a push has come.

    Parameters
    ----------
    plan : PushPlan
        The plan.
    push_id : bytes
        Its id.
    state : str
        One of the journal's.
    staging : Repo
        Staging.
    upstream_marks : mapping of str to str
        How the RUNs were marked upstream by the end of its transaction.
    """
    with staging.registry.write() as tx:
        journal.note(tx, push_id, VERB, state, _payload(plan, upstream_marks))


def acknowledge(plan: PushPlan, staging: Repo, upstream: Repo) -> None:
    """Note what a comparison has found: that upstream has it all.

    Parameters
    ----------
    plan : PushPlan
        An empty one. If it was found without a comparison there is nothing to note.
    staging, upstream : Repo
        The two sides.
    """
    if not plan.outgoing.marks:
        return
    with upstream.registry.read() as theirs, staging.registry.write() as tx:
        same = [e for e in noted_pushes(tx) if e.payload["runs"] == list(plan.runs)]
        push_id = _settle(plan, tx, theirs) or (same[0].operation if same else new_id())
        journal.note(tx, push_id, VERB, journal.DONE, _payload(plan, plan.upstream_marks))


def _settle(plan: PushPlan, staging: Change, upstream: Snapshot) -> bytes | None:
    """Acknowledge pushes that were broken off after their commit; return the id of one before it, of the same RUNs."""
    resumed = None
    for entry in noted_pushes(staging):
        if entry.state == journal.DONE:
            continue
        if has_push(upstream, entry.operation):
            journal.note(staging, entry.operation, VERB, journal.DONE, entry.payload)
        elif entry.payload["runs"] == list(plan.runs) and not is_aborted(upstream, entry.operation):
            resumed = entry.operation
    return resumed


def noted_pushes(staging: Snapshot) -> list[journal.Entry]:
    """Return the pushes that staging has noted; what another version did not note of them counts as nothing.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.

    Returns
    -------
    list of Entry
        The latest first.
    """
    return [replace(e, payload={**_NOTHING, **e.payload}) for e in journal.entries(staging, VERB)]


def _payload(plan: PushPlan, upstream_marks: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return what the journal keeps of a push: the choice, the repository, and how the RUNs were marked then."""
    outgoing = plan.outgoing
    return {
        "runs": list(outgoing.runs),
        "marks": dict(outgoing.marks),
        "upstream": outgoing.upstream_id.hex(),
        "upstream_marks": dict(upstream_marks),
        "dataset_types": list(outgoing.globs),
        "where": outgoing.where,
        "policies": list(plan.terms.policies.texts),
        "datasets": {run: _n_going(plan, run) for run in outgoing.runs},
        "skipped": _skipped(plan),
        "notes": [[n.code, n.what, n.hint] for n in (*outgoing.notes, *of_kept(plan.warnings))],
    }


def _n_going(plan: PushPlan, run: str) -> int:
    ids = [batch.rows["id"].tolist() for batch in plan.outgoing.batches if batch.run == run]
    return sum(map(len, ids)) - sum(int(members(part, plan.left_out).sum()) for part in ids if plan.left_out)


def _skipped(plan: PushPlan) -> dict[str, dict[str, int]]:
    """Return what a push left out: by code, and by kind of thing."""
    kinds = {kind: {"skipped": c["skipped"]} for kind, c in plan.counts.items() if c.get("skipped")}
    return {**kinds, "skipped": dict(plan.counts["skipped"])} if "skipped" in plan.counts else {}


def settled_plan(
    staging: Snapshot,
    upstream: Snapshot,
    runs: Sequence[str],
    *,
    upstream_id: bytes,
    campaign: CampaignInfo,
    globs: Sequence[str] = (),
    where: str = "",
    chain: str | None = None,
    terms: Terms | None = None,
) -> PushPlan | None:
    """Return an empty plan if the RUNs were pushed and nothing has happened since.

    Parameters
    ----------
    staging, upstream : Snapshot
        Of both sides.
    runs : sequence of str
        The RUNs.
    upstream_id : bytes
        Identity of upstream.
    campaign : CampaignInfo
        Who pushes.
    globs : sequence of str
        Patterns of dataset types.
    where : str
        An expression that chose datasets.
    chain : str, optional
        The upstream chain that has to hold the RUNs.
    terms : Terms, optional
        What becomes of conflicts; it matters where the last push has left something out.

    Returns
    -------
    PushPlan or None
        None if rows have to be compared. Otherwise each RUN is marked on both sides as it was when its last push was
        done, and the chain holds it.
    """
    terms = terms or Terms()
    choice = {"upstream": upstream_id.hex(), "dataset_types": list(globs), "where": where}
    pushes = _last_pushes(staging, runs, choice, list(terms.policies.texts))
    if not runs or pushes is None:
        return None
    if taken_back(upstream, [entry.operation for entry in pushes.values()]):
        return None
    known = known_collections(upstream, [*runs, *([chain] if chain else ())])
    if any(run not in known for run in runs):
        return None
    in_chain = set(runs[:1] if terms.replace_run else runs)
    if chain is not None and (chain not in known or not in_chain <= set(known[chain].children)):
        return None
    for side, kept in ((staging, "marks"), (upstream, "upstream_marks")):
        if side.run_marks(runs) != {run: pushes[run].payload[kept].get(run) for run in runs}:
            return None
    notes = {tuple(note) for entry in pushes.values() for note in entry.payload["notes"]}
    n_same = sum(pushes[run].payload["datasets"][run] for run in runs)
    counts = {"run": {"new": 0, "same": len(runs)}, "dataset": {"new": 0, "same": n_same}}
    for entry in {entry.operation: entry for entry in pushes.values()}.values():
        _add(counts, entry.payload["skipped"])
    plan = _nothing(staging, runs, upstream_id, campaign, chain=chain, counts=counts, notes=sorted(notes))
    return replace(plan, terms=terms)


def _add(counts: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    for kind, classes in more.items():
        tally = counts.setdefault(kind, {})
        for cls, n in classes.items():
            tally[cls] = tally.get(cls, 0) + n


def _last_pushes(
    staging: Snapshot, runs: Sequence[str], choice: Mapping[str, Any], policies: Sequence[str]
) -> dict[str, journal.Entry] | None:
    """Return the last push of each RUN if it was done, was of the same choice, and went to the same upstream.

    One that left something out counts for all that it was about, and under the same policies.
    """
    last: dict[str, journal.Entry] = {}
    for entry in noted_pushes(staging):
        for run in entry.payload["runs"]:
            last.setdefault(run, entry)
    for run in runs:
        found = last.get(run)
        if found is None or found.state != journal.DONE:
            return None
        noted = found.payload
        if any(noted[name] != value for name, value in choice.items()):
            return None
        if noted["skipped"] and (noted["policies"] != policies or not set(noted["runs"]) <= set(runs)):
            return None
    return {run: last[run] for run in runs}


def _nothing(
    staging: Snapshot,
    runs: Sequence[str],
    upstream_id: bytes,
    campaign: CampaignInfo,
    *,
    chain: str | None,
    counts: Mapping[str, Mapping[str, int]],
    notes: Sequence[tuple[str, ...]],
) -> PushPlan:
    none = Columns({})
    outgoing = Outgoing(
        universe=staging.universe, schema_version=schema_version(staging), upstream_id=upstream_id, runs=tuple(runs),
        run_docs={}, batches=(), records={}, baselines={}, quanta=none, quantum_inputs=none, quantum_outputs=none,
        notes=tuple(Note(*note) for note in notes),
    )  # fmt: skip
    return PushPlan(
        outgoing=outgoing, campaign=campaign, chain_name=chain, register_dataset_types=False, new_runs=(),
        new_types=(), new_records={}, new_datasets=(), new_artifacts=(), new_quanta=none, new_inputs=none,
        new_outputs=none, chain=None, warnings=outgoing.notes, counts=counts,
    )  # fmt: skip
