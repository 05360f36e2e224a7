"""Why a query finds nothing: the first constraint that leaves no row, in the words in which it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.queries.query import Query
from registry.queries.results import Result
from registry.queries.words import bare_names, bind_names, conditions
from registry.registry import Registry
from registry.snapshot import query_of
from tests.databases import Database
from tests.registry_builders import UNIVERSE, add_camera, dataset_type, detector_rows


@pytest.fixture
def query(database: Database) -> Iterator[Query]:
    """Ask a registry of one camera, with flats in run a and raws in run b."""
    with Registry.create(database.url(), UNIVERSE) as registry:
        with registry.write() as tx:
            add_camera(tx)
            tx.register_dataset_type(dataset_type("flat", "detector"))
            tx.register_dataset_type(dataset_type("raw", "visit", "detector"))
            tx.register_dataset_type(dataset_type("never", "visit"))
            tx.register_run("a")
            tx.register_run("b")
            tx.insert_datasets("flat", "a", detector_rows())
            raws = {"instrument": ["Cam"] * 2, "visit": [100, 101], "detector": [0, 0], "id": new_ids(2)}
            tx.insert_datasets("raw", "b", Columns(raws))
        yield query_of(registry)


CAUSES: dict[str, tuple[Callable[[Query], Result[Any]], str, str]] = {
    "dataset type": (
        lambda q: q.datasets("flta", ["a"]),
        "no dataset type 'flta'",
        "Did you mean 'flat'?",
    ),
    "no such collection": (
        lambda q: q.datasets("flat", ["aa"]),
        "no collection 'aa'",
        "Did you mean 'a'?",
    ),
    "empty collection": (
        lambda q: q.where(instrument="Cam").datasets("raw", ["a"]),
        "there is no dataset 'raw' in a",
        "There are some in: b.",
    ),
    "instrument": (
        lambda q: q.where("instrument = 'Can' AND visit > 100").data_ids("visit"),
        "there is no instrument 'Can'",
        "Did you mean 'Cam'?",
    ),
    "condition": (
        lambda q: q.where("instrument = 'Cam' AND visit > 100 AND visit.exposure_time > 90.5").data_ids(
            "visit"
        ),
        "none of the data IDs of {instrument, visit} fulfils `visit.exposure_time > 90.5`",
        "",
    ),
    "conditions together": (
        lambda q: q.where("visit = 100 AND (visit.exposure_time > 45)", instrument="Cam").records("visit"),
        "of the one left by what comes before, none fulfils `(visit.exposure_time > 45)`",
        "",
    ),
    "table": (
        lambda q: q.table({"instrument": ["Cam"], "visit": [5]}).datasets("raw", ["b"]),
        "none of the datasets 'raw' in b is in the table of 1 data ID",
        "",
    ),
    "joined dataset": (
        lambda q: q.where(instrument="Cam").join_dataset("raw", "a").data_ids("visit"),
        "there is no dataset 'raw' in a",
        "There are some in: b.",
    ),
    "joined dataset elsewhere": (
        lambda q: q.where("detector = 3", instrument="Cam").join_dataset("raw", "b").data_ids("detector"),
        "of the one left by what comes before, none has a 'raw' in b",
        "",
    ),
    "default": (
        lambda q: q.default_data_id(instrument="Cma").where("visit = 100").data_ids("visit"),
        "there is no instrument 'Cma'",
        "Did you mean 'Cam'?",
    ),
    "never made": (lambda q: q.datasets("never"), "there is no dataset 'never' yet", ""),
    "no records": (
        lambda q: q.data_ids("patch"),
        "there are no records of 'skymap'",
        "Import some: stage repo import.",
    ),
    "no type matches": (
        lambda q: q.datasets("x*"),
        "no dataset type matches",
        "There are: flat, never, raw.",
    ),
    "limit": (lambda q: q.data_ids("visit").limit(0), "the limit is 0", "Raise the limit."),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_named(query: Query, name: str) -> None:
    """Each way to find nothing has its own text, and where there is one a next step."""
    ask, cause, hint = CAUSES[name]
    found = ask(query).explain()

    assert found.is_empty
    assert found.cause.startswith(cause)
    assert hint == found.hint


def test_rows_are_counted_after_each_constraint(query: Query) -> None:
    """In turn, essential ones first, and alone; text and values are those of the user."""
    asked = query.where("visit.exposure_time > :t AND visit < 101", t=35).where("instrument = 'Cam'")
    found = asked.data_ids("visit").explain()

    assert [
        ("data IDs of {instrument, visit}", None, 3),
        ("with `instrument = 'Cam'`", None, 3),
        ("with `visit.exposure_time > :t`", 2, 2),
        ("with `visit < 101`", 1, 0),
    ] == [(s.constraint, s.alone, s.together) for s in found.steps]
    assert "0  with `visit < 101` (alone 1)" in str(found)
    assert "Nothing is found: of the 2 left by what comes before, none fulfils `visit < 101`." in str(found)


def test_statement_values_and_plan_are_told(query: Query) -> None:
    """The text has names and no values of the user, which are listed apart; the plan is the database's."""
    found = query.where("instrument = 'Cam' AND visit = 101").data_ids("visit").explain()
    document = found.to_document()

    assert not found.is_empty
    assert found.steps == ()
    assert "Cam" not in found.sql
    assert {"Cam", 101} <= set(found.parameters.values())
    assert found.plan
    assert document["statements"][0]["sql"] == found.sql
    assert (document["is_empty"], document["cause"]) == (False, "")


def test_lists_of_values_are_told_one_by_one(query: Query) -> None:
    """A list in an expression appears in the statement as many names, each with its value."""
    found = query.where("visit IN (100, 101)", instrument="Cam").data_ids("visit").explain()

    assert {100, 101} <= {v for v in found.parameters.values() if isinstance(v, int)}
    assert all(f":{name}" in found.sql for name in found.parameters)


def test_datasets_are_looked_up_and_not_gone_through(tmp_path: Path) -> None:
    """In whatever collections, members are found by the index of their table, and records chosen only once."""
    with Registry.create(f"sqlite:///{tmp_path}/r.sqlite3", UNIVERSE) as registry:
        with registry.write() as tx:
            add_camera(tx)
            tx.register_dataset_type(dataset_type("raw", "visit", "detector"))
            for run in ("a", "b", "c"):
                tx.register_run(run)
        query = query_of(registry).where("visit.exposure_time > 300 AND detector = 3", instrument="Cam")
        for collections in (None, ["a"], ["*"], ["b", "a"]):
            plan = query.datasets("raw", collections).explain().plan

            assert "SCAN tags_" not in plan
            assert "SEARCH tags_instrument_detector_visit USING PRIMARY KEY (collection_id=?" in plan
            assert "detector=?" in plan
            assert plan.count("SEARCH chosen_visit") == 1
        plan = query.join_dataset("raw", ["b", "a"]).data_ids("visit").explain().plan

        assert "SCAN tags_" not in plan


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a = 1", ["a = 1"]),
        ("a = 1 AND b = ' AND ' and (c = 2 OR d = 3)", ["a = 1", "b = ' AND '", "(c = 2 OR d = 3)"]),
        ("(a = 1 AND (b = 2 AND c = 3))", ["a = 1", "b = 2", "c = 3"]),
        ("a = 1 AND b = 2 OR c = 3", ["a = 1 AND b = 2 OR c = 3"]),
        ("NOT (a = 1 AND b = 2)", ["NOT (a = 1 AND b = 2)"]),
        ("(a = 1) AND\n(b = 2)", ["(a = 1)", "(b = 2)"]),
        ("band = 'r' AND android = 1", ["band = 'r'", "android = 1"]),
    ],
)
def test_expressions_are_split_at_their_outermost_and(text: str, pieces: list[str]) -> None:
    """Not within strings, brackets that hold an OR, or names; and not where an OR is outermost."""
    assert pieces == conditions(text)


def test_names_in_expressions() -> None:
    """Values with a colon, and names of one part, are found wherever they stand."""
    text = "instrument = :i AND (visit.exposure_time > least OR detector IN (1, :more))"

    assert {"i", "more"} == bind_names(text)
    assert {"instrument", "least", "detector"} == bare_names(text)
    assert bind_names("") == set()
