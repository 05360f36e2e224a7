"""Following the logs of quanta while they run."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import UsageError
from stage.campaign.lock import read_holder
from stage.campaign.steps import run_graphs

if TYPE_CHECKING:
    from stage.campaign.layout import Layout

__all__ = ["follow_logs"]

_PERIOD_S = 0.3
_RECENT_S = 10.0
_TAIL = 10


def follow_logs(
    layout: Layout, run: str, words: Sequence[str], tell: Callable[[str], None], *, tail: int | None = None
) -> None:
    """Tell the lines of logs as they are written, until nobody changes the campaign any more.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        The RUN that is executed.
    words : sequence of str
        A task's label, and ``dimension=value`` words; all quanta if there are none.
    tell : callable
        Called with each line; one with the quantum's name goes before those of another quantum.
    tail : int, optional
        Lines to begin with of each log that was written to a moment ago; 10 by default.

    Raises
    ------
    UsageError
        If the run's graph has no such task.
    """
    labels = [word for word in words if "=" not in word]
    values = dict(word.split("=", 1) for word in words if "=" in word)
    if len(labels) > 1:
        raise UsageError(
            f"{' and '.join(labels)} are two tasks; logs are followed of one, or of all",
            code="bad-words",
            hint="Give one label.",
        )
    follower = _Follower(
        layout.logs / run, labels[0] if labels else "", _TAIL if tail is None else tail, tell
    )
    chosen: frozenset[str] | None = None
    n_graphs = -1
    while True:
        # Asked before the files are looked at: what is written until then is told.
        is_running = read_holder(layout.lock) is not None
        graphs = run_graphs(layout, run) if values else []
        if values and len(graphs) != n_graphs:
            n_graphs = len(graphs)
            chosen = frozenset(_paths(layout, run, graphs, labels, values))
        began = time.monotonic()
        follower.look(chosen)
        if not is_running:
            return
        time.sleep(max(_PERIOD_S, 5 * (time.monotonic() - began)))


def _paths(
    layout: Layout, run: str, graphs: Sequence[Path], labels: Sequence[str], values: dict[str, str]
) -> Iterator[str]:
    """Yield the log files of the quanta whose data IDs have given values."""
    from stage.execution.workplace import live_log_path
    from stage.graph.graph import QuantumGraph

    for path in graphs:
        graph = QuantumGraph.load(str(path))
        if labels and labels[0] not in graph.layout.task_index:
            continue
        for quantum in graph.quanta(graph.find(labels[0] if labels else None, values).tolist()):
            yield live_log_path(str(layout.logs / run), quantum)


class _Follower:
    """Knows how much of each file was told."""

    def __init__(self, folder: Path, label: str, tail: int, tell: Callable[[str], None]) -> None:
        self._folder, self._label, self._tail, self._tell = folder, label, tail, tell
        self._told: dict[str, tuple[int, int]] = {}
        self._rest: dict[str, str] = {}
        self._last = ""
        self._is_first = True

    def look(self, chosen: frozenset[str] | None) -> None:
        """Tell what is new."""
        for path, inode, size, changed in sorted(self._files(), key=lambda f: f[3]):
            if chosen is not None and path not in chosen:
                continue
            before = self._told.get(path)
            # A new attempt has a new file in the place of the old one.
            start = before[1] if before is not None and before[0] == inode and before[1] <= size else 0
            self._told[path] = (inode, size)
            if self._is_first and before is None:
                if changed > time.time() - _RECENT_S:
                    self._tell_lines(
                        path, _read(path, 0, size).splitlines()[-self._tail :] if self._tail else []
                    )
            elif size > start:
                self._tell_new(path, _read(path, start, size))
        self._is_first = False

    def _files(self) -> Iterator[tuple[str, int, int, float]]:
        folders = [self._folder / self._label] if self._label else self._subfolders()
        for folder in folders:
            if folder.is_dir():
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.endswith(".log"):
                            with suppress(FileNotFoundError):  # replaced just now
                                stat = entry.stat()
                                yield entry.path, stat.st_ino, stat.st_size, stat.st_mtime

    def _subfolders(self) -> list[Path]:
        return sorted(p for p in self._folder.iterdir() if p.is_dir()) if self._folder.is_dir() else []

    def _tell_new(self, path: str, text: str) -> None:
        """Tell whole lines; what is left of one is told when it is whole."""
        whole, _, self._rest[path] = (self._rest.get(path, "") + text).rpartition("\n")
        if whole:
            self._tell_lines(path, whole.split("\n"))

    def _tell_lines(self, path: str, lines: Sequence[str]) -> None:
        if lines and path != self._last:
            self._last = path
            self._tell(f"==> {Path(path).parent.name} {Path(path).stem} <==")
        for line in lines:
            self._tell(line)


def _read(path: str, start: int, end: int) -> str:
    try:
        with Path(path).open("rb") as file:
            file.seek(start)
            return codecs.decode(file.read(end - start), "utf-8", "replace")
    except FileNotFoundError:  # replaced by a new attempt's just now
        return ""
