"""`sync.pushing.kinds`, `policies` and `asking`: kinds of conflict, what becomes of them, and a push as a command."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from registry.errors import UsageError
from sync.plan import Conflict
from sync.pushing.asking import Asked
from sync.pushing.kinds import KINDS, STRICT
from sync.pushing.policies import Policies

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sync.md"


def conflict(code: str, what: str = "calexp {visit=1}") -> Conflict:
    return Conflict(code, "dataset", what, "a", "b", KINDS[code].hint)


def test_each_kind_can_be_skipped_or_says_why_not() -> None:
    """Of meaning and reason each kind has one, and a way on that can be typed."""
    for code, kind in KINDS.items():
        assert bool(kind.skip) != bool(kind.unsafe), code
        assert "'stage " in kind.hint, code
        assert not kind.skip or f"{code}=skip" in kind.hint or code == "chain-changed"


def test_the_page_has_every_kind() -> None:
    """The table of docs/sync.md lists them in order, with 'no' where skipping is refused."""
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \| [^|]*`stage ?[^|]*\|$|^\| `(input-not-pushed)` \| with[^|]+ \| ([^|]+) \|",
                      PAGE.read_text(), re.MULTILINE)  # fmt: skip
    table = {code or last: skip or said for code, skip, last, said in rows}

    assert list(KINDS) == list(table)
    assert {c for c, k in KINDS.items() if not k.skip} == {c for c, s in table.items() if s.startswith("no")}


def test_the_last_policy_that_matches_decides() -> None:
    """'all' is every kind that can be left out and stands in the way by itself; patterns narrow, later ones override."""
    policies = Policies.parse(["all=skip", "record-differs=fail", "record-differs:visit*=skip"])

    assert {c for c in KINDS if policies.skips(conflict(c, "x"))} == {
        c for c, k in KINDS.items() if k.skip and c not in STRICT and c != "record-differs"
    }
    assert policies.skips(conflict("record-differs", "visit {visit=1}"))
    assert not Policies().skips(conflict("dataset-exists"))
    assert Policies.parse(["input-gone=skip"]).skips(conflict("input-gone"))


@pytest.mark.parametrize(
    "text", ["", "=", "dataset-exists=", "dataset-exists=SKIP", "all:=", "nothing=skip", ":x=skip"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    """Nothing is guessed; each refusal has a next step."""
    with pytest.raises(UsageError) as caught:
        Policies.parse([text])

    assert caught.value.code in {"bad-policy", "no-such-conflict"}


def test_a_pattern_may_hold_an_equals_sign() -> None:
    """Data IDs are full of them: what follows the last one is the action."""
    policies = Policies.parse(["dataset-exists:*visit=1}*=skip"])

    assert policies.skips(conflict("dataset-exists"))
    assert not policies.skips(conflict("dataset-exists", "calexp {visit=2}"))


def test_ways_on_are_the_command_as_it_was_typed_with_more() -> None:
    """Only the way on from the kind is filled in; words that a shell would take apart are quoted so that it reads them whole."""
    asked = Asked(("u/me/1",), ("--where", "visit = '$a\"'", "--chain", "x"))
    command = asked.text("--on-conflict", "dataset-exists=skip")
    (filled,) = asked.fill([conflict("dataset-exists")])

    words = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s|' {command}"], capture_output=True, text=True, check=True
    ).stdout.split("|")
    assert words == [
        "stage", "push", "u/me/1", "--where", "visit = '$a\"'", "--chain", "x", "--on-conflict", "dataset-exists=skip", "",
    ]  # fmt: skip
    assert command in filled.hint
    assert "'stage push RUN'" in filled.hint, "another run is another push"
    assert asked.fill([filled]) == (filled,)
    assert asked.text(runs=["b"], without=["--where"]) == "stage push b --chain x"
    assert Asked().fill([conflict("dataset-exists")])[0].hint == KINDS["dataset-exists"].hint


def test_ways_on_say_where_upstream_is_and_take_one_chain() -> None:
    """Other commands name upstream as they take it, quoted; another chain stands in the place of the one that was given."""
    asked = Asked((), ("--chain", "taken", "--artifacts", "copy"), upstream="/data/it's shared")
    found = asked.fill([conflict("artifact-differs"), conflict("collection-type-differs")])

    assert "'stage repo prune \"/data/it's shared\" --orphans'" in found[0].hint
    assert "'stage push --artifacts copy --chain NAME' for a chain" in found[1].hint
    assert "taken" not in found[1].hint
