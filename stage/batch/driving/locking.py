"""The lock of a submission: one head at a time; it goes with its process however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from registry.errors import BusyError
from stage.batch.layout import SubmitDir
from stage.campaign.lock import Holder, campaign_lock, read_holder

__all__ = ["head_lock", "living_head"]


@contextmanager
def head_lock(where: SubmitDir) -> Iterator[Holder]:
    """Be the head of a submission.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Yields
    ------
    Holder
        Ourselves.

    Raises
    ------
    BusyError
        If there is another.
    StorageError
        If the file cannot be made or locked.
    """
    try:
        lock = campaign_lock(where.head_lock, "stage batch: head", 0.0)
        holder = lock.__enter__()
    except BusyError as error:
        raise BusyError(
            f"{where.root} is driven by another head: {error.holder}",
            code="has-head",
            holder=error.holder,
            waited_s=error.waited_s,
            hint="See how far it is: stage batch report. To end it: stage batch cancel.",
        ) from error
    try:
        yield holder
    finally:
        lock.__exit__(None, None, None)


def living_head(where: SubmitDir) -> Holder | None:
    """Return who drives a submission.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    Holder or None
        None if nobody does.
    """
    return read_holder(where.head_lock)
