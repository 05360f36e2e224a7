"""Registries that hold the data sets of ``shared/data``, each made once a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Self

from registry.model.dimensions import default_universe
from registry.registry import Registry
from sync.jsonl import read_records

__all__ = ["World"]


class World:
    """Makes registries on demand and removes them all at the end.

    Parameters
    ----------
    data : Path
        ``shared/data``.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self._room = tempfile.TemporaryDirectory(prefix="stage-vectors-")
        self._open: dict[str, Registry] = {}
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for registry in self._open.values():
            registry.close()
        self._room.cleanup()

    def registry(self, dataset: str) -> Registry:
        """Return the registry that holds a data set; it is to be read only."""
        if dataset not in self._open:
            self._open[dataset] = self.fresh(dataset)
        return self._open[dataset]

    def fresh(self, dataset: str) -> Registry:
        """Return a new registry that holds a data set."""
        folder = self.data / dataset
        if not folder.is_dir():
            raise FileNotFoundError(f"no data set at {folder}")
        self._made += 1
        path = Path(self._room.name) / f"{self._made}-{dataset}.sqlite3"
        registry = Registry.create(f"sqlite:///{path}", default_universe())
        with registry.write() as change:
            for element in registry.universe.elements.values():
                lines = folder / f"{element.name}.jsonl"
                if element.has_table and lines.is_file():
                    change.insert_records(element.name, read_records(registry.universe, str(lines)))
        return registry
