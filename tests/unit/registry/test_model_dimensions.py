"""Universes, elements, groups: closures, order, refusals."""

from __future__ import annotations

import pickle
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import DataIdError, UsageError
from registry.model.dimensions import DimensionUniverse, default_universe

UNIVERSE = default_universe()
NAMED = [
    n for n in UNIVERSE.dimension_names if UNIVERSE.elements[n].has_table or UNIVERSE.elements[n].view_of
]
GROUPS = st.sets(st.sampled_from(NAMED)).map(UNIVERSE.group)


@pytest.mark.parametrize(
    ("names", "required", "implied"),
    [
        ([], [], []),
        (["detector"], ["instrument", "detector"], []),
        (["band"], ["band"], []),
        (["physical_filter"], ["instrument", "physical_filter"], ["band"]),
        (["visit"], ["instrument", "visit"], ["band", "physical_filter", "day_obs"]),
        (
            ["visit", "detector"],
            ["instrument", "detector", "visit"],
            ["band", "physical_filter", "day_obs"],
        ),
        (
            ["exposure"],
            ["instrument", "exposure"],
            ["band", "physical_filter", "day_obs", "group"],
        ),
        (["patch", "band"], ["skymap", "band", "tract", "patch"], []),
        (["htm7"], ["htm7"], []),
    ],
)
def test_a_group_is_closed(names: list[str], required: list[str], implied: list[str]) -> None:
    """What a dimension's key holds is required, what its record fixes is implied, both in universe order."""
    group = UNIVERSE.group(names)

    assert (tuple(required), tuple(implied)) == (group.required, group.implied)
    assert ",".join(required) == group.key


@given(GROUPS)
def test_closing_again_changes_nothing(group: object) -> None:
    """The group of a group's required dimensions, in any order, is that very group."""
    assert group is UNIVERSE.group(reversed(group.required))  # type: ignore[attr-defined]
    assert group == UNIVERSE.group(group.required)  # type: ignore[attr-defined]


@given(GROUPS, GROUPS)
def test_a_union_holds_both(a: object, b: object) -> None:
    """Union does not depend on order and holds every dimension of both sides."""
    both = a.union(b.required)  # type: ignore[attr-defined]

    assert both == b.union(a.required)  # type: ignore[attr-defined]
    assert set(both) >= set(a.required) | set(b.required)  # type: ignore[attr-defined]


@given(GROUPS)
def test_required_and_implied_are_apart(group: object) -> None:
    """No dimension is both, and names are in universe order."""
    assert not set(group.required) & set(group.implied)  # type: ignore[attr-defined]
    assert list(group.names) == sorted(group.names, key=UNIVERSE.dimension_names.index)  # type: ignore[attr-defined]
    assert len(group) == len(group.names)  # type: ignore[attr-defined, arg-type]


def test_groups_behave_as_sets() -> None:
    """Membership, comparison with plain sets, hashing by what is required."""
    group = UNIVERSE.group(["visit"])

    assert "band" in group
    assert "detector" not in group
    assert group == {"instrument", "visit", "band", "physical_filter", "day_obs"}
    assert {group: 1}[UNIVERSE.group(["visit", "instrument"])] == 1
    assert str(group) == "{instrument, visit}"
    assert UNIVERSE.group(["instrument"]) < group


def test_joined_relations_belong_to_a_group() -> None:
    """A group's elements are its dimensions' tables and the relations of dimensions that it holds."""
    names = [e.name for e in UNIVERSE.group(["visit", "detector"]).elements]

    assert names == ["instrument", "physical_filter", "detector", "day_obs", "visit", "visit_detector_region"]


def test_unknown_names_offer_the_nearest() -> None:
    """A misspelt dimension is named, with what may have been meant; a relation is no dimension."""
    with pytest.raises(DataIdError, match="no dimension 'vist'") as caught:
        UNIVERSE.group(["vist"])
    assert caught.value.hint == "Did you mean 'visit'?"
    with pytest.raises(DataIdError, match="relation"):
        UNIVERSE.group(["visit_definition"])


def test_a_universe_survives_pickling() -> None:
    """A copy made in another process is equal, with equal groups."""
    copy = pickle.loads(pickle.dumps(UNIVERSE))

    assert (UNIVERSE, hash(UNIVERSE)) == (copy, hash(copy))
    assert UNIVERSE.group(["visit"]) == copy.group(["visit"])


def test_every_pair_of_dimensions_has_a_group() -> None:
    """Whatever two dimensions are asked for, both are in the closure."""
    for pair in combinations(NAMED, 2):
        assert set(pair) <= set(UNIVERSE.group(pair))


def test_governors_are_roots_that_others_need() -> None:
    """Instrument and skymap govern; band, which nothing has in its key, does not."""
    assert frozenset({"instrument", "skymap"}) == UNIVERSE.governors


HEAD = "name: u\nversion: 1\nelements:\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not valid YAML"),
        ("[1, 2]", "expected a mapping"),
        ("version: 1\nelements: {a: {key: {type: int}}}", "no 'name'"),
        ("name: u\nversion: 1\nelements: {}", "no elements"),
        (HEAD + "  Bad: {key: {type: int}}", "not a usable name"),
        (HEAD + "  id: {key: {type: int}}", "not a usable name"),
        (HEAD + "  a: {kee: {type: int}}", "unknown key 'kee'"),
        (HEAD + "  a: {key: {type: integer}}", "unknown type 'integer'"),
        (HEAD + "  a: {requires: [b], key: {type: int}}", "'b', which is not defined above"),
        (HEAD + "  a: {key: {type: int}, implies: [c]}", "'c', which is not defined"),
        (HEAD + "  a: {doc: nothing}", "neither a key"),
        (HEAD + "  a: {key: {type: int}, metadata: {a: {type: int}}}", "two columns of one name"),
        ("name: u\nversion: 1\ncolour: red\nelements: {a: {key: {type: int}}}", "unknown key 'colour'"),
        (
            "name: u\nversion: one\nelements: {a: {key: {type: int}}}",
            "version: expected an integer .*, found 'one'",
        ),
        ("name: 3\nversion: 1\nelements: {a: {key: {type: int}}}", "name: expected text, found 3"),
        (HEAD + "  a: 3", "'a': expected a mapping, found 3"),
        (HEAD + "  a: {key: {type: string, length: long}}", "length: expected an integer"),
        (HEAD + "  a: {key: {type: int, lenght: 3}}", "'key': unknown key 'lenght'"),
        (HEAD + "  a: {key: {type: int}, requires: b}", "requires: expected a list of names, found 'b'"),
        (HEAD + "  a: {key: {type: int}, metadata: [b]}", "metadata: expected a mapping"),
        (HEAD + "  a: {key: {type: int}, metadata: {b c: int}}", "'b c' is not a usable column name"),
        (
            HEAD + "  a: {key: {type: int}, metadata: {b: {nullable: perhaps}}}",
            "nullable: expected true or false",
        ),
        (HEAD + "  a: {key: {type: int}, region: 1}", "region: expected true or false"),
        (HEAD + "  a: {key: {type: int}}\nskypix: {htm: 7}", "skypix htm: expected a mapping"),
        (HEAD + "  a: {key: {type: int}}\nskypix: {htm: {min_level: 1}}", "max_level: expected an integer"),
        (
            HEAD + "  a: {key: {type: int}}\nskypix: {htm: {min_level: 1, max_level: 99}}",
            "not within 1 to 24",
        ),
        (
            HEAD + "  a: {key: {type: int}}\nskypix: {hex: {min_level: 1, max_level: 9}}",
            "no such pixelisation",
        ),
        (
            HEAD + "  a: {key: {type: int}}\ncommon_skypix: htm7",
            "'htm7' is none of the universe's pixelisations",
        ),
        (HEAD + "  a: {key: {type: int}}\nspatial_families: {f: [a]}", "no element with a region"),
        (HEAD + "  a: {key: {type: int}}\ntemporal_families: {f: [b]}", "no element with a timespan"),
    ],
)
def test_a_universe_that_is_not_well_formed_says_where(text: str, says: str) -> None:
    """Each mistake in the document is a UsageError that names the place."""
    with pytest.raises(UsageError, match=says) as caught:
        DimensionUniverse.from_yaml(text, "lab.yaml")
    assert str(caught.value).startswith("lab.yaml")


def test_malformed_yaml_is_told_by_its_line() -> None:
    """File and line come first, as in every editor's list of errors."""
    with pytest.raises(UsageError, match=r"^lab\.yaml:4: not valid YAML: "):
        DimensionUniverse.from_yaml(HEAD + "  a: {key: [", "lab.yaml")


def test_the_smallest_universe() -> None:
    """One dimension with nothing but a key is a universe."""
    universe = DimensionUniverse.from_yaml(HEAD + "  sample: {key: {type: int}}")

    assert universe.element("sample").record_columns == ("sample",)
    assert (universe.group(["sample"]).required, universe.empty.required) == (("sample",), ())
