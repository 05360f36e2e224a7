"""Local files of tasks that read and write files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from stage.pipeline.task import RepoLike

__all__ = ["FileRepoLike", "is_made"]


class FileRepoLike(RepoLike, Protocol):
    """What a task that handles files needs of its repository."""

    def local_path(self, ref: Any, /) -> str | Path:
        """Return a local file with an input's bytes, or a place for an output.

        Parameters
        ----------
        ref : object
            One of the quantum's inputs or outputs.

        Returns
        -------
        str or Path
            The file.
        """

    def put_file(self, path: str | Path, ref: Any, /) -> Any:
        """Take a file as an output.

        Parameters
        ----------
        path : str or Path
            A local file.
        ref : object
            One of the quantum's outputs.

        Returns
        -------
        object
            Nothing that is used.
        """


def is_made(place: Path) -> bool:
    """Tell whether an output has been made.

    Parameters
    ----------
    place : pathlib.Path
        Where it was to be made.

    Returns
    -------
    bool
        Whether there is a file, or a directory with something in it.
    """
    return place.is_file() or (place.is_dir() and any(place.iterdir()))
