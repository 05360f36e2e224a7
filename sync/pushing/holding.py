"""What upstream holds of one push by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text
from sync.administration.prune import split_uris
from sync.lookups import known_collections
from sync.paths import safe_part
from sync.pushing.inserted import ids_of, unpack_ids, unpack_rows

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.ledger import Push

__all__ = ["Holding", "holding_of"]

_LINK = ("quantum_id", "dataset_id", "connection")


@dataclass(frozen=True, eq=False)
class Holding:
    """What there is of a push.

    Parameters
    ----------
    made : tuple of str
        RUNs that it has made and that are there; all they hold belongs to it.
    held : mapping of str to int
        Those RUNs to the number of their datasets.
    counts : mapping of str to int
        Dataset type to number of its datasets.
    ids : sequence of bytes
        All its datasets.
    added_ids : sequence of bytes
        Those in RUNs that were there before.
    bare : sequence of bytes
        Datasets that were there before, to which it has brought artifacts.
    quantum_ids : sequence of bytes
        All its quanta.
    n_quanta : int
        Attempts at them.
    added_quanta, inputs, outputs : Columns
        Attempts at quanta in RUNs that were there before, and single links of quanta that were there.
    uris : sequence of str
        Its files, relative to the datastore's root.
    size_bytes : int
        Bytes of those.
    n_outside : int
        Files of its datasets that are not for the repository to remove.
    """

    made: tuple[str, ...]
    held: Mapping[str, int]
    counts: Mapping[str, int]
    ids: Sequence[bytes] = field(repr=False)
    added_ids: Sequence[bytes] = field(repr=False)
    bare: Sequence[bytes] = field(repr=False)
    quantum_ids: Sequence[bytes] = field(repr=False)
    n_quanta: int
    added_quanta: Columns = field(repr=False)
    inputs: Columns = field(repr=False)
    outputs: Columns = field(repr=False)
    uris: Sequence[str] = field(repr=False)
    size_bytes: int
    n_outside: int


def holding_of(upstream: Snapshot, push: Push) -> Holding:
    """Find what upstream holds of a push.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry, or a transaction on it.
    push : Push
        A push that stands.

    Returns
    -------
    Holding
        What is there; what was pruned since is not.

    Raises
    ------
    ConflictError
        If nobody noted what the push has inserted.
    """
    inserted = push.inserted
    if inserted is None:
        raise ConflictError(
            f"push {id_text(push.id)} of campaign '{push.campaign}' is of a version that did not note what it inserted",
            code="push-not-noted",
            hint="Remove its run as a whole: 'stage repo remove-collection'.",
        )
    made = _made(upstream, inserted)
    in_made = _in_runs(upstream, made)
    added = upstream.datasets_by_id(unpack_ids(ids_of(inserted, "datasets")), artifacts=True)
    bare = upstream.datasets_by_id(unpack_ids(ids_of(inserted, "artifacts")), artifacts=True)
    ids = [i for rows in in_made.values() for i in rows["id"].tolist()]
    added_ids = [i for rows in added.values() for i in rows["id"].tolist()]
    quanta = upstream.quanta(made, latest=False, names=("id",))["id"].tolist() if made else []
    added_quanta = unpack_rows(ids_of(inserted, "quanta"), ("id", "attempt"))
    uris, size, n_outside = _files([*in_made.values(), *added.values(), *bare.values()], push)
    held = Counter(run for rows in in_made.values() for run in rows["run"].tolist())
    counts = Counter({name: rows.n_rows for name, rows in in_made.items()})
    counts.update({name: rows.n_rows for name, rows in added.items()})
    return Holding(
        made, {run: held[run] for run in made}, dict(sorted(counts.items())), [*ids, *added_ids], added_ids,
        [i for rows in bare.values() for i in rows["id"].tolist()],
        list(dict.fromkeys([*quanta, *added_quanta["id"].tolist()])), len(quanta) + added_quanta.n_rows, added_quanta,
        unpack_rows(ids_of(inserted, "inputs"), _LINK), unpack_rows(ids_of(inserted, "outputs"), _LINK), uris, size,
        n_outside,
    )  # fmt: skip


def _made(upstream: Snapshot, inserted: Mapping[str, Any]) -> tuple[str, ...]:
    names = [run for run, told in inserted["runs"].items() if told["made"]]
    found = known_collections(upstream, names)
    return tuple(name for name in names if name in found and found[name].type is CollectionType.RUN)


def _in_runs(upstream: Snapshot, runs: Sequence[str]) -> dict[str, Columns]:
    names = dict.fromkeys(upstream.collection_summary(runs)["dataset_type"].tolist()) if runs else {}
    return {name: upstream.datasets(name, runs, find_first=False, artifacts=True) for name in names}


def _files(found: Sequence[Columns], push: Push) -> tuple[list[str], int, int]:
    """Return the files that are the repository's, their bytes, and the number of others.

    A push puts its files below a directory that is called as their RUN. What was adopted where the campaign had
    written it is the campaign's; so may be what lies elsewhere.
    """
    roots = tuple("/".join(map(safe_part, run.split("/"))) + "/" for run in push.runs)
    own = push.adopted
    sizes = {uri: size for rows in found for uri, size in rows.rows(("uri", "size")) if uri is not None}
    here, n_outside = split_uris(list(sizes)) if sizes else ([], 0)
    ours = [uri for uri in here if uri.startswith(roots) and not (own and uri.startswith(own))]
    return ours, sum(sizes[uri] for uri in ours), n_outside + len(here) - len(ours)
