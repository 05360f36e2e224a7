"""The entries of a campaign's history as files beside its state: what the campaign was after each of its latest commands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError, StorageError
from stage.campaign.fields import Fields
from stage.campaign.files import write_atomically
from stage.campaign.kept_files import KeptFiles
from stage.campaign.snapshots import Snapshot

if TYPE_CHECKING:
    from stage.campaign.layout import Layout

__all__ = [
    "KEPT_BYTES",
    "KEPT_ENTRIES",
    "Entry",
    "entry_path",
    "positions",
    "read_entry",
    "trim",
    "write_entry",
]

KEPT_ENTRIES = 100
"""So many of the latest entries can be gone back to."""
KEPT_BYTES = 2 * 10**9
"""Their files take no more room than this, without the graph that the campaign has now."""
_FORM = 1


@dataclass(frozen=True)
class Entry:
    """One command that changed the campaign.

    Parameters
    ----------
    position : int
        Its number.
    at_ns : int
        When, in UTC nanoseconds since 1970.
    command : str
        The command.
    change : mapping
        Field to old and new value.
    snapshot : Snapshot
        What the campaign was afterwards.
    """

    position: int
    at_ns: int
    command: str
    change: Mapping[str, Sequence[Any]]
    snapshot: Snapshot = field(default_factory=Snapshot)

    @property
    def row(self) -> tuple[int, int, str, str]:
        """The entry as a row of the table ``history``."""
        return self.position, self.at_ns, self.command, json.dumps(dict(self.change))


def entry_path(layout: Layout, position: int) -> Path:
    """Return the file of an entry.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    position : int
        Its number.

    Returns
    -------
    pathlib.Path
        It need not exist.
    """
    return layout.history / f"{position:06d}.json"


def positions(layout: Layout) -> list[int]:
    """Return the numbers of the entries that have a file.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.

    Returns
    -------
    list of int
        In order.
    """
    return sorted(int(p.stem) for p in layout.history.glob("*.json") if p.stem.isdecimal())


def read_entry(layout: Layout, position: int) -> Entry | None:
    """Read the file of an entry.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    position : int
        Its number.

    Returns
    -------
    Entry or None
        None if it has none, or no more.

    Raises
    ------
    IntegrityError
        If it is damaged.
    StorageError
        If it cannot be read.
    """
    path = entry_path(layout, position)
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise IntegrityError(
            f"{path} is not valid JSON: {exc}",
            code="bad-history",
            hint="Remove it: then nobody can go back there.",
        ) from exc
    top = Fields(document, str(path), "")
    names = ("position", "at_ns", "command", "change")
    values = {
        name: top.take(name, _of_type(kind)) for name, kind in zip(names, (int, int, str, dict), strict=True)
    }
    inner = Fields(top.take("snapshot", _of_type(dict)), str(path), "snapshot.")
    parts = ("state", "files", "outside", "quanta", "marks")
    return Entry(**values, snapshot=Snapshot(**{name: inner.take(name, _of_type(dict)) for name in parts}))


def _of_type(kind: type) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"expected {kind.__name__}, not {json.dumps(value)[:60]}")  # noqa: TRY004 - as for all fields
        return value

    return check


def write_entry(layout: Layout, entry: Entry) -> None:
    """Write the file of an entry, whole or not at all.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    entry : Entry
        The entry; its files are kept already.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    document = {
        "form": _FORM,
        "position": entry.position,
        "at_ns": entry.at_ns,
        "command": entry.command,
        "change": dict(entry.change),
        "snapshot": entry.snapshot.to_document(),
    }
    layout.history.mkdir(exist_ok=True)
    write_atomically(entry_path(layout, entry.position), json.dumps(document, ensure_ascii=False).encode())


def trim(
    layout: Layout, keep: int = KEPT_ENTRIES, max_bytes: int = KEPT_BYTES, *, dry_run: bool = False
) -> list[int]:
    """Let go of what old entries need to be gone back to; they stay in the list of commands.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.
    keep : int, optional
        How many entries stay as they are, at least the newest.
    max_bytes : int, optional
        The most room that their files may take.
    dry_run : bool, optional
        Whether only to say which.

    Returns
    -------
    list of int
        Entries that nobody can go back to from now on.
    """
    kept = KeptFiles(layout.history / "files")
    used: set[str] = set()
    n_bytes, stay = 0, list[int]()
    for position in reversed(positions(layout)):
        entry = read_entry(layout, position)
        digests = set() if entry is None else {*entry.snapshot.files.values()} - used
        n_bytes += sum(kept.own_bytes(digest) for digest in digests)
        if stay and (len(stay) >= keep or n_bytes > max_bytes):
            break
        stay.append(position)
        used |= digests
    gone = [position for position in positions(layout) if position not in stay]
    if not dry_run:
        for position in gone:
            entry_path(layout, position).unlink(missing_ok=True)
        kept.forget(used)
        for path in layout.history.glob(".*.new-*"):
            with suppress(OSError):
                path.unlink()
    return gone
