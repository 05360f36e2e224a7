"""Who depends on what a push has brought upstream: what has to go before the push can be taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry import keeping, withdrawing
from registry.model.refs import id_text

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.ledger import Push
    from sync.pushing.holding import Holding

__all__ = ["Dependent", "dependents_of"]


@dataclass(frozen=True)
class Dependent:
    """One thing that depends on a push.

    Parameters
    ----------
    kind : str
        ``quanta`` that read its datasets, a ``collection`` that holds some, a ``chain`` that searches a RUN, a later
        ``push`` of the same RUN, or ``datasets`` of its RUN that no push has brought.
    what : str
        The RUN, the collection, or the later push's id.
    n : int
        How many quanta, datasets, or RUNs.
    push, campaign, who : str
        The push that brought it, its campaign and its user; empty where the ledger does not say.
    hint : str
        What to do first.
    """

    kind: str
    what: str
    n: int
    push: str = ""
    campaign: str = ""
    who: str = ""
    hint: str = ""

    def __str__(self) -> str:
        told = {
            "quanta": f"{self.n:,} quanta of run '{self.what}' read its datasets",
            "collection": f"collection '{self.what}' holds {self.n:,} of its datasets",
            "chain": f"chain '{self.what}' searches {self.n:,} of its runs",
            "push": f"push {self.what} has added to {self.n:,} of its runs",
            "datasets": f"run '{self.what}' has {self.n:,} datasets that no push brought",
        }[self.kind]
        by = f"; {f'push {self.push} of ' if self.push else ''}campaign '{self.campaign}' by {self.who}"
        return told + (by if self.campaign else "")


def dependents_of(
    upstream: Snapshot, push: Push, held: Holding, ledger: Sequence[Push]
) -> tuple[Dependent, ...]:
    """Find what depends on a push.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry, or a transaction on it.
    push : Push
        A push that stands.
    held : Holding
        What there is of it.
    ledger : sequence of Push
        The whole ledger, the latest first.

    Returns
    -------
    tuple of Dependent
        Later pushes first: taking those back may be all that it takes.

    Notes
    -----
    One statement for quanta, one for each set of dimensions for what collections hold, two for each RUN.
    """
    standing = [p for p in ledger if p.withdrawn is None and p.id != push.id]
    return (
        *_later(push, standing),
        *_uncounted(push, held, standing),
        *_readers(upstream, push, held, standing),
        *_holders(upstream, push, held),
        *_chains(upstream, push, held, standing),
    )


def _later(push: Push, standing: Sequence[Push]) -> Iterator[Dependent]:
    for other in reversed(standing):
        runs = [run for run in push.runs if _has_added(other, run) and _is_later(other, push, run)]
        if runs:
            text = id_text(other.id)
            yield Dependent(
                "push", text, len(runs), "", other.campaign, other.who,
                f"Take that back first: stage repo unpush REPO {text}",
            )  # fmt: skip


def _has_added(push: Push, run: str) -> bool:
    if push.inserted is None:
        return run in push.runs
    told = push.inserted["runs"].get(run)
    return told is not None and bool(told["datasets"] or told["quanta"])


def _is_later(other: Push, push: Push, run: str) -> bool:
    """Clocks differ: a push that added to a RUN which this one made is later, whatever they say."""
    made = push.inserted is not None and push.inserted["runs"].get(run, {}).get("made")
    return bool(made) or other.at_ns > push.at_ns


def _uncounted(push: Push, held: Holding, standing: Sequence[Push]) -> Iterator[Dependent]:
    """Find datasets that somebody has put into its RUNs by other means than a push."""
    if any(_has_added(other, run) for other in standing for run in held.made):
        return  # those are told of, and there is no telling apart before they are gone
    for run, n in held.held.items():
        brought = push.inserted["runs"][run]["datasets"] if push.inserted is not None else n
        if n > brought:
            hint = f"Move them elsewhere, or remove them: 'stage repo prune REPO {run} --purge' chooses."
            yield Dependent("datasets", run, n - brought, hint=hint)


def _readers(upstream: Snapshot, push: Push, held: Holding, standing: Sequence[Push]) -> Iterator[Dependent]:
    """Find quanta of others; those that were there before what they read, as parts of a run may be pushed, stay as they were."""
    found = withdrawing.readers(upstream, held.ids, besides=held.quantum_ids) if held.ids else {}
    for run, n in found.items():
        if run in push.runs:  # they came before it, or with a later push, which is told of
            continue
        brought = [p for p in reversed(standing) if _has_added(p, run)]
        later = [p for p in brought if not _came_before(p, push)]
        if brought and not later:
            continue
        by = next(iter(later), None)
        if by is None:
            hint = f"Remove run '{run}' first: stage repo remove-collection REPO {run}"
        else:
            hint = f"Take that back first: stage repo unpush REPO {id_text(by.id)}"
        yield Dependent("quanta", run, n, *_told(by), hint=hint)


def _came_before(other: Push, push: Push) -> bool:
    """Tell, whatever clocks say, whether a push has made a RUN to which this one has added."""
    made = (other.inserted or {}).get("runs", {})
    return any(made.get(run, {}).get("made") and _has_added(push, run) for run in push.runs)


def _holders(upstream: Snapshot, push: Push, held: Holding) -> Iterator[Dependent]:
    found = keeping.holders(upstream, held.ids) if held.ids else {}
    for name, n in found.items():
        if name not in push.runs:
            hint = (
                f"Take them out of it first: 'stage repo disassociate' or 'stage repo decertify' REPO {name}"
            )
            yield Dependent("collection", name, n, hint=hint)


def _chains(upstream: Snapshot, push: Push, held: Holding, standing: Sequence[Push]) -> Iterator[Dependent]:
    searched: dict[str, list[str]] = {}
    for run in held.made:
        for name in upstream.collection_users(run)[0]:
            if not _put_into(push, name, run):
                searched.setdefault(name, []).append(run)
    for name, runs in sorted(searched.items()):
        hint = f"Take them out of it first: stage repo chain REPO {name} {' '.join(runs)} --mode remove"
        by = next((p for p in standing if any(_put_into(p, name, run) for run in runs)), None)
        yield Dependent("chain", name, len(runs), *_told(by), hint=hint)


def _put_into(push: Push, chain: str, run: str) -> bool:
    return push.chain is not None and push.chain[0] == chain and run in push.chain[1]


def _told(by: Push | None) -> tuple[str, str, str]:
    return ("", "", "") if by is None else (id_text(by.id), by.campaign, by.who)
