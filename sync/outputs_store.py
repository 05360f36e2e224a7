"""The datastore of a campaign whose outputs lie in upstream's storage: what was given to upstream is not removed from it."""

from __future__ import annotations

from registry.errors import ConflictError
from sync.filesystem import files
from sync.input_store import InputStore
from sync.outputs import read_claim
from sync.paths import safe_part

__all__ = ["OutputsStore"]


class OutputsStore(InputStore):
    """Files below a campaign's prefix in upstream's storage.

    Parameters
    ----------
    root : str or path
        The prefix.
    """

    __slots__ = ("_given",)

    def __init__(self, root: files.Uri) -> None:
        super().__init__(root)
        self._given: tuple[str, ...] | None = None

    def remove(self, uri: str) -> None:
        """Remove a file; see `sync.datastore.Datastore.remove`.

        Parameters
        ----------
        uri : str
            A path relative to the root.

        Raises
        ------
        ConflictError
            If it is of a RUN whose files are upstream's by now: rows there may name it.
        """
        if self._given is None:
            claim = read_claim(self.root)
            runs = claim.given if claim is not None else ()
            self._given = tuple("/".join(map(safe_part, run.split("/"))) + "/" for run in runs)
        if uri.startswith(self._given):
            raise ConflictError(
                f"{files.redact(self.locate(uri))} is upstream's by now, so the campaign may not remove it",
                code="run-given",
                hint="Upstream's keeper removes it, with its row: stage repo prune.",
            )
        super().remove(uri)
