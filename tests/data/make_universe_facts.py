"""Ask the reference package what its own universe of dimensions is, and write it down.

Run with a Python that has lsst-daf-butler (30.2026), from anywhere:

    python tests/data/make_universe_facts.py > tests/data/universe_facts.json
"""

import json
import sys

from lsst.daf.butler import DimensionUniverse


def column(spec):
    """Type, longest string and whether it may be null."""
    return [spec.type, getattr(spec, "length", None), spec.nullable]


def element(found, universe):
    """What one element is."""
    is_dimension = found.name in universe.dimensions.names
    facts = {
        "required": sorted(found.required.names),
        "implied": sorted(found.implied.names),
        "governor": found.name in universe.governor_dimensions.names,
        "spatial": found.spatial.name if found.spatial else None,
        "temporal": found.temporal.name if found.temporal else None,
        "metadata": {m.name: column(m) for m in found.metadata_columns},
        "unique": {k.name: column(k)[:2] for k in found.alternate_keys} if is_dimension else {},
    }
    if is_dimension:
        return facts | {"key": [found.primary_key.name, *column(found.primary_key)[:2]]}
    return facts | {"always_join": found.defines_relationships}


def main():
    """Write the facts, one element a line."""
    universe = DimensionUniverse()
    pixels = set(universe.skypix_dimensions.names)
    lines = {e.name: element(e, universe) for e in universe.elements if e.name not in pixels}
    lines["skypix"] = {"common": universe.commonSkyPix.name, "names": sorted(pixels)}
    text = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in lines.items())
    sys.stdout.write("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
