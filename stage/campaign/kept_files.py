"""Files of a campaign as they once were, each kept once under the digest of what it holds.

A graph is kept as a second name of the file, which costs nothing while it is the campaign's graph too. A pipeline is copied, since
people edit it where it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from registry.errors import IntegrityError, NotFoundError, StorageError
from stage.campaign.files import write_atomically
from stage.campaign.undo import duplicate

__all__ = ["KeptFiles"]


class KeptFiles:
    """The files that are kept.

    Parameters
    ----------
    folder : pathlib.Path
        Where they are; it need not exist before one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Return where a file is kept.

        Parameters
        ----------
        digest : str
            Of what it holds, as ``blake3:…``.

        Returns
        -------
        pathlib.Path
            It need not exist.
        """
        return self.folder / digest.partition(":")[2]

    def has(self, digest: str) -> bool:
        """Tell whether a file is kept.

        Parameters
        ----------
        digest : str
            Of what it holds.

        Returns
        -------
        bool
            Whether it can be brought back.
        """
        return self.path(digest).is_file()

    def keep(self, path: Path, digest: str, *, as_copy: bool) -> None:
        """Keep what a file holds now.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        digest : str
            Of what it holds.
        as_copy : bool
            Whether it may be edited where it is; else a second name for it does.

        Raises
        ------
        StorageError
            If it cannot be kept.
        """
        if self.has(digest):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if as_copy:
                write_atomically(self.path(digest), path.read_bytes())
                return
            aside = self.folder / f".{self.path(digest).name}.new-{os.getpid()}"
            aside.unlink(missing_ok=True)
            duplicate(path, aside)
            aside.replace(self.path(digest))
        except OSError as exc:
            raise StorageError(f"cannot keep {path} for the history: {exc.strerror or exc}") from exc

    def text(self, digest: str) -> str:
        """Return a kept text.

        Parameters
        ----------
        digest : str
            Of what it holds.

        Returns
        -------
        str
            What cannot be read as UTF-8 is marked.
        """
        return self.path(digest).read_text(encoding="utf-8", errors="replace")

    def bring_back(self, digest: str, path: Path, *, as_copy: bool) -> None:
        """Write what a file held once to another path.

        Parameters
        ----------
        digest : str
            Of what it held.
        path : pathlib.Path
            Where it is to be; what is there is replaced.
        as_copy : bool
            Whether it may be edited there.

        Raises
        ------
        NotFoundError
            If it is kept no more.
        IntegrityError
            If what is kept is not what it was.
        """
        from sync.filesystem.files import checksum

        kept = self.path(digest)
        if not self.has(digest):
            raise NotFoundError(f"{path.name} is kept no more as it was then", code="not-kept")
        if checksum(kept)[1] != digest:
            raise IntegrityError(
                f"what is kept of {path.name} was changed: {kept}",
                code="kept-file-damaged",
                hint="Go back to another entry: stage history.",
            )
        if as_copy:
            write_atomically(path, kept.read_bytes())
            return
        path.unlink(missing_ok=True)
        duplicate(kept, path)

    def forget(self, but: set[str]) -> None:
        """Remove all files but some, and what a killed command left.

        Parameters
        ----------
        but : set of str
            Digests of the files that stay.
        """
        names = {self.path(digest).name for digest in but}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in names:
                path.unlink(missing_ok=True)

    def own_bytes(self, digest: str) -> int:
        """Return how much room a file takes that nothing else has.

        Parameters
        ----------
        digest : str
            Of what it holds.

        Returns
        -------
        int
            0 if it is the campaign's graph too, or kept no more.
        """
        try:
            found = self.path(digest).stat()
        except FileNotFoundError:
            return 0
        return 0 if found.st_nlink > 1 else found.st_size
