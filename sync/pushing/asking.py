"""How a push was asked for, also as a command: the ways on from its conflicts are that command with something added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sync.pushing.kinds import HINTS
from sync.pushing.policies import Policies

if TYPE_CHECKING:
    from sync.plan_parts import Conflict

__all__ = ["Asked", "Terms", "quoted"]

_PUSH = "stage push"
_PLAIN = re.compile(r"[\w@%+=:,./-]+")
_HERE = re.compile(rf"'{_PUSH}(?= --|')")
"""Where a hint means this push; with RUNs named it means another."""
_THERE = re.compile(r"(stage (?:clone|repo [a-z]+)) UPSTREAM\b")


@dataclass(frozen=True)
class Asked:
    """A push as it would be typed.

    Parameters
    ----------
    runs : tuple of str
        RUNs that were named.
    options : tuple of str
        Options, each value a word after its option.
    command : str
        The command; of others than ``stage push``, `runs` are its arguments.
    upstream : str
        Where upstream is, as other commands take it; empty leaves a placeholder in their place.
    """

    runs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    command: str = _PUSH
    upstream: str = ""

    def text(self, *more: str, runs: Sequence[str] | None = None, without: Sequence[str] = ()) -> str:
        """Return the command.

        Parameters
        ----------
        *more : str
            Words to add.
        runs : sequence of str, optional
            RUNs to name instead.
        without : sequence of str
            Options with a value to leave out.

        Returns
        -------
        str
            To be typed into a shell.
        """
        if runs is not None and self.command != _PUSH:
            # What pushes one run of a graph pushes no other: its campaign does.
            return " ".join([_PUSH, *(quoted(run) for run in runs if run not in self.runs)])
        words = list(self.runs if runs is None else runs)
        options = iter(self.options)
        for word in options:
            if word in without:
                next(options)
            else:
                words.append(word)
        return " ".join([self.command, *map(quoted, (*words, *more))])

    def fill(self, conflicts: Iterable[Conflict]) -> tuple[Conflict, ...]:
        """Put the command into the ways on from conflicts.

        Parameters
        ----------
        conflicts : iterable of Conflict
            Whose hints have the way on from their kind, which may name ``stage push``.

        Returns
        -------
        tuple of Conflict
            The same otherwise.
        """
        filled = {code: self._filled(hint) for code, hint in HINTS.items()}
        return tuple(
            replace(c, hint=self._placed(c.hint.replace(HINTS[c.code], filled[c.code]))) for c in conflicts
        )

    def _filled(self, hint: str) -> str:
        """Put the command in the place of the words 'stage push'; another chain takes the place of the one that was given."""
        if not self.runs and not self.options:
            return hint
        parts = hint.split(
            f"'{_PUSH} --chain NAME'"
        )  # there another takes the place of the chain that was given
        other = self.text("--chain", "NAME", without=["--chain"])
        return f"'{other}'".join(_HERE.sub(lambda _: f"'{self.text()}", part) for part in parts)

    def _placed(self, hint: str) -> str:
        """Put upstream's place into other commands."""
        return (
            _THERE.sub(lambda found: f"{found[1]} {quoted(self.upstream)}", hint) if self.upstream else hint
        )


@dataclass(frozen=True)
class Terms:
    """On which terms a push was asked for.

    Parameters
    ----------
    policies : Policies
        What becomes of conflicts.
    strict_inputs : bool
        Whether inputs that upstream will not have are conflicts rather than warnings.
    replace_run : bool
        Whether the run at the head of the chain, which has to be of the same campaign, gives up its place.
    asked : Asked
        The push as a command.
    """

    policies: Policies = field(default_factory=Policies)
    strict_inputs: bool = False
    replace_run: bool = False
    asked: Asked = field(default_factory=Asked)


def quoted(word: str) -> str:
    """Write a word as a shell takes it, and as it can stand within single quotes of a sentence.

    Parameters
    ----------
    word : str
        Any.

    Returns
    -------
    str
        The word, in double quotes where it needs them.
    """
    return word if _PLAIN.fullmatch(word) else '"' + re.sub(r'(["\\$`])', r"\\\1", word) + '"'
