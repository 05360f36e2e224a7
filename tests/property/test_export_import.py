"""Whatever a repository holds comes back from its export."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_ids
from sync.exports.exchange import import_exports
from sync.exports.exporting import export_repository
from sync.repo import Repo

UNIVERSE = DimensionUniverse.from_yaml(
    """
name: test/any
version: 1
elements:
  site: {key: {name: name, type: string}, unique: {code: hash}}
  day:
    requires: [site]
    key: {name: id, type: int}
    timespan: true
    metadata: {rain: float, wet: bool, note: string, level: {type: int, nullable: false}}
"""
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
INT = st.integers(-(2**63), 2**63 - 1)
SPAN = st.none() | st.tuples(INT, INT).filter(lambda s: s[0] < s[1])
DAY = st.tuples(
    INT,
    st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    st.booleans() | st.none(),
    TEXT | st.none(),
    INT,
    SPAN,
)
SITES = st.dictionaries(TEXT.filter(bool), st.lists(DAY, max_size=3, unique_by=lambda d: d[0]), max_size=3)
ARTIFACT = st.none() | st.tuples(
    TEXT, st.integers(0, 2**62), st.sampled_from(["", "blake3:00"]), st.just("json")
)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw records, some of their days as datasets, and what is tagged and valid of those."""
    sites = draw(SITES)
    keys = [(site, day[0]) for site, days in sites.items() for day in days]
    chosen = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    return {
        "sites": sites,
        "datasets": [(key, draw(ARTIFACT)) for key in chosen],
        "tagged": [draw(st.booleans()) for _ in chosen],
        "valid": [draw(SPAN) for _ in chosen],
        "chain": draw(st.permutations(["run", "tags", "valid"])),
        "doc": draw(TEXT),
    }


def fill(repo: Repo, content: dict[str, Any]) -> None:
    """Write what was drawn."""
    sites, chosen = content["sites"], content["datasets"]
    ids = new_ids(len(chosen))
    days = [(site, *day[:-1], *(day[-1] or (None, None))) for site, rows in sites.items() for day in rows]
    names = ("site", "day", "rain", "wet", "note", "level", "timespan_begin", "timespan_end")
    with repo.registry.write() as change:
        codes = [site.encode() for site in sites]
        change.insert_records("site", Columns.from_rows(("site", "code"), zip(sites, codes, strict=True)))
        change.insert_records("day", Columns.from_rows(names, days))
        change.register_dataset_type(DatasetType("reading", UNIVERSE.group(["day"]), "Json", True))
        change.register_run("run", content["doc"])
        change.register_collection("tags", CollectionType.TAGGED)
        change.register_collection("valid", CollectionType.CALIBRATION)
        change.set_chain("first", content["chain"])
        change.set_chain("all", ["first", "run"])
        rows = [
            (*key, i, *((f"run/{n}", *artifact[1:]) if artifact else (None, None, None, None)))
            for n, ((key, artifact), i) in enumerate(zip(chosen, ids, strict=True))
        ]
        columns = ("site", "day", "id", "uri", "size", "checksum", "formatter")
        change.insert_datasets("reading", "run", Columns.from_rows(columns, rows))
        change.associate("tags", [i for i, yes in zip(ids, content["tagged"], strict=True) if yes])
        spans = [(i, *span) for i, span in zip(ids, content["valid"], strict=True) if span]
        change.certify_rows("valid", Columns.from_rows(("id", "valid_begin", "valid_end"), spans))


def everything(repo: Repo) -> dict[str, Any]:
    """Return all rows."""
    with repo.registry.read() as snapshot:
        return {
            "site": snapshot.records("site").rows(),
            "day": snapshot.records("day").rows(),
            "types": snapshot.dataset_types(),
            "collections": snapshot.collections(),
            "datasets": sorted(snapshot.datasets("reading", ["run"]).rows(("id", "site", "day", "run"))),
            "associations": snapshot.associations().rows(),
        }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contents())
def test_an_export_gives_an_equal_repository(content: dict[str, Any]) -> None:
    """Any records, datasets, tags, validity ranges and chains are the same after an export and an import."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Repo.create(place / "one", UNIVERSE) as one, Repo.create(place / "two", UNIVERSE) as two:
            fill(one, content)
            export_repository(one, place / "out")
            import_exports(two, [place / "out"], mode="none")

            assert everything(one) == everything(two)
