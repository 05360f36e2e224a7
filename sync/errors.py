"""Sync's members of the shared error families."""

from __future__ import annotations

from typing import Any

from registry.errors import StorageError

__all__ = ["TransferError"]


class TransferError(StorageError):
    """Some artifacts did not arrive.

    Parameters
    ----------
    message : str
        How many, and the first of them.
    result : object, optional
        The `sync.transfer.TransferResult`: moved, skipped, and failed with reasons.
    **kwargs
        As for `StorageError`.
    """

    default_code = "transfer"

    def __init__(self, message: str = "", *, result: Any = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.result = result
