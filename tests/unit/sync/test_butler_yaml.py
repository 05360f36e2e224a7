"""YAML exports of the field's butler: the nine real ones against what the reference makes of them, and bad ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import (
    DataIdError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    UsageError,
)
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.refs import id_text, parse_id
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Timespan
from sync.butler.content import read_butler_export
from sync.exports.exchange import import_exports
from sync.exports.record_fields import objects_of
from sync.filesystem import files
from sync.repo import Repo
from tests.databases import Database

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "butler_export_facts.json").read_text()
)["repositories"]
MISSING = ("bias_10", "dark_10", "flat_r")


@pytest.fixture
def exports(shared: Path) -> Path:
    """The folder of real exports."""
    return shared / "data" / "butler-exports"


def plain_records(repo: Repo, element: str) -> list[dict[str, Any]]:
    """Return records in the words of the facts."""
    universe = repo.registry.universe
    with repo.registry.read() as snapshot:
        rows = snapshot.records(element)
    out = []
    for line in objects_of(universe, universe.element(element), rows):
        record = json.loads(line)
        for name, value in record.items():
            if isinstance(value, dict):
                span = [value.get("begin_ns"), value.get("end_ns")]
                record[name] = value.get("sphgeom_hex") or value.get("hex") or span
        out.append(record)
    return out


def digest(rows: list[dict[str, Any]]) -> str:
    """Digest records as the facts do."""
    return hashlib.sha256("\n".join(sorted(json.dumps(r, sort_keys=True) for r in rows)).encode()).hexdigest()


def all_datasets(repo: Repo) -> list[list[Any]]:
    """Return type, run, id and data ID of all datasets."""
    out = []
    with repo.registry.read() as snapshot:
        for kind in snapshot.dataset_types():
            required = kind.dimensions.required
            rows = snapshot.datasets(kind.name, ["*"], find_first=False)
            for i, run, *values in rows.rows(("id", "run", *required)):
                data_id = dict(sorted(zip(required, values, strict=True)))
                out.append([kind.name, run, id_text(i), data_id])
    unique = {row[2]: row for row in out}
    return sorted(unique.values(), key=str)


def check(repo: Repo, facts: dict[str, Any]) -> None:
    """Compare all that a repository says with the facts."""
    for element, expected in facts["records"].items():
        ours = plain_records(repo, element)
        assert expected["count"] == len(ours), element
        first = min(ours, key=lambda row: json.dumps(row, sort_keys=True))
        first = {k: v for k, v in first.items() if k != "region"}
        assert expected["first"] == first
        assert expected["digest"] == digest(plain_records(repo, element)), element
    with repo.registry.read() as snapshot:
        collections = [
            {"name": c.name, "type": c.type.name, "children": list(c.children)}
            for c in snapshot.collections()
        ]
        types = [
            {
                "name": k.name,
                "required": sorted(k.dimensions.required),
                "storage_class": k.storage_class,
                "is_calibration": k.is_calibration,
            }
            for k in snapshot.dataset_types()
        ]
        held = snapshot.associations()
    assert facts["collections"] == collections
    assert facts["dataset_types"] == types
    assert facts["datasets"] == all_datasets(repo)
    ranges = [
        [c, id_text(i), None if b == UNBOUNDED_BEGIN else b, None if e == UNBOUNDED_END else e]
        for c, i, b, e in held.rows()
    ]
    assert facts["validity_ranges"] == sorted(ranges, key=str)
    for kind, data_id, collections, begin, end, expected in facts["lookups"]:
        span = None if begin is None else Timespan(begin, end)
        with repo.registry.read() as snapshot:
            found = snapshot.find(kind, data_id, collections, timespan=span)
        assert expected == (None if found is None else id_text(found.id)), (kind, data_id)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_real_exports_are_what_the_reference_makes_of_them(tmp_path: Path, exports: Path, name: str) -> None:
    """Records, regions and timespans, types, collections, datasets, tags, validity and lookups are the reference's."""
    with Repo.create(tmp_path / "repo") as repo:
        import_exports(repo, [exports / file for file in FACTS[name]["files"]], mode="none")
        check(repo, FACTS[name])


@pytest.mark.parametrize("name", ["hsc-rc2-v0", "pipelines_check"])
def test_the_same_in_postgresql(tmp_path: Path, exports: Path, postgres: Database, name: str) -> None:
    """PostgreSQL gets the same."""
    with Repo.create(tmp_path / "repo", registry_url=postgres.url()) as repo:
        import_exports(repo, [exports / file for file in FACTS[name]["files"]], mode="none")
        check(repo, FACTS[name])


def test_a_second_import_is_nothing_new(tmp_path: Path, exports: Path) -> None:
    """The same file again brings nothing and refuses nothing."""
    places = [exports / "base.yaml", exports / "datasets.yaml"]
    with Repo.create(tmp_path / "repo") as repo:
        import_exports(repo, places, mode="none")
        again = import_exports(repo, places, mode="none")

    assert sum(again.records.values()) == sum(again.datasets.values()) == 0
    assert again.dataset_types == again.collections == 0


def test_conversions_are_told(exports: Path) -> None:
    """What an old universe had otherwise is named in the notes."""
    notes = "\n".join(read_butler_export(default_universe(), exports / "hsc-rc2-subset-v0.yaml").notes)

    for words in ("visit.day_obs is the date", "visit_system_membership (2 records)", "group_id is dropped"):
        assert words in notes
    assert "3 day_obs records were made, without timespans" in notes


class TestFiles:
    def test_missing_files_are_refused_by_name(self, tmp_path: Path, exports: Path) -> None:
        """Three files are not there: all are named, and nothing is imported."""
        with Repo.create(tmp_path / "repo") as repo:
            with pytest.raises(NotFoundError, match="3 files are missing") as caught:
                import_exports(repo, [exports / "pipelines_check"])

            assert caught.value.code == "missing-files"
            assert all(name in str(caught.value) for name in MISSING)
            assert "--skip-missing" in caught.value.hint
            assert files.list_files(repo.datastore.root) == []
            with repo.registry.read() as snapshot:
                assert snapshot.collections() == []
                assert snapshot.dataset_types() == []

    @pytest.mark.parametrize("mode", [None, "copy", "symlink", "direct"])
    def test_the_others_come_in(self, tmp_path: Path, exports: Path, mode: Any) -> None:
        """Those left out have no validity range either; the others are there, byte for byte."""
        folder = exports / "pipelines_check"
        with Repo.create(tmp_path / "repo") as repo:
            report = import_exports(repo, [folder / "export.yaml"], mode=mode, skip_missing=True)

            assert [sum(name in path for path in report.skipped) for name in MISSING] == [1, 1, 1]
            assert sum(report.datasets.values()) == 11
            assert report.validity_ranges == 7
            where = repo.locate("camera", {"instrument": "HSC"}, ["HSC/calib/unbounded"])
            original = folder / "HSC/calib/unbounded/camera/camera_HSC_HSC_calib_unbounded.fits"
            assert original.read_bytes() == files.read_bytes(where)
            assert (where == str(original)) == (mode == "direct")
            assert len(files.list_files(repo.datastore.root)) == (0 if mode == "direct" else 11)

    def test_a_pickle_is_only_bytes(self, tmp_path: Path, exports: Path) -> None:
        """A pickle is registered, told of, and given as the bytes that it is."""
        folder = exports / "pipelines_check"
        with Repo.create(tmp_path / "repo") as repo:
            report = import_exports(repo, [folder], skip_missing=True)

            found = repo.get("bfKernel", {"instrument": "HSC"}, ["HSC/calib/unbounded"], verify=True)
        name = "HSC/calib/unbounded/bfKernel/bfKernel_HSC_HSC_calib_unbounded.pickle"
        assert (folder / name).read_bytes() == found
        assert any("bfKernel" in note and "never unpickled" in note for note in report.notes)

    def test_reading_says_which_formatter_is_missing(self, tmp_path: Path, exports: Path) -> None:
        """A class of the field that no formatter of ours reads can be registered; reading names its formatter."""
        with Repo.create(tmp_path / "repo") as repo:
            import_exports(repo, [exports / "pipelines_check"], skip_missing=True)

            with pytest.raises(NotFoundError, match="FitsGenericFormatter") as caught:
                repo.get("camera", {"instrument": "HSC"}, ["HSC/calib/unbounded"])
        assert caught.value.code == "no-formatter"


BASE = """
description: Butler Data Repository Export
version: 1.0.2
universe_version: 7
universe_namespace: daf_butler
data:
- type: dimension
  element: instrument
  records:
  - name: Cam
"""


class TestBadFiles:
    def refused(self, tmp_path: Path, text: str, error: type[StageError] = UsageError) -> StageError:
        """Check that a file is refused, by its name, and changes nothing."""
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        with Repo.create(tmp_path / "repo") as repo:
            with pytest.raises(error) as caught:
                import_exports(repo, [path], mode="none")
            with repo.registry.read() as snapshot:
                assert snapshot.records("instrument").n_rows == 0
                assert snapshot.collections() == []
        return caught.value

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("- 1", "no export of a butler"),
            ("description: something else\n", "no export of a butler"),
            ("{", "cannot be read"),
            ("a: &a [*a, *a]\ndescription: !!python/object/apply:os.system ['true']\n", "python/object"),
            (BASE.replace("1.0.2", "2.0.0"), "version 2.0.0"),
            (BASE.replace("1.0.2", "1.7.0"), "version 1.7.0"),
            (BASE.replace("1.0.2", "new"), "'new' is no version"),
            (BASE.replace("instrument", "instruments"), "instruments (1)"),
            (BASE.replace("name: Cam", "nam: Cam"), "has no column 'nam'"),
            (BASE.replace("name: Cam", "name: 3"), "expected text, found 3"),
            (BASE.replace("name: Cam", "name: Cam\n  - name: Cam"), "is on record 1 already"),
            (BASE.replace("type: dimension", "type: dimensions"), "unknown type 'dimensions'"),
            (BASE.replace("  element: instrument\n", ""), "lacks 'element'"),
            (BASE + "- {type: collection, collection_type: RUNS, name: a}\n", "no collection type 'RUNS'"),
            (BASE + "- {type: run, name: ../a}\n", "'../a' is not a collection name"),
            (BASE + "- {type: dataset_type, name: a, dimensions: [x], storage_class: S}\n", "dataset type 'a'"),
            (BASE + "- {type: dataset_type, name: a.b, dimensions: [], storage_class: S}\n", "'a.b'"),
            (BASE + "- {type: dataset, dataset_type: a, run: r, records: [{dataset_id: x, data_id: {}}]}\n", "badly formed"),
            (BASE + "- {type: dataset, dataset_type: a, run: r, records: [{dataset_id: [1, 2], data_id: {}}]}\n", "2 ids for 1"),
            (BASE + "- {type: dataset, dataset_type: a, run: r, records: [{dataset_id: 1, data_id: {}}]}\n", "no dataset type 'a'"),
            (BASE + "- {type: associations, collection: r, collection_type: RUN}\n", "nothing is associated"),
            (BASE + "- {type: associations, collection: r, collection_type: CALIBRATION, validity_ranges: [{begin: 1, end: 2, dataset_ids: []}]}\n", "1 is no time"),
            (BASE + "- {type: run, name: !strange a}\n", "strange"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said(self, tmp_path: Path, text: str, words: str) -> None:
        """Each fault is an error of ours that names it, and nothing is imported."""
        found = self.refused(tmp_path, text, StageError)

        assert words in str(found)
        if "version" in words and "no version" not in words:
            assert isinstance(found, SchemaVersionError)

    def test_aliases_cannot_make_it_huge(self, tmp_path: Path) -> None:
        """Aliases are understood, as the field writes them; a few lines that mean more than fits anywhere are refused."""
        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
        kind = "- {type: dataset_type, name: a, dimensions: *a39, storage_class: S}\n"
        found = self.refused(tmp_path, bomb + BASE + kind)
        assert "endless" in str(found)

        twice = "- {type: run, name: &r r}\n- {type: collection, collection_type: CHAINED, name: c, children: [*r]}\n"
        (tmp_path / "good.yaml").write_text(BASE + twice)
        assert len(read_butler_export(default_universe(), tmp_path / "good.yaml").collections) == 2

    def test_elements_that_are_not_there_are_all_named(self, tmp_path: Path) -> None:
        """Every element that the universe lacks is named with its number of records."""
        more = "- {type: dimension, element: %s, records: [{a: 1}, {a: 2}]}\n"
        found = self.refused(tmp_path, BASE + more % "subfilters" + more % "moon")

        assert "subfilters (2), moon (2)" in str(found)

    def test_data_ids_that_do_not_fit(self, tmp_path: Path) -> None:
        """A data ID with a dimension that its type does not have, or without one that it has, is refused."""
        kind = "- {type: dataset_type, name: bias, dimensions: [instrument, detector], storage_class: S}\n"
        line = "- {type: dataset, dataset_type: bias, run: r, records: [{dataset_id: 1, data_id: %s}]}\n"
        for data_id, words in (
            ("{instrument: Cam, visit: 1}", "'visit'"),
            ("{instrument: Cam}", "lack detector"),
        ):
            folder = tmp_path / words[-4:-1]
            folder.mkdir()
            found = self.refused(folder, BASE + kind + line % data_id, DataIdError)
            assert words in str(found)


def test_formats_of_older_times(tmp_path: Path) -> None:
    """Numbered datasets, chains with restrictions, native times and several datasets of one file are understood."""
    text = """
description: Butler Data Repository Export
version: 0
data:
- type: dimension
  element: instrument
  records: [{name: Cam}]
- type: dimension
  element: physical_filter
  records: [{instrument: Cam, name: f, band: r}]
- type: dimension
  element: visit_system
  records: [{instrument: Cam, id: 0, name: one}, {instrument: Cam, id: 1, name: two}]
- type: dimension
  element: exposure
  records:
  - {instrument: Cam, id: 5, physical_filter: f, obs_id: x, day_obs: 20200101, group_name: g, group_id: 1,
     datetime_begin: 2020-01-01 10:00:00, datetime_end: 2020-01-01 10:00:00}
- type: dimension
  element: visit
  records:
  - {instrument: Cam, id: 5, physical_filter: f, visit_system: 0, name: v, seeing: 1.5,
     datetime_begin: !butler_time/tai/iso '2020-01-01 10:00:37', datetime_end: !butler_time/tai/iso '2020-01-01 10:01:00'}
- type: dimension
  element: visit_definition
  records:
  - {instrument: Cam, exposure: 5, visit_system: 0, visit: 5}
  - {instrument: Cam, exposure: 5, visit_system: 1, visit: 5}
- {type: run, name: r}
- {type: collection, collection_type: CHAINED, name: c, children: [r, [r2, [raw]]], doc: both}
- {type: collection, collection_type: RUN, name: r2, host: null, timespan_begin: null, timespan_end: null}
- {type: dataset_type, name: raw, dimensions: [instrument, visit, visit_system], storage_class: Json}
- type: dataset
  dataset_type: raw
  run: r
  records:
  - {dataset_id: [842], data_id: [{instrument: Cam, visit: 5}], path: a.json, formatter: lsst.daf.butler.formatters.json.JsonFormatter}
- type: dataset
  dataset_type: raw
  run: r2
  records:
  - {dataset_id: 843, data_id: {instrument: Cam, visit: 5, physical_filter: f}, path: a.json, formatter: my.own.Formatter}
"""
    (tmp_path / "export.yaml").write_text(text)
    (tmp_path / "a.json").write_text("[1]")
    with Repo.create(tmp_path / "repo") as repo:
        report = import_exports(repo, [tmp_path / "export.yaml"])

        with repo.registry.read() as snapshot:
            assert [("Cam", 5, 5)] == snapshot.records("visit_definition").rows()
            assert [("Cam", 0, 5)] == snapshot.records("visit_system_membership").rows()
            assert [("Cam", "g")] == snapshot.records("group").rows()
            begin, end = snapshot.records("exposure").rows(("timespan_begin", "timespan_end"))[0]
            visit = snapshot.records("visit").rows(("day_obs", "timespan_begin"))[0]
            assert ("r", "r2") == snapshot.collection("c").children
            assert "both" == snapshot.collection("c").doc
            found = snapshot.datasets("raw", ["r", "r2"], find_first=False, artifacts=True)
        # A native time is UTC, 37 s behind TAI then; an instant lasts a nanosecond.
        assert (begin, end - begin) == (visit[1], 1)
        assert 20200101 == visit[0]
        assert {"json", "my.own.Formatter"} == set(found["formatter"].tolist())
        assert parse_id("763f147b-796a-3d68-9388-5acff354f37c") in found["id"].tolist()
        assert [1] == repo.get("raw", {"instrument": "Cam", "visit": 5}, ["r"], verify=True)
    assert any("restrictions on 'r2'" in note for note in report.notes)
    assert any("visit.seeing is dropped (1 values)" in note for note in report.notes)


def test_another_universe_of_ones_own(tmp_path: Path) -> None:
    """An export with a universe of its own goes into a repository that has the same elements."""
    universe = DimensionUniverse.from_yaml(
        "name: lab\nversion: 1\nelements:\n  sample: {key: {name: name, type: string}, metadata: {mass: float}}\n"
    )
    text = (
        BASE.replace("daf_butler", "lab")
        .replace("instrument", "sample")
        .replace("name: Cam", "{name: a, mass: 2.5}")
    )
    (tmp_path / "lab.yaml").write_text(text)
    with Repo.create(tmp_path / "repo", universe) as repo:
        import_exports(repo, [tmp_path / "lab.yaml"])
        with repo.registry.read() as snapshot:
            assert [("a", 2.5)] == snapshot.records("sample").rows()
