"""Cases to ask: chosen ones for each rule of the language, and generated ones, some of them spoilt."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["chosen_cases", "generated_cases"]

Case = dict[str, Any]

_WIDE = "instrument = 'Wide' AND "
_T = "T'2031-03-05T02:20:00/tai'"

_VISIT = """
visit = 1007 | visit = 1007 AND instrument = 'Deep' | visit IN (1000..1050) | visit IN (1000..1050:7) | visit NOT IN (1007, 1014)
visit IN (1050..1000) | visit IN (1050..1049) | visit IN (1000..1050:0) | visit IN () | visit IN (1007,) | visit IN (1007.0, 1014)
visit IN (-5..1010) | visit IN (+5..1010) | visit IN (seq_num) | visit IN (visit.seq_num) | visit IN (NULL, 1007) | visit IN (1 + 1)
visit - 1000 = 7 | 2 * visit - 1 > 2050 | visit % 2 = 1 | -visit < -1020 | visit / 2 = 507 | visit / 2 = 507.5 | visit / 0 = NULL
visit / 2 IN (500..510) | visit / 2 % 2 = 1 | visit - -7 = 1014 | --visit = 1014 | visit + 1.5 > 1000 | visit = 1007.0 | visit = '1007'
visit = 1.007e3 | visit = 99999999999999999999 | visit < 1e400 | visit == 1007 | visit <> 1007 | visit =< 1007 | visit = 1007 = 1
visit != NULL | visit = NULL | visit < NULL | NULL = NULL | 5 = NULL | visit IS NULL | visit BETWEEN 1 AND 9 | visit LIKE 'x'
visit.id = 1007 | visit.name = 'Wide_01007' | visit.day_obs = 20310304 | visit.visit = 1007 | visit.band = 'g' | visit . id = 1007
visit.physical_filter = 'Wide-g' | visit.instrument = 'Wide' | Visit = 1007 | visit.nosuch = 1 | nosuch = 1 | a.b.c.d = 1 | id = 1007
visit = 1007 OR visit = 1014 AND band = 'q' | (visit = 1007 OR visit = 1014) AND band = 'q' | NOT visit = 1007 | NOT NOT visit = 1007
NOT (visit = 1007 | visit = 1007) | visit = 1007 visit = 1014 | visit = 1007; | visit = 1007 -- x | visit | NOT visit | 'g' | 5 = 5
"""
_ANY = """
 | band = 'r' | band = 'R' | band != 'r' | band IN ('r', 'g') | band NOT IN ('r', NULL) | band = "r" | band = 'r | band = r
band >= 'i' | 'g' < band | band = band | band = physical_filter | band IN (physical_filter) | band = 1 | band + 'x' = 'rx' | band || 'x' = 'y'
band.name = 'r' | name = 'r' | physical_filter = 'Deep-r' | physical_filter.band = 'r' | instrument = 'Deep' | instrument != 'Deep'
instrument > 'Deep' | instrument IN ('Deep', 'x') AND visit > 110 | instrument NOT IN ('Deep') | GLOB(instrument, 'D*') AND visit > 110
instrument != NULL AND visit > 110 | instrument = instrument AND visit > 110 | instrument.class_name = 'sim.Wide' | class_name = 'sim.Wide'
visit = 107 | visit.name = 'Deep_00107' | day_obs = 20310304 | day_obs > 20310304 AND instrument = 'Wide' | skymap.hash != NULL
exposure_time > 20 | visit.exposure_time = 30 | visit.exposure_time * 2.0 = 60.0 | visit.exposure_time * 2 = 60 | visit.exposure_time IN (15, 92.5)
visit.exposure_time IN (10..40) | visit.exposure_time % 2.0 = 1 | visit.target_name = 'el niño' | visit.target_name = NULL
visit.target_name != 'COSMOS' | NOT visit.target_name = 'COSMOS' | visit.target_name IN (NULL, 'SXDS') | visit.target_name NOT IN (NULL, 'SXDS')
visit.target_name IN ('COSMOS') OR visit.target_name = NULL | GLOB(visit.target_name, '*') | GLOB(visit.target_name, '*O*') | GLOB(visit.target_name, '?XDS')
GLOB(visit.target_name, 'c*') | GLOB(visit.target_name, '[CS]*') | GLOB('COSMOS', 'C*') | GLOB(visit.target_name) | GLOB(visit.exposure_time, '3*')
visit.target_name = 'a''b' | visit.azimuth > 100 OR visit.azimuth = NULL | visit.azimuth + 1.0 = NULL | visit.azimuth != visit.azimuth
detector.raft = 'R1' | detector = 1 AND instrument = 'Wide' | exposure.can_see_sky | NOT exposure.can_see_sky | exposure.can_see_sky = NULL
exposure.can_see_sky = TRUE | exposure.sky_angle = 90 | patch.cell_x = 1 | tract = 1 | tract = 1 AND skymap = 'rings' | tract = 1 AND skymap != NULL
patch.tract = 1 AND skymap = 'rings' | skymap.tract_max > 1 | patch = 0 AND tract = 0 AND skymap = 'one/tract' | visit_definition.visit > 1020
visit_detector_region.detector = 1 AND instrument = 'Wide' | timespan = NULL | day_obs.timespan = NULL | NOT day_obs.timespan = NULL
"""
_SPANS = f"""
visit.timespan OVERLAPS {_T} | {_T} OVERLAPS visit.timespan | NOT visit.timespan OVERLAPS {_T} | visit.timespan < {_T} | visit.timespan
visit.timespan OVERLAPS (T'2031-03-05', T'2031-03-06') | visit.timespan OVERLAPS (T'2031-03-06', T'2031-03-05') | visit.timespan OVERLAPS (NULL, {_T})
visit.timespan OVERLAPS ({_T}, NULL) | visit.timespan OVERLAPS (NULL, NULL) | visit.timespan OVERLAPS ({_T}, {_T}) | visit.timespan OVERLAPS (1, 2)
NOT visit.timespan OVERLAPS (T'2031-03-06', T'2031-03-05') | visit.timespan OVERLAPS day_obs.timespan | visit.timespan OVERLAPS visit.region
day_obs.timespan OVERLAPS (T'2031-03-01', T'2031-04-01') | NOT day_obs.timespan OVERLAPS (T'2031-03-06', T'2031-03-05') | visit.timespan OVERLAPS 'x'
visit.timespan.begin > {_T} | visit.timespan.end <= {_T} | visit.timespan.begin < visit.timespan.end | visit.timespan.middle > {_T} | visit.begin > {_T}
visit.timespan.begin > T'2031-03-05 02:19:23' | visit.timespan.begin > T'2031-3-5 2:19' | visit.timespan.begin > T'63000.09/tt' | visit.timespan.begin > T'63000'
visit.timespan.begin > T'mjd/62930.1/utc' | visit.timespan.begin > T'jd/2462931.1' | visit.timespan.begin > T'2462931.1' | visit.timespan.begin > T'unix/1930443600.0'
visit.timespan.begin > T'2031-03-05T02:19Z' | visit.timespan.begin > T'nonsense' | visit.timespan.begin > T'2031-02-29' | visit.timespan.begin > T' 2031-03-05'
visit.timespan.begin > T'iso/2031-03-05T02:00' | visit.timespan.begin > T'isot/2031-03-05T02:00' | visit.timespan.begin > T'2031-03-05/xyz'
visit.timespan.begin IN ({_T}) | visit.timespan.begin + 1 > {_T} | visit.timespan.begin > 62930 | visit.timespan.begin = NULL | visit.timespan != NULL
"""
_REGIONS = """
POINT(40.0, -5.0) | POINT(400.0, -5.0) | POINT(-320, -5) | POINT(40, 95) | POINT(40) | POINT('40', 2) | CIRCLE(40, -5, 0.2) | CIRCLE(40, -5, 0)
CIRCLE(40, -5, -1) | CIRCLE(40, -5, 90) | circle(41.5, -5, 0.1) | BOX(40, -5, 1, 1) | BOX(40, -5, 0, 0) | BOX(40, -5, 360, 1) | BOX(40, -5, -1, 1)
POLYGON(39, -5, 40, -6, 41, -5) | POLYGON(39, -5, 40, -6) | POLYGON(41, -5, 40, -6, 39, -5, 40, -5.2) | REGION('CIRCLE 40 -5 0.2') | REGION('circle 40 -5 1')
REGION('RANGE 39.5 40.5 -5.5 -5') | REGION('RANGE -Inf +Inf -5 -4.9') | REGION('POLYGON 39 -5 40 -6 41 -5') | REGION('nonsense') | ELLIPSE(1, 2, 3) | 3 | 'x'
"""

_BOUND: list[tuple[str, Case]] = [
    ("visit.exposure_time = :v", {"v": 30}),
    ("visit.exposure_time = v", {"v": 30.0}),
    ("visit.exposure_time = :V", {"v": 30.0}),
    ("visit.exposure_time = :v", {}),
    ("visit.exposure_time IN (:v)", {"v": [15.0, 30.0]}),
    ("visit.exposure_time IN (:v)", {"v": [15, 30]}),
    ("visit.exposure_time IN (:v)", {"v": [15.0, "30"]}),
    ("visit.exposure_time IN (:v, 92.5)", {"v": {"$tuple": [15.0]}}),
    ("visit.exposure_time NOT IN (v)", {"v": []}),
    ("band IN (:v)", {"v": {"$set": ["g", "r"]}}),
    ("band IN (:v)", {"v": "g"}),
    ("band = :v", {"v": ["g"]}),
    ("band = 'g'", {"band": "g"}),
    ("band = 'g'", {"unused": 1}),
    ("instrument IN (:v) AND visit > 110", {"v": "Deep"}),
    ("instrument IN (:v) AND visit > 110", {"v": ["Deep"]}),
    ("GLOB(visit.name, :v) AND instrument = 'Wide'", {"v": "*1?"}),
    ("visit.timespan OVERLAPS :v", {"v": {"$time_tai": "2031-03-05T02:20:00"}}),
    ("visit.timespan OVERLAPS :v", {"v": {"$timespan_tai": ["2031-03-05T00:00:00", None]}}),
    ("visit.timespan.begin > :v", {"v": {"$time_tai": "2031-03-05T02:20:00"}}),
    ("visit.timespan OVERLAPS (v, NULL)", {"v": {"$time_tai": "2031-03-05T02:20:00"}}),
    ("visit.region OVERLAPS :v", {"v": {"$circle_deg": [40.0, -5.0, 0.2]}}),
    ("visit.region OVERLAPS v", {"v": {"$point_deg": [40.0, -5.0]}}),
    ("visit.region OVERLAPS POINT(:v, -5)", {"v": 40.0}),
    ("visit.region OVERLAPS REGION(:v)", {"v": "CIRCLE 40 -5 0.2"}),
]
_GROUPS = (
    "instrument", "skymap", "band", "physical_filter", "day_obs", "detector", "group", "visit_system", "tract", "patch", "exposure",
    "visit", "visit,detector", "visit,patch", "visit,tract", "visit,detector,patch", "visit,detector,tract", "exposure,visit",
    "exposure,detector", "band,patch", "visit,htm7", "patch,htm7", "instrument,skymap",
)  # fmt: skip
_FILTERED = (
    "band = 'r'",
    "tract = 0 AND skymap = 'rings'",
    "visit = 1007 AND instrument = 'Wide'",
    "patch.cell_x = 1",
    "purpose = 'GUIDER'",
)
_ELEMENTS = (
    "visit",
    "exposure",
    "patch",
    "band",
    "visit_detector_region",
    "visit_definition",
    "visit_system_membership",
    "day_obs",
)
_ORDERS = (
    ["visit"], ["-visit.id"], ["band", "-visit"], ["exposure_time", "visit"], ["-visit.timespan.begin"], ["target_name", "visit"], ["nosuch"],
    ["+visit"], ["visit.timespan"], ["detector"], ["timespan.begin"], ["visit.region"],
)  # fmt: skip


_DATA_IDS = (
    {"instrument": "Deep"},
    {"instrument": "Deep", "visit": 107},
    {"visit": 107},
    {"skymap": "rings", "tract": 1},
    {"tract": 1},
)


def _listed(text: str) -> list[str]:
    return [e.strip() for line in text.strip("\n").split("\n") for e in line.split(" | ")]


def _case(where: str, dimensions: str = "visit", kind: str = "data_ids", **more: Any) -> Case:
    return {"kind": kind, "dimensions": dimensions.split(","), "where": where, **more}


def chosen_cases() -> Iterator[Case]:
    """Yield cases for each rule."""
    yield from (_case(_WIDE + where) for where in _listed(_VISIT))
    yield from (_case(where) for where in (*_listed(_ANY), *_listed(_SPANS)))
    yield from (_case(where, bind=bind) for where, bind in _BOUND)
    yield from _in_space()
    yield from _of_each_kind()
    yield from _with_values_and_order()


def _in_space() -> Iterator[Case]:
    for region in _listed(_REGIONS):
        yield _case(f"visit.region OVERLAPS {region}")
        yield _case(f"{region} OVERLAPS patch.region", "patch")
    for region in ("tract.region", "patch.region", "POINT(40, -5)"):
        yield _case(f"visit.region OVERLAPS {region}", "visit,detector,patch")
    yield _case("NOT visit.region OVERLAPS POINT(40, -5)")


def _of_each_kind() -> Iterator[Case]:
    for group in _GROUPS:
        yield from (_case(where, group) for where in ("", *_FILTERED))
    for element in _ELEMENTS:
        yield from (_case(where, element, "records") for where in ("", *_FILTERED[:3]))
        yield _case("", element, "records", default_data_id={"instrument": "Deep"})


def _with_values_and_order() -> Iterator[Case]:
    for order in _ORDERS:
        yield _case(_WIDE + "visit > 1000", order_by=order)
        yield _case(_WIDE + "visit > 1000", order_by=[*order, "visit"], limit=3)
    for values in _DATA_IDS:
        yield _case("", data_id=values)
        yield _case("band = 'r'", data_id=values, default_data_id={"instrument": "Wide", "skymap": "rings"})
    for where in ("visit > 0", "instrument = 'Wide'", "instrument != NULL", "tract = 0", "band = 'r'"):
        yield _case(where, default_data_id={"instrument": "Deep"})


class _Writer:
    """Writes well-typed expressions over visits or exposures, from values that there are."""

    def __init__(self, rng: random.Random, element: str, records: dict[str, list[dict[str, Any]]]) -> None:
        self.rng, self.element, self.rows = rng, element, records[element]

    def _value(self, column: str) -> Any:
        return self.rng.choice([r[column] for r in self.rows if r[column] is not None])

    def _compare(self, left: str, right: str) -> str:
        return f"{left} {self.rng.choice(['=', '!=', '<', '>', '<=', '>='])} {right}"

    def _atom(self) -> str:
        pick, e = self.rng.choice, self.element
        number, text = (
            pick(["exposure_time", "zenith_angle", "azimuth"]),
            pick(["target_name", "science_program", "observation_reason"]),
        )
        moment = f"T'{2031}-03-0{pick('456')}T02:{pick('012')}0:{pick('03')}0{pick(['', '/tai'])}'"
        return pick([
            lambda: self._compare(f"{e}.{number}", f"{pick(['', '0.5 + ', '2.0 * '])}{self._value(number)}"),
            lambda: self._compare(f"{e}.{text}", f"'{self._value(text)}'"),
            lambda: self._compare(pick([e, f"{e}.id", f"{e} % 5", f"3 * {e} - 10"]), f"{self._value('id')}"),
            lambda: f"{e} {pick(['IN', 'NOT IN', 'in'])} ({self._value('id')}, {(n := self._value('id'))}..{n + pick([0, 7, 30])}{pick(['', ':2', ':7'])})",
            lambda: f"{e}.{text} {pick(['IN', 'NOT IN'])} ('{self._value(text)}', {pick(['NULL', repr('x'), 'band'])})",
            lambda: f"GLOB({e}.{text}, '{pick(['*', '?', ''])}{self._value(text)[1:]}')",
            lambda: f"{e}.{pick([number, text, 'timespan'])} {pick(['=', '!='])} NULL",
            lambda: f"{e}.timespan OVERLAPS {pick([moment, f'({moment}, NULL)', f'(NULL, {moment})'])}",
            lambda: f"{e}.timespan.{pick(['begin', 'end'])} {pick('<>')} {moment}",
            lambda: f"band {pick(['=', '!='])} '{pick(['g', 'r', 'nb'])}'",
        ])()  # fmt: skip

    def expression(self, depth: int) -> str:
        """Return an expression of at most so many levels."""
        shape = self.rng.random()
        if depth == 0 or shape < 0.3:
            return self._atom()
        if shape < 0.8:
            return f"{self.expression(depth - 1)} {self.rng.choice(['AND', 'OR', 'and'])} {self.expression(depth - 1)}"
        return self.rng.choice(["NOT {}", "({})", "NOT ({})"]).format(self.expression(depth - 1))


_TOKEN = re.compile(r"[tT]?'[^']*'|[A-Za-z_][\w.]*|[0-9]+(?:\.[0-9]+)?(?!\.\.)|\.\.|[!<>]=|\S")
_STRAY = (
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "IN",
    "=",
    "<",
    "-",
    "..",
    ":",
    ":v",
    "NULL",
    "5",
    "'x'",
    "band",
    "GLOB",
    "IS",
    "<>",
    "x.y.z.w",
    "'",
)


def _spoilt(rng: random.Random, text: str) -> str:
    """Remove, insert, swap or replace one token."""
    tokens = _TOKEN.findall(text)
    i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    match rng.choice(["remove", "insert", "swap", "replace"]):
        case "remove":
            del tokens[i]
        case "insert":
            tokens.insert(i, rng.choice(_STRAY))
        case "swap":
            tokens[i], tokens[j] = tokens[j], tokens[i]
        case _:
            tokens[i] = rng.choice(_STRAY)
    return " ".join(tokens)


def generated_cases(seed: int, count: int, records: dict[str, list[dict[str, Any]]]) -> Iterator[Case]:
    """Yield cases made at random: well typed, and every third one spoilt."""
    rng = random.Random(seed)
    for i in range(count):
        element = rng.choice(["visit", "visit", "exposure"])
        camera = rng.choice(["instrument = 'Wide' AND ", "instrument IN ('Wide', 'Deep') AND ", ""])
        where = f"{camera}({_Writer(rng, element, records).expression(rng.randrange(4))})"
        spoilt = i % 3 == 0
        tags = ["fuzz", "mutated" if spoilt else "generated"]
        yield _case(_spoilt(rng, where) if spoilt else where, element, tags=tags)
