"""Registries that hold data sets of the vectors, each made once a run."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Self

from registry.model.dimensions import default_universe
from registry.registry import Registry
from sync.exports.jsonl import read_records
from tests.databases import Database, running_postgres

__all__ = ["World"]


class World:
    """Makes registries on demand and removes them all at the end.

    Parameters
    ----------
    data : Path
        A folder of data sets, such as ``shared/data``.
    kind : {"sqlite", "postgres"}
        The kind of database that they are made in.
    server : str, optional
        URL of a database in a server of PostgreSQL that runs; by default one is started.
    """

    def __init__(self, data: Path, kind: str = "sqlite", server: str = "") -> None:
        self.data = data
        self.kind = kind
        self.server = server
        self._open: dict[str, Registry] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stage-vectors-")))
            if self.kind == "postgres" and not self.server:
                self.server = stack.enter_context(running_postgres())
            self._database = Database(self.kind, room, self.server)
            stack.callback(self._database.drop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def registry(self, dataset: str) -> Registry:
        """Return the registry that holds a data set; it is to be read only."""
        if dataset not in self._open:
            self._open[dataset] = self.fresh(dataset)
        return self._open[dataset]

    def empty(self, kind: str = "") -> Registry:
        """Return a new registry that holds nothing, of another kind of database if that is said."""
        of_kind = replace(self._database, name=kind) if kind else self._database
        return of_kind.registry(default_universe())

    def fresh(self, dataset: str) -> Registry:
        """Return a new registry that holds a data set."""
        folder = self.data / dataset
        if not folder.is_dir():
            raise FileNotFoundError(f"no data set at {folder}")
        registry = self._database.registry(default_universe())
        with registry.write() as change:
            for element in registry.universe.elements.values():
                lines = folder / f"{element.name}.jsonl"
                if element.has_table and lines.is_file():
                    change.insert_records(element.name, read_records(registry.universe, str(lines)))
        return registry
