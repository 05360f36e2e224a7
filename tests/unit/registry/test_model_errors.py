"""The error tree: one root, stable codes, picklable, worded for a person."""

from __future__ import annotations

import concurrent.futures
import importlib
import multiprocessing
import pickle
import re

import pytest

from registry.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    QueryError,
    SchemaVersionError,
    StageError,
    UsageError,
    nearest,
)

for family in ("sync.errors", "stage.errors"):
    importlib.import_module(family)


def family_of(root: type[StageError]) -> list[type[StageError]]:
    """Return a class and all below it."""
    return [root, *(c for sub in root.__subclasses__() for c in family_of(sub))]


ALL = sorted(set(family_of(StageError)), key=lambda c: c.__qualname__)


def same(a: StageError, b: StageError) -> bool:
    """Whether two errors tell the same."""
    return (type(a), str(a), a.args, a.__dict__, a.__notes__) == (
        type(b),
        str(b),
        b.args,
        b.__dict__,
        b.__notes__,
    )


def make(kind: type[StageError]) -> StageError:
    """Make one with everything that it can carry."""
    error = kind("what happened", code="some-code", hint="do this", context={"a": (1, b"x")})
    error.add_note("a note")
    return error


@pytest.mark.parametrize("kind", ALL, ids=lambda c: c.__name__)
def test_every_error_survives_pickling(kind: type[StageError]) -> None:
    """Class, message, attributes and notes are those that were given."""
    error = make(kind)

    assert same(error, pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize("kind", ALL, ids=lambda c: c.__name__)
def test_every_error_has_a_code_and_reads_as_a_sentence(kind: type[StageError]) -> None:
    """Codes are kebab-case; the text is the message, without quotes around it; nothing but the message is needed."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind("x").code)
    assert make(kind).code == "some-code"
    assert str(make(kind)) == "what happened"
    assert (str(kind()), kind().hint, kind().context) == ("", "", {})


def fail(kind: type[StageError]) -> None:
    """Raise in another process."""
    raise make(kind)


def test_errors_cross_processes() -> None:
    """What a worker raises arrives whole."""
    error = ConflictError("two sides", conflicts=[("dataset", 1)], context={"n": 1})
    busy = BusyError("held", holder="pid 7", waited_s=1.5)
    query = QueryError("unknown name", expression="a = 1", position=0)
    version = SchemaVersionError("too new", found="2", supported="1")
    for one in (error, busy, query, version):
        one.add_note("n")
        assert same(one, pickle.loads(pickle.dumps(one)))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        with pytest.raises(NotFoundError, match="what happened") as caught:
            pool.submit(fail, NotFoundError).result()
        assert (
            caught.value.code, caught.value.hint, caught.value.context,
        ) == ("some-code", "do this", {"a": (1, b"x")})  # fmt: skip


def test_families_are_also_python_s_own() -> None:
    """A handler of ValueError or LookupError meets those that mean it."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(NotFoundError, LookupError)
    assert not issubclass(NotFoundError, KeyError)


def test_a_query_error_points_at_the_place() -> None:
    """The line with the mistake is shown with a caret under it, also where the text has several lines."""
    text = "a = 1 AND\n  bb = 2"

    assert str(QueryError("unknown name", expression=text, position=12)) == "unknown name\n    bb = 2\n    ^"
    assert str(QueryError("unknown name", expression=text)) == "unknown name"


def test_hints_offer_the_nearest_or_list_what_there_is() -> None:
    """One near name is offered; else what there is, not more than a dozen; or that there is nothing."""
    assert nearest("vist", ["visit", "tract"]) == "Did you mean 'visit'?"
    assert nearest("zzz", ["b", "a"]) == "There are: a, b."
    assert nearest("zzz", [f"n{i:02d}" for i in range(20)]).endswith("n11, ….")
    assert nearest("x", []) == "There are none."
