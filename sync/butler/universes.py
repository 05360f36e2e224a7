"""Dimension records of the field's older universes, in the words of the newest one.

What changed from version to version: 1 dropped ``visit.seeing`` and gave visits a ``day_obs``; 2 made the visit systems
that a visit belongs to a relation of its own; 6 made ``group`` and ``day_obs`` dimensions; 7 and 8 only added.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from registry.model.dimensions import DimensionUniverse
from registry.model.times import Instant
from sync.butler.yaml_export import NAMESPACE, Export

__all__ = ["Records", "convert_dimensions", "convert_records"]

Record = dict[str, Any]
Records = dict[str, list[Record]]
_DAY_NS = 86_400_000_000_000


def convert_records(universe: DimensionUniverse, export: Export, records: Records) -> list[str]:
    """Change records in place into those of the newest universe, as far as ours has what they became.

    Parameters
    ----------
    universe : DimensionUniverse
        Where they go.
    export : Export
        Where they come from.
    records : dict of str to list of dict
        Records by element.

    Returns
    -------
    list of str
        What was dropped, derived or left open.
    """
    if export.universe != NAMESPACE:
        return []
    work = _Conversion(universe, records)
    if export.universe_version < 1:
        work.drop("visit", "seeing")
        work.derive_days()
    if export.universe_version < 2:
        work.relate_visit_systems()
    if export.universe_version < 6:
        work.make_groups()
        work.make_days()
    return [f"universe {export.universe_version}: {note}" for note in work.notes]


def convert_dimensions(export: Export, names: Iterable[str]) -> list[str]:
    """Return the dimensions of a dataset type in the newest universe.

    Parameters
    ----------
    export : Export
        Where it comes from.
    names : iterable of str
        Its dimensions there.

    Returns
    -------
    list of str
        A visit no longer implies its visit system.
    """
    found = list(names)
    old = export.universe == NAMESPACE and export.universe_version < 2
    return [n for n in found if n != "visit_system"] if old and "visit" in found else found


class _Conversion:
    def __init__(self, universe: DimensionUniverse, records: Records) -> None:
        self.universe = universe
        self.records = records
        self.notes: list[str] = []

    def implies(self, element: str, name: str) -> bool:
        found = self.universe.elements.get(element)
        return found is not None and name in found.implied

    def drop(self, element: str, column: str) -> None:
        """Drop a column that there is no longer; values that it had are counted."""
        found = self.universe.elements.get(element)
        if found is None or column in found.record_columns:
            return
        values = [record.pop(column, None) for record in self.records.get(element, ())]
        n = sum(value is not None for value in values)
        if n:
            self.notes.append(f"{element}.{column} is dropped ({n} values)")

    def derive_days(self) -> None:
        """Give visits the day on which they began."""
        if not self.implies("visit", "day_obs"):
            return
        lacking = [r for r in self.records.get("visit", ()) if "day_obs" not in r]
        for record in lacking:
            begin = record.get("datetime_begin")
            record["day_obs"] = _day(begin.tai_ns) if isinstance(begin, Instant) else None
        if lacking:
            self.notes.append(
                f"visit.day_obs is the date (TAI) on which the visit began ({len(lacking)} visits)"
            )

    def relate_visit_systems(self) -> None:
        """Say in rows of their own which visit systems a visit belongs to."""
        if "visit_system_membership" not in self.universe.elements:
            return
        members = [
            {"instrument": r.get("instrument"), "visit_system": r.pop("visit_system"), "visit": r.get("id", r.get("visit"))}
            for r in self.records.get("visit", ())
            if "visit_system" in r
        ]  # fmt: skip
        if members:
            self.records.setdefault("visit_system_membership", []).extend(members)
            self.notes.append(f"visit.visit_system became visit_system_membership ({len(members)} records)")
        definitions = self.records.get("visit_definition", [])
        for record in definitions:
            record.pop("visit_system", None)
        if definitions:
            self.records["visit_definition"] = _distinct(definitions)

    def make_groups(self) -> None:
        """Make records of the groups of exposures."""
        exposures = [r for r in self.records.get("exposure", ()) if "group_name" in r]
        if not exposures or not self.implies("exposure", "group"):
            return
        for record in exposures:
            record["group"] = record.pop("group_name")
            record.pop("group_id", None)
        groups = [
            {"instrument": r.get("instrument"), "name": r["group"]}
            for r in exposures
            if r["group"] is not None
        ]
        known = self.records.setdefault("group", [])
        self.records["group"] = _distinct([*known, *groups])
        self.notes.append("exposure.group_name became the dimension group; exposure.group_id is dropped")

    def make_days(self) -> None:
        """Make records of the observing days; how long each lasted is not known."""
        if "day_obs" not in self.universe.elements:
            return
        days = [
            {"instrument": r.get("instrument"), "id": r["day_obs"]}
            for element in ("visit", "exposure")
            for r in self.records.get(element, ())
            if r.get("day_obs") is not None
        ]
        known = self.records.get("day_obs", [])
        there = {(r.get("instrument"), r.get("id")) for r in known}
        made = [d for d in _distinct(days) if (d["instrument"], d["id"]) not in there]
        if made:
            self.records["day_obs"] = [*known, *made]
            self.notes.append(
                f"{len(made)} day_obs records were made, without timespans: when a day began is not in the file"
            )


def _distinct(records: list[Record]) -> list[Record]:
    """Return each record once."""
    found: dict[str, Record] = {}
    for record in records:
        found.setdefault(repr(sorted(record.items())), record)
    return list(found.values())


def _day(tai_ns: int) -> int:
    """Return a date as a number, as 20140327."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=tai_ns // _DAY_NS)
    return date.year * 10_000 + date.month * 100 + date.day
