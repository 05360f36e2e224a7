"""Categories of a campaign's collections, as ``--trim-existing-in`` and ``--skip-existing-in`` name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.errors import UsageError, nearest

if TYPE_CHECKING:
    from stage.campaign.state import CampaignState, Collections

__all__ = ["CATEGORIES", "category_collections", "check_category", "expand_categories"]

CATEGORIES = ("RUN", "CAMPAIGN", "INPUTS")
"""The current run; it and the past runs; these and the inputs."""


def check_category(name: str) -> str:
    """Return the name of a category as it is written here.

    Parameters
    ----------
    name : str
        As a user has typed it; in any case. Empty for none.

    Returns
    -------
    str
        One of `CATEGORIES`, or empty.

    Raises
    ------
    UsageError
        If there is no such category.
    """
    if name.upper() in CATEGORIES or not name:
        return name.upper()
    raise UsageError(
        f"'{name}' is none of {', '.join(CATEGORIES)}",
        code="bad-category",
        hint=nearest(name.upper(), CATEGORIES)
        or "RUN is the current run, CAMPAIGN all runs, INPUTS the inputs too.",
    )


def category_collections(collections: Collections, name: str) -> tuple[str, ...]:
    """Return the collections of a category.

    Parameters
    ----------
    collections : Collections
        The campaign's.
    name : str
        One of `CATEGORIES`, or empty.

    Returns
    -------
    tuple of str
        In search order; none for RUN where there is no current run, and for no category.
    """
    current = (collections.current_run,) if collections.current_run else ()
    return {"": (), "RUN": current, "CAMPAIGN": collections.runs, "INPUTS": collections.stack}[
        check_category(name)
    ]


def expand_categories(state: CampaignState, names: Sequence[str]) -> tuple[str, ...]:
    """Replace categories among names of collections by what they stand for.

    Parameters
    ----------
    state : CampaignState
        The campaign's.
    names : sequence of str
        Collections, patterns and `CATEGORIES`; these in capital letters.

    Returns
    -------
    tuple of str
        Collections and patterns, each once.
    """
    expanded = (
        category_collections(state.collections, name) if name in CATEGORIES else (name,) for name in names
    )
    return tuple(dict.fromkeys(name for part in expanded for name in part))
