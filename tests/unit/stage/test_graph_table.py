"""Columns of a graph: coding, distinct rows, lists of rows."""

from __future__ import annotations

import numpy as np
import pytest

from registry.model.columns import Columns
from stage.graph.building.relate import DataIdRows, concat_columns, match_rows
from stage.graph.table import Coded, Csr, Table, code_column, distinct, row_codes

INSTRUMENTS = np.array(["b", "a", "b", "c"], dtype=object)
NUMBERS = np.array([3, 1, 3, 2], dtype=np.int64)


def test_codes_of_strings_sort_as_the_strings_do():
    """A coded column keeps the order of its values."""
    coded = code_column(INSTRUMENTS)
    assert isinstance(coded, Coded)
    assert coded.codes.tolist() == [1, 0, 1, 2]
    assert coded.decode().tolist() == ["b", "a", "b", "c"]


@pytest.mark.parametrize("values", [[1, None], ["x", None], [b"x", b"y"]])
def test_columns_with_nulls_or_bytes_stay_as_they_are(values):
    """Only columns of strings are coded."""
    column = np.array(values, dtype=object)
    assert code_column(column) is column


def test_an_object_column_of_integers_becomes_int64():
    """Integers that arrive as objects are numbers again."""
    assert np.int64 == code_column(np.array([1, 2], dtype=object)).dtype


@pytest.mark.parametrize("bound", [4, 1 << 40])
def test_distinct_finds_the_first_row_of_each_value(bound):
    """Both ways of counting (by place, by sorting) give the same answer."""
    first, inverse = distinct(NUMBERS, bound)
    assert first.tolist() == [1, 3, 0]
    assert inverse.tolist() == [2, 0, 2, 1]


def test_distinct_of_sorted_rows_is_the_same():
    """The short way for sorted rows agrees with the others."""
    first, inverse = distinct(np.array([0, 0, 5, 7, 7]), 8)
    assert first.tolist() == [0, 2, 3]
    assert inverse.tolist() == [0, 0, 1, 2, 2]


def test_distinct_of_nothing_is_nothing():
    """No rows have no values."""
    first, inverse = distinct(np.zeros(0, dtype=np.int64), 1)
    assert [] == first.tolist() == inverse.tolist()


def test_row_codes_of_no_columns_are_all_equal():
    """Data IDs of no dimensions are one data ID."""
    assert row_codes([], 3)[0].tolist() == [0, 0, 0]


def test_row_codes_survive_columns_of_enormous_range():
    """Many wide columns do not overflow the code."""
    rng = np.random.default_rng(1)
    wide = [rng.integers(-(2**62), 2**62, 50) for _ in range(5)]
    codes, bound = row_codes([*wide, *wide], 50)
    assert len(set(codes.tolist())) == 50
    assert codes.min() >= 0
    assert codes.max() < bound
    assert np.array_equal(np.argsort(codes), np.lexsort(wide[::-1]))


def test_csr_gives_each_row_its_list():
    """Pairs sorted by row become lists, also empty ones."""
    csr = Csr.from_pairs(3, np.array([0, 0, 2]), np.array([5, 6, 7]))
    assert [csr.of(i).tolist() for i in range(3)] == [[5, 6], [], [7]]
    assert csr.rows().tolist() == [0, 0, 2]


def test_csr_take_repeats_and_reorders_lists():
    """Rows may be taken in any order, more than once."""
    csr = Csr.from_pairs(3, np.array([0, 0, 2]), np.array([5, 6, 7])).take(np.array([2, 0, 1, 0]))
    assert [csr.of(i).tolist() for i in range(4)] == [[7], [5, 6], [], [5, 6]]


def test_a_table_of_no_columns_keeps_its_rows():
    """The one data ID of no dimensions is a row."""
    table = Table({}, 1)
    assert table.rows(np.array([0])) == [()]
    assert table.decode().n_rows == 1
    assert table.take(np.zeros(1, dtype=np.bool_)).n_rows == 0


def test_a_table_decodes_to_the_columns_it_was_made_of():
    """Coding loses nothing."""
    columns = Columns({"camera": INSTRUMENTS, "shot": NUMBERS})
    assert columns.rows() == Table.of(columns).decode().rows()
    assert Table.of(columns).row(3) == ("c", 2)


def test_columns_coded_over_different_values_can_be_joined():
    """Codes are made anew over the values of both."""
    joined = concat_columns(code_column(INSTRUMENTS), code_column(np.array(["d", "a"], dtype=object)))
    assert joined.decode().tolist() == ["b", "a", "b", "c", "d", "a"]  # type: ignore[union-attr]


def test_match_rows_finds_the_first_equal_row():
    """Rows that are not there are -1."""
    among = Table.of(Columns({"camera": ["a", "b", "b"], "shot": [1, 3, 3], "more": [0, 0, 0]}))
    wanted = Table.of(Columns({"camera": INSTRUMENTS, "shot": NUMBERS}))
    assert match_rows(wanted, among, ("camera", "shot")).tolist() == [1, 0, 1, -1]


def test_match_rows_over_no_columns_compares_nothing():
    """The data ID of no dimensions is found if there is any row at all."""
    assert match_rows(Table({}, 1), Table({}, 2), ()).tolist() == [0]
    assert match_rows(Table({}, 1), Table({}, 0), ()).tolist() == [-1]


ROWS = DataIdRows(
    Table.of(Columns({"shot": [1, 1, 2, 2, 2], "chip": [0, 1, 0, 1, 1], "patch": [7, 7, 7, 7, 8]}))
)


def test_places_are_the_sorted_distinct_data_ids():
    """Each row of all points to its distinct data ID."""
    places = ROWS.places(("shot", "patch"))
    assert places.table.decode().rows() == [(1, 7), (2, 7), (2, 8)]
    assert places.inverse.tolist() == [0, 0, 1, 1, 2]


def test_edges_to_the_same_dimensions_are_one_to_one():
    """A quantum has the one dataset of its own data ID."""
    assert _lists(ROWS, ("shot",), ("shot",)) == [[0], [1]]


def test_edges_to_fewer_dimensions_have_one_dataset_each():
    """Several quanta may read one dataset."""
    assert _lists(ROWS, ("shot", "chip"), ("shot",)) == [[0], [0], [1], [1]]


def test_edges_to_more_dimensions_gather():
    """A quantum reads all datasets that share its data ID."""
    assert _lists(ROWS, ("shot",), ("shot", "chip")) == [[0, 1], [2, 3]]
    assert _lists(ROWS, ("chip",), ("shot", "chip")) == [[0, 2], [1, 3]]


def test_edges_to_other_dimensions_are_the_pairs_that_occur():
    """Dimensions that share nothing are joined by the rows that hold both."""
    assert _lists(ROWS, ("shot",), ("chip",)) == [[0, 1], [0, 1]]
    assert _lists(ROWS, ("shot",), ("patch",)) == [[0], [0, 1]]


def _lists(rows: DataIdRows, task: tuple[str, ...], dataset: tuple[str, ...]) -> list[list[int]]:
    csr = rows.edges(task, dataset)
    return [csr.of(i).tolist() for i in range(len(csr.indptr) - 1)]
