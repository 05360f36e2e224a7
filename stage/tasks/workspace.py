"""Where the scripts of one quantum work, and what is left there when one of several commands fails."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Scratch", "Workspace", "scratch_of"]

_STATE = "state.json"


@dataclass(frozen=True)
class Workspace:
    """What whoever runs a quantum says of the place where its scripts work.

    Parameters
    ----------
    directory : str
        Where its scratch directory is if it is kept; empty for a temporary one that always goes.
    keep : bool
        Whether it is kept if the quantum fails. One that was kept before is kept until the quantum is complete.
    begin_at : int
        Which of several commands to begin at, from 1; 0 for the one that failed.
    environment : mapping of str to str
        Variables that scripts get besides their own.
    """

    directory: str = ""
    keep: bool = False
    begin_at: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class Scratch:
    """The scratch directory of one quantum, with a note of the commands that are done in it.

    Parameters
    ----------
    root : Path
        The directory.
    is_kept : bool, optional
        Whether it may hold what an earlier attempt left.
    """

    def __init__(self, root: Path, *, is_kept: bool = False) -> None:
        self.root = root
        self.is_kept = is_kept
        self.digest = ""
        self.done = 0
        self.values: dict[str, Any] = {}
        if not is_kept:
            return
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((root / _STATE).read_text(encoding="utf-8"))
            self.digest, self.done = str(state["digest"]), int(state["done"])
            self.values = dict(state["values"])

    def clear(self) -> None:
        """Remove what an earlier attempt left, to begin anew."""
        for entry in self.root.iterdir() if self.is_kept else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        self.done, self.digest, self.values = 0, "", {}

    def note(self, digest: str, done: int) -> None:
        """Note that commands are done; a process that is killed finds it so.

        Parameters
        ----------
        digest : str
            Of all on which they rest.
        done : int
            How many.
        """
        self.digest, self.done = digest, done
        state = {"digest": digest, "done": done, "values": self.values}
        aside = self.root / f"{_STATE}.new"
        aside.write_text(json.dumps(state), encoding="utf-8")
        aside.replace(self.root / _STATE)


@contextlib.contextmanager
def scratch_of(workspace: Workspace, prefix: str) -> Iterator[Scratch]:
    """Enter the scratch directory of a quantum.

    Parameters
    ----------
    workspace : Workspace
        Whether it is kept, and where.
    prefix : str
        Begins the name of a temporary one.

    Yields
    ------
    Scratch
        As an earlier attempt left it, or empty. When the quantum is complete it goes; when it fails, it stays if it is
        to be kept, or was kept before.
    """
    kept = Path(workspace.directory) if workspace.directory else None
    if kept is None or not (workspace.keep or kept.is_dir()):
        with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as temporary:
            yield Scratch(Path(temporary))
        return
    kept.mkdir(parents=True, exist_ok=True)
    yield Scratch(kept, is_kept=True)
    shutil.rmtree(kept, ignore_errors=True)
