"""Processes of their own for tests, which find imported what takes long to import."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["FORKS", "answer", "process"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["registry.registry", "registry.sql.engine_postgres", "registry.queries.statements", "tests.registry_builders", "tests.databases"]
)  # fmt: skip


@contextlib.contextmanager
def process(target: Callable[..., None], *arguments: object) -> Iterator[tuple[Any, Any]]:
    """Run a function in a process of its own; give it, and the way to talk to it."""
    ours, theirs = FORKS.Pipe()
    made = FORKS.Process(target=target, args=(*arguments, theirs))
    made.start()
    theirs.close()
    try:
        yield made, ours
        made.join(60)
    finally:
        made.kill()
        made.join()
        ours.close()


def answer(pipe: Any) -> Any:
    """Return what a process says next."""
    assert pipe.poll(60)
    return pipe.recv()
