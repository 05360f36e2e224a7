"""Where a file of upstream's goes below a campaign's own datastore root, and back: one rule, without a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from registry.errors import UsageError
from sync.filesystem import files
from sync.filesystem.uris import local_text

__all__ = ["Places"]

_ELSEWHERE = ".elsewhere"
"""Begins the names of what upstream itself has registered where it lies; no RUN's files can begin so."""


@dataclass(frozen=True)
class Places:
    """How names below one's own root and places of upstream's files belong together.

    A file below upstream's root keeps its path; of any other, the path is made from its URI. Both can be undone, so that
    a graph file that has the one leads to the other without a database.

    Parameters
    ----------
    upstream : str
        Root of upstream's datastore: an absolute path or URI.
    """

    upstream: str
    _prefix: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_prefix", self.upstream.rstrip("/") + "/")

    def names(self, uris: Sequence[str]) -> list[str]:
        """Return the names of files below one's own root.

        Parameters
        ----------
        uris : sequence of str
            Where upstream has them: absolute.

        Returns
        -------
        list of str
            Relative paths.

        Raises
        ------
        UsageError
            If one could leave the root.
        """
        prefix, n = self._prefix, len(self._prefix)
        # One search in all of them; only what it finds odd is looked at one by one.
        text = "\n".join(["", *uris, ""])
        if any(sign in text for sign in ("/.", "//", "/\n", "\n\n")) or not all(
            u.startswith(prefix) for u in uris
        ):
            return [self.name(uri) for uri in uris]
        return [uri[n:] for uri in uris]

    def name(self, uri: str) -> str:
        """Return the name of a file below one's own root.

        Parameters
        ----------
        uri : str
            Where upstream has it: absolute.

        Returns
        -------
        str
            A relative path.

        Raises
        ------
        UsageError
            If it could leave the root.
        """
        found = self.name_or_none(uri)
        if found is None:
            raise UsageError(
                f"there is no local name for '{files.redact(uri)}'",
                code="path-escape",
                hint="Read it where it is: --artifacts direct.",
            )
        return found

    def name_or_none(self, uri: str) -> str | None:
        """Return the name of a file below one's own root, as `name` does.

        Parameters
        ----------
        uri : str
            Where upstream has it: absolute.

        Returns
        -------
        str or None
            None if it could leave the root.
        """
        if uri.startswith(self._prefix):
            found = uri[len(self._prefix) :]
        else:
            path = local_text(uri)
            scheme, _, rest = ("file", "", path) if path is not None else uri.partition("://")
            found = f"{_ELSEWHERE}/{scheme.lower()}/{rest.lstrip('/')}"
        return None if any(part in {"", ".", ".."} for part in found.split("/")) else found

    def origin(self, name: str) -> str:
        """Return where upstream has a file.

        Parameters
        ----------
        name : str
            Its name below one's own root.

        Returns
        -------
        str
            An absolute path or URI.
        """
        head, _, rest = name.partition("/")
        if head != _ELSEWHERE:
            return files.join(self._prefix, name)
        scheme, _, path = rest.partition("/")
        return f"/{path}" if scheme == "file" else f"{scheme}://{path}"
