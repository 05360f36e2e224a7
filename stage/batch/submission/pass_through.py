"""Options that the field's files hand through to other programs, taken by what they mean here."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import NoReturn

from registry.errors import UsageError
from stage.campaign.graph_options import GraphOptions
from stage.campaign.options import EditOptions

__all__ = ["build_options", "check_exec_options", "refuse_handed_through"]

_MEANINGLESS = {
    "extraInitOptions": "settings, versions and schemas are written when the run is made ready, here and without a job",
    "extraUpdateQgraphOptions": "a graph gets its run when the submission is made, and no program is called for it",
}
_BUILD = ("--skip-existing-in", "--data-id-table", "--allow-empty", "--offline", "--qg-dot")
_EDIT = ("--task", "--config", "--config-file", "--instrument")
_EXEC = ("--timeout", "--log-limit", "--wrap", "--retries", "--processes")


class _Options(argparse.ArgumentParser):
    """Options in a text, with one error for whatever is wrong."""

    def __init__(self, key: str, known: Sequence[str], meaning: str) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self._key, self._known, self._meaning = key, known, meaning

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"{self._key}: {message}; {self._meaning}",
            code="bad-pass-through",
            hint=f"Those that can be handed through: {', '.join(self._known)}.",
        )

    def read(self, text: str) -> argparse.Namespace:
        """Read options from a text.

        Parameters
        ----------
        text : str
            As for a shell.

        Returns
        -------
        argparse.Namespace
            Their values.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            self.error(f"'{text}' cannot be read ({error})")
        found, rest = self.parse_known_args(words)
        if rest:
            self.error(f"'{rest[0]}' means nothing here")
        return found


def build_options(text: str, data_query: str | None) -> tuple[GraphOptions, EditOptions]:
    """Read what is handed through to the building of a graph (``extraQgraphOptions``).

    Parameters
    ----------
    text : str
        Options of ``stage build``, as for a shell.
    data_query : str or None
        The expression of the payload.

    Returns
    -------
    graph : GraphOptions
        How it is built.
    edits : EditOptions
        What changes its tasks first.

    Raises
    ------
    UsageError
        If one of them is none, or means nothing here.
    """
    options = _Options("extraQgraphOptions", (*_BUILD, *_EDIT), "graphs are built by 'stage build'")
    add = options.add_argument
    add("--skip-existing-in", action="append")
    add("--data-id-table")
    add("--allow-empty", action="store_true")
    add("--offline", action="store_true")
    add("--qg-dot", "--qgraph-dot")
    add("-t", "--task", action="append")
    add("-c", "--config", action="append")
    add("-C", "--config-file", action="append")
    add("--instrument")
    found = options.read(text)
    edits: EditOptions = {}
    for name in ("task", "config", "config_file", "instrument"):
        if getattr(found, name):
            edits[name] = getattr(found, name)
    skip = [c.strip() for s in found.skip_existing_in or () for c in s.split(",") if c.strip()]
    return GraphOptions(
        data_query=data_query,
        data_id_table=found.data_id_table,
        skip_existing_in=skip or None,
        allow_empty=found.allow_empty,
        qg_dot=found.qg_dot,
        offline=found.offline,
    ), edits


def check_exec_options(text: str) -> None:
    """Check what is handed through to the jobs (``extraRunQuantumOptions``).

    Parameters
    ----------
    text : str
        Options of ``stage exec``, as for a shell.

    Raises
    ------
    UsageError
        If one of them is none, or would undo what makes a job safe: which quanta it runs, and where it writes.
    """
    options = _Options("extraRunQuantumOptions", _EXEC, "quanta are executed by 'stage exec'")
    for name in _EXEC:
        options.add_argument(name, *(["-j"] if name == "--processes" else []))
    options.read(text)


def refuse_handed_through(key: str, text: str) -> None:
    """Refuse what would be handed to a program that is not called here.

    Parameters
    ----------
    key : str
        ``extraInitOptions`` or ``extraUpdateQgraphOptions``.
    text : str
        What was given on the command line; nothing is nothing.

    Raises
    ------
    UsageError
        If it is something: says why it can mean nothing.
    """
    if text.strip():
        raise UsageError(
            f"{key} '{text.strip()}' can mean nothing here: {_MEANINGLESS[key]}",
            code="bad-pass-through",
            hint="Leave it out.",
        )
