"""``quantumGraphGeneration.out``: what making a graph said, and when, whether or not anybody watched."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stage.campaign.files import write_atomically

__all__ = ["GenerationLog", "generation_log"]

_OURS = ("stage", "sync", "registry")


class GenerationLog:
    """What was said so far, in a file of its own until the submission has a place.

    Parameters
    ----------
    handler : logging.FileHandler
        Writes it.
    """

    def __init__(self, handler: logging.FileHandler) -> None:
        self._handler = handler

    def keep_as(self, path: Path) -> None:
        """Copy it to where it belongs.

        Parameters
        ----------
        path : pathlib.Path
            In the submission's directory, which is there.
        """
        self._handler.flush()
        write_atomically(path, Path(self._handler.baseFilename).read_bytes())


@contextmanager
def generation_log() -> Iterator[GenerationLog]:
    """Note every step that is told meanwhile, with its time; what a person sees stays what it was.

    Yields
    ------
    GenerationLog
        To be kept in the end; else it goes.
    """
    with tempfile.TemporaryDirectory(prefix="stage-batch-") as folder, ExitStack() as undo:
        handler = logging.FileHandler(Path(folder) / "generation.out", encoding="utf-8")
        undo.callback(handler.close)
        form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        form.converter = time.gmtime
        handler.setFormatter(form)
        for name in _OURS:
            _listen(logging.getLogger(name), handler, undo)
        yield GenerationLog(handler)


def _listen(logger: logging.Logger, handler: logging.Handler, undo: ExitStack) -> None:
    """Let a handler hear each step that a logger is told of, and all others no more than before."""
    before = logger.getEffectiveLevel()
    for other in logger.handlers:
        undo.callback(other.setLevel, other.level)
        other.setLevel(max(other.level, before))
    if not logger.hasHandlers() and logging.lastResort is not None:
        # What Python shows where nobody listens, it would not show now.
        logger.addHandler(logging.lastResort)
        undo.callback(logger.removeHandler, logging.lastResort)
    undo.callback(logger.setLevel, logger.level)
    logger.setLevel(min(before, logging.INFO))
    logger.addHandler(handler)
    undo.callback(logger.removeHandler, handler)
