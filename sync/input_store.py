"""The datastore of a campaign, as those see it that read its inputs: local names first, then a cache, then upstream.

A graph file says where upstream has an input, and stays as it is when files are fetched or dropped. What is really read
is decided here, at the moment of reading, from names alone: workers and jobs have no database.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from registry.errors import NotFoundError
from sync.fetching.binding import Binding, read_binding
from sync.fetching.places import Places
from sync.filesystem import files
from sync.fsspec_store import FsspecDatastore

if TYPE_CHECKING:
    from registry.model.records import Artifact
    from sync.cache import ArtifactCache

__all__ = ["InputStore"]


class InputStore(FsspecDatastore):
    """Files under one root, and the inputs that have, or had, names there.

    Parameters
    ----------
    root : str or path
        The datastore's root.
    caches : bool, optional
        Whether remote inputs are kept on this machine.
    """

    __slots__ = ("_binding", "_cache", "_caches", "_places")

    def __init__(self, root: files.Uri, *, caches: bool = False) -> None:
        super().__init__(root)
        self._caches = caches
        self._cache: ArtifactCache | None = None
        self._binding: Binding | None = None
        self._places = Places("")

    def reading(self, artifact: Artifact) -> AbstractContextManager[str]:
        """Hold a file while it is read; see `sync.datastore.Datastore.reading`.

        Parameters
        ----------
        artifact : Artifact
            Its record.

        Returns
        -------
        context manager of str
            Where its bytes are.
        """
        where = self._place(artifact.uri, artifact.size)
        # What this datastore holds itself in a store may be replaced there; it is read where it is.
        if files.is_local(where) or where == files.join(self._prefix, artifact.uri) != artifact.uri:
            return nullcontext(where)
        cache = self._own_cache()
        if cache is None:
            return nullcontext(where)
        return cache.reading(where, artifact.size, artifact.checksum)

    def has(self, uri: str) -> bool:
        """Tell whether a file could be read; see `sync.datastore.Datastore.has`.

        Parameters
        ----------
        uri : str
            As for `locate`.

        Returns
        -------
        bool
            Whether it could.
        """
        return files.exists(self._place(uri, 0))

    def _place(self, uri: str, size: int) -> str:
        """Return where the bytes of an input or an output are; its size counts where it is known."""
        where = self.locate(uri)
        binding = self._said()
        if files.is_absolute(uri):
            if binding.is_local and (name := self._places.name_or_none(uri)) is not None:
                own = files.join(self._prefix, name)
                return own if _is_there(own, size) else where
        elif binding.is_dropped and not _is_there(where, 0):
            return self._places.origin(uri)
        return where

    def _said(self) -> Binding:
        if self._binding is None:
            self._binding = read_binding(self.root)
            self._places = Places(self._binding.upstream)
        return self._binding

    def _own_cache(self) -> ArtifactCache | None:
        if self._caches and self._cache is None:
            from sync.cache import cache_here

            self._cache = cache_here(self._said().cache)
            self._caches = self._cache is not None
        return self._cache


def _is_there(place: str, size: int) -> bool:
    """Tell whether a file is there and, if a size is known, has it."""
    path = files.local_text(place)
    try:
        found = files.size(place) if path is None else os.stat(path).st_size  # noqa: PTH116 - one call a file
    except (NotFoundError, OSError):
        return False
    return not size or found == size
