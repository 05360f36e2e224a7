"""Vectors of the batch layer: settings, clusters, workflows and memory, each in a file of one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.vectors.batch_clustering import run_clustering
from tests.vectors.batch_config import run_cases
from tests.vectors.batch_memory import run_memory
from tests.vectors.batch_workflow import run_workflow
from tests.vectors.load import World

__all__ = ["run_batch"]

_FILES: dict[str, Callable[[Path], Iterator[tuple[str, str, str]]]] = {
    "config.json": lambda path: run_cases(path.parent),
    "clustering.json": run_clustering,
    "workflow.json": run_workflow,
    "memory.json": run_memory,
}


def run_batch(folder: Path, world: World) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of a folder: id, text, what is wrong. They need no data set."""
    del world
    there = [name for name in _FILES if (folder / name).exists()]
    if not there:
        yield "files", f"none of {', '.join(_FILES)}", f"nothing to run in {folder}"
    for name in there:
        yield from _FILES[name](folder / name)
