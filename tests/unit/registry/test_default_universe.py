"""The default universe has what the field's own has: the facts are the reference package's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.model.dimensions import default_universe
from registry.model.elements import Column

UNIVERSE = default_universe()
FACTS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data/universe_facts.json").read_text())
PIXELS = FACTS.pop("skypix")


def _column(column: Column) -> list[Any]:
    return [column.type, column.length, column.nullable]


def test_it_has_the_same_elements() -> None:
    """Nothing is missing, nothing is added, pixelisations and the common one included; but for htm0, the octants."""
    own = {e.name for e in UNIVERSE.elements.values() if e.skypix is None}
    assert set(FACTS) == own
    assert sorted({*PIXELS["names"]} - {"htm0"}) == sorted(set(UNIVERSE.elements) - own)
    assert PIXELS["common"] == UNIVERSE.common_skypix


@pytest.mark.parametrize("name", sorted(FACTS))
def test_an_element_is_the_same(name: str) -> None:
    """Required and implied dimensions, key, alternate keys, and metadata with types, lengths and nullability."""
    element, facts = UNIVERSE.element(name), FACTS[name]
    assert facts["required"] == sorted(element.required)
    assert facts["implied"] == sorted(element.implied)
    assert facts["metadata"] == {c.name: _column(c) for c in element.metadata}
    # Here an alternate key may be left out.
    assert facts["unique"] == {c.name: _column(c)[:2] for c in element.unique}
    assert facts["governor"] is (name in UNIVERSE.governors)
    assert (facts["spatial"] is not None) is element.region
    assert (facts["temporal"] is not None) is element.timespan
    if element.key is None:
        assert facts["always_join"] is element.always_join
    else:
        assert facts["key"] == [element.key.name, *_column(element.key)[:2]]


@pytest.mark.parametrize("kind", ["spatial", "temporal"])
def test_families_are_the_same(kind: str) -> None:
    """What has a region or a timespan belongs together with what it does there."""
    expected: dict[str, set[str]] = {}
    for name, facts in FACTS.items():
        if facts[kind]:
            expected.setdefault(facts[kind], set()).add(name)
    families = UNIVERSE.on_sky if kind == "spatial" else UNIVERSE.in_time
    assert sorted(map(sorted, expected.values())) == sorted(sorted(e.name for e in f) for f in families)
