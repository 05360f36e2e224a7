"""Ask the reference package what it makes of the exports of the field's butler, and write it down.

Run with a Python that has lsst-daf-butler (30.2026), from anywhere:

    python tests/data/make_butler_export_facts.py ../shared/data/butler-exports > tests/data/butler_export_facts.json

Each repository is made from one or more of the files, without a datastore: formatters of the field are not needed.
"""

import hashlib
import json
import re
import sys
import tempfile
import warnings
from pathlib import Path

import astropy.time
import lsst.daf.butler as daf
from lsst.daf.butler import Butler, CollectionType

REPOSITORIES = {
    "base": ["base.yaml"],
    "datasets": ["base.yaml", "datasets.yaml"],
    "spatial": ["base.yaml", "spatial.yaml"],
    "ci_hsc": ["ci_hsc-subset.yaml", "ci_hsc-subset-skymap.yaml"],
    "hsc-rc2": ["hsc-rc2-subset.yaml"],
    "hsc-rc2-v0": ["hsc-rc2-subset-v0.yaml"],
    "lsstcam": ["lsstcam-subset.yaml"],
    "pipelines_check": ["pipelines_check/export.yaml"],
}


def span(timespan):
    """Return begin and end in TAI nanoseconds, null where open; nothing where there is none."""
    if timespan is None:
        return None
    low, high = timespan.nsec
    return [None if timespan.begin is None else low, None if timespan.end is None else high]


def plain(value):
    """Return a value of a record as JSON has it."""
    if isinstance(value, daf.Timespan):
        return span(value)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "encode") and not isinstance(value, str):
        return value.encode().hex()
    return value


def digest(rows):
    """Return a digest of records that does not depend on their order."""
    lines = sorted(json.dumps(row, sort_keys=True) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def records(butler):
    """Return number and digest of the records of each element, and one of them."""
    out = {}
    for element in butler.dimensions.elements:
        if not element.has_own_table:
            continue
        found = list(butler.registry.queryDimensionRecords(element.name))
        if found:
            rows = [{k: plain(v) for k, v in r.toDict().items()} for r in found]
            first = dict(min(rows, key=lambda row: json.dumps(row, sort_keys=True)))
            first.pop("region", None)
            out[element.name] = {"count": len(rows), "digest": digest(rows), "first": first}
    return out


def datasets(butler):
    out = []
    for kind in sorted(butler.registry.queryDatasetTypes(), key=lambda k: k.name):
        for ref in butler.registry.queryDatasets(kind, collections=...):
            values = dict(sorted(dict(ref.dataId.required).items()))
            out.append([kind.name, ref.run, str(ref.id), values])
    return sorted(out, key=str)


def associations(butler):
    tags, ranges = [], []
    for kind in butler.registry.queryDatasetTypes():
        for found in butler.registry.queryDatasetAssociations(
            kind, collections=..., collectionTypes={CollectionType.TAGGED, CollectionType.CALIBRATION}
        ):
            if found.timespan is None:
                tags.append([found.collection, str(found.ref.id)])
            else:
                ranges.append([found.collection, str(found.ref.id), *span(found.timespan)])
    return {"tags": sorted(tags, key=str), "validity_ranges": sorted(ranges, key=str)}


def collections(butler):
    found = [butler.collections.get_info(n) for n in sorted(butler.collections.query("*"))]
    return [{"name": c.name, "type": c.type.name, "children": list(c.children or ())} for c in found]


def types(butler):
    return [
        {
            "name": k.name,
            "required": sorted(k.dimensions.required.names),
            "storage_class": k.storageClass_name,
            "is_calibration": k.isCalibration(),
        }
        for k in sorted(butler.registry.queryDatasetTypes(), key=lambda k: k.name)
    ]


def lookups(butler):
    """Return what is found for calibrations at some times, and for other types in their runs."""
    out = []
    calibrations = [
        c for c in butler.collections.query("*") if butler.collections.get_info(c).type.name == "CALIBRATION"
    ]
    for kind in sorted(butler.registry.queryDatasetTypes(), key=lambda k: k.name):
        refs = sorted(butler.registry.queryDatasets(kind, collections=...), key=str)[:4]
        for ref in refs:
            for day in (
                ("2012-01-01", "2013-06-17", "2014-04-20") if calibrations and kind.isCalibration() else ()
            ):
                begin = astropy.time.Time(f"{day}T00:00:00", scale="tai", format="isot")
                span = daf.Timespan(begin, begin + astropy.time.TimeDelta(60, format="sec", scale="tai"))
                found = butler.registry.findDataset(kind, ref.dataId, collections=calibrations, timespan=span)
                out.append(
                    [
                        kind.name,
                        dict(ref.dataId.required),
                        sorted(calibrations),
                        span.nsec[0],
                        span.nsec[1],
                        None if found is None else str(found.id),
                    ]
                )
            found = butler.registry.findDataset(kind, ref.dataId, collections=[ref.run])
            out.append([kind.name, dict(ref.dataId.required), [ref.run], None, None, str(found.id)])
    return out


def repository(folder, names):
    with tempfile.TemporaryDirectory() as root:
        Butler.makeRepo(root)
        butler = Butler.from_config(root, writeable=True)
        for name in names:
            text = re.sub(r"^ *formatter: .*\n", "", (folder / name).read_text(), flags=re.MULTILINE)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                butler.import_(filename=file.name, format="yaml", without_datastore=True)
        return {
            "files": names,
            "records": records(butler),
            "collections": collections(butler),
            "dataset_types": types(butler),
            "datasets": datasets(butler),
            **associations(butler),
            "lookups": lookups(butler),
        }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    source = Path(sys.argv[1])
    made = {name: repository(source, names) for name, names in REPOSITORIES.items()}
    json.dump(
        {"reference": f"lsst-daf-butler {daf.__version__}", "repositories": made},
        sys.stdout,
        separators=(",", ":"),
    )
    print()
