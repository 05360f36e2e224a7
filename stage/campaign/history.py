"""What changed a campaign, command by command, as rows of its staging registry."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError
from registry.model.columns import Columns
from stage.campaign.reports import HistoryEntry
from stage.campaign.repositories import lost_staging, open_staging

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.pipeline.node import TaskNode

__all__ = ["HistoryRecord", "document_changes", "read_history", "setting_changes"]

_NAMES = ("position", "at_ns", "command", "change")


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
    """

    def __init__(self, layout: Layout, command: str) -> None:
        self._layout = layout
        self._command = command
        self._position = 0
        self._noted: dict[str, Any] = {}

    def note(self, change: Mapping[str, Sequence[Any]]) -> None:
        """Say what the command has changed so far, if the campaign has a staging registry.

        Parameters
        ----------
        change : mapping
            Field to old and new value.
        """
        if self._noted == change or not self._layout.staging.is_file():
            return
        with open_staging(self._layout, writable=True) as staging, staging.registry.write() as tx:
            known = tx.table("history")["position"].tolist()
            self._position = self._position or max(known, default=0) + 1
            # In the end it may have changed nothing: a run that was taken up again and finished.
            tx.delete_rows("history", position=self._position)
            if change:
                row = (self._position, time.time_ns(), self._command, json.dumps(dict(change)))
                tx.insert_rows("history", Columns.from_rows(_NAMES, [row]))
        self._noted = dict(change)


def read_history(layout: Layout) -> list[HistoryEntry]:
    """Return the commands that changed a campaign.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.

    Returns
    -------
    list of HistoryEntry
        In order; empty before there is a staging registry.
    """
    if not layout.staging.is_file() and lost_staging(layout) is None:
        return []
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        rows = snapshot.table("history").rows(_NAMES)
    return [
        HistoryEntry(position, at_ns, command, _change(change, layout))
        for position, at_ns, command, change in rows
    ]


def _change(text: str, layout: Layout) -> dict[str, list[Any]]:
    """Read what a command changed."""
    try:
        found = json.loads(text)
        return {name: [old, new] for name, (old, new) in found.items()}
    except (ValueError, TypeError, AttributeError) as exc:
        raise IntegrityError(
            f"the history in {layout.staging} is damaged: {text:.60}", hint="Restore it from a copy."
        ) from exc
