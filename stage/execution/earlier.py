"""What an earlier attempt at a quantum has left in the datastore, and keeping it where it is good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import IntegrityError, NotFoundError, StageError
from registry.model.digest import digest_bytes
from registry.model.records import Artifact
from registry.model.refs import id_text
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.pipeline.node import METADATA
from sync.filesystem import files
from sync.storage import formatter

if TYPE_CHECKING:
    from stage.graph.quantum import PlannedDataset, Quantum
    from sync.datastore import Datastore

__all__ = [
    "Earlier",
    "find_earlier",
    "has_all",
    "is_as_recorded",
    "iso_text",
    "let_go",
    "put_back",
    "read_earlier",
    "set_aside",
    "stored_text",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Earlier(NamedTuple):
    """A quantum that was complete once.

    Parameters
    ----------
    outcome : QuantumOutcome
        What became of it then.
    is_whole : bool
        Whether all that it made is still there, of the recorded size.
    """

    outcome: QuantumOutcome
    is_whole: bool


def iso_text(time_ns: int) -> str:
    """Return a time as a quantum's metadata has it.

    Parameters
    ----------
    time_ns : int
        UTC nanoseconds since 1970.

    Returns
    -------
    str
        ISO 8601, cut off after microseconds.
    """
    second, rest = divmod(time_ns // 1000, 1_000_000)
    return f"{_second_text(second)}.{rest:06d}+00:00"


@lru_cache(maxsize=8)
def _second_text(second: int) -> str:
    """Return a second as text; many quanta begin and end in it."""
    return (_EPOCH + timedelta(seconds=second)).isoformat()[: len("2026-01-01T00:00:00")]


def stored_text(quantum: Quantum, written: Mapping[int, StoredArtifact]) -> dict[str, list[Any]]:
    """Return what was written as a quantum's metadata has it.

    Parameters
    ----------
    quantum : Quantum
        Whose.
    written : mapping of int to StoredArtifact
        By ordinal of the dataset.

    Returns
    -------
    dict of str to list
        Dataset id to size and checksum; to its place too where that is not the planned one.
    """
    planned = _outputs(quantum)
    return {
        id_text(planned[d].id): [a.size, a.checksum, *(() if a.uri == planned[d].uri else (a.uri,))]
        for d, a in written.items()
    }


def find_earlier(quantum: Quantum, store: Datastore) -> Earlier | None:
    """Look for the metadata of a complete quantum where the graph planned it.

    Parameters
    ----------
    quantum : Quantum
        Which.
    store : Datastore
        Where its outputs are.

    Returns
    -------
    Earlier or None
        None if it is not complete. What a killed replacement of a complete quantum had set aside is put back first.
    """
    uri = quantum.outputs[METADATA][0].uri
    if uri is None:
        return None
    if not store.exists(uri):
        if not store.exists(_aside(uri)):
            return None
        if (before := read_earlier(quantum, store, _aside(uri))) is not None:
            put_back(before, store)
    outcome = read_earlier(quantum, store, uri)
    return Earlier(outcome, has_all(outcome, store)) if outcome is not None else None


def read_earlier(quantum: Quantum, store: Datastore, uri: str) -> QuantumOutcome | None:
    """Read what became of a quantum from its metadata; what nobody can read makes nothing complete.

    Parameters
    ----------
    quantum : Quantum
        Which.
    store : Datastore
        Where its outputs are.
    uri : str
        Where its metadata are, relative to the store's root.

    Returns
    -------
    QuantumOutcome or None
        None if it is not complete. Nothing is written, and other files of it are not looked for.

    Raises
    ------
    NotFoundError
        If there is no such file.
    """
    planned = quantum.outputs[METADATA][0]
    data = files.read_bytes(store.locate(uri))
    try:
        document: Any = formatter(planned.formatter).decode(data)
        own = StoredArtifact(
            planned.ordinal, str(planned.uri), len(data), digest_bytes(data), planned.formatter
        )
        stored = _stored(quantum, document["stored"]) if "stored" in document else _found(quantum, store)
        outcome = _outcome(quantum, document, [*stored, own])
    except (IntegrityError, ValueError, TypeError, KeyError):
        return None
    return outcome if outcome.is_complete else None


def has_all(outcome: QuantumOutcome, store: Datastore) -> bool:
    """Tell whether all that a quantum made is there.

    Parameters
    ----------
    outcome : QuantumOutcome
        What became of it.
    store : Datastore
        Where its outputs are.

    Returns
    -------
    bool
        Whether each file is there and has the recorded size.
    """
    return all(_size(store, a.uri) == a.size for a in outcome.artifacts)


def is_as_recorded(store: Datastore, artifact: StoredArtifact) -> bool:
    """Tell whether a file is there with the bytes that were recorded.

    Parameters
    ----------
    store : Datastore
        Where it is.
    artifact : StoredArtifact
        Its record.

    Returns
    -------
    bool
        Whether it is.
    """
    try:
        store.verify(Artifact(*artifact[1:]))
    except (NotFoundError, IntegrityError):
        return False
    return True


def _size(store: Datastore, uri: str) -> int:
    try:
        return store.size(uri)
    except NotFoundError:
        return -1


def _outputs(quantum: Quantum) -> dict[int, PlannedDataset]:
    return {d.ordinal: d for refs in quantum.outputs.values() for d in refs}


def _outcome(quantum: Quantum, document: Any, made: list[StoredArtifact]) -> QuantumOutcome:
    """Return what a quantum's metadata says, its own file last among the artifacts."""
    ids = {id_text(d.id): d.ordinal for refs in quantum.inputs.values() for d in refs}
    there = {a.dataset for a in made}
    return QuantumOutcome(
        quantum.ordinal,
        str(document["status"]),
        int(document["attempt"]),
        started_ns=_time_ns(document["started"]),
        finished_ns=_time_ns(document["finished"]),
        cpu_ns=round(document["cpu_s"] * 1e9),
        peak_bytes=int(document["peak_bytes"]),
        host=str(document["host"]),
        message=str(document["message"]),
        artifacts=tuple(made),
        read=tuple(ids[text] for text in document["read"]),
        absent=tuple(d for d in _outputs(quantum) if d not in there),
    )


def _stored(quantum: Quantum, stored: Mapping[str, list[Any]]) -> Iterator[StoredArtifact]:
    by_id = {id_text(d.id): d for d in _outputs(quantum).values()}
    for text, (size, checksum, *uri) in stored.items():
        planned = by_id[text]
        where = uri[0] if uri else planned.uri
        yield StoredArtifact(planned.ordinal, str(where), int(size), str(checksum), planned.formatter)


def _found(quantum: Quantum, store: Datastore) -> Iterator[StoredArtifact]:
    """Measure what is there: metadata of older versions do not say what was stored."""
    for planned in _outputs(quantum).values():
        if planned not in quantum.outputs[METADATA] and planned.uri and store.exists(planned.uri):
            size, checksum = files.checksum(store.locate(planned.uri))
            yield StoredArtifact(planned.ordinal, planned.uri, size, checksum, planned.formatter)


def _time_ns(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000


# Replacing a complete quantum: what is there is set aside under names that no reader looks at, and comes back if the
# new attempt fails, or is killed and the quantum is looked at again.


def set_aside(outcome: QuantumOutcome, store: Datastore) -> None:
    """Keep the files of a complete quantum under other names; from now on it is not complete.

    Parameters
    ----------
    outcome : QuantumOutcome
        What it made.
    store : Datastore
        Where its outputs are.
    """
    for artifact in outcome.artifacts:
        if store.exists(artifact.uri):
            _second_name(store, artifact.uri, _aside(artifact.uri))
    store.remove(outcome.artifacts[-1].uri)


def put_back(outcome: QuantumOutcome, store: Datastore) -> None:
    """Give the files that were set aside their names again.

    Parameters
    ----------
    outcome : QuantumOutcome
        What the quantum had made, its metadata last.
    store : Datastore
        Where its outputs are.
    """
    for artifact in outcome.artifacts:
        if store.exists(_aside(artifact.uri)):
            _second_name(store, _aside(artifact.uri), artifact.uri)
            store.remove(_aside(artifact.uri))


def let_go(outcome: QuantumOutcome, store: Datastore) -> None:
    """Remove the files that were set aside.

    Parameters
    ----------
    outcome : QuantumOutcome
        What the quantum had made.
    store : Datastore
        Where its outputs are.
    """
    # The metadata first: without it nothing is put back.
    for artifact in reversed(outcome.artifacts):
        store.remove(_aside(artifact.uri))


def _aside(uri: str) -> str:
    folder, slash, name = uri.rpartition("/")
    return f"{folder}{slash}.stage-before-{name}.part"


def _second_name(store: Datastore, source: str, target: str) -> None:
    store.guard()
    source, target = store.locate(source), store.locate(target)
    try:
        files.link(source, target)
    except StageError:  # another file system, or none that is local
        files.copy(source, target)
