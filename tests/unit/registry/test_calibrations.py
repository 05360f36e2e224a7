"""CALIBRATION collections: certifying, decertifying, and lookup by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from registry.errors import ConflictError, DataIdError, NotFoundError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text, new_id, new_ids
from registry.model.times import Timespan
from registry.registry import Change, Registry, Snapshot
from tests.databases import Database
from tests.registry_builders import UNIVERSE, add_camera, dataset_type

DAY = 86_400 * 10**9
EXPOSURES = {1: ("g1", 10), 2: ("r1", 20), 3: ("g1", 30), 4: ("r1", None)}
"""Filter and day of each exposure; one has no time."""
BIAS = {name: new_ids(4) for name in ("old", "new", "best")}
FLAT = {"g1": new_ids(4), "r1": new_ids(4)}


def bias_rows(run: str) -> Columns:
    """Return a bias of each detector."""
    return Columns({"instrument": ["Cam"] * 4, "detector": list(range(4)), "id": BIAS[run]})


def add_exposures(tx: Change) -> None:
    """Insert exposures of one hour, and visits that are one exposure each."""
    n = len(EXPOSURES)
    filters, days = zip(*EXPOSURES.values(), strict=True)
    begin = [None if d is None else d * DAY for d in days]
    common: dict[str, Any] = {
        "instrument": ["Cam"] * n, "day_obs": [20240101] * n, "physical_filter": list(filters),
        "timespan_begin": begin, "timespan_end": [None if b is None else b + DAY // 24 for b in begin],
    }  # fmt: skip
    tx.insert_records("group", Columns({"instrument": ["Cam"], "group": ["g"]}))
    names = [f"e{i}" for i in EXPOSURES]
    tx.insert_records(
        "exposure", Columns({**common, "exposure": list(EXPOSURES), "group": ["g"] * n, "obs_id": names})
    )
    tx.insert_records("visit", Columns({**common, "visit": list(EXPOSURES), "name": names}))


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with biases in three runs, flats in one, exposures, and two CALIBRATION collections."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        add_exposures(tx)
        for name, dims in (("bias", ["detector"]), ("flat", ["detector", "physical_filter"])):
            tx.register_dataset_type(dataset_type(name, *dims, is_calibration=True))
        for run in ("old", "new", "best"):
            tx.register_run(run)
            tx.insert_datasets("bias", run, bias_rows(run))
        n = 4
        for name, ids in FLAT.items():
            rows = {"instrument": ["Cam"] * n, "detector": list(range(n)), "physical_filter": [name] * n}
            tx.insert_datasets("flat", "old", Columns({**rows, "id": ids}))
        for name in ("calib", "fixes"):
            tx.register_collection(name, CollectionType.CALIBRATION)
    return made


def validity(snap: Snapshot, collection: str = "calib") -> list[tuple[str, int, int | None, int | None]]:
    """Return run, detector and days of validity of all biases."""
    rows = snap.associations([collection])
    where = {i: (run, d) for run, ids in BIAS.items() for d, i in enumerate(ids)}
    days = [
        [None if abs(v) > 2**62 else v // DAY for v in rows[n].tolist()] for n in ("valid_begin", "valid_end")
    ]
    spans = zip(rows["id"].tolist(), *days, strict=True)
    return sorted(((*where[i], b, e) for i, b, e in spans if i in where), key=lambda r: (*r[:2], r[2] or 0))


def found(snap: Snapshot, where: list[str], **data_id: Any) -> str | None:
    """Return the run of the bias that is found."""
    ref = snap.find("bias", {"instrument": "Cam", **data_id}, where)
    return None if ref is None else ref.run


def certified(tx: Change) -> None:
    """Certify old biases until day 20 and new ones after it; in `fixes` a best one for days 5 to 15."""
    tx.certify("calib", BIAS["old"], None, 20 * DAY)
    tx.certify("calib", BIAS["new"], 20 * DAY, None)
    tx.certify("fixes", BIAS["best"][:1], 5 * DAY, 15 * DAY)


def test_what_is_valid_is_found(registry: Registry) -> None:
    """The time of the data ID's own record decides, or one that is given; ends are half-open."""
    with registry.write() as tx:
        certified(tx)
        assert found(tx, ["calib"], detector=1, exposure=1) == "old"
        assert found(tx, ["calib"], detector=1, exposure=2) == "new"
        assert found(tx, ["calib"], detector=1, visit=3) == "new"
        data_id = {"instrument": "Cam", "detector": 1}
        for span, run in (((19, 20), "old"), ((20, 21), "new"), ((30, 30), None)):
            ref = tx.find("bias", data_id, ["calib"], timespan=Timespan(*(d * DAY for d in span)))
            assert run == (None if ref is None else ref.run)
        # No time: only what holds always counts.
        assert found(tx, ["calib"], detector=1, exposure=4) is None
        assert found(tx, ["calib"], detector=1) is None
        assert found(tx, ["calib", "best"], detector=1) == "best"


def test_the_first_collection_with_a_match_decides(registry: Registry) -> None:
    """CALIBRATION collections and runs are searched in the order of the path, chains expanded."""
    with registry.write() as tx:
        certified(tx)
        tx.set_chain("chain", ["fixes", "calib"])
        assert found(tx, ["chain"], detector=0, exposure=1) == "best"
        assert found(tx, ["chain"], detector=0, exposure=2) == "new"
        assert found(tx, ["chain"], detector=1, exposure=1) == "old"
        assert found(tx, ["calib", "fixes"], detector=0, exposure=1) == "old"
        assert found(tx, ["new", "chain"], detector=0, exposure=1) == "new"
        assert found(tx, ["fixes", "new"], detector=0, exposure=2) == "new"


def test_two_matches_in_one_collection_are_an_error(registry: Registry) -> None:
    """The error names the collection, both datasets and their times; an earlier collection spares it."""
    with registry.write() as tx:
        certified(tx)
        data_id, span = {"instrument": "Cam", "detector": 0}, Timespan(10 * DAY, 25 * DAY)
        with pytest.raises(DataIdError, match="'calib' has more than one bias for") as caught:
            tx.find("bias", data_id, ["calib"], timespan=span)
        assert caught.value.code == "calibration-ambiguous"
        for run in ("old", "new"):
            assert id_text(BIAS[run][0]) in str(caught.value)
        assert "always to 1970-01-21T00:00:00" in str(caught.value)
        ref = tx.find("bias", data_id, ["fixes", "calib"], timespan=span)
        assert ref is not None
        assert ref.run == "best"


def test_data_ids_are_completed_from_records(registry: Registry) -> None:
    """A filter comes from the exposure, a number from the record's other name; what cannot is named."""
    with registry.write() as tx:
        tx.certify("calib", [*FLAT["g1"], *FLAT["r1"]])
        ref = tx.find("flat", {"instrument": "Cam", "detector": "S2", "exposure": 2}, ["calib"])
        assert ref is not None
        assert (FLAT["r1"][2], "r1") == (ref.id, ref.data_id["physical_filter"])
        ref = tx.find("flat", {"instrument": "Cam", "detector": 2, "visit": "e1"}, ["old"])
        assert ref is not None
        assert FLAT["g1"][2] == ref.id
        for data_id, told in (
            (
                {"detector": 2, "exposure": 9, "instrument": "Cam"},
                "there is no exposure {instrument=Cam, exposure=9}",
            ),
            (
                {"detector": "2", "exposure": 1, "instrument": "Cam"},
                "no detector of instrument=Cam has that full_name",
            ),
            ({"detector": "S2"}, "data ID lacks instrument"),
            ({"instrument": "Cam", "detector": 2}, "data ID lacks physical_filter"),
            (
                {"instrument": "Cam", "detector": 2, "exposed": 1},
                "data ID has 'exposed', which is no dimension",
            ),
        ):
            with pytest.raises(DataIdError) as caught:
                tx.find("flat", data_id, ["calib"])
            assert told in str(caught.value)


def test_overlaps_are_refused(registry: Registry) -> None:
    """Of one data ID nothing may be valid beside another; both are named, and nothing is kept."""
    with registry.write() as tx:
        certified(tx)
        before = validity(tx)
        with pytest.raises(
            ConflictError, match=r"two bias of \{instrument=Cam, detector=2\} would be"
        ) as caught:
            tx.certify("calib", BIAS["best"][2:], 19 * DAY, 21 * DAY)
        assert caught.value.code == "validity-overlaps"
        assert f"given {id_text(BIAS['best'][2])} for 1970-01-20T00:00:00 to 1970-01-22" in str(caught.value)
        assert f"there {id_text(BIAS['old'][2])} for always to 1970-01-21T00:00:00" in str(caught.value)
        with pytest.raises(ConflictError, match="would be valid at once"):
            tx.certify("calib", BIAS["old"][:1], None, 20 * DAY)
        tx.certify_rows(
            "calib",
            Columns({"id": BIAS["old"][:1], "valid_begin": [None], "valid_end": [20 * DAY]}),
            on_existing="skip",
        )
        assert before == validity(tx)
        tx.certify("fixes", BIAS["old"][:1], 15 * DAY, None)
        assert [("best", 0, 5, 15), ("old", 0, 15, None)] == validity(tx, "fixes")


def test_overlaps_among_what_is_given_are_refused(registry: Registry) -> None:
    """Two rows may meet at an end, not in a time; one row twice is one."""
    first, second = BIAS["old"][0], BIAS["new"][0]

    def rows(*spans: tuple[bytes, int, int]) -> Columns:
        ids, begin, end = zip(*spans, strict=True)
        return Columns(
            {"id": ids, "valid_begin": [b * DAY for b in begin], "valid_end": [e * DAY for e in end]}
        )

    with registry.write() as tx:
        with pytest.raises(ConflictError, match="would be valid at once") as caught:
            tx.certify_rows(
                "calib", rows((first, 1, 5), (BIAS["old"][1], 1, 9), (second, 4, 6), (first, 5, 7))
            )
        assert caught.value.code == "validity-twice"
        assert caught.value.context["ids"] == (first, second)
        tx.certify_rows("calib", rows((first, 1, 5), (second, 5, 7), (first, 7, 9), (first, 1, 5)))
        assert [("new", 0, 5, 7), ("old", 0, 1, 5), ("old", 0, 7, 9)] == validity(tx)


def test_what_cannot_be_certified_is_named(registry: Registry) -> None:
    """Types that are not of calibrations, collections of another type, empty times and ids that are none."""
    with registry.write() as tx:
        tx.register_dataset_type(dataset_type("raw", "detector"))
        raw = new_ids(1)
        tx.insert_datasets("raw", "old", Columns({"instrument": ["Cam"], "detector": [0], "id": raw}))
        with pytest.raises(ConflictError, match="its type 'raw' is not one of calibrations") as caught:
            tx.certify("calib", [BIAS["old"][0], *raw])
        assert caught.value.code == "not-a-calibration"
        with pytest.raises(ConflictError, match="'raw' can be certified in 'calib'"):
            tx.decertify("calib", "raw")
        for call in (lambda: tx.certify("old", BIAS["new"]), lambda: tx.decertify("old", "bias")):
            with pytest.raises(ConflictError, match="'old' is RUN, not CALIBRATION"):
                call()
        for span in ((5, 5), (6, 5)):
            with pytest.raises(UsageError, match="for an empty time"):
                tx.certify("calib", BIAS["old"], *span)
        with pytest.raises(NotFoundError, match="no dataset"):
            tx.certify("calib", [new_id()])
        with pytest.raises(NotFoundError, match="no collection 'calibs'"):
            tx.certify("calibs", BIAS["old"])
        assert validity(tx) == []


def test_decertifying_splits_what_reaches_beyond(registry: Registry) -> None:
    """A range loses its middle, its end or all of it; others stay, and so do other data IDs."""
    with registry.write() as tx:
        certified(tx)
        assert tx.decertify("calib", "bias", 10 * DAY, 10 * DAY) == 0
        one = Columns({"instrument": ["Cam"], "detector": [0]})
        assert tx.decertify("calib", "bias", 10 * DAY, 12 * DAY, table=one) == 1
        assert tx.decertify("calib", "bias", 18 * DAY, 25 * DAY, table=one) == 2
        assert [
            ("new", 0, 25, None), ("old", 0, None, 10), ("old", 0, 12, 18),
        ] == [row for row in validity(tx) if row[1] == 0]  # fmt: skip
        assert len(validity(tx)) == 3 + 6
        assert tx.decertify("calib", "bias", 12 * DAY, None) == 2 + 6
        assert {("old", d, None, 10 if d == 0 else 12) for d in range(4)} == set(validity(tx))
        with pytest.raises(DataIdError, match="lack detector"):
            tx.decertify("calib", "bias", table=Columns({"instrument": ["Cam"]}))
        assert tx.decertify("calib", "bias") == 4
        assert validity(tx) == []


def data_ids(exposures: list[int], detectors: list[int]) -> Columns:
    """Return the product of exposures and detectors."""
    pairs = [(e, d) for e in exposures for d in detectors]
    return Columns.from_rows(("instrument", "exposure", "detector"), [("Cam", *p) for p in pairs])


def test_many_lookups_are_one_question(registry: Registry) -> None:
    """For each data ID of a table, in order, what the lookup of one finds; those without any are left out."""
    table = data_ids([2, 1, 4, 3, 1], [3, 0])
    with registry.write() as tx:
        certified(tx)
        tx.set_chain("chain", ["fixes", "calib"])
        rows = tx.find_calibrations("bias", ["chain"], table)
        assert rows.names == ("ordinal", "instrument", "detector", "id", "run")
        one_by_one = [
            tx.find("bias", dict(zip(table.names, row, strict=True)), ["chain"]) for row in table.rows()
        ]
        expected = [(i, "Cam", r.data_id["detector"], r.id, r.run) for i, r in enumerate(one_by_one) if r]
        assert expected == rows.rows()
        assert [0, 1, 2, 3, 6, 7, 8, 9] == rows["ordinal"].tolist()
        with_run = tx.find_calibrations("bias", ["chain", "best"], table)
        assert ["best", "best"] == with_run["run"].tolist()[4:6]
        assert tx.find_calibrations("bias", [], table).n_rows == 0
        assert tx.find_calibrations("bias", ["chain"], table.take(table["detector"] > 9)).n_rows == 0


def test_many_lookups_complete_data_ids(registry: Registry) -> None:
    """Filters come from the exposures; a table that does not tell a dimension is refused."""
    with registry.write() as tx:
        tx.certify("calib", [*FLAT["g1"], *FLAT["r1"]], 0, 25 * DAY)
        rows = tx.find_calibrations("flat", ["calib"], data_ids([1, 2, 3], [1]))
        assert [(0, FLAT["g1"][1]), (1, FLAT["r1"][1])] == rows.rows(("ordinal", "id"))
        with pytest.raises(DataIdError, match="does not say the detector of flat"):
            tx.find_calibrations("flat", ["calib"], Columns({"instrument": ["Cam"], "exposure": [1]}))


def test_many_lookups_name_what_is_ambiguous(registry: Registry) -> None:
    """If two are valid at once for one of the data IDs, it and both are named."""
    with registry.write() as tx:
        tx.certify("calib", BIAS["old"], None, 20 * DAY + 1)
        tx.certify("calib", BIAS["new"], 20 * DAY + 1, None)
        assert tx.find_calibrations("bias", ["calib"], data_ids([1, 3], [0, 1])).n_rows == 4
        with pytest.raises(
            DataIdError, match=r"more than one bias for \{instrument=Cam, detector=2\}"
        ) as caught:
            tx.find_calibrations("bias", ["calib"], data_ids([1, 2], [2]))
        assert {BIAS["old"][2], BIAS["new"][2]} == set(caught.value.context["ids"])


def test_one_dataset_that_is_valid_twice_is_one(registry: Registry) -> None:
    """What is certified for two spans, with a gap between, is found for a time that meets both: by any lookup."""
    with registry.write() as tx:
        tx.certify("calib", BIAS["old"], None, 20 * DAY)
        tx.certify("calib", BIAS["old"], 30 * DAY, None)
        detectors = Columns({"instrument": ["Cam"], "detector": [1]})
        rows = tx.find_calibrations("bias", ["calib"], detectors)
        assert [(0, BIAS["old"][1])] == rows.rows(("ordinal", "id"))
        ref = tx.find(
            "bias", {"instrument": "Cam", "detector": 1}, ["calib"], timespan=Timespan(10 * DAY, 40 * DAY)
        )
        assert ref is not None
        assert BIAS["old"][1] == ref.id
        held = tx.datasets("bias", ["calib"], where="instrument='Cam' AND detector=1")
        assert [BIAS["old"][1]] == held["id"].tolist()


def test_many_lookups_without_a_time_find_what_is_the_only_one(registry: Registry) -> None:
    """Where no dimension tells the time, any time of validity will do, and two are one too many."""
    detectors = Columns({"instrument": ["Cam"] * 2, "detector": [0, 1]})
    with registry.write() as tx:
        tx.certify("calib", BIAS["old"], None, 20 * DAY)
        rows = tx.find_calibrations("bias", ["calib"], detectors)
        assert [(0, BIAS["old"][0]), (1, BIAS["old"][1])] == rows.rows(("ordinal", "id"))
        tx.certify("calib", BIAS["new"][1:], 30 * DAY, None)
        assert tx.find_calibrations("bias", ["calib"], detectors.take(np.array([0]))).n_rows == 1
        with pytest.raises(DataIdError, match=r"more than one bias for \{instrument=Cam, detector=1\}"):
            tx.find_calibrations("bias", ["calib"], detectors)


def test_queries_list_each_validity(registry: Registry) -> None:
    """Without find-first each time of validity is a row; beside collections without times, each dataset is one."""
    with registry.write() as tx:
        certified(tx)
        tx.decertify("calib", "bias", 3 * DAY, 4 * DAY)
        rows = tx.datasets("bias", ["calib"], find_first=False)
        assert 4 + 4 + 4 == rows.n_rows
        assert tx.datasets("bias", ["calib", "old"], find_first=False).n_rows == 8
        during = tx.datasets("bias", ["calib"], find_first=False, where="instrument='Cam' AND exposure=1")
        assert sorted(BIAS["old"]) == sorted(during["id"].tolist())


def test_queries_find_first_by_time(registry: Registry) -> None:
    """What a question says of time decides what is found; what it leaves open is refused."""
    where = "instrument='Cam' AND exposure IN (1, 2) AND detector=0"
    with registry.write() as tx:
        certified(tx)
        for n, run in ((1, "old"), (2, "new")):
            rows = tx.datasets(
                "bias", ["calib"], where=f"instrument='Cam' AND exposure={n}", order_by=["-detector"]
            )
            assert BIAS[run][::-1] == rows["id"].tolist()
        with pytest.raises(DataIdError, match="'calib' has more than one bias"):
            tx.datasets("bias", ["calib"], where=where)
        with pytest.raises(DataIdError, match="'calib' has more than one bias"):
            tx.datasets("bias", ["calib"])
        assert tx.datasets("bias", ["fixes"]).rows(("id", "run")) == [(BIAS["best"][0], "best")]
        assert tx.datasets("bias", ["new", "calib"], limit=3)["run"].tolist() == ["new"] * 3


def test_data_ids_are_joined_by_time(registry: Registry) -> None:
    """Data IDs with a time are those for which a calibration is valid then."""
    kind = dataset_type("bias", "detector", is_calibration=True)
    group = UNIVERSE.group(["exposure", "detector"])
    with registry.write() as tx:
        tx.certify("fixes", BIAS["best"][:1], 5 * DAY, 15 * DAY)
        tx.certify("fixes", BIAS["best"][1:2], 15 * DAY, 25 * DAY)
        rows = tx.data_ids(group, constrain=[(kind, ["fixes"])])
        assert [(0, 1), (1, 2)] == sorted(rows.rows(("detector", "exposure")))
        assert tx.data_ids(UNIVERSE.group(["detector"]), constrain=[(kind, ["fixes"])]).n_rows == 2
        every = tx.data_ids(group, constrain=[(kind, ["fixes", "old"])])
        assert every.n_rows == 4 * len(EXPOSURES)
