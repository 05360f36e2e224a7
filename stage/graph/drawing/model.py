"""What a picture shows, whatever form it takes: boxes, arrows, a title and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["STATUSES", "Box", "Drawing", "Link", "Look", "printable", "standing", "status_of"]


class Look(NamedTuple):
    """How a status looks: colours that are told apart by the colour-blind, and a sign that needs no colour.

    Parameters
    ----------
    fill, line : str
        Colours of a box and of its border, as ``#rrggbb``.
    sign : str
        One character before the label.
    dash : str
        Border: empty for a full line, else as SVG's ``stroke-dasharray``.
    """

    fill: str
    line: str
    sign: str
    dash: str = ""


STATUSES: Mapping[str, Look] = {
    "failed": Look("#fbe0d0", "#b84a00", "✗"),
    "blocked": Look("#fdefc8", "#a67300", "⊘", "7 3"),
    "running": Look("#dbeefb", "#1f78b4", "▶"),
    "pending": Look("#ffffff", "#6b7785", "□", "2 3"),
    "skipped": Look("#eceff2", "#8a97a6", "↷", "1 3"),
    "done": Look("#d5efe5", "#00795a", "✓"),
    "no work": Look("#eceff2", "#5b6878", "∅"),
}
"""Looks by status; of several quanta in one box the first of these that one of them has is shown."""

_ALIASES = {"succeeded": "done", "no-work": "no work", "missing": "pending"}


@dataclass(frozen=True, slots=True)
class Box:
    """One node.

    Parameters
    ----------
    key : str
        Unique in the drawing; letters and digits.
    kind : {"task", "dataset"}
        What it is: tasks and quanta are angular, dataset types and datasets round.
    lines : tuple of str
        Its name, and details.
    status : str
        One of `STATUSES`; empty where nothing is known or asked.
    role : str
        Of a dataset: ``overall-input``, ``intermediate``, ``output`` or ``init``.
    """

    key: str
    kind: str
    lines: tuple[str, ...]
    status: str = ""
    role: str = ""


class Link(NamedTuple):
    """One arrow.

    Parameters
    ----------
    source, target : str
        Keys of boxes.
    style : {"", "prerequisite", "init"}
        What it means: data of quanta; something looked up beside them; something that is there before them.
    """

    source: str
    target: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that a picture shows.

    Parameters
    ----------
    title : str
        What it is of.
    notes : tuple of str
        Lines below the title.
    boxes : sequence of Box
        In an order in which each comes after those that it depends on.
    links : sequence of Link
        Between them, without repeats.
    is_wide : bool
        Whether it is better drawn from left to right: many boxes beside each other.
    """

    title: str
    notes: tuple[str, ...]
    boxes: Sequence[Box]
    links: Sequence[Link]
    is_wide: bool = False

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that some box has, in the order of `STATUSES`."""
        used = {box.status for box in self.boxes}
        return tuple(s for s in STATUSES if s in used)

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles, other than the usual one, that some link has."""
        used = {link.style for link in self.links}
        return tuple(s for s in ("prerequisite", "init") if s in used)


def status_of(word: str) -> str:
    """Return a status by the word that another part of the program has for it.

    Parameters
    ----------
    word : str
        As ``succeeded``, ``no-work``, ``missing``, or one of `STATUSES`.

    Returns
    -------
    str
        One of `STATUSES`; pending for what is unknown.
    """
    name = _ALIASES.get(word, word)
    return name if name in STATUSES else "pending"


def standing(counts: Mapping[str, int]) -> tuple[str, str]:
    """Sum up the statuses of several quanta.

    Parameters
    ----------
    counts : mapping of str to int
        Status to number.

    Returns
    -------
    status, text : str
        The first of `STATUSES` that occurs; and all of them in words, as ``3 done, 1 failed``.
    """
    present = [s for s in STATUSES if counts.get(s)]
    text = ", ".join(f"{counts[s]:,} {s}" for s in reversed(present))
    return (present[0] if present else ""), text


def printable(text: str) -> str:
    r"""Return text in which nothing can drive a terminal or break a line.

    Parameters
    ----------
    text : str
        Any text: labels come from files of others.

    Returns
    -------
    str
        One line; what cannot be printed as ``\\x0a``.
    """
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
