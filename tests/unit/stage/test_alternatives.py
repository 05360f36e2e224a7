"""Alternatives of a query, as an extension joins them."""

from __future__ import annotations

import pytest

from stage.campaign.alternatives import alternatives


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("visit = 1", ("visit = 1",)),
        ("", ("",)),
        ("(visit = 1) OR (visit = 2)", ("visit = 1", "visit = 2")),
        ("((a = 1) OR (b = 2)) OR (c = 3)", ("a = 1", "b = 2", "c = 3")),
        ("(a = 1) or (a = 1)", ("a = 1",)),
        ("(visit = 1)", ("visit = 1",)),
        ("(visit = 1) AND (b = 2)", ("(visit = 1) AND (b = 2)",)),
        ("(visit = 1) OR b = 2", ("(visit = 1) OR b = 2",)),
        ("visit = 1 OR visit = 2", ("visit = 1 OR visit = 2",)),
        ("(name = ')') OR (name = '(')", ("name = ')'", "name = '('")),
        ("(name = 'a) OR (b')", ("name = 'a) OR (b'",)),
        ("(name = 'it''s') OR (b)", ("name = 'it''s'", "b")),
        ("(unclosed", ("(unclosed",)),
    ],
)
def test_only_what_is_joined_as_a_whole_is_taken_apart(query: str, found: tuple[str, ...]) -> None:
    """Groups in parentheses, joined by OR and by nothing else, are alternatives; parentheses within text are text."""
    assert alternatives(query) == found
