"""A small survey whose datasets are drawn at random, and pipelines of every kind of question, to build on it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from registry.registry import Change, Snapshot
from stage.graph.graph import QuantumGraph
from stage.pipeline.node import TaskNode
from tests.graph_helpers import connection, node
from tests.regions import UNIVERSE, square

DAY = 86_400 * 10**9
EXPOSURES, DETECTORS, PATCHES = (1, 2, 3, 4, 5), (0, 1, 2), (0, 1, 2, 3)

RAW, BIAS = ("instrument", "detector", "exposure"), ("instrument", "detector")
CALEXP = ("instrument", "detector", "visit")
PATCH = ("skymap", "tract", "patch")
WARP = ("instrument", "skymap", "tract", "patch", "visit")
COADD = ("band", "skymap", "tract", "patch")
FLAT = ("instrument", "detector", "physical_filter")

TYPES = {
    "raw": (RAW, False), "calexp": (CALEXP, False), "template": (COADD, False), "bias": (BIAS, True),
    "flat": (FLAT, False), "sky": ((), False), "ref": (("htm7",), False),
}  # fmt: skip


def _of(n: int, **columns: Any) -> Columns:
    return Columns({k: v if isinstance(v, list | np.ndarray) else [v] * n for k, v in columns.items()})


def records() -> dict[str, Columns]:
    """Return all dimension records: five exposures, each a visit, of three detectors; eight patches of two tracts.

    A second instrument has nothing.
    """
    n = len(EXPOSURES)
    visits = [10 + e for e in EXPOSURES]
    times = {
        "timespan_begin": [e * DAY for e in EXPOSURES],
        "timespan_end": [e * DAY + DAY // 2 for e in EXPOSURES],
    }
    common = {"instrument": "I", "day_obs": [100 + e // 3 for e in EXPOSURES]}
    filters = [("r1", "g1")[e % 2] for e in EXPOSURES]
    pairs = [(v, d) for v in visits for d in DETECTORS]
    places = [(t, p) for t in (0, 1) for p in PATCHES]
    made = {
        "instrument": _of(2, instrument=["I", "J"]),
        "skymap": _of(1, skymap="S", hash=b"s"),
        "physical_filter": _of(2, instrument="I", physical_filter=["g1", "r1"], band=["g", "r"]),
        "detector": _of(3, instrument="I", detector=list(DETECTORS), full_name=["a", "b", "c"]),
        "day_obs": _of(2, instrument="I", day_obs=[100, 101], timespan_begin=[0, 3 * DAY], timespan_end=[3 * DAY, 9 * DAY]),
        "group": _of(n, instrument="I", group=[f"g{e}" for e in EXPOSURES]),
        "exposure": _of(n, **common, **times, exposure=list(EXPOSURES), group=[f"g{e}" for e in EXPOSURES],
                        physical_filter=filters, obs_id=[f"o{e}" for e in EXPOSURES], exposure_time=[e * 10.0 for e in EXPOSURES]),
        "visit": _of(n, **common, **times, visit=visits, physical_filter=filters, name=[f"v{e}" for e in EXPOSURES],
                     exposure_time=[e * 10.0 for e in EXPOSURES], region=[square(10 + e, 0, 0.9) for e in EXPOSURES]),
        "tract": _of(2, skymap="S", tract=[0, 1], region=[square(12, 0, 2.2), square(15, 0, 2.2)]),
        "patch": _of(8, skymap="S", tract=[t for t, _ in places], patch=[p for _, p in places], cell_x=[p for _, p in places],
                     cell_y=0, region=[square(10.5 + 3 * t + p, 0, 0.6) for t, p in places]),
        "visit_definition": _of(n, instrument="I", exposure=list(EXPOSURES), visit=visits),
        "visit_detector_region": _of(len(pairs), instrument="I", detector=[d for _, d in pairs], visit=[v for v, _ in pairs],
                                     region=[square(v + (d - 1) * 0.6, 0, 0.3) for v, d in pairs]),
    }  # fmt: skip
    return {name: _whole(name, rows) for name, rows in made.items()}


def _whole(element: str, rows: Columns) -> Columns:
    """Add the columns that were left out."""
    null = np.full(rows.n_rows, None, dtype=object)
    return Columns({n: rows.get(n, null) for n in UNIVERSE.elements[element].record_columns})


def pixels(of: dict[str, Columns]) -> list[tuple[int]]:
    """Return the pixels of htm7 that the detectors touch."""
    from registry.model.pixels import pixel_rows

    return [
        (p,)
        for p in np.unique(pixel_rows(of["visit_detector_region"]["region"].tolist(), "htm7")[1]).tolist()
    ]


def data_ids(of: dict[str, Columns]) -> dict[str, list[tuple[Any, ...]]]:
    """Return all data IDs that each dataset type could have."""
    places = of["patch"].rows(PATCH)
    return {
        "raw": [("I", d, e) for e in EXPOSURES for d in DETECTORS],
        "calexp": [("I", d, 10 + e) for e in EXPOSURES for d in DETECTORS],
        "template": [(b, *place) for b in "gr" for place in places],
        "bias": [("I", d) for d in DETECTORS],
        "flat": [("I", d, f) for d in DETECTORS for f in ("g1", "r1")],
        "sky": [()],
        "ref": pixels(of),
    }


def put_datasets(change: Change, rng: random.Random, of: dict[str, Columns]) -> None:
    """Insert datasets drawn at random: three RUNs, a TAGGED collection, a chain, and calibrations of two halves.

    Of these one is valid again later on, with a gap between or without.
    """
    for name, (dims, is_calibration) in TYPES.items():
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json", is_calibration))
    everything, tagged = data_ids(of), []
    for run in ("one", "two", "three"):
        change.register_run(run)
        for name, rows in everything.items():
            share = rng.choice((0.0, 0.5, 0.9, 1.0))
            ids = put(change, name, run, [row for row in rows if rng.random() < share])
            if run == "three" and name in ("calexp", "flat"):
                tagged += [i for i in ids if rng.random() < 0.5]
    change.register_collection("tag", CollectionType.TAGGED)
    change.associate("tag", tagged)
    change.register_collection("calib", CollectionType.CALIBRATION)
    halves = []
    for i, (begin, end) in enumerate(((None, 3 * DAY), (3 * DAY, 6 * DAY))):
        run = f"bias{i}"
        change.register_run(run)
        held = [row for row in everything["bias"] if rng.random() < 0.95]
        halves.append(put(change, "bias", run, held))
        change.certify("calib", halves[-1], begin, end)
    change.certify("calib", halves[rng.randrange(2)], 6 * DAY, None)
    change.set_chain("both", ["two", "tag"])


def put(change: Change, name: str, run: str, rows: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """Insert datasets of a type; return their ids."""
    dims, ids = TYPES[name][0], new_ids(len(rows))
    if not rows:
        return []
    stored = _of(
        len(rows),
        id=ids,
        uri=[f"{run}/{i.hex()}.json" for i in ids],
        size=7,
        checksum="blake3:00",
        formatter="json",
    )
    given = Columns.from_rows(dims, rows) if dims else {}
    change.insert_datasets(name, run, Columns({**{k: given[k] for k in dims}, **stored}))
    return ids


def _isr() -> list[TaskNode]:
    bias = connection("bias", "prerequisite", BIAS, is_calibration=True)
    return [
        node("isr", RAW, connection("raw", "input", RAW), bias, connection("image", "output", RAW)),
        node(
            "join",
            CALEXP,
            connection("image", "input", RAW, multiple=True),
            connection("joined", "output", CALEXP),
        ),
    ]


def _coadd() -> list[TaskNode]:
    return [
        node(
            "warp",
            WARP,
            connection("calexp", "input", CALEXP, multiple=True),
            connection("warped", "output", WARP),
        ),
        node(
            "coadd",
            COADD,
            connection("warped", "input", WARP, multiple=True),
            connection("deep", "output", COADD),
        ),
    ]


def _subtract() -> list[TaskNode]:
    template = connection("template", "input", COADD, multiple=True)
    return [
        node(
            "subtract",
            CALEXP,
            connection("calexp", "input", CALEXP),
            template,
            connection("out", "output", CALEXP),
        )
    ]


def _match() -> list[TaskNode]:
    ref = connection("ref", "prerequisite", ("htm7",), multiple=True, minimum=0)
    return [
        node("match", CALEXP, connection("calexp", "input", CALEXP), ref, connection("out", "output", CALEXP))
    ]


def _flatten() -> list[TaskNode]:
    flat, sky = connection("flat", "input", FLAT), connection("sky", "input", (), "sky")
    return [
        node("flatten", RAW, connection("raw", "input", RAW), flat, sky, connection("out", "output", RAW))
    ]


def _pixels() -> list[TaskNode]:
    """Return tasks of pixels of the sky: of those of visits, and of all that lies on a tract."""
    piece = ("htm7", "instrument", "visit")
    calexp = connection("calexp", "input", CALEXP, multiple=True, minimum=0)
    pieces = connection("piece", "input", piece, multiple=True)
    return [
        node("cut", piece, calexp, connection("piece", "output", piece)),
        node("gather", ("skymap", "tract"), pieces, connection("gathered", "output", ("skymap", "tract"))),
    ]


def _spread() -> list[TaskNode]:
    """Return a task whose inputs do not tell its instrument, and one of days with whatever calibration is valid then."""
    template = connection("template", "input", COADD, multiple=True)
    bias = connection("bias", "prerequisite", BIAS, is_calibration=True, minimum=0)
    day, each = ("instrument", "day_obs", "detector"), ("instrument", "skymap")
    return [
        node("spread", each, template, connection("thin", "output", each)),
        node(
            "daily",
            day,
            connection("thin", "input", each, multiple=True),
            bias,
            connection("day", "output", day),
        ),
    ]


PIPELINES: dict[str, Callable[[], list[TaskNode]]] = {
    "isr": _isr, "coadd": _coadd, "subtract": _subtract, "match": _match, "flatten": _flatten,
    "pixels": _pixels, "spread": _spread,
}  # fmt: skip

WHERES = {
    "isr": ["", "instrument = 'I' AND exposure > 2", "exposure.exposure_time > 25", "band = 'r'",
            "visit.region OVERLAPS REGION('CIRCLE 13 0 0.5')", "instrument = 'I' AND exposure.timespan OVERLAPS (T'1970-01-03', T'1970-01-05')",
            "instrument = 'I' AND physical_filter.band != 'r' AND detector IN (0, 2)", "visit.region OVERLAPS tract.region AND skymap = 'S' AND tract = 1"],
    "coadd": ["", "instrument = 'I' AND visit > 12", "skymap = 'S' AND patch IN (0..2)", "visit.exposure_time > 15",
              "patch.region OVERLAPS REGION('CIRCLE 13 0 0.8')", "detector = 1 AND instrument = 'I'", "band = 'g'"],
    "subtract": ["", "skymap = 'S' AND tract = 0", "instrument = 'I' AND (visit = 12 OR visit.exposure_time > 35)", "NOT (band = 'g')"],
    "match": ["", "instrument = 'I' AND visit > 12", "visit_detector_region.region OVERLAPS REGION('CIRCLE 12.5 0 0.5')"],
    "pixels": ["", "instrument = 'I' AND visit > 12", "skymap = 'S' AND tract = 1", "band = 'g'"],
    "spread": ["", "instrument = 'J'", "band = 'r'", "instrument = 'I' AND day_obs = 100"],
    "flatten": ["", "instrument = 'I' AND (exposure.obs_id = 'o3' OR detector = 0)", "instrument = 'I' AND physical_filter = 'r1'"],
}  # fmt: skip

TABLES = {
    "isr": _of(3, instrument="I", exposure=[1, 3, 4], detector=[0, 1, 1]),
    "coadd": _of(3, instrument="I", visit=[11, 13, 14]),
    "subtract": _of(2, skymap="S", tract=[0, 1], patch=[1, 2]),
    "match": _of(2, instrument="I", visit=[12, 15]),
    "flatten": _of(1, instrument="I", physical_filter=["g1"]),
    "pixels": _of(2, instrument="I", visit=[12, 13]),
    "spread": _of(1, skymap="S", tract=[1]),
}


def told(graph: QuantumGraph) -> Any:
    """Return all that a graph says, but for ids and where files are."""
    quanta = sorted(
        (q.label, sorted(q.data_id.items()), {k: sorted((d.values, d.run) for d in v) for k, v in q.inputs.items()})
        for q in graph.quanta(range(graph.n_quanta))
    )  # fmt: skip
    tables = {n: t.decode() for n, t in graph.record_tables.items()}
    return quanta, {n: sorted(map(repr, t.rows())) for n, t in tables.items()}


def read_records(snapshot: Snapshot) -> dict[str, Columns]:
    """Return all dimension records of a registry."""
    return {e.name: snapshot.records(e.name) for e in snapshot.universe.elements.values() if e.has_table}
