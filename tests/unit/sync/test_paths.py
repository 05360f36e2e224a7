"""Where artifacts go."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import UsageError
from registry.model.refs import new_id
from sync.filesystem import files
from sync.paths import artifact_stem, safe_part

ID = uuid.UUID("0193f7a4-0000-7000-8000-000000000001")


def test_stem_says_what_it_is() -> None:
    """Run, dataset type, data ID and id can be read from a path."""
    stem = artifact_stem("HSC/raw/all", "raw", ("instrument", "exposure"), ("HSC", 318), ID.bytes)

    assert f"HSC/raw/all/raw/HSC/raw_HSC_318_{ID}" == stem


def test_no_dimensions() -> None:
    """A dataset without dimensions has a path too."""
    assert artifact_stem("r", "packages", (), (), ID.bytes) == f"r/packages/packages_{ID}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HSC-G", "HSC-G"),
        ("2013_06", "2013_06"),
        ("..", "_."),
        (".", "_"),
        (".hidden", "_hidden"),
        ("-rf", "_rf"),
        ("", "_"),
        ("a/b", "a_b"),
        ("a\\b c\n", "a_b_c_"),
        ("a::b", "a_b"),
        ("naïve", "na_ve"),
        ("a:b%c", "a:b%c"),
    ],
)
def test_parts_are_cleaned(text: str, expected: str) -> None:
    """Plain names stay; whatever could mean something to a file system does not."""
    assert expected == safe_part(text)


@given(
    run=st.text(min_size=1, max_size=60),
    values=st.lists(st.one_of(st.text(max_size=80), st.integers()), max_size=4),
)
def test_no_value_leaves_the_root(run: str, values: list[str | int]) -> None:
    """Whatever run and values hold, the path is relative, has no dots for parts and fits a file system."""
    stem = artifact_stem(run, "t", tuple("abcd"[: len(values)]), values, ID.bytes)

    parts = stem.split("/")
    assert not stem.startswith("/")
    assert all(part and not part.startswith(".") for part in parts)
    assert all(len(part.encode()) <= 255 - len(".parquet.zst") for part in parts if len(run) < 200)
    assert files.join("/store", stem) == f"/store/{stem}"


def test_long_values_are_cut_but_paths_differ() -> None:
    """Values longer than a name may be share a directory, never a path."""
    one, other = (artifact_stem("r", "t", ("name",), ("x" * n,), new_id()) for n in (300, 301))

    assert one != other
    assert len(one.rpartition("/")[2]) <= 240


def test_pairing_is_checked() -> None:
    """Names without values are a mistake of the caller, told at once."""
    with pytest.raises(UsageError):
        artifact_stem("r", "t", ("a", "b"), (1,), ID.bytes)
    with pytest.raises(UsageError):
        artifact_stem("r", "t", (), (), b"short")
