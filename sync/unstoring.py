"""Artifact records that were removed on purpose, told apart from such that were lost.

A dataset may be on record without an artifact: somebody has removed its file and kept what is known of it. If the file is
there nevertheless, either its record was lost, or whoever removed it was killed between the record and the file. So it is
noted in the journal, in the transaction that removes the records, of which RUNs files are to go; the note goes after them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from registry.integrity import bare_datasets
from registry.model.refs import new_id
from sync import journal
from sync.paths import dataset_id_of

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = ["LOST", "forget_unstorings", "note_unstoring", "unrecorded"]

UNSTORE, LOST = "unstore", "lost"
"""Verbs of the journal: files of RUNs that are being removed; a file that was given up, by the id of its dataset."""


def note_unstoring(change: Change, runs: Sequence[str]) -> bytes:
    """Write down that files of datasets that stay on record are being removed.

    Parameters
    ----------
    change : Change
        The transaction that removes their artifact records.
    runs : sequence of str
        The RUNs that hold them.

    Returns
    -------
    bytes
        Number of the note, which is to be removed when the files are gone.
    """
    number = new_id()
    journal.note(change, number, UNSTORE, journal.BEGUN, {"runs": list(runs)})
    return number


def forget_unstorings(change: Change) -> None:
    """Remove the notes of files whose removal was broken off and has been done since.

    Parameters
    ----------
    change : Change
        A write transaction.
    """
    change.delete_rows("journal", item=UNSTORE.encode())


def unrecorded(snapshot: Snapshot, names: Collection[str]) -> list[str]:
    """Find files whose datasets are on record without an artifact, which nobody has removed on purpose.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    names : collection of str
        Files that no row names, relative to the datastore's root.

    Returns
    -------
    list of str
        Some of them, in order.
    """
    numbers = {name: number for name in names if (number := dataset_id_of(name)) is not None}
    if not numbers:
        return []
    bare = dict(bare_datasets(snapshot, list(set(numbers.values()))).rows(("id", "run")))
    if not bare:
        return []
    going = {run for entry in journal.entries(snapshot, UNSTORE) for run in entry.payload.get("runs", ())}
    given_up = {entry.operation for entry in journal.entries(snapshot, LOST)}
    deliberate = given_up | {number for number, run in bare.items() if run in going}
    return [name for name, number in numbers.items() if number in bare and number not in deliberate]
