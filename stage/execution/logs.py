"""The log of one quantum: gathered in memory for its dataset, and written to a file as it comes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OutputCapture", "QuantumLog"]


class _Lines(logging.Formatter):
    """``LEVEL time logger: message``, with times in UTC; making the text of a second once."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._text = -1, ""

    def stamp(self, created: float) -> str:
        second = int(created)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((created - second) * 1000):03d}Z"

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.levelname} {self.stamp(record.created)} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


_LINES = _Lines()


class QuantumLog(logging.Handler):
    """What is logged while a quantum runs, by whatever logger.

    Parameters
    ----------
    path : str, optional
        A file that has every line as soon as it is logged, for those who watch; replaced if it is there.
    level : str or int, optional
        The lowest level that is kept.
    """

    def __init__(self, path: str = "", level: str | int = "INFO") -> None:
        super().__init__(level)
        self._parts: list[str] = []
        self._file = _open(path) if path else None

    @property
    def text(self) -> str:
        """All of it so far; what no encoding can hold is written as its escape."""
        return "".join(self._parts).encode(errors="backslashreplace").decode()

    def resume(self, path: str) -> None:
        """Begin with what another process left in its file.

        Parameters
        ----------
        path : str
            The file; it may be missing.
        """
        with contextlib.suppress(OSError):
            self._parts.append(Path(path).read_text(encoding="utf-8", errors="replace"))

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record.

        Parameters
        ----------
        record : logging.LogRecord
            Which.
        """
        try:
            self._add(_LINES.format(record) + "\n")
        except Exception:  # noqa: BLE001 - a message that cannot be formatted must not end the task
            self.handleError(record)

    def note(self, level: str, message: str) -> None:
        """Add a line of the runner's own.

        Parameters
        ----------
        level : str
            As ``INFO``.
        message : str
            The text.
        """
        self._add(f"{level} {_LINES.stamp(time.time())} stage: {message}\n")

    def output(self, stream: str, line: str) -> None:
        """Add a line that the task printed.

        Parameters
        ----------
        stream : str
            ``stdout`` or ``stderr``.
        line : str
            Without its newline.
        """
        self._add(f"PRINT {_LINES.stamp(time.time())} {stream}: {line}\n")

    @contextlib.contextmanager
    def capturing(self) -> Iterator[None]:
        """Take part in all logging of this process while the context lasts.

        Yields
        ------
        None
            Nothing.
        """
        root = logging.getLogger()
        before = root.level
        wanted = min(before, self.level) if before else self.level
        root.addHandler(self)
        # Setting a level empties caches of all loggers, so it is not done for nothing.
        if wanted != before:
            root.setLevel(wanted)
        try:
            yield
        finally:
            if wanted != before:
                root.setLevel(before)
            root.removeHandler(self)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _add(self, text: str) -> None:
        self._parts.append(text)
        if self._file is not None:
            # Watching is a convenience: a full disk there is no reason to fail.
            with contextlib.suppress(OSError):
                self._file.write(text)
                self._file.flush()


def _open(path: str) -> io.TextIOWrapper | None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return Path(path).open("w", encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None


class OutputCapture(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: lines go to the log of the running quantum.

    Parameters
    ----------
    name : str
        ``stdout`` or ``stderr``.
    """

    log: QuantumLog | None = None
    """The running quantum's log, one for the process; without one, text goes to standard error."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._rest = ""

    def writable(self) -> bool:
        """Tell that it can be written to.

        Returns
        -------
        bool
            True.
        """
        return True

    def write(self, text: str) -> int:
        """Take text.

        Parameters
        ----------
        text : str
            Any number of lines, the last perhaps not complete.

        Returns
        -------
        int
            Its length.
        """
        log = OutputCapture.log
        if log is None:
            os.write(2, text.encode(errors="backslashreplace"))
            return len(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            log.output(self._name, line)
        return len(text)

    def finish(self) -> None:
        """End a line that was left incomplete."""
        if self._rest:
            self.write("\n")

    @classmethod
    def install(cls) -> None:
        """Put one in the place of each of the two streams of this process."""
        sys.stdout, sys.stderr = cls("stdout"), cls("stderr")

    @classmethod
    @contextlib.contextmanager
    def into(cls, log: QuantumLog) -> Iterator[None]:
        """Send what is printed to a log while the context lasts, where `install` was called.

        Parameters
        ----------
        log : QuantumLog
            Where to.

        Yields
        ------
        None
            Nothing.
        """
        cls.log = log
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, cls):
                    stream.finish()
            cls.log = None
