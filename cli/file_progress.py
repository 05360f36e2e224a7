"""How far files have come that are fetched or freed: one line on a terminal, which goes when they are done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["file_progress"]

_PERIOD_S = 0.1
_CLEAR = "\r\x1b[K"


@contextmanager
def file_progress(verb: str) -> Iterator[None]:
    """Show how far files have come while a command works.

    Parameters
    ----------
    verb : str
        What is done with them: ``fetching``.

    Yields
    ------
    None
        Nothing; nothing is shown where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    from stage.campaign.fetching import fetch_progress

    began = time.monotonic()
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _PERIOD_S and done < total:
            return
        last = now
        rate = done / max(now - began, 1e-3)
        left = f", about {(total - done) / rate:.0f} s left" if done and done < total else ""
        sys.stderr.write(f"{_CLEAR}{verb} files: {done:,} of {total:,}{left}")
        sys.stderr.flush()

    try:
        with fetch_progress(show):
            yield
    finally:
        if last:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
