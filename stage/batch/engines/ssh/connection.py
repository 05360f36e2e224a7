"""`Connection`: files and programs of a far machine, over one ssh, without a round trip for each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from registry.errors import IntegrityError, NotFoundError, StageError
from registry.model.digest import new_hasher
from stage.batch.engines.ssh.frames import Frames
from stage.batch.engines.ssh.line import Hello, Line
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.sending_files import FarFile, Sending, in_memory

__all__ = ["Connection", "FarFile", "Hello"]

_ASKED = 20_000
"""So many files are asked for in one message."""
_FETCHED = 1000
Take = Callable[[str, Iterator[bytes]], object]


class Connection:
    """One line to a far machine, for one thread at a time. It opens itself when it is used, and again when it broke.

    Whatever goes wrong is raised as an error whose `code` says what: ``far-unreachable`` and ``far-lost`` (the same may
    go well later), ``far-refused`` (by ssh), ``far-python``, ``far-disk`` and ``far-start`` (a program),
    ``far-outside`` (a name that leads out of ``baseDir``), ``far-corrupt`` (bytes that are not what they are to be).

    Parameters
    ----------
    options : SshOptions
        How to get there.
    """

    def __init__(self, options: SshOptions) -> None:
        self.options = options
        self._line = Line(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Hello:
        """Get there, unless it is open.

        Returns
        -------
        Hello
            Who answers.

        Raises
        ------
        StorageError
            If that does not go: ``far-unreachable``, ``far-refused``, ``far-python``, or ``far-disk`` if nothing can
            be written there.
        """
        return self._line.open()

    def close(self) -> None:
        """Leave. What was started there goes on."""
        self._line.close()

    def lacking(self, wanted: Sequence[FarFile]) -> list[int]:
        """Find out which files have to be sent. What is there by its content gets its name at once.

        Parameters
        ----------
        wanted : sequence of FarFile
            What is to be there.

        Returns
        -------
        list of int
            Their places in `wanted`.
        """
        found: list[int] = []
        for start in range(0, len(wanted), _ASKED):
            files = [f.row() for f in wanted[start : start + _ASKED]]
            found += (start + place for place in self._line.ask("lacking", files=files))
        return found

    def send(self, sources: Iterable[tuple[FarFile, str]]) -> int:
        """Send files, one after the other without waiting. Each is there whole or not at all.

        When the line breaks, all that had come stay; of a large one that has a checksum the next `send` sends only the
        rest.

        Parameters
        ----------
        sources : iterable of (FarFile, str)
            What each is to be, and where it is here: a path or URI.

        Returns
        -------
        int
            How many bytes were sent.

        Raises
        ------
        IntegrityError
            If a file here is not what was announced.
        NotFoundError
            If there is none.
        StorageError
            If it cannot be written there, or the line breaks.
        """
        return self._send(Sending.of_files(sources))

    def put(self, name: str, data: bytes, executable: bool = False) -> None:
        """Write a small file, atomically.

        Parameters
        ----------
        name : str
            Its name below the base.
        data : bytes
            What it is to hold.
        executable : bool, optional
            Whether it can be run.
        """
        self._send(in_memory(name, data, executable=executable))

    def stat(self, names: Sequence[str]) -> list[int | None]:
        """Return the sizes of files.

        Parameters
        ----------
        names : sequence of str
            Below the base.

        Returns
        -------
        list of int or None
            None where there is no file.
        """
        found: list[int | None] = []
        for start in range(0, len(names), _ASKED):
            found += self._line.ask("stat", names=list(names[start : start + _ASKED]))
        return found

    def names(self, prefix: str) -> list[str]:
        """List the files below a directory.

        Parameters
        ----------
        prefix : str
            The directory's name; empty is the base.

        Returns
        -------
        list of str
            Their names below the base, sorted; none if there is no such directory.
        """
        found: list[str] = []
        with self._line.asking("names", prefix=prefix) as (frames, _):
            while "names" in (message := frames.message()):
                found += message["names"]
            self._line.result(message)
        return sorted(found)

    def fetch(self, names: Sequence[str], take: Take) -> None:
        """Get files, one after the other without waiting.

        Parameters
        ----------
        names : sequence of str
            Below the base.
        take : callable
            Gets each name and the file's bytes, piece by piece. It is to keep nothing of them before the last piece has
            come: if they are not what was read there, the iterator raises then. If it raises, the line is closed.

        Raises
        ------
        NotFoundError
            At the end, if some are not there: all others were taken.
        IntegrityError
            If bytes came that are not those of the file.
        """
        absent: list[str] = []
        for start in range(0, len(names), _FETCHED):
            absent += self._fetch(names[start : start + _FETCHED], take)
        if absent:
            raise NotFoundError(
                f"{len(absent):,} of {len(names):,} files are not on {self.options.host}; the first is {absent[0]}",
                code="far-absent",
                context={"names": absent},
            )

    def append(self, name: str, data: bytes) -> None:
        """Add to a file, whole or not at all; it is on the disk there when this returns.

        Where lines are added, and somebody could not complete the last one, that is ended first.

        Parameters
        ----------
        name : str
            Its name below the base; it is made if there is none.
        data : bytes
            What is added.
        """
        with self._line.asking("append", name=name, size=len(data)) as (frames, _):
            frames.give(data)
            self._line.result(frames.message())

    def tail(self, name: str, offset: int, wait_s: float) -> bytes:
        """Return what was added to a file, and tell an agent that has it that somebody looks after it.

        Parameters
        ----------
        name : str
            Its name below the base.
        offset : int
            How much of it is known.
        wait_s : float
            How long to wait if there is nothing.

        Returns
        -------
        bytes
            What follows, though not all if that is much; nothing if nothing was added.
        """
        found = bytearray()
        with self._line.asking("tail", name=name, offset=offset, wait_s=wait_s) as (frames, _):
            while isinstance(message := frames.hear(), memoryview):
                found += message
            self._line.result(message)
        return bytes(found)

    def start(self, words: Sequence[str], *, cwd: str, log: str, environment: Mapping[str, str]) -> int:
        """Start a process that goes on when the line is gone.

        Parameters
        ----------
        words : sequence of str
            Program and arguments.
        cwd : str
            Its directory, which exists, below the base.
        log : str
            The file there that gets what it prints.
        environment : mapping of str to str
            Variables besides those of the account, and of ``setup``.

        Returns
        -------
        int
            Its process.

        Raises
        ------
        StorageError
            ``far-start`` if there is no such program.
        """
        return int(
            self._line.ask("start", words=list(words), cwd=cwd, log=log, environment=dict(environment))
        )

    def run(
        self, words: Sequence[str], *, environment: Mapping[str, str], timeout_s: float = 60.0
    ) -> tuple[int, str, str]:
        """Run a program there to its end; its directory is the base.

        Parameters
        ----------
        words : sequence of str
            Program and arguments.
        environment : mapping of str to str
            Variables besides those of the account, and of ``setup``.
        timeout_s : float, optional
            How long it may take.

        Returns
        -------
        (int, str, str)
            Exit code, what it prints, what it complains of.

        Raises
        ------
        StorageError
            ``far-start`` if it cannot be started, or takes longer.
        """
        code, out, err = self._line.ask(
            "run", words=list(words), environment=dict(environment), timeout_s=timeout_s
        )
        return int(code), str(out), str(err)

    def remove(self, name: str) -> None:
        """Remove a file, or a directory with all that is in it; nothing else, and never the base itself.

        Parameters
        ----------
        name : str
            Its name below the base.
        """
        self._line.ask("remove", name=name)

    def _send(self, sending: Sending) -> int:
        with self._line.asking("send") as (frames, pipe):
            try:
                sending.run(frames, pipe.has_news)
            except StageError:
                self._line.result(_end(frames))
                raise
            self._line.result(_end(frames))
        return sending.n_bytes

    def _fetch(self, names: Sequence[str], take: Take) -> list[str]:
        absent: list[str] = []
        with self._line.asking("fetch", names=list(names)) as (frames, _):
            while "ok" not in (message := frames.message()):
                if "absent" in message:
                    absent.append(names[message["absent"]])
                elif "file" in message:
                    self._take(frames, names[message["file"]], message["size"], take)
                else:
                    self._line.result(message)
        return absent

    def _take(self, frames: Frames, name: str, size: int, take: Take) -> None:
        parts = self._parts(frames, name, size)
        try:
            take(name, parts)
            for _ in parts:
                pass  # what it did not want of it
        except BaseException:
            self.close()  # the rest may be long
            raise

    def _parts(self, frames: Frames, name: str, size: int) -> Iterator[bytes]:
        hasher = new_hasher()
        with self._line.watched():
            while isinstance(part := frames.hear(), memoryview):
                data = bytes(part)
                hasher.update(data)
                size -= len(data)
                yield data
        if "sum" not in part:
            self._line.result(part)
        if size or part.get("sum") != hasher.hexdigest():
            raise IntegrityError(
                f"{self.options.host}: what came of {name} is not what was to be read there",
                code="far-corrupt",
            )


def _end(frames: Frames) -> Mapping[str, Any]:
    frames.say(end=True)
    while "early" in (message := frames.message()):
        pass
    return message
