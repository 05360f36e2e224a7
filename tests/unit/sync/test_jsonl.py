"""Dimension records as JSON lines: in, out, and what is wrong with a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import AlreadyExistsError, ConflictError, DataIdError, NotFoundError, UsageError
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END
from sync.exports.json_forms import BadValue, from_json, span_from_json, span_to_json, to_json
from sync.exports.jsonl import export_records, import_records, read_records
from sync.repo import Repo

PLAIN = DimensionUniverse.from_yaml(
    """
name: test/plain
version: 1
elements:
  site: {key: {name: name, type: string}, unique: {code: hash}}
  day:
    requires: [site]
    key: {name: id, type: int}
    timespan: true
    metadata:
      rain: float
      wet: bool
      note: string
      level: {type: int, nullable: false}
"""
)

SITE = {"name": "a", "code": {"hex": "00ff"}}
DAY = {
    "site": "a",
    "id": 1,
    "rain": 0.5,
    "wet": True,
    "note": "x",
    "level": 3,
    "timespan": {"begin_ns": 10, "end_ns": 20},
}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty repository with a small universe."""
    return Repo.create(tmp_path / "repo", PLAIN)


def write(folder: Path, **files: list[Any]) -> Path:
    """Write records as JSON lines; text is written as it is."""
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def rows_of(repo: Repo, element: str) -> list[tuple[Any, ...]]:
    """Return the records of an element."""
    with repo.registry.read() as snapshot:
        return snapshot.records(element).rows()


class TestImport:
    def test_records_come_in(self, repo: Repo, tmp_path: Path) -> None:
        """Files are read in order of reference, whatever order their names have; keys get the dimension's name."""
        folder = write(tmp_path / "in", day=[DAY, {**DAY, "id": 2, "timespan": None, "rain": 3}], site=[SITE])

        assert import_records(repo, folder) == {"site": 1, "day": 2}

        assert rows_of(repo, "site") == [("a", b"\x00\xff")]
        assert rows_of(repo, "day") == [
            ("a", 1, 0.5, True, "x", 3, 10, 20),
            ("a", 2, 3.0, True, "x", 3, None, None),
        ]

    def test_again_is_nothing_new(self, repo: Repo, tmp_path: Path) -> None:
        """The same import again changes nothing, and one more record is the only new one."""
        folder = write(tmp_path / "in", site=[SITE], day=[DAY])
        import_records(repo, folder)

        assert import_records(repo, folder) == {"site": 0, "day": 0}
        write(folder, day=[DAY, {**DAY, "id": 2}])
        assert import_records(repo, folder) == {"site": 0, "day": 1}

    def test_changed_record_is_a_conflict(self, repo: Repo, tmp_path: Path) -> None:
        """A record with other values is refused by name, with all that came with it."""
        folder = write(tmp_path / "in", site=[SITE], day=[DAY])
        import_records(repo, folder)
        write(folder, site=[SITE, {**SITE, "name": "b", "code": {"hex": "01"}}], day=[{**DAY, "rain": 9.0}])

        with pytest.raises(ConflictError) as caught:
            import_records(repo, folder)

        assert caught.value.code == "record-differs"
        assert "rain" in str(caught.value)
        assert len(rows_of(repo, "site")) == 1

    def test_columns_may_be_left_out(self, repo: Repo, tmp_path: Path) -> None:
        """What may be null need not be there; the key may go by its dimension's name."""
        folder = write(tmp_path / "in", site=[{"site": "a"}], day=[{"site": "a", "day": 1, "level": 0}])

        import_records(repo, folder)

        assert rows_of(repo, "day") == [("a", 1, None, None, None, 0, None, None)]

    def test_one_file(self, repo: Repo, tmp_path: Path) -> None:
        """One file can be read alone; blank lines do not count."""
        folder = write(tmp_path / "in", site=["", json.dumps(SITE), "  ", ""])

        assert import_records(repo, folder / "site.jsonl") == {"site": 1}

    def test_missing_reference(self, repo: Repo, tmp_path: Path) -> None:
        """A record that refers to one that does not exist is refused, and nothing comes in."""
        folder = write(tmp_path / "in", site=[SITE], day=[DAY, {**DAY, "site": "nowhere"}])

        with pytest.raises(DataIdError):
            import_records(repo, folder)

        assert rows_of(repo, "site") == []

    def test_no_files(self, repo: Repo, tmp_path: Path) -> None:
        """A directory without such files, or none at all, is told."""
        (tmp_path / "empty").mkdir()
        for place in (tmp_path / "empty", tmp_path / "missing", tmp_path / "missing.jsonl"):
            with pytest.raises((NotFoundError, UsageError)):
                import_records(repo, place)

    def test_unknown_element(self, repo: Repo, tmp_path: Path) -> None:
        """A file of an element that the universe lacks is named with the nearest one."""
        with pytest.raises(UsageError, match="keeps no records of 'days'") as caught:
            import_records(repo, write(tmp_path / "in", site=[SITE], days=[DAY]))
        assert "'day'" in caught.value.hint
        assert rows_of(repo, "site") == []

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("{", "not JSON"),
            ('{"site": "a"} {"site": "b"}', "not JSON"),
            ("[1]", "expected one record"),
            ("3", "expected one record"),
            ('{"site": "a\\u0000b"}', "characters that a database cannot hold"),
            ('{"site": "\\ud800"}', "characters that a database cannot hold"),
            ({**DAY, "rian": 1.0}, "day has no column 'rian'"),
            ({**DAY, "id": "1"}, "'id': expected an integer, found '1'"),
            ({**DAY, "id": 1.0}, "'id': expected an integer, found 1.0"),
            ({**DAY, "id": True}, "'id': expected an integer, found True"),
            ({**DAY, "id": 2**63}, "does not fit in 64 bits"),
            ({**DAY, "id": None}, "'id': it is missing or null"),
            ({k: v for k, v in DAY.items() if k != "id"}, "'id': it is missing or null"),
            ({k: v for k, v in DAY.items() if k != "level"}, "'level': it is missing or null"),
            ({**DAY, "site": 3}, "'site': expected text, found 3"),
            ({**DAY, "rain": "much"}, "'rain': expected a number, found 'much'"),
            ({**DAY, "wet": 1}, "'wet': expected true or false, found 1"),
            ('{"site": "a", "id": 1, "level": 1, "rain": NaN}', "NaN is not a value"),
            ({**DAY, "timespan": 5}, "'timespan': expected a timespan"),
            ({**DAY, "timespan": {"begin_ns": 5}}, "'timespan': it lacks 'end_ns'"),
            ({**DAY, "timespan": {"begin_ns": 5, "end_ns": 5}}, "does not end after it begins"),
            ({**DAY, "timespan": {"begin_ns": "x", "end_ns": 5}}, "expected nanoseconds"),
            (DAY, r"day site=a, day=1 is on line 1 already"),
        ],
    )
    def test_bad_lines(self, repo: Repo, tmp_path: Path, line: Any, message: str) -> None:
        """File and line of what is wrong are named, with what was expected."""
        folder = write(tmp_path / "in", site=[SITE], day=[DAY, "", line])

        with pytest.raises(UsageError, match=message) as caught:
            import_records(repo, folder)

        assert str(caught.value).startswith(f"{folder}/day.jsonl, line 3: ")
        assert caught.value.code == "bad-record"
        assert rows_of(repo, "site") == []

    def test_nearest_column_is_offered(self, repo: Repo, tmp_path: Path) -> None:
        """A slip in a column's name is answered with the name that was meant."""
        with pytest.raises(UsageError) as caught:
            import_records(repo, write(tmp_path / "in", day=[{**DAY, "rian": 1.0}]))
        assert "'rain'" in caught.value.hint

    @pytest.mark.parametrize("code", [{}, {"hex": "0"}, {"hex": 3}, "00"])
    def test_bad_hash(self, repo: Repo, tmp_path: Path, code: Any) -> None:
        """A hash that is none is named."""
        with pytest.raises(UsageError, match="line 1: 'code'"):
            import_records(repo, write(tmp_path / "in", site=[{**SITE, "code": code}]))

    def test_not_text(self, repo: Repo, tmp_path: Path) -> None:
        """Bytes that are no text are named by line."""
        folder = write(tmp_path / "in", site=[SITE])
        (folder / "site.jsonl").write_bytes(b'{"name": "a"}\n{"name": "\xff"}\n')
        with pytest.raises(UsageError, match=r"line 2: not text in UTF-8"):
            import_records(repo, folder)


class TestForms:
    def test_times_as_text(self) -> None:
        """Without nanoseconds the ISO form counts, in TAI; an end that is null is open."""
        begins, ends = span_from_json(
            [
                {"begin_tai": "1970-01-01T00:00:01.5", "end_tai": "1970-01-01T00:00:02"},
                {"begin_ns": None, "end_ns": 5},
                {"begin_ns": 5, "end_ns": None},
                None,
            ]
        )

        assert begins == [1_500_000_000, UNBOUNDED_BEGIN, 5, None]
        assert ends == [2_000_000_000, 5, UNBOUNDED_END, None]

    @given(st.lists(st.none() | st.tuples(st.integers(-(2**60), 2**60), st.integers(1, 2**60)), max_size=5))
    def test_timespans_come_back(self, spans: list[tuple[int, int] | None]) -> None:
        """Whatever span is recorded is written and read without loss."""
        begins = [None if s is None else s[0] for s in spans]
        ends = [None if s is None else s[0] + s[1] for s in spans]

        text = json.dumps(span_to_json(np.array(begins, dtype=object), np.array(ends, dtype=object)))

        assert (begins, ends) == span_from_json(json.loads(text))

    def test_regions_by_vertices(self) -> None:
        """A region may be given by its corners, or as text, and is then encoded."""
        pytest.importorskip("lsst.sphgeom")
        corners = [[10.0, 0.0], [11.0, 0.0], [11.0, 1.0], [10.0, 1.0]]

        encoded = from_json(
            "region", [{"type": "convex_polygon", "vertices_deg": corners}, "CIRCLE 10 0 1", None], True
        )

        assert encoded[0][:1] == b"p"
        assert encoded[1][:1] == b"c"
        assert encoded[2] is None
        written = to_json("region", np.array(encoded, dtype=object))
        assert sorted(np.round(written[0]["vertices_deg"], 9).tolist()) == sorted(corners)
        assert written[1] == {"type": "circle", "sphgeom_hex": encoded[1].hex()}
        assert from_json("region", json.loads(json.dumps(written)), True) == encoded

    @pytest.mark.parametrize(
        "value", [{"type": "x"}, {"sphgeom_hex": "zz"}, {"vertices_deg": [[1]]}, "SQUARE 1", 5]
    )
    def test_bad_regions(self, value: Any) -> None:
        """What is no region is refused by row."""
        pytest.importorskip("lsst.sphgeom")
        with pytest.raises(BadValue) as caught:
            from_json("region", [None, value], True)
        assert caught.value.row == 1


@pytest.mark.parametrize("data", ["hsc-rc2", "hsc-rc2-ext", "spatial", "ci_hsc", "lsstcam", "multi"])
def test_real_records_can_be_read(shared: Path, data: str) -> None:
    """Every file of public survey metadata is understood, and has no column that is not kept."""
    universe = default_universe()
    for path in sorted((shared / "data" / data).glob("*.jsonl")):
        rows = read_records(universe, path)
        lines = path.read_text().splitlines()
        assert len(lines) == rows.n_rows
        element = universe.element(path.stem)
        assert set(element.required) <= set(rows.names) <= set(element.record_columns)


def test_real_records_round_trip(shared: Path, tmp_path: Path) -> None:
    """What is exported is what was imported, text for text but for the corners' last digits, and imports again."""
    pytest.importorskip("lsst.sphgeom")
    source = shared / "data" / "hsc-rc2"
    with Repo.create(tmp_path / "one") as one, Repo.create(tmp_path / "two") as two:
        counts = import_records(one, source)
        assert all(n == 0 for n in import_records(one, source).values())

        assert export_records(one, tmp_path / "out") == counts
        assert import_records(two, tmp_path / "out") == counts

        for name in counts:
            assert rows_of(one, name) == rows_of(two, name)
            ours = [
                json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()
            ]
            theirs = [json.loads(line) for line in (source / f"{name}.jsonl").read_text().splitlines()]
            assert [list(row) for row in theirs] == [list(row) for row in ours]
            for mine, other in zip(ours, theirs, strict=True):
                corners = [
                    row["region"].pop("vertices_deg") if row.get("region") else [] for row in (mine, other)
                ]
                np.testing.assert_allclose(corners[0], corners[1], rtol=0, atol=1e-9)
                assert mine == other


class TestExport:
    def test_some_elements(self, repo: Repo, tmp_path: Path) -> None:
        """Only what is asked for and has records is written."""
        import_records(repo, write(tmp_path / "in", site=[SITE], day=[DAY]))

        assert export_records(repo, tmp_path / "out", ["site"]) == {"site": 1}
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["site.jsonl"]
        assert (tmp_path / "out" / "site.jsonl").read_text() == '{"name":"a","code":{"hex":"00ff"}}\n'

    def test_never_over_other_files(self, repo: Repo, tmp_path: Path) -> None:
        """A directory with such files is refused: old and new records would be mixed."""
        import_records(repo, write(tmp_path / "in", site=[SITE]))
        with pytest.raises(AlreadyExistsError, match=r"site\.jsonl"):
            export_records(repo, tmp_path / "in")

    def test_unknown_element(self, repo: Repo, tmp_path: Path) -> None:
        """An element that the universe lacks is refused with the nearest."""
        with pytest.raises(DataIdError) as caught:
            export_records(repo, tmp_path / "out", ["sites"])
        assert "'site'" in caught.value.hint
