"""Lineages in the form of W3C PROV-JSON, for other programs that follow provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from registry.model.refs import id_text

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.model.records import Walk
    from registry.registry import Snapshot

__all__ = ["prov_document"]

_PREFIX = {
    "stage": "urn:stage:",
    "dataset": "urn:stage:dataset:",
    "quantum": "urn:stage:quantum:",
    "task": "urn:stage:task:",
}
_QUANTUM = ("id", "run", "task", "data_id", "status", "started_ns", "finished_ns", "host")


def prov_document(snapshot: Snapshot, walks: Iterable[Walk]) -> dict[str, Any]:
    """Return lineages as a document of PROV-JSON.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that was asked.
    walks : iterable of Walk
        What lies on the ways, in one direction or both.

    Returns
    -------
    dict
        Datasets are entities, quanta are activities that used and generated them, and tasks are the agents. What was
        offered to a quantum and not read is left out.

    Notes
    -----
    The W3C Member Submission "The PROV-JSON Serialization" (2013).
    """
    links: dict[str, dict[tuple[str, str], None]] = {"used": {}, "wasGeneratedBy": {}}
    quanta: dict[bytes, None] = {}
    datasets: dict[bytes, None] = {}
    for walk in walks:
        ids = (walk.quanta["id"].tolist(), walk.datasets["id"].tolist())
        quanta |= dict.fromkeys(ids[0])
        datasets |= dict.fromkeys(ids[1])
        for kind, rows in (("used", walk.read), ("wasGeneratedBy", walk.made)):
            links[kind] |= dict.fromkeys(_pairs(rows, *ids))
    activities, agents, associations = _activities(snapshot, list(quanta))
    out: dict[str, Any] = {
        "prefix": _PREFIX,
        "entity": _entities(snapshot, list(datasets)),
        "activity": activities,
        "agent": agents,
        "wasAssociatedWith": associations,
    }
    for kind, short in (("used", "u"), ("wasGeneratedBy", "g")):
        out[kind] = {
            f"_:{short}{n}": {"prov:activity": quantum, "prov:entity": dataset}
            for n, (quantum, dataset) in enumerate(links[kind])
        }
    return {name: part for name, part in out.items() if part}


def _pairs(rows: Columns, quanta: Sequence[bytes], datasets: Sequence[bytes]) -> Iterable[tuple[str, str]]:
    for quantum, dataset, was_read in rows.rows(("quantum", "dataset", "was_read")):
        if was_read:
            yield f"quantum:{id_text(quanta[quantum])}", f"dataset:{id_text(datasets[dataset])}"


def _entities(snapshot: Snapshot, ids: Sequence[bytes]) -> dict[str, Any]:
    out: dict[str, Any] = {f"dataset:{id_text(i)}": {} for i in ids}
    for kind, rows in snapshot.datasets_by_id(ids).items():
        dims = rows.names[: rows.names.index("id")]
        for row in rows.rows((*dims, "id", "run")):
            wanted, run = row[-2:]
            about = {"prov:type": kind, "stage:run": run}
            about |= {f"stage:{name}": value for name, value in zip(dims, row, strict=False)}
            out[f"dataset:{id_text(wanted)}"] = about
    return out


def _activities(
    snapshot: Snapshot, ids: Sequence[bytes]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    activities: dict[str, Any] = {f"quantum:{id_text(i)}": {} for i in ids}
    agents: dict[str, Any] = {}
    associations: dict[str, Any] = {}
    for row in snapshot.quanta_by_id(ids, _QUANTUM).rows(_QUANTUM):
        known: Mapping[str, Any] = dict(zip(_QUANTUM, row, strict=True))
        name, agent = f"quantum:{id_text(known['id'])}", f"task:{known['task']}"
        activities[name] = {
            **_time("prov:startTime", known["started_ns"]),
            **_time("prov:endTime", known["finished_ns"]),
            "stage:run": known["run"],
            "stage:data_id": known["data_id"],
            "stage:status": known["status"],
            **({"stage:host": known["host"]} if known["host"] else {}),
        }
        agents[agent] = {"prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}}
        associations[f"_:a{len(associations)}"] = {"prov:activity": name, "prov:agent": agent}
    return activities, agents, associations


def _time(name: str, at_ns: int | None) -> dict[str, str]:
    if not at_ns:
        return {}
    return {name: datetime.fromtimestamp(at_ns / 1e9, tz=UTC).isoformat(timespec="microseconds")}
