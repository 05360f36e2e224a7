"""Ids: versions, order, no two alike; references as text."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.model.data_id import DataId
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import default_universe
from registry.model.refs import (
    DatasetRef,
    derived_id,
    derived_ids,
    derived_ordinals,
    id_numbers,
    id_text,
    new_id,
    new_ids,
    parse_id,
)  # fmt: skip

ORDINALS = st.integers(0, 2**36 - 1)


def test_new_ids_are_of_version_7_and_rise() -> None:
    """A batch is sorted, has no repeats, and is of the version and variant that the standard asks for."""
    ids = new_ids(100_000)

    assert ids == sorted(set(ids))
    assert {16} == set(map(len, ids))
    for one in (ids[0], ids[-1]):
        assert (uuid.UUID(bytes=one).version, uuid.UUID(bytes=one).variant) == (7, uuid.RFC_4122)


def test_new_ids_do_not_repeat() -> None:
    """Ids minted one by one and in batches, in one millisecond, are all different."""
    ids = [i for _ in range(2000) for i in [new_id(), *new_ids(3)]]

    assert len(ids) == len(set(ids))


@given(st.lists(ORDINALS, min_size=1, max_size=20, unique=True))
def test_derived_ids_are_those_of_single_ordinals(ordinals: list[int]) -> None:
    """The batch and the single form agree; ids are different, of version 8, and sort as the ordinals do."""
    graph = new_id()
    ids = derived_ids(graph, np.array(ordinals, dtype=np.int64))

    assert [derived_id(graph, o) for o in ordinals] == ids
    assert sorted(ordinals) == [o for _, o in sorted(zip(ids, ordinals, strict=True))]
    assert (uuid.UUID(bytes=ids[0]).version, uuid.UUID(bytes=ids[0]).variant) == (8, uuid.RFC_4122)


@given(ORDINALS)
def test_graphs_do_not_share_ids(ordinal: int) -> None:
    """The same ordinal of two graphs made right after each other has two ids."""
    assert derived_id(new_id(), ordinal) != derived_id(new_id(), ordinal)


@given(st.binary(min_size=16, max_size=16))
def test_text_of_an_id_is_read_back(value: bytes) -> None:
    """With and without hyphens."""
    assert value == parse_id(id_text(value)) == parse_id(id_text(value).replace("-", ""))


def test_a_reference_tells_what_it_is() -> None:
    """Type, data ID, run and id are in its text; other text is no id."""
    group = default_universe().group(["detector"])
    kind = DatasetType("raw", group, "Json")
    ref = DatasetRef(b"\1" * 16, kind, DataId(group, ("Cam", 3)), "run/a")

    assert str(ref) == "raw@{instrument=Cam, detector=3} [run/a] (01010101-0101-0101-0101-010101010101)"
    assert ref.id == ref.uuid.bytes
    with pytest.raises(ValueError, match="badly formed"):
        parse_id("raw")


@given(st.lists(ORDINALS, max_size=5))
def test_ordinals_come_back_from_derived_ids(ordinals: list[int]) -> None:
    """Of all ids those are told that a graph's was made to, with their ordinals; others and other graphs' are left out."""
    mine, other = new_ids(2)
    ids = [new_id(), *derived_ids(mine, np.array(ordinals, dtype=np.int64)), derived_id(other, 3)]
    is_derived, found = derived_ordinals(id_numbers(ids), mine)

    assert is_derived.tolist() == [False, *([True] * len(ordinals)), False]
    assert found.tolist() == ordinals
