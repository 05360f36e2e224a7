"""What an upstream has to answer, asked of one of ours and of another system's that hold the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.model.columns import Columns
from sync.exports.exchange import import_exports
from sync.repo import Repo
from sync.upstream import Upstream, open_upstream
from tests.butler_world import make_field, open_field

pytest.importorskip("lsst.daf.butler", reason="lsst-daf-butler is not installed (extra 'rubin')")

CLASSES = {"raw": "Json", "bias": "Json"}
INPUTS = [(name, "Cam/defaults") for name in CLASSES]


def _export(root: Path, file: Path) -> None:
    """Have the butler write all that it holds, but for the files, in its own form."""
    butler = open_field(root)
    with butler.export(filename=str(file), transfer=None) as out:
        for name in CLASSES:
            out.saveDatasets(butler.query_datasets(name, "*", find_first=False))
        for name in ("Cam/calib", "Cam/defaults"):
            out.saveCollection(name)
        for element in ("group", "exposure"):
            out.saveDimensionData(element, butler.query_dimension_records(element))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, Upstream]]:
    """A butler repository as it stands, and one of ours into which its export was imported."""
    root = tmp_path_factory.mktemp("upstreams")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STAGE_CACHE_DIR", str(root / "cache"))
        make_field(root / "field")
        _export(root / "field", root / "field" / "export.yaml")
        with Repo.create(root / "ours") as ours:
            import_exports(ours, [str(root / "field" / "export.yaml")], mode="direct")
        foreign, own = open_upstream(root / "field"), open_upstream(root / "ours")
        for upstream in (foreign, own):
            upstream.look_at(INPUTS, CLASSES)
        yield foreign, own
        foreign.close()
        own.close()


def _rows(columns: Columns, *names: str) -> list[tuple[Any, ...]]:
    return sorted(columns.rows(names))


def test_both_are_what_they_say(both: tuple[Upstream, Upstream]) -> None:
    """One is published to through an adapter, the other is not; each has an identity that stays."""
    foreign, own = both
    assert (foreign.is_foreign, own.is_foreign) == (True, False)
    assert foreign.registry.repo_id != own.registry.repo_id
    assert foreign.registry.universe == own.registry.universe


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_searches_find_the_same(both: tuple[Upstream, Upstream], name: str) -> None:
    """Ids, data IDs and runs along the same path, the first of each data ID or all; files where they lie, with sizes."""
    answers = []
    for upstream in both:
        with upstream.registry.read() as snap:
            path = snap.search_path(["Cam/defaults"])
            dims = snap.dataset_type(name).dimensions.required
            rows = snap.datasets(name, ["Cam/defaults"], find_first=False, artifacts=True)
            answers.append((path, dims, _rows(rows, *dims, "id", "run", "uri", "size")))
    assert answers[0] == answers[1]
    assert len(answers[0][2]) == {"raw": 12, "bias": 6}[name]


def test_calibrations_are_the_same_at_any_time(both: tuple[Upstream, Upstream]) -> None:
    """Each exposure and detector finds the same bias: the old one at first, the new one later."""
    answers = []
    for upstream in both:
        with upstream.registry.read() as snap:
            table = Columns.from_rows(
                ("instrument", "exposure", "detector"), [("Cam", e, d) for e in range(4) for d in range(3)]
            )
            answers.append(snap.find_calibrations("bias", ["Cam/defaults"], table)["id"].tolist())
    assert answers[0] == answers[1]
    assert len(set(answers[0])) == 6


@pytest.mark.parametrize(
    "element", ["instrument", "physical_filter", "detector", "day_obs", "group", "exposure"]
)
def test_records_are_the_same(both: tuple[Upstream, Upstream], element: str) -> None:
    """Every column of every record, timespans to the nanosecond."""
    answers = []
    for upstream in both:
        with upstream.registry.read() as snap:
            rows = snap.records(element)
            answers.append(sorted(rows.rows(rows.names), key=repr))
    assert answers[0] == answers[1]
    assert answers[0]


def test_what_nobody_looked_at_is_not_shown_as_empty(both: tuple[Upstream, Upstream]) -> None:
    """A collection that the adapter has not read does not answer that it holds nothing: it is not there."""
    foreign, own = both
    with own.registry.read() as snap:
        everything = {c.name for c in snap.collections()}
    with foreign.registry.read() as snap:
        shown = {c.name for c in snap.collections()}
    assert shown <= everything
    assert {"Cam/defaults", "Cam/raw/all", "Cam/calib", "Cam/calib/old", "Cam/calib/new"} <= shown
