"""Settings of submissions, whatever they say: they end, they are refused cleanly, and they survive being written."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from stage.batch.config.evaluating import evaluated
from stage.batch.config.reading import parse
from stage.batch.config.settings import Settings
from stage.batch.config.tree import Layered

_NAMES = ["a", "b", "c", "site", "payload", "s1", "requestMemory", "+x", "d.e"]
_PIECES = [
    *(
        "{a}",
        "{b}",
        "{c:>4}",
        "{a!r}",
        "{.site.s1}",
        "{nosuch}",
        "{{",
        "}}",
        "{",
        "}",
        "{}",
        "{0}",
        "{a:{b}}",
        "{:}",
    ),
    *(
        "${A}",
        "$A",
        "${",
        "<ENV:A>",
        "${A{a}}",
        "bpsEval(max, 1, {a})",
        "bpsEval(",
        "text",
        " ",
        "é",
        "{a.b}",
        "{a[0]}",
    ),
]
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=5).map("".join)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.dates(), _TEXTS)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(st.sampled_from(_NAMES), below, max_size=4)
    ),
    max_leaves=12,
)
_TREES = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6)
_SNIPPETS = st.sampled_from(
    [
        *(
            "a: ",
            "- ",
            "&x ",
            "*x",
            "<<: ",
            "{",
            "}",
            "[",
            "]",
            "\n",
            "  ",
            "? ",
            ": ",
            "'",
            '"',
            "|",
            ">",
            "#",
            "---",
        ),
        *(
            "!!python/object:os.system ",
            "!!binary ",
            "!!set ",
            "\x00",
            "\t",
            "1:30",
            "0x",
            ", ",
            "9" * 50,
            "...",
        ),
    ]
)


def _said_of(call: Callable[[], object], kind: type) -> str:
    """Return the message of a refusal, or the kind of what came; fails if it is of another kind."""
    try:
        found = call()
    except StageError as error:
        return error.message
    assert isinstance(found, kind)
    return kind.__name__


@settings(max_examples=80, deadline=None)
@given(tree=_TREES, key=st.sampled_from([*_NAMES, ".site.s1", "nosuch"]))
def test_searching_ends_with_a_value_or_a_refusal(tree: dict[str, Any], key: str) -> None:
    """Whatever names what, a search returns or is refused with an error of ours, and soon."""
    found = Settings(Layered(tree), {"A": "{a}$A"})
    codes: set[str] = set()
    began = time.monotonic()
    for options in ({}, {"required": True}, {"keep": True}, {"expand_env": False, "replace_env": True}):
        try:
            found.search(key, site="s1", default="{a}", **options)  # type: ignore[arg-type]
            found.explain()
        except StageError as error:
            codes.add(error.code)

    assert time.monotonic() - began < 30
    assert all(code.startswith("batch-config") for code in codes)


@settings(max_examples=60, deadline=None)
@given(tree=_TREES)
def test_what_is_written_says_the_same_again(tree: dict[str, Any]) -> None:
    """The document of settings, written as YAML and read again, is the same document."""
    with tempfile.TemporaryDirectory() as top:
        path = Path(top, "main.yaml")
        path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        try:
            first = Settings.read(path, environment={"LOGNAME": "j", "PWD": top})
        except StageError:
            return  # values that cannot be
        path.write_text(yaml.safe_dump(first.document(), allow_unicode=True), encoding="utf-8")
        again = Settings.read(path, environment={"LOGNAME": "k", "PWD": "/other"}, defaults=False)

    assert again.document() == first.document()


@settings(max_examples=150, deadline=None)
@given(text=st.lists(_SNIPPETS, max_size=25).map("".join))
def test_any_text_is_settings_or_refused(text: str) -> None:
    """A file of whatever text is read or refused with an error of ours that names it."""
    assert _said_of(lambda: parse(text.encode(), "it.yaml").values, dict).startswith(("it.yaml", "dict"))


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["max", "len", "int", "str", "sorted", "os.path.join", "exec", "__import__"]),
    arguments=st.lists(
        st.sampled_from(["1", "'a'", "[1, 2]", "{", "x", "-", ",", "9" * 30, "(", "*"]), max_size=5
    ),
)
def test_calls_in_values_are_answered_or_refused(name: str, arguments: list[str]) -> None:
    """A call in a value comes to text, or is refused with an error of ours."""
    assert _said_of(lambda: evaluated(f"bpsEval({name}, {', '.join(arguments)})"), str)
