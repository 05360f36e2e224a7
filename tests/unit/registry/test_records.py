"""Dimension records: what is inserted, skipped, compared, refused; and the pixels of their regions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from registry.errors import ConflictError, DataIdError, UsageError
from registry.model import regions
from registry.model.columns import Columns
from registry.registry import Change, Registry
from tests.databases import Database, ask, sent
from tests.registry_builders import add_camera, new_registry


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with one camera."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
    return made


def detectors(*rows: tuple[int, str | None]) -> Columns:
    """Records of detectors: number and name."""
    return Columns(
        {
            "instrument": ["Cam"] * len(rows),
            "detector": [r[0] for r in rows],
            "full_name": [r[1] for r in rows],
        }
    )


def names(tx: Change) -> list[tuple[object, ...]]:
    """Numbers and names of all detectors."""
    return tx.records("detector").rows(["detector", "full_name"])


FOUR = [(0, "S0"), (1, "S1"), (2, "S2"), (3, "S3")]


def test_columns_left_out_are_null(registry: Registry) -> None:
    """Records come back with all columns, typed, in order of their key."""
    with registry.read() as snap:
        visits = snap.records("visit")
        assert snap.universe.element("visit").record_columns == visits.names

    assert visits["visit"].tolist() == [100, 101, 102]
    assert np.float64 == visits["exposure_time"].dtype
    assert visits["region"].tolist() == [None] * 3
    assert visits["target_name"].tolist() == [None] * 3


def test_an_empty_answer_is_typed(registry: Registry) -> None:
    """Columns of no rows have the types that were declared."""
    with registry.read() as snap:
        visits = snap.records("visit", data_id={"visit": 7, "instrument": "Cam"})

    assert (0, np.int64, np.float64, object) == (
        visits.n_rows, visits["visit"].dtype, visits["exposure_time"].dtype, visits["name"].dtype,
    )  # fmt: skip


def test_skipping_adds_only_what_is_new(registry: Registry) -> None:
    """Records that exist stay, others come, and the number of those is returned."""
    with registry.write() as tx:
        assert (
            tx.insert_records("detector", detectors((3, "other"), (5, "S5"), (6, "S6")), on_existing="skip")
            == 2
        )
        assert [*FOUR, (5, "S5"), (6, "S6")] == names(tx)


def test_an_existing_record_is_named(registry: Registry) -> None:
    """By default a key that is taken is an error, naming the first in the order of the rows."""
    with registry.write() as tx:
        with pytest.raises(ConflictError, match=r"detector \{instrument=Cam, detector=3\} exists") as caught:
            tx.insert_records("detector", detectors((9, "S9"), (3, "x"), (1, "y")))
        assert caught.value.code == "record-exists"
        with pytest.raises(ConflictError, match=r"detector=9\} is given twice \(rows 0 and 2\)"):
            tx.insert_records("detector", detectors((9, "a"), (8, "b"), (9, "c")))
        assert names(tx) == FOUR


@pytest.mark.parametrize("mode", ["error", "skip", "compare"])
def test_an_alternate_key_that_is_taken_is_named(registry: Registry, mode: str) -> None:
    """Another record with the same alternate key is a conflict whatever is asked for existing ones."""
    rows = detectors((9, "S9"), (7, "S1"))
    with registry.write() as tx:
        with pytest.raises(ConflictError, match=r"full_name=S1\} exists") as caught:
            tx.insert_records("detector", rows, on_existing=mode)  # type: ignore[arg-type]
        assert caught.value.code == "record-key-taken"
        assert names(tx) == FOUR


def test_comparing_accepts_the_same_and_names_a_difference(registry: Registry) -> None:
    """Equal records, nulls too, are skipped; one that differs is named with key, column and both values."""
    with registry.write() as tx:
        same = tx.records("detector")
        assert tx.insert_records("detector", same, on_existing="compare") == 0
        more = Columns.concat(
            [same, same.take(np.array([0])).with_column("detector", [9]).with_column("full_name", ["S9"])]
        )
        assert tx.insert_records("detector", more, on_existing="compare") == 1

        changed = same.with_column("raft", [None, None, "R1", "R2"])
        with pytest.raises(
            ConflictError, match=r"detector=2\} differs in raft: given R1, .* has null"
        ) as caught:
            tx.insert_records("detector", changed, on_existing="compare")
        assert caught.value.code == "record-differs"
        assert tuple(caught.value.context[k] for k in ("column", "ours", "theirs")) == ("raft", "R1", None)


def test_comparing_finds_a_difference_among_the_new_rows(registry: Registry) -> None:
    """One key twice with different values is a conflict also where the key is new; twice the same is none."""
    with registry.write() as tx:
        with pytest.raises(ConflictError, match=r"detector=9\} differs in full_name"):
            tx.insert_records("detector", detectors((9, "a"), (9, "b")), on_existing="compare")
        assert tx.insert_records("detector", detectors((9, "a"), (9, "a")), on_existing="compare") == 1


@pytest.mark.parametrize("mode", ["error", "skip", "compare"])
def test_a_missing_reference_is_named(registry: Registry, mode: str) -> None:
    """A record whose instrument, or implied record, is not there says which one is missing."""
    with registry.write() as tx:
        with pytest.raises(DataIdError, match=r"no instrument record \{instrument=Cat\}") as caught:
            tx.insert_records(
                "detector", detectors((7, "S7")).with_column("instrument", ["Cat"]), on_existing=mode  # type: ignore[arg-type]
            )  # fmt: skip
        assert caught.value.code == "missing-record"
        visit = Columns({"instrument": ["Cam"], "visit": [7], "physical_filter": ["z1"], "name": ["v7"]})
        with pytest.raises(
            DataIdError, match=r"no physical_filter record \{instrument=Cam, physical_filter=z1\}"
        ):
            tx.insert_records("visit", visit, on_existing=mode)  # type: ignore[arg-type]
        assert tx.insert_records("visit", visit.select(["instrument", "visit", "name"])) == 1


@pytest.mark.parametrize(
    ("columns", "error", "text"),
    [
        ({"instrument": ["Cam"]}, DataIdError, "lack detector"),
        ({"instrument": ["Cam"], "detector": [7], "rafft": ["x"]}, UsageError, "unknown column 'rafft'"),
        ({"instrument": ["Cam"], "detector": ["seven"]}, DataIdError, "expected an integer"),
        ({"instrument": [None], "detector": [7]}, DataIdError, "expected a non-empty string"),
        ({"instrument": [""], "detector": [7]}, DataIdError, "expected a non-empty string"),
        ({"instrument": ["Cam"], "detector": [True]}, DataIdError, "expected an integer"),
    ],
)
def test_rows_of_the_wrong_form_are_refused(
    registry: Registry, columns: dict[str, list[object]], error: type[Exception], text: str
) -> None:
    """Columns and types of keys are checked before anything is written."""
    with registry.write() as tx, pytest.raises(error, match=text):
        tx.insert_records("detector", Columns(columns))


def test_a_null_where_there_must_be_a_value_is_named(registry: Registry) -> None:
    """A column that may not be null names itself and the record."""
    with registry.write() as tx:
        tx.insert_records("skymap", Columns({"skymap": ["sky"]}))
        tx.insert_records("tract", Columns({"skymap": ["sky"], "tract": [1]}))
        with pytest.raises(DataIdError, match=r"patch \{skymap=sky, tract=1, patch=2\} has no cell_y"):
            tx.insert_records(
                "patch", Columns({"skymap": ["sky"], "tract": [1], "patch": [2], "cell_x": [0]})
            )


def test_digits_are_taken_for_an_integer(registry: Registry) -> None:
    """Keys that come as text, from a CSV file say, are integers where the dimension's key is one."""
    with registry.write() as tx:
        tx.insert_records("detector", detectors((7, "S7")).with_column("detector", ["7"]))
        assert (7, "S7") in names(tx)


def test_a_view_has_the_distinct_values_of_another_element(registry: Registry) -> None:
    """Bands are those of the filters, once each, and cannot be inserted."""
    with registry.write() as tx:
        add_camera(tx, "Cam2")
        assert tx.records("band").rows() == [("g",), ("r",)]
        with pytest.raises(UsageError, match="distinct values in physical_filter"):
            tx.insert_records("band", Columns({"band": ["g"]}))


def test_records_of_many_keys_are_one_statement(registry: Registry) -> None:
    """A batch of keys, with repeats and unknown ones, gives each record that exists once, in order."""
    n = 3000
    with registry.write() as tx:
        rows = Columns(
            {
                "instrument": ["Cam"] * n,
                "detector": list(range(10, 10 + n)),
                "full_name": [f"D{i}" for i in range(n)],
            }
        )
        assert n == tx.insert_records("detector", rows)
        keys = rows.select(["instrument", "detector"])
        keys = Columns.concat([keys, keys, keys.with_column("detector", [99999] * n)])
        with sent(registry) as log:
            found = tx.records("detector", keys=keys)

    assert list(range(10, 10 + n)) == found["detector"].tolist()
    assert sum("SELECT" in statement for statement in log) == 1


def visits_with(region: bytes | None, visit: int = 7) -> Columns:
    """One visit with a region."""
    return Columns({"instrument": ["Cam"], "visit": [visit], "name": [f"v{visit}"], "region": [region]})


def pixels_of(registry: Registry, visit: int) -> list[int]:
    """What the overlap table holds of a visit."""
    rows = ask(registry, "SELECT skypix FROM overlap_visit WHERE visit = :visit ORDER BY 1", visit=visit)
    return [r[0] for r in rows]


def test_a_region_fills_the_overlap_table(registry: Registry) -> None:
    """Each new region is known by the pixels it touches; no region, no pixels."""
    region = regions.encode_circle(30.0, 10.0, 0.5)
    with registry.write() as tx:
        tx.insert_records("visit", visits_with(region))
        tx.insert_records("visit", visits_with(None, 8))

    assert regions.pixels(region, "htm7") == pixels_of(registry, 7)
    assert pixels_of(registry, 8) == []


@pytest.mark.parametrize("mode", ["skip", "compare"])
def test_a_record_that_is_not_inserted_adds_no_pixels(registry: Registry, mode: str) -> None:
    """Where a record exists, its own region stays the one that joins use."""
    old, new = regions.encode_circle(30.0, 10.0, 0.5), regions.encode_circle(50.0, 10.0, 0.5)
    with registry.write() as tx:
        tx.insert_records("visit", visits_with(old))
        both = Columns.concat([visits_with(old if mode == "compare" else new), visits_with(new, 8)])
        assert tx.insert_records("visit", both, on_existing=mode) == 1  # type: ignore[arg-type]

    assert regions.pixels(old, "htm7") == pixels_of(registry, 7)
    assert regions.pixels(new, "htm7") == pixels_of(registry, 8)


def test_bytes_that_are_no_region_are_refused(registry: Registry) -> None:
    """A region that cannot be decoded undoes the insert."""
    with registry.write() as tx:
        with pytest.raises(UsageError, match="not a region"):
            tx.insert_records("visit", visits_with(b"nonsense"))
        assert tx.records("visit").n_rows == 3


def test_real_records_come_back_as_they_went_in(tmp_path: Path, shared: Path) -> None:
    """Every record of a real survey's subset, regions and times included, is returned unchanged."""
    folder = shared / "data" / "hsc-rc2-ext"
    with new_registry(tmp_path / "hsc.sqlite3") as registry, registry.write() as tx:
        for element in (
            e for e in registry.universe.elements.values() if (folder / f"{e.name}.jsonl").exists()
        ):
            rows = [json.loads(line) for line in (folder / f"{element.name}.jsonl").read_text().splitlines()]
            columns = {
                n: [_plain(r, n, element.name, element.key) for r in rows] for n in element.record_columns
            }
            given = Columns(columns)
            assert given.n_rows == tx.insert_records(element.name, given)
            found = tx.records(element.name)
            assert sorted(given.rows(), key=str) == sorted(found.rows(), key=str)
            assert tx.insert_records(element.name, found, on_existing="compare") == 0


def _plain(row: dict[str, object], name: str, element: str, key: object) -> object:
    """One value of a record in the file's form."""
    if name.startswith("timespan_"):
        span = row["timespan"]
        return span and span[name.removeprefix("timespan_") + "_ns"]  # type: ignore[index]
    value = row[name] if name != element or name in row else row[key.name]  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return bytes.fromhex(value.get("sphgeom_hex") or value["hex"])
    return value
