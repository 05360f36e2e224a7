"""Names of campaigns and runs."""

from __future__ import annotations

import pytest

from registry.errors import UsageError
from stage.campaign.naming import check_campaign_name, check_pattern, expand_run_name, infer_name

NOON = 1_795_255_200.0


def _name(pattern: str, *, counter: int = 0, taken: frozenset[str] = frozenset()) -> tuple[str, int]:
    return expand_run_name(pattern, campaign="deep", counter=counter, taken=taken.__contains__, now_s=NOON)


def test_the_default_pattern_gives_campaign_and_time() -> None:
    """``%c/%t`` is the campaign's name and the UTC time to the second."""
    assert _name("%c/%t") == ("deep/20261121T100000Z", 0)


def test_the_counter_moves_on_only_when_used() -> None:
    """``%n`` takes the first free number and the counter goes past it."""
    assert _name("%c/run%n", counter=3, taken=frozenset({"deep/run3"})) == ("deep/run4", 5)
    assert _name("%c/%t", counter=3)[1] == 3


def test_two_runs_in_one_second_get_two_names() -> None:
    """A time that is taken gets a number."""
    assert _name("%c/%t", taken=frozenset({"deep/20261121T100000Z"}))[0] == "deep/20261121T100000Z-2"


def test_all_placeholders_are_expanded_at_once() -> None:
    """What a placeholder expands to is not expanded again."""
    assert _name("%c/%n/%t-%c", counter=7)[0] == "deep/7/20261121T100000Z-deep"


def test_a_fixed_name_that_is_taken_is_refused() -> None:
    """A pattern that can make no other name says how to change it."""
    with pytest.raises(UsageError, match="deep/a") as caught:
        _name("deep/a", taken=frozenset({"deep/a"}))

    assert "--next-run" in caught.value.hint


@pytest.mark.parametrize("pattern", ["%x", "%", "../%t", "a b", "%c//%t", ""])
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    """Unknown placeholders and what makes no collection name are refused."""
    with pytest.raises(UsageError):
        check_pattern(pattern)


def test_a_name_is_inferred_from_the_directory() -> None:
    """The last part of the directory is the name."""
    assert infer_name("/surveys/deep-field/") == "deep-field"


@pytest.mark.parametrize("directory", [".", "..", "a/../b", "work/.", "-/a b", ".hidden"])
def test_a_directory_that_gives_no_name_is_refused(directory: str) -> None:
    """A path written with dots, or no valid name, asks for --campaign-name."""
    with pytest.raises(UsageError) as caught:
        infer_name(directory)

    assert "--campaign-name" in caught.value.hint


@pytest.mark.parametrize("name", ["", "a/b", ".a", "a b", "%c", "x" * 101])
def test_a_bad_campaign_name_is_refused(name: str) -> None:
    """Only what can begin collection and file names is a campaign name."""
    with pytest.raises(UsageError):
        check_campaign_name(name)
