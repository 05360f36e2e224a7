"""Asking before something is removed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from registry.errors import UsageError

__all__ = ["Yes", "confirmed"]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask a person whether to go on.

    Parameters
    ----------
    question : str
        What is going to be done.
    yes : bool
        Whether it was answered already, by ``--yes``.

    Returns
    -------
    bool
        The answer.

    Raises
    ------
    UsageError
        If there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} Nobody is there to answer", code="not-confirmed", hint="Say --yes. Nothing was done."
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
