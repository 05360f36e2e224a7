"""Options that say how the files of inputs come to a campaign; they are remembered."""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["INPUTS_PANEL"]

INPUTS_PANEL: dict[str, Any] = {
    "artifacts": (
        str | None,
        typer.Option(
            "--artifacts",
            metavar="MODE",
            help="How the files of inputs are fetched from now on: direct (they stay where they are), link, symlink or copy.",
        ),
        None,
    ),
    "cache_size": (
        str | None,
        typer.Option(
            "--cache-size",
            metavar="SIZE",
            help="How large this machine's cache of remote inputs may become: 20GB by default, 0 for none.",
        ),
        None,
    ),
}
"""By name: its type, what Typer is told, and its default."""
