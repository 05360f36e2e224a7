"""Times of validity against a model: for each data ID, which dataset is valid in each of a few days."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.model.times import Timespan
from registry.registry import Change, Registry
from tests.databases import Database
from tests.registry_builders import add_camera, dataset_type

N_DAYS, N_DETECTORS = 8, 2
IDS = {(run, d): i for (run, d), i in zip([(r, d) for r in "ab" for d in range(2)], new_ids(4), strict=True)}
"""One dataset of each of two runs for each of two detectors."""
MODEL = dict[tuple[int, int], bytes]
"""Detector and day to the dataset that is valid."""

spans = st.tuples(st.integers(0, N_DAYS - 1), st.integers(1, N_DAYS)).filter(lambda s: s[0] < s[1])
keys = st.sampled_from(sorted(IDS))
steps = st.one_of(
    st.tuples(st.just("certify"), st.lists(st.tuples(keys, spans), min_size=1, max_size=3)),
    st.tuples(st.just("decertify"), st.tuples(spans, st.sampled_from([None, (0,), (1,), (0, 1), ()]))),
)


class _Undo(Exception):  # noqa: N818 - no error: a way back
    """What was done is taken back."""


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with datasets of two runs, and a CALIBRATION collection."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("bias", "detector", is_calibration=True))
        tx.register_collection("calib", CollectionType.CALIBRATION)
        for run in "ab":
            tx.register_run(run)
            ids = [IDS[run, d] for d in range(2)]
            tx.insert_datasets(
                "bias", run, Columns({"instrument": ["Cam"] * 2, "detector": [0, 1], "id": ids})
            )
    return made


def _certify(tx: Change, model: MODEL, rows: list[tuple[tuple[str, int], tuple[int, int]]]) -> MODEL:
    """Certify rows in both; they agree on whether that is possible."""
    new = dict(model)
    possible = True
    for (run, detector), (begin, end) in dict.fromkeys(rows):
        cells = [(detector, day) for day in range(begin, end)]
        possible = possible and not any(cell in new for cell in cells)
        new |= dict.fromkeys(cells, IDS[run, detector])
    given_rows = {
        "id": [IDS[key] for key, _ in rows],
        "valid_begin": [span[0] for _, span in rows],
        "valid_end": [span[1] for _, span in rows],
    }
    if possible:
        tx.certify_rows("calib", Columns(given_rows))
        return new
    with pytest.raises(ConflictError):
        tx.certify_rows("calib", Columns(given_rows))
    return model


def _decertify(tx: Change, model: MODEL, span: tuple[int, int], detectors: tuple[int, ...] | None) -> MODEL:
    table = None
    if detectors is not None:
        table = Columns({"instrument": ["Cam"] * len(detectors), "detector": list(detectors)})
    tx.decertify("calib", "bias", *span, table=table)
    chosen = range(N_DETECTORS) if detectors is None else detectors
    return {(d, day): i for (d, day), i in model.items() if d not in chosen or not span[0] <= day < span[1]}


def _held(tx: Change) -> MODEL:
    """Return what the registry holds, day by day; no day of a data ID may be there twice."""
    detector = {i: d for (_, d), i in IDS.items()}
    out: MODEL = {}
    for i, begin, end in tx.associations(["calib"]).rows(("id", "valid_begin", "valid_end")):
        cells = {(detector[i], day): i for day in range(begin, end)}
        assert begin < end
        assert not cells.keys() & out.keys()
        out |= cells
    return out


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(todo=st.lists(steps, max_size=8))
def test_validity_is_as_in_a_model(registry: Registry, todo: list[tuple[str, tuple]]) -> None:
    """After any certifying and decertifying, refused or not, each data ID has at each time what the model has."""
    with contextlib.suppress(_Undo), registry.write() as tx:
        model: MODEL = {}
        for what, step in todo:
            model = _certify(tx, model, list(step)) if what == "certify" else _decertify(tx, model, *step)
            assert model == _held(tx)
        for d in range(N_DETECTORS):
            for day in range(N_DAYS):
                data_id = {"instrument": "Cam", "detector": d}
                ref = tx.find("bias", data_id, ["calib"], timespan=Timespan(day, day + 1))
                assert model.get((d, day)) == (None if ref is None else ref.id)
        raise _Undo
