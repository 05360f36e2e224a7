"""Batches of rows as columns."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from registry.model.columns import Columns, as_array, unique_values


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], np.int64),
        ([1.0, 2.0], np.float64),
        ([True, False], np.bool_),
        ([1, None], object),
        ([1, 2.0], object),
        (["a", "b"], object),
        ([b"a\0", b"\0"], object),
        ([], object),
    ],
)
def test_columns_have_the_narrowest_type(values: list[object], dtype: type) -> None:
    """Numbers without nulls are numeric arrays, all else stays Python objects, to the byte."""
    array = as_array(values)

    assert dtype == array.dtype
    assert values == array.tolist()


def test_rows_are_transposed_and_back() -> None:
    """What rows go in come out, as Python values, in the order asked for."""
    rows = [(1, "a", None), (2, "b", 0.5)]
    columns = Columns.from_rows(("n", "s", "x"), rows)

    assert rows == columns.rows()
    assert columns.rows(["x", "n"]) == [(None, 1), (0.5, 2)]
    assert (columns.n_rows, columns.names) == (2, ("n", "s", "x"))
    assert all(type(v) is int for (v,) in columns.rows(["n"]))
    assert columns.rows([]) == [(), ()]


def test_no_rows_keep_their_names() -> None:
    """A batch of no rows still has its columns."""
    columns = Columns.from_rows(("a", "b"), [])

    assert (columns.n_rows, columns.names, columns.rows()) == (0, ("a", "b"), [])
    assert 0 == columns.unique().n_rows == columns.take(np.arange(0)).n_rows


def test_unequal_columns_are_refused() -> None:
    """Columns of a batch have one length."""
    with pytest.raises(ValueError, match="unequal"):
        Columns({"a": [1, 2], "b": [1]})


def test_rows_are_chosen_by_index_or_mask() -> None:
    """An index may repeat and reorder; a mask keeps."""
    columns = Columns({"a": [10, 20, 30], "b": ["x", "y", "z"]})

    assert columns.take(np.array([2, 0, 2])).rows() == [(30, "z"), (10, "x"), (30, "z")]
    assert columns.take(columns["a"] == 20).rows() == [(20, "y")]
    assert Columns({}).take(np.arange(2)).n_rows == 2


def test_distinct_rows_are_sorted() -> None:
    """Distinct over the columns named, nulls first."""
    columns = Columns({"a": [2, 1, 2, 1], "b": ["x", None, "x", "y"], "c": [1, 2, 3, 4]})

    assert columns.unique(["a", "b"]).rows() == [(1, None), (1, "y"), (2, "x")]
    assert columns.unique().n_rows == 4
    assert columns.unique([]).n_rows == 1


def test_batches_are_put_one_after_another() -> None:
    """Empty ones leave no trace, not even in the types."""
    a, b = Columns({"a": [1], "b": ["x"]}), Columns({"b": ["y"], "a": [2]})
    joined = Columns.concat([Columns.from_rows(("a", "b"), []), a, b])

    assert ([(1, "x"), (2, "y")], np.int64) == (joined.rows(), joined["a"].dtype)
    assert a is Columns.concat([a])
    assert a.with_column("c", [5]).rows() == [(1, "x", 5)]


@pytest.mark.parametrize("values", [[], [3], [2, 1, 2, 2, -5], [[1, 2], [2, 7]], [True, False, True]])
def test_unique_values_are_those_of_numpy(values: list[Any]) -> None:
    """Each value once, in order, of whatever shape they come."""
    given = np.array(values, dtype=np.int64)
    assert np.unique(given).tolist() == unique_values(given).tolist()


def test_unique_values_load_nothing() -> None:
    """Masked arrays, which take longer to load than most questions take to answer, stay unloaded."""
    code = "import sys, numpy as np\nfrom registry.model.columns import *\nunique_values(np.arange(3))\nassert 'numpy.ma' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
