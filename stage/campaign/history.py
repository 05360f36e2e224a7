"""What changed a campaign, command by command: rows of its staging registry, and of the latest ones what it was afterwards.

Before there is a staging registry the entries are files only; the first command that finds one moves them there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError, StageError
from registry.model.columns import Columns
from stage.campaign.entries import (
    KEPT_ENTRIES,
    Entry,
    entry_path,
    positions,
    read_entry,
    trim,
    write_entry,
)  # fmt: skip
from stage.campaign.kept_files import KeptFiles
from stage.campaign.reports import HistoryEntry
from stage.campaign.repositories import lost_staging, open_staging
from stage.campaign.snapshots import Snapshot, look, store
from stage.campaign.undo import history_before

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.pipeline.node import TaskNode

__all__ = [
    "HistoryRecord", "document_changes", "newest_snapshot", "put_back_history", "read_history", "setting_changes",
]  # fmt: skip

_NAMES = ("position", "at_ns", "command", "change")
BY_HAND = "(changed by hand)"
"""What stands for a command where somebody has edited the pipeline or the state without one."""


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def document_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare two state documents.

    Parameters
    ----------
    before, after : mapping
        As `CampaignState.to_document` gives them.

    Returns
    -------
    dict of str to (object, object)
        Field (``collections.inputs``) to its old and new value, for those that differ.
    """
    old, new = _flat(before), _flat(after)
    names = [*new, *(n for n in old if n not in new)]
    # What collections held when a graph was built tells nobody anything.
    pairs = {n: (old.get(n), new.get(n)) for n in names if not n.startswith("quantum_graph.digests.")}
    # What begins empty has not changed.
    return {n: (a, b) for n, (a, b) in pairs.items() if a != b and not (a is None and b in ("", [], 0))}


def setting_changes(before: Sequence[TaskNode], after: Sequence[TaskNode]) -> dict[str, tuple[Any, Any]]:
    """Compare the tasks of two pipelines.

    Parameters
    ----------
    before, after : sequence of TaskNode
        The tasks.

    Returns
    -------
    dict of str to (object, object)
        Setting (``detect:threshold``) to its old and new value; ``task detect`` to the code that it runs, if that
        is another or there is no such task on one side.
    """
    old, new = ({node.label: node for node in nodes} for nodes in (before, after))
    out: dict[str, tuple[Any, Any]] = {}
    for label in dict.fromkeys([*old, *new]):
        targets = tuple(side[label].target if label in side else None for side in (old, new))
        if targets[0] != targets[1]:
            out[f"task {label}"] = (targets[0], targets[1])
        if None not in targets:
            mine, theirs = _flat(old[label].config), _flat(new[label].config)
            names = dict.fromkeys([*mine, *theirs])
            values = {n: (mine.get(n), theirs.get(n)) for n in names}
            typed = new[label].typed_name
            out |= {f"{label}:{typed(n)}": pair for n, pair in values.items() if pair[0] != pair[1]}
    return out


class HistoryRecord:
    """One command's entry in the history; it is there as soon as the command has changed something.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    command : str
        The command.
    change : Change, optional
        The change that it makes: what it takes back is in the history no more. Without one the command changes nothing
        here.
    """

    def __init__(self, layout: Layout, command: str, change: Change | None = None) -> None:
        self._layout = layout
        self._command = command
        self._change = change
        self._position = 0
        self._noted: dict[str, Any] = {}
        last = newest_snapshot(layout)
        if change is None:
            self._before = last
        else:
            self._before = Snapshot() if change.is_new else look(layout, change.state, last)
        self._by_hand = _by_hand(last, self._before) if last.is_kept else {}
        if self._by_hand and change is not None:
            store(layout, self._before, change.creating)

    def note(self, differences: Mapping[str, Sequence[Any]], state: CampaignState) -> None:
        """Say what the command has changed so far.

        Parameters
        ----------
        differences : mapping
            Field to old and new value.
        state : CampaignState
            What the campaign is now.
        """
        layout = self._layout
        now = look(layout, state, self._before)
        told = {**differences, **_quanta(self._before, now)}
        if self._noted == told:
            return
        rows = _rows(layout)
        entries = self._entries(told, now, rows)
        self._protect({self._position, *(entry.position for entry in entries)}, rows)
        # In the end it may have changed nothing: a run that was taken up again and finished.
        if not told:
            entry_path(layout, self._position).unlink(missing_ok=True)
        else:
            store(layout, now)
        for entry in entries:
            write_entry(layout, entry)
        known = {*rows, self._position, *(entry.position for entry in entries)}
        early = [read_entry(layout, n) for n in positions(layout) if n not in known]
        new = {entry.position: entry.row for entry in (*early, *entries) if entry is not None}
        _set_rows(layout, {self._position: None, **new})
        self._noted = told

    def tidy(self) -> None:
        """Let go of what only old entries need, if this one is new: when nothing can be taken back any more."""
        if self._noted and ("quanta" in self._noted or len(positions(self._layout)) > KEPT_ENTRIES):
            with suppress(OSError, StageError):  # the next command does it
                if trim(self._layout, KEPT_ENTRIES, dry_run=True):
                    trim(self._layout, KEPT_ENTRIES)

    def _entries(self, told: Mapping[str, Any], now: Snapshot, rows: Iterable[int]) -> list[Entry]:
        """Return the entries to be written: of what was done by hand before, and of this command."""
        at_ns, out = time.time_ns(), []
        if not self._position:
            self._position = max([*rows, *positions(self._layout)], default=0) + 1
            if self._by_hand:
                out.append(Entry(self._position, at_ns, BY_HAND, self._by_hand, self._before))
                self._position += 1
        return [*out, Entry(self._position, at_ns, self._command, told, now)] if told else out

    def _protect(self, numbers: Iterable[int], rows: Mapping[int, Sequence[Any]]) -> None:
        """See to it that what is written here is taken back with the rest of the change."""
        if self._change is None:
            return
        self._change.creating_tree(self._layout.history)
        before = {n: rows.get(n) for n in numbers}
        self._change.replacing([entry_path(self._layout, n) for n in before], before)
        self._change.undoing(lambda: _set_rows(self._layout, before))


def newest_snapshot(layout: Layout) -> Snapshot:
    """Return what the campaign was after the last command.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.

    Returns
    -------
    Snapshot
        An empty one if that is not kept.
    """
    known = positions(layout)
    entry = read_entry(layout, known[-1]) if known else None
    return Snapshot() if entry is None else entry.snapshot


def _by_hand(last: Snapshot, now: Snapshot) -> dict[str, list[Any]]:
    """Return what has changed since the last command, without one."""
    if last.is_same(now):
        return {}
    out = {name: list(pair) for name, pair in document_changes(last.state, now.state).items()}
    for name in dict.fromkeys([*last.files, *now.files]):
        old, new = last.files.get(name), now.files.get(name)
        if old != new:
            out[name] = [old and old[:15], new and new[:15]]
    return out


def _quanta(before: Snapshot, now: Snapshot) -> dict[str, Any]:
    """Return the numbers of quanta before and after, if the graph is another."""
    if before.graph_digest == now.graph_digest:
        return {}
    return {"quanta": [dict(before.quanta) or None, dict(now.quanta) or None]}


def put_back_history(layout: Layout) -> None:
    """Take out of the history what a killed command had noted of a change that is going to be taken back.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.
    """
    rows = history_before(layout)
    if rows:
        _set_rows(layout, rows)


def _rows(layout: Layout) -> dict[int, Sequence[Any]]:
    """Return the rows of the table by position."""
    if not layout.staging.is_file():
        return {}
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        return {int(row[0]): list(row) for row in snapshot.table("history").rows(_NAMES)}


def _set_rows(layout: Layout, rows: Mapping[int, Sequence[Any] | None]) -> None:
    """Put rows in the place of those that there are; None removes one."""
    if not layout.staging.is_file():
        return
    with open_staging(layout, writable=True) as staging, staging.registry.write() as tx:
        for position in rows:
            tx.delete_rows("history", position=position)
        new = [row for _, row in sorted(rows.items()) if row is not None]
        if new:
            tx.insert_rows("history", Columns.from_rows(_NAMES, [tuple(row) for row in new]))


def read_history(layout: Layout, *, verbose: bool = False) -> list[HistoryEntry]:
    """Return the commands that changed a campaign.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    verbose : bool, optional
        Whether to tell what became of each line of the pipeline's files.

    Returns
    -------
    list of HistoryEntry
        In order.
    """
    kept = {n: entry for n in positions(layout) if (entry := read_entry(layout, n)) is not None}
    rows: dict[int, Sequence[Any]] = {n: entry.row for n, entry in kept.items()}
    if layout.staging.is_file() or lost_staging(layout) is not None:
        with open_staging(layout) as staging, staging.registry.read() as snapshot:
            rows |= {row[0]: row for row in snapshot.table("history").rows(_NAMES)}
    out, last = [], Snapshot()
    for position, (_, at_ns, command, text) in sorted(rows.items()):
        now = kept[position].snapshot if position in kept else Snapshot()
        diff = _diff(layout, last, now) if verbose and now.is_kept and (last.is_kept or position == 1) else {}
        out.append(HistoryEntry(position, at_ns, command, _change(text, layout), position in kept, diff))
        last = now
    return out


def _diff(layout: Layout, before: Snapshot, now: Snapshot) -> dict[str, str]:
    """Return a unified diff of each file of the pipeline that is another than before."""
    from difflib import unified_diff

    kept = KeptFiles(layout.history / "files")
    names = [n for n in dict.fromkeys([*before.files, *now.files]) if n not in (before.graph, now.graph)]
    out = {}
    for name in names:
        digests = before.files.get(name), now.files.get(name)
        if digests[0] != digests[1] and all(digest is None or kept.has(digest) for digest in digests):
            old, new = (kept.text(digest).splitlines() if digest else [] for digest in digests)
            out[name] = "\n".join(unified_diff(old, new, name, name, lineterm="", n=1))
    return out


def _change(text: str, layout: Layout) -> dict[str, list[Any]]:
    """Read what a command changed."""
    try:
        found = json.loads(text)
        return {name: [old, new] for name, (old, new) in found.items()}
    except (ValueError, TypeError, AttributeError) as exc:
        raise IntegrityError(
            f"the history in {layout.staging} is damaged: {text:.60}", hint="Restore it from a copy."
        ) from exc
