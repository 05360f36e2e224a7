"""A store that fails: files in memory behind a scheme of its own (``faulty://``), which lets things happen to what is stored.

Register it with the fixture `faulty`; then set `Faults` of a part of the paths: the first time that a file of such a path gets
its name, it is refused, cut short, late, or acknowledged and not stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

__all__ = ["Faults", "FaultyStore", "faulty"]


@dataclass
class Faults:
    """What happens to files whose path has a word in it.

    Parameters
    ----------
    word : str
        The word.
    kind : {"refuse", "break", "cut", "delay", "lie"}
        Refused with an error that may pass, or with one of the library's own; stored without its end; stored late; or
        acknowledged and forgotten.
    times : int
        How often for each path; from then on all is well.
    """

    word: str
    kind: str
    times: int = 1
    seen: dict[str, int] = field(default_factory=dict)

    def strikes(self, path: str) -> bool:
        """Tell whether it happens now."""
        if self.word not in path or self.seen.get(path, 0) >= self.times:
            return False
        self.seen[path] = self.seen.get(path, 0) + 1
        return True


class FaultyStore(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory; a name is given by moving what was written aside, and that is where things go wrong."""

    protocol = "faulty"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    faults: ClassVar[list[Faults]] = []
    most_at_once: ClassVar[int] = 0
    _now: ClassVar[int] = 0
    _counting: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("faulty://").strip("/") if path.strip("/") else ""

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Give a file its name, or do what the faults say."""
        kinds = [f.kind for f in self.faults if f.strikes(path2)]
        with self._counting:
            FaultyStore._now += 1
            FaultyStore.most_at_once = max(self._now, self.most_at_once)
        try:
            self._store(path1, path2, kinds)
        finally:
            with self._counting:
                FaultyStore._now -= 1

    def _store(self, path1: str, path2: str, kinds: list[str]) -> None:
        if "refuse" in kinds:
            raise ConnectionError(f"the store hung up on {path2}")
        if "break" in kinds:
            raise RuntimeError("internal error 4711")
        if "delay" in kinds:
            time.sleep(0.05)
        if "lie" in kinds:
            self.rm_file(path1)
            return
        data = self.cat_file(path1)
        self.rm_file(path1)
        self.pipe_file(path2, data[:-1] if "cut" in kinds else data)


@pytest.fixture
def faulty() -> Iterator[type[FaultyStore]]:
    """An empty store of that kind, known to fsspec."""
    fsspec.register_implementation("faulty", FaultyStore, clobber=True)
    FaultyStore.store.clear()
    FaultyStore.pseudo_dirs[:] = [""]
    FaultyStore.faults.clear()
    FaultyStore.most_at_once = 0
    yield FaultyStore
    FaultyStore.faults.clear()
    FaultyStore.store.clear()
