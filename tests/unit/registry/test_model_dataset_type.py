"""Dataset types: names, differences."""

from __future__ import annotations

import pickle

import pytest

from registry.errors import UsageError
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import default_universe

UNIVERSE = default_universe()
RAW = DatasetType("raw", UNIVERSE.group(["detector"]), "Json")


def test_definitions_agree_or_tell_how_they_differ() -> None:
    """Equal definitions have no differences; each field that differs is told with both values."""
    other = DatasetType("raw", UNIVERSE.group(["exposure", "detector"]), "Yaml", is_calibration=True)

    assert RAW.differences(DatasetType("raw", UNIVERSE.group(["instrument", "detector"]), "Json")) == []
    assert RAW.differences(other) == [
        "dimensions: {instrument, detector} against {instrument, detector, exposure}",
        "storage class: Json against Yaml",
        "calibration: False against True",
    ]


def test_a_definition_survives_pickling() -> None:
    """In another process it is equal, and prints alike."""
    assert pickle.loads(pickle.dumps(RAW)) == RAW
    assert str(RAW) == "raw(instrument, detector)"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "1a", "a-b", "é", "a" * 129, "a\n"])
def test_names_that_are_refused(name: str) -> None:
    """A name becomes part of paths and of tables' names."""
    with pytest.raises(UsageError, match="not a dataset type name"):
        DatasetType(name, UNIVERSE.empty, "Json")
