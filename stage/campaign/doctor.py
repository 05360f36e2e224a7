"""What a campaign stands on: file systems, locks, versions, room, limits. Looks only, and works where things are broken."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from registry.errors import StageError
from stage.campaign.checking_all import dead_holder
from stage.campaign.files import file_system, is_network
from stage.campaign.layout import Layout
from stage.campaign.lock import read_holder
from stage.campaign.outputs import outputs_of
from stage.campaign.repositories import check_same_upstream, lost_staging, open_staging, open_upstream
from stage.campaign.state import CampaignState, load_state
from stage.campaign.trying import try_directory
from stage.campaign.undo import is_half_done

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["DoctorLine", "DoctorReport", "examine"]

Status = Literal["ok", "warn", "bad"]
_FEW_FILES = 1024
_LITTLE_ROOM = 1 << 30


@dataclass(frozen=True)
class DoctorLine:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        Which.
    status : {"ok", "warn", "bad"}
        How it is.
    text : str
        What was found.
    hint : str
        One next step; empty where there is none to take.
    """

    name: str
    status: Status
    text: str
    hint: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """All that was looked at.

    Parameters
    ----------
    root : str
        The campaign's directory.
    lines : tuple of DoctorLine
        In order.
    """

    root: str
    lines: tuple[DoctorLine, ...]

    @property
    def status(self) -> Status:
        """The worst of all."""
        found = {line.status for line in self.lines}
        return "bad" if "bad" in found else "warn" if "warn" in found else "ok"

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {"root": self.root, "status": self.status, "lines": [asdict(line) for line in self.lines]}


def examine(layout: Layout) -> DoctorReport:
    """Look at what a campaign stands on.

    Parameters
    ----------
    layout : Layout
        Its paths.

    Returns
    -------
    DoctorReport
        A line for each thing, whatever state the campaign is in. Nothing is changed but for a probe in the campaign's own
        directory, which is gone again.
    """
    state, lines = _state(layout)
    parts: list[Callable[[], Iterator[DoctorLine]]] = [
        _versions, lambda: iter(lines), lambda: _lock(layout), lambda: _staging(layout),
        lambda: _upstream(layout, state), lambda: _place("file system", layout.root, layout.staging),
        lambda: _tried(layout), lambda: _room(layout, state),
        _limits,
    ]  # fmt: skip
    out: list[DoctorLine] = []
    for part in parts:
        try:
            out += part()
        except StageError as exc:
            out.append(DoctorLine("campaign", "bad", exc.message, exc.hint))
        except OSError as exc:
            out.append(DoctorLine("system", "bad", f"{exc.filename or ''}: {exc.strerror or exc}".lstrip(": "),
                                  "See to rights and disk there."))  # fmt: skip
    return DoctorReport(str(layout.root), tuple(out))


def _tried(layout: Layout) -> Iterator[DoctorLine]:
    for line in try_directory(layout.root):
        yield DoctorLine(*line)


def _versions() -> Iterator[DoctorLine]:
    from importlib.metadata import version

    from registry.sqlite_library import is_recent_enough, sqlite_options, sqlite_version

    yield DoctorLine(
        "versions", "ok", f"stage {version('stage')}, Python {sys.version.split()[0]}, {sys.platform}"
    )
    text = f"SQLite {sqlite_version()} ({', '.join(sqlite_options())})"
    if is_recent_enough():
        yield DoctorLine("sqlite", "ok", text)
    else:
        yield DoctorLine("sqlite", "bad", text, "Use a Python with SQLite 3.35 or later.")


def _state(layout: Layout) -> tuple[CampaignState | None, list[DoctorLine]]:
    try:
        state = load_state(layout.state)
    except StageError as exc:
        return None, [DoctorLine("campaign", "bad", exc.message, exc.hint or "stage fsck says more.")]
    runs = len(state.collections.runs)
    return state, [
        DoctorLine(
            "campaign", "ok", f"'{state.name}', {runs} run{'s' * (runs != 1)}, of {_shown(state.repo)}"
        )
    ]


def _shown(uri: str) -> str:
    from sync.filesystem.files import redact

    return redact(uri)


def _lock(layout: Layout) -> Iterator[DoctorLine]:
    holder = read_holder(layout.lock)
    if holder is None:
        dead = dead_holder(layout.lock)
        text = "free" if dead is None else f"free; {dead} ended without releasing it"
        yield DoctorLine("lock", "ok", text, "" if dead is None else "Nothing: the next command heals it.")
    else:
        age_s = max(0.0, time.time() - holder.since_ns / 1e9)
        here = holder.host == os.uname().nodename
        lives = (
            ""
            if not here
            else ", which lives"
            if _lives(holder.pid)
            else ", which is not to be seen from here"
        )
        yield DoctorLine(
            "lock", "warn", f"held by {holder}{lives}, for {age_s:,.0f} s",
            "Wait for it (--lock-timeout SECONDS), or end that process; its lock goes with it.",
        )  # fmt: skip
    if is_half_done(layout) and holder is None:
        yield DoctorLine(
            "change", "warn", "a command was killed in the middle of a change",
            "The next command that changes the campaign takes it back; or stage fsck --repair.",
        )  # fmt: skip


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _staging(layout: Layout) -> Iterator[DoctorLine]:
    if not layout.staging.is_file():
        lost = lost_staging(layout)
        if lost is not None:
            yield DoctorLine("staging", "bad", lost.message, lost.hint)
        else:
            yield DoctorLine("staging", "ok", "not made yet", "stage build makes it.")
        return
    try:
        with open_staging(layout) as staging:
            yield DoctorLine("staging", "ok", _registry_text(staging))
    except StageError as exc:
        yield DoctorLine("staging", "bad", exc.message, exc.hint or "stage fsck says more.")


def _registry_text(repo: Repo) -> str:
    registry = repo.registry
    with registry.read():
        universe = registry.universe
        return f"schema {registry.attribute('schema_version')}, universe {universe.name} {universe.version}, {registry.dialect}"


def _upstream(layout: Layout, state: CampaignState | None) -> Iterator[DoctorLine]:
    if state is None:
        return
    where, began = _shown(state.repo), time.monotonic()
    try:
        with open_upstream(state) as upstream:
            text = f"{where}: {_registry_text(upstream)}"
            taken_s = time.monotonic() - began
            if layout.staging.is_file():
                with open_staging(layout) as staging:
                    check_same_upstream(staging, upstream)
            yield DoctorLine("upstream", "ok", f"{text}, answers in {taken_s * 1000:.0f} ms")
            yield from _store(upstream.datastore.root)
    except StageError as exc:
        yield DoctorLine(
            "upstream", "bad", exc.message, exc.hint or "Check its path or its server, and your credentials."
        )
    from sync.filesystem.files import local_path

    path = local_path(state.repo) if "sql" not in state.repo.partition("://")[0] else None
    if path is not None and path.exists():
        yield from _place("upstream's file system", path, path / "registry.sqlite3")
        if not os.access(path / "data" if (path / "data").exists() else path, os.W_OK):
            yield DoctorLine("upstream's rights", "warn", f"you may read {path}, not write it",
                             "To push, ask its keeper for the right to.")  # fmt: skip


def _store(root: str) -> Iterator[DoctorLine]:
    """Tell whether a store of files that is not local answers."""
    from sync.filesystem.files import exists, local_path

    if local_path(root) is not None:
        return
    began = time.monotonic()
    try:
        exists(root)
    except StageError as exc:
        hint = exc.hint or "Check its address and your credentials."
        yield DoctorLine("upstream's files", "bad", exc.message, hint)
    else:
        taken_s = time.monotonic() - began
        yield DoctorLine("upstream's files", "ok", f"{_shown(root)} answers in {taken_s * 1000:.0f} ms")


def _place(name: str, folder: Path, database: Path) -> Iterator[DoctorLine]:
    """Tell on what file system a directory is, and what that means for a database in it."""
    point, kind = file_system(folder)
    if not kind:
        yield DoctorLine(name, "ok", "there is no table of mounts to tell its kind")
        return
    in_wal = _is_in_wal(database)
    if not is_network(kind):
        log = "its write-ahead log can be trusted here" if in_wal else "a rollback journal is kept"
        yield DoctorLine(name, "ok", f"{kind} at {point}: local; {log}")
    elif in_wal:
        yield DoctorLine(
            name, "bad", f"{kind} at {point} is on a network, and {database.name} has a write-ahead log, which cannot be trusted there",
            "Move the campaign to a local disk (mv DIR /local/disk), and work there.",
        )  # fmt: skip
    else:
        yield DoctorLine(
            name, "warn", f"{kind} at {point} is on a network: a rollback journal is kept, never a write-ahead log",
            "Use the campaign from one machine at a time; a local disk is faster.",
        )  # fmt: skip


def _is_in_wal(database: Path) -> bool:
    try:
        with database.open("rb") as file:
            return file.read(20)[18:20] == b"\2\2"
    except OSError:
        return False


def _room(layout: Layout, state: CampaignState | None) -> Iterator[DoctorLine]:
    n_files, n_bytes = _needed(layout, state)
    told = os.statvfs(_outputs(layout, state))
    free, inodes = told.f_bavail * told.f_frsize, told.f_favail
    known = f"; what is planned may need {n_files:,} files, {n_bytes / 1e6:,.0f} MB" if n_files else ""
    is_full = free < n_bytes
    little = free < max(_LITTLE_ROOM, 2 * n_bytes)
    yield DoctorLine(
        "room", "bad" if is_full else "warn" if little else "ok", f"{free / 1e9:,.1f} GB free{known}",
        "Free some space, or put the campaign elsewhere." if is_full or little else "",
    )  # fmt: skip
    if told.f_files:  # some file systems have no fixed number
        few = inodes < 2 * n_files + 10_000
        yield DoctorLine(
            "inodes", "bad" if inodes < n_files else "warn" if few else "ok", f"{inodes:,} more files can be made",
            "Remove files there, or put the campaign elsewhere." if few else "",
        )  # fmt: skip


def _outputs(layout: Layout, state: CampaignState | None) -> Path:
    """Return where there has to be room, as far as that is on this machine."""
    from sync.filesystem.files import local_path

    place = None if state is None else local_path(outputs_of(layout, state))
    return place if place is not None and place.is_dir() else layout.root


def _needed(layout: Layout, state: CampaignState | None) -> tuple[int, int]:
    """Estimate files and bytes of what the graph plans, from the artifacts that there are."""
    if state is None or state.quantum_graph.uri is None:
        return 0, 0
    from registry.keeping import run_sizes
    from stage.campaign.graphs import open_graph

    try:
        with open_graph(layout, state) as graph:
            planned = sum(t.n_datasets for t in graph.layout.types if "out" in t.role)
        with open_staging(layout) as staging, staging.registry.read() as snapshot:
            sizes = run_sizes(snapshot)
    except StageError:
        return 0, 0  # which is told elsewhere
    own = [sizes[run] for run in state.collections.runs if run in sizes]
    made, size = sum(n for n, _ in own), sum(s for _, s in own)
    newest = sizes.get(state.collections.current_run or "", (0, 0))[0]
    left = max(0, planned - newest)
    return left, left * size // made if made else 0


def _limits() -> Iterator[DoctorLine]:
    from stage.execution.memory import machine_memory_mb

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    set_to = {
        n: os.environ[n]
        for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        if n in os.environ
    }
    threads = ", ".join(f"{n}={v}" for n, v in set_to.items()) or "libraries choose their threads themselves"
    yield DoctorLine("processors", "ok", f"{cpus} for this process; {threads}")
    yield DoctorLine(
        "memory",
        "ok",
        f"{machine_memory_mb():,} MB for quanta; address space {_limit(resource.RLIMIT_AS, 1 << 20, 'MB')}",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft != resource.RLIM_INFINITY and soft < _FEW_FILES
    yield DoctorLine(
        "open files", "warn" if few else "ok", f"at most {_limit(resource.RLIMIT_NOFILE)}",
        f"Raise it: ulimit -n {min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096}" if few else "",
    )  # fmt: skip


def _limit(which: int, unit: int = 1, name: str = "") -> str:
    soft, _ = resource.getrlimit(which)
    return "not limited" if soft == resource.RLIM_INFINITY else f"{soft // unit:,} {name}".rstrip()
