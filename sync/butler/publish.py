"""Publishing a push in a butler repository: through its public interface, and as much at once as that allows.

Dataset types and RUNs are made first, each by itself: within a transaction that system makes none. Then one
transaction inserts records and takes in the files, which are linked or copied under names of its own. The chain is
moved after it. Everything before the transaction is harmless if nothing follows, and a repeated push finds it there.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import StageError
from registry.model.columns import Columns
from registry.model.refs import id_text
from sync.butler.opening import datastore_roots, open_butler
from sync.butler.storage_classes import counterpart, has_counterpart
from sync.errors import TransferError
from sync.exports.record_fields import objects_of
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.formatters.parquet import ParquetFormatter
from sync.ledger import who
from sync.linking import Mode, can_link
from sync.plan import Conflict, DatasetBatch, PushPlan
from sync.pushing.kinds import HINTS

__all__ = ["PUSHES", "Published", "own_conflicts", "publish"]

PUSHES = "stage/pushes"
"""RUNs below this name hold what is known of each push: its ledger row, and the provenance that it brought."""
_AGAIN = "Run 'stage push' again: what has arrived is found there."
_PROVENANCE = {
    "stage_quanta": "new_quanta",
    "stage_quantum_inputs": "new_inputs",
    "stage_quantum_outputs": "new_outputs",
}


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Parameters
    ----------
    moved : int
        Files taken in.
    size_bytes : int
        Their bytes.
    linked : bool
        Whether they were linked rather than copied.
    """

    moved: int
    size_bytes: int
    linked: bool


def own_conflicts(plan: PushPlan) -> list[Conflict]:
    """Find what such a repository cannot hold.

    Parameters
    ----------
    plan : PushPlan
        What would be published.

    Returns
    -------
    list of Conflict
        One a dataset type whose files nothing there can read.
    """
    kinds = {
        batch.dataset_type.name: batch.dataset_type for batch in (*plan.new_datasets, *plan.new_artifacts)
    }
    code = "storage-class-unknown"
    return [
        Conflict(
            code, "dataset-type", f"dataset type '{kind.name}'", kind.storage_class, "nothing that reads its files",
            HINTS[code], {"dataset_type": kind.name},
        )
        for kind in kinds.values()
        if not has_counterpart(kind.storage_class)
    ]  # fmt: skip


def publish(
    plan: PushPlan,
    push_id: bytes,
    source: str,
    root: str,
    *,
    mode: Mode = "auto",
    at: At = no_fault,
) -> Published:
    """Write a plan into a butler repository.

    Parameters
    ----------
    plan : PushPlan
        Without conflicts.
    push_id : bytes
        Its id.
    source : str
        Root of the datastore that the artifacts are in.
    root : str
        Root of the butler repository.
    mode : {"auto", "link", "copy"}
        How files get in; ``auto`` links where all of its datastores are on the local file system of `source`.
    at : callable
        Called between durable steps: ``defined``, ``committed``, ``chained``.

    Returns
    -------
    Published
        What was done.

    Raises
    ------
    UsageError
        If `mode` is ``link`` and a datastore is not on one local file system with `source`; nothing was written.
    TransferError
        If that system refuses something; its transaction is taken back.
    """
    butler = open_butler(root, writable=True)
    batches = [batch for batch in (*plan.new_datasets, *plan.new_artifacts) if _has_files(batch)]
    transfer = _transfer(mode, source, datastore_roots(butler).values())
    # Where our files are, so that they can be linked under a name that ends as is wanted there.
    near = files.local_text(source)
    with _refusing(root), tempfile.TemporaryDirectory(prefix=".stage-push-", dir=near) as scratch:
        types = _define(butler, plan, push_id)
        at("defined")
        noted = list(_notes(butler, types, plan, push_id, Path(scratch)))
        with butler.transaction(), butler.registry.caching_context():
            for element, records in plan.new_records.items():
                butler.registry.insertDimensionData(element, *_plain_records(plan, element, records))
            taken = [one for b in batches for one in _file_datasets(butler, types, b, source, Path(scratch))]
            butler.ingest(*taken, transfer=transfer)
            if not _is_noted(butler, push_id):
                butler.ingest(*noted, transfer="copy")
        at("committed")
        _chain(butler, plan)
        at("chained")
    size = sum(int(n) for batch in batches for n in batch.rows["size"].tolist() if n is not None)
    return Published(len(taken), size, transfer == "hardlink")


@contextmanager
def _refusing(root: str) -> Iterator[None]:
    try:
        yield
    except StageError:
        raise
    except Exception as exc:  # a foreign system: which errors it may raise is not told
        raise TransferError(
            f"the butler repository {files.redact(root)} refuses the push: {type(exc).__name__}: {exc}",
            code="butler-refused",
            hint=_AGAIN,
        ) from exc


def _has_files(batch: DatasetBatch) -> bool:
    return any(uri is not None for uri in batch.rows["uri"].tolist())


def _transfer(mode: Mode, source: str, roots: Iterable[str]) -> str:
    """Choose how files get into all of its datastores; they need not be where its root is."""
    return "hardlink" if all(can_link(source, root, mode) for root in roots) else "copy"


def _define(butler: Any, plan: PushPlan, push_id: bytes) -> dict[str, Any]:
    """Make the dataset types and RUNs that are lacking; return all dataset types by name."""
    from lsst.daf.butler import CollectionType
    from lsst.daf.butler import DatasetType as Theirs

    def define(name: str, dimensions: Sequence[str], storage_class: str) -> Any:
        kind = Theirs(name, butler.dimensions.conform(dimensions), storage_class)
        butler.registry.registerDatasetType(kind)
        return kind

    batches = (*plan.new_datasets, *plan.new_artifacts)
    used = {batch.dataset_type.name for batch in batches}
    for kind in plan.new_types:
        if kind.name not in used:  # all its datasets stay here
            continue
        define(kind.name, kind.dimensions.required, counterpart(kind.storage_class).storage_class)
    types = {name: butler.get_dataset_type(name) for name in used}
    types["stage_push"] = define("stage_push", (), "StructuredDataDict")
    types |= {name: define(name, (), "ArrowTable") for name in _PROVENANCE}
    for run in (*plan.new_runs, _run_of(push_id)):
        butler.collections.register(run, CollectionType.RUN)
    return types


def _run_of(push_id: bytes) -> str:
    return f"{PUSHES}/{id_text(push_id)}"


def _file_datasets(
    butler: Any, types: Mapping[str, Any], batch: DatasetBatch, source: str, scratch: Path
) -> Iterator[Any]:
    """Say of each file which dataset it is; the interface takes an object for each."""
    from uuid import UUID

    from lsst.daf.butler import DataCoordinate, DatasetRef, FileDataset

    kind = types[batch.dataset_type.name]
    dims = kind.dimensions
    found = counterpart(batch.dataset_type.storage_class)
    for i, uri, *values in batch.rows.rows(("id", "uri", *dims.required)):
        if uri is None:
            continue
        place = files.join(source, uri)
        if not place.endswith(found.extension):
            place = _renamed(place, scratch / f"{i.hex()}{found.extension}")
        data_id = DataCoordinate.from_required_values(dims, tuple(values))
        # Its names of files may have metadata of the records.
        expanded = butler.registry.expandDataId(data_id)
        ref = DatasetRef(kind, expanded, run=batch.run, id=UUID(bytes=i))
        yield FileDataset(place, [ref], formatter=found.formatter)


def _renamed(place: str, name: Path) -> str:
    """Give a file a second name, which ends as the formatter there insists; the bytes stay the same."""
    local = files.local_path(place)
    if local is None:
        files.copy(place, name)
    else:
        files.link(local, name)
    return str(name)


def _notes(
    butler: Any, types: Mapping[str, Any], plan: PushPlan, push_id: bytes, scratch: Path
) -> Iterator[Any]:
    """Write down the push and its provenance, as files to be taken in with it."""
    from lsst.daf.butler import DataCoordinate, DatasetRef, FileDataset

    def note(name: str, data: bytes, ending: str, reader: str) -> Any:
        path = scratch / f"{name}.{ending}"
        path.write_bytes(data)
        ref = DatasetRef(types[name], DataCoordinate.make_empty(butler.dimensions), run=_run_of(push_id))
        return FileDataset(str(path), [ref], formatter=reader)

    user, host = who()
    told = {
        "id": id_text(push_id), "campaign": plan.campaign.name, "campaign_id": id_text(plan.campaign.id),
        "document": json.loads(plan.campaign.document), "who": user, "host": host, "at_ns": time.time_ns(),
        "runs": list(plan.runs), "counts": {kind: dict(classes) for kind, classes in plan.counts.items()},
    }  # fmt: skip
    formatters = "lsst.daf.butler.formatters"
    yield note("stage_push", json.dumps(told).encode(), "json", f"{formatters}.json.JsonFormatter")
    for name, attribute in _PROVENANCE.items():
        rows: Columns = getattr(plan, attribute)
        if rows.n_rows:
            data = ParquetFormatter().encode(rows)
            yield note(name, data, "parq", f"{formatters}.parquet.ParquetFormatter")


def _is_noted(butler: Any, push_id: bytes) -> bool:
    """Tell whether an earlier try of this push has written it down; then only its chain was not moved."""
    return bool(butler.query_datasets("stage_push", _run_of(push_id), explain=False))


def _plain_records(plan: PushPlan, element: str, records: Columns) -> list[dict[str, Any]]:
    """Return records in their words."""
    universe = plan.outgoing.universe
    told = map(json.loads, objects_of(universe, universe.element(element), records))
    return [{name: _plain(name, value) for name, value in record.items()} for record in told]


def _plain(name: str, value: Any) -> Any:
    from lsst.daf.butler import Timespan
    from lsst.sphgeom import Region

    if not isinstance(value, dict):
        return value
    if name == "region":
        return Region.decode(bytes.fromhex(value["sphgeom_hex"]))
    if name == "timespan":
        whole = Timespan(None, None).nsec
        ends = [
            edge if value[key] is None else value[key]
            for key, edge in zip(("begin_ns", "end_ns"), whole, strict=True)
        ]
        return Timespan(None, None, _nsec=(ends[0], ends[1]))
    return bytes.fromhex(value["hex"])


def _chain(butler: Any, plan: PushPlan) -> None:
    """Put the RUNs in front of the chain; that system does it in one step, whatever others have put there meanwhile."""
    from lsst.daf.butler import CollectionType

    if plan.chain is None:
        return
    butler.collections.register(plan.chain.name, CollectionType.CHAINED)
    there = butler.collections.get_info(plan.chain.name).children
    new = [run for run in plan.runs if run not in there]
    if new:
        butler.collections.prepend_chain(plan.chain.name, new)
