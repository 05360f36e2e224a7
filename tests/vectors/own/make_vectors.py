"""Makes the vectors of this folder: simulates records, asks the reference's own packages, writes the answers down.

Run as ``python -m tests.vectors.own.make_vectors`` from the top of the checkout. The packages live in an environment
of their own (``.venv-reference``), which is made on first use; nothing else needs them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.vectors.own.expressions import chosen_cases, generated_cases
from tests.vectors.own.simulate import simulate

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ENVIRONMENT = ROOT / ".venv-reference"
PACKAGES = ("lsst-daf-butler==30.2026.4300",)
DATASET = "survey"
SEED = 20_310_304
GENERATED = 260
_MOST_ROWS = 8
"""Longer answers are kept as their digest."""


def _python() -> str:
    """Return the interpreter of the reference's environment, which is made on first use."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    if subprocess.run([python, "-c", "import lsst.daf.butler"], check=False, capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def _write_data(records: dict[str, list[dict[str, Any]]]) -> None:
    """Write the records, with the bytes of their regions."""
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    folder = HERE / "data" / DATASET
    folder.mkdir(parents=True, exist_ok=True)
    for element, rows in records.items():
        for region in [r["region"] for r in rows if r.get("region")]:
            corners = [UnitVector3d(LonLat.fromDegrees(*c)) for c in region.pop("vertices_deg")]
            region["sphgeom_hex"] = ConvexPolygon.convexHull(corners).encode().hex()
        lines = [json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in rows]
        (folder / f"{element}.jsonl").write_text("".join(lines), encoding="utf-8")


class _Reference:
    """A repository of the reference that holds the records."""

    def __init__(self, root: str, records: dict[str, list[dict[str, Any]]]) -> None:
        from lsst.daf.butler import Butler

        self.root = root
        Butler.makeRepo(root)
        with Butler.from_config(root, writeable=True) as butler, butler.transaction():
            for element, rows in records.items():
                made = [{k: self._value(k, v) for k, v in row.items()} for row in rows]
                butler.registry.insertDimensionData(element, *made)

    @staticmethod
    def _value(column: str, value: Any) -> Any:
        from lsst.daf.butler import Timespan
        from lsst.sphgeom import Region

        if value is None or column not in {"region", "timespan", "hash"}:
            return value
        if column == "timespan":
            return Timespan(None, None, _nsec=(value["begin_ns"], value["end_ns"]))
        return (
            bytes.fromhex(value["hex"])
            if column == "hash"
            else Region.decode(bytes.fromhex(value["sphgeom_hex"]))
        )

    def answer(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return what is expected of a case."""
        try:
            columns, rows = self._rows(case)
        except Exception as exc:  # noqa: BLE001  (whatever the reference dies of is a refusal)
            clean = type(exc).__module__.startswith("lsst.daf.butler")
            refusal = {"error": "user-expression-error", "peer_exception": type(exc).__name__}
            return {**refusal, "peer_refuses_cleanly": clean, **_leniency(type(exc).__name__, str(exc))}
        ordered = "order_by" in case
        if not ordered:
            rows.sort(key=_key)
        out: dict[str, Any] = {"columns": columns, "count": len(rows), "ordered": ordered}
        if len(rows) > _MOST_ROWS:
            text = json.dumps(sorted(rows, key=_key), separators=(",", ":"), ensure_ascii=False)
            return {**out, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        return {**out, "rows": rows}

    def _rows(self, case: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
        from lsst.daf.butler import Butler

        defaults = case.get("default_data_id", {})
        with (
            Butler.from_config(self.root, inferDefaults=False, **defaults) as butler,
            butler.query() as query,
        ):
            dimensions, records = case["dimensions"], case["kind"] == "records"
            found = query.dimension_records(dimensions[0]) if records else query.data_ids(dimensions)
            bind = {k: _untagged(v) for k, v in case.get("bind", {}).items()}
            found = found.where(case["where"], bind=bind or None).where(case.get("data_id", {}))
            found = found.order_by(*case.get("order_by", ())).limit(case.get("limit"))
            group = (
                butler.dimensions[dimensions[0]].required
                if records
                else butler.dimensions.conform(dimensions).required
            )
            columns = list(getattr(group, "names", group))
            return columns, [[(f.dataId if records else f)[c] for c in columns] for f in found]


def _key(row: list[Any]) -> list[tuple[bool, str, Any]]:
    return [(v is not None, type(v).__name__ if not isinstance(v, int | float) else "", v) for v in row]


def _leniency(exception: str, text: str) -> dict[str, Any]:
    """Mark what the reference merely lacks."""
    lacks = (
        "nested inside OR or NOT",
        "(float, int)",
        "(int, float)",
        "is not necessary",
        "Too many disconnected",
    )
    lacking = exception in {"AssertionError", "UnimplementedQueryError"} or any(
        words in text for words in lacks
    )
    return {"may_be_answered": True} if lacking else {}


def _untagged(value: Any) -> Any:
    """Return the value that a tagged one stands for, as the reference takes it."""
    import astropy.time
    from lsst.daf.butler import Timespan
    from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

    def time(text: str | None) -> Any:
        return None if text is None else astropy.time.Time(text, format="isot", scale="tai")

    if isinstance(value, list):
        return [_untagged(v) for v in value]
    match value:
        case {"$tuple": some}:
            return tuple(some)
        case {"$set": some}:
            return set(some)
        case {"$time_tai": text}:
            return time(text)
        case {"$timespan_tai": [begin, end]}:
            return Timespan(time(begin), time(end))
        case {"$circle_deg": [lon, lat, radius]}:
            return Circle(UnitVector3d(LonLat.fromDegrees(lon, lat)), Angle.fromDegrees(radius))
        case {"$point_deg": [lon, lat]}:
            return LonLat.fromDegrees(lon, lat)
    return value


def _judged(cases: Iterator[dict[str, Any]], reference: _Reference) -> list[dict[str, Any]]:
    """Give each case its name and its answer; cases that are alike are kept once."""
    out: dict[str, dict[str, Any]] = {}
    for case in cases:
        whole = {"dataset": DATASET, **case}
        name = "q" + hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:10]
        if name not in out:
            out[name] = {"id": name, **whole, "expected": reference.answer(whole)}
    return [out[name] for name in sorted(out)]


def _write_cases(path: Path, cases: list[dict[str, Any]]) -> None:
    lines = [json.dumps(c, separators=(",", ":"), ensure_ascii=False) for c in cases]
    path.write_text('{"cases":[\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


def main() -> int:
    """Make everything; outside the reference's environment, go there first."""
    if Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
        return subprocess.run(
            [_python(), "-m", "tests.vectors.own.make_vectors"], cwd=ROOT, check=False
        ).returncode
    warnings.simplefilter("ignore")
    records = simulate(SEED)
    _write_data(records)
    with tempfile.TemporaryDirectory() as root:
        reference = _Reference(f"{root}/repo", records)
        _write_cases(HERE / "query_vectors.json", _judged(chosen_cases(), reference))
        _write_cases(
            HERE / "fuzz_query_vectors.json", _judged(generated_cases(SEED, GENERATED, records), reference)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
