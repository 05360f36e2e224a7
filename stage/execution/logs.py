"""The log of one quantum: gathered in memory for its dataset, and written to a file as it comes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from stage.execution.kept import DEFAULT_LIMIT, KeptText

__all__ = ["OutputCapture", "QuantumLog", "level_lowered"]

_LONG_LINE = 1 << 16
"""So much without an end of line is taken as a line."""


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
        head = f"{record.levelname} {self.stamp(record.created)} {record.name}: "
        if getattr(record, "is_block", False):
            # Many lines of a script in one record: each is to look as if it were logged alone.
            return head + record.getMessage().replace("\n", "\n" + head)
        text = head + record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


_LINES = _Lines()


@contextlib.contextmanager
def level_lowered(level: str | int) -> Iterator[logging.Logger]:
    """Let all loggers of this process pass on records of some level while the context lasts.

    Parameters
    ----------
    level : str or int
        The lowest that is wanted.

    Yields
    ------
    logging.Logger
        The root of all loggers.
    """
    root = logging.getLogger()
    before = root.level
    number = level if isinstance(level, int) else logging.getLevelNamesMapping()[level]
    wanted = min(before, number) if before else number
    # Setting a level empties caches of all loggers, so it is not done for nothing.
    if wanted != before:
        root.setLevel(wanted)
    try:
        yield root
    finally:
        if wanted != before:
            root.setLevel(before)


class QuantumLog(logging.Handler):
    """What is logged while a quantum runs, by whatever logger.

    Parameters
    ----------
    path : str, optional
        A file that has every line as soon as it is logged, for those who watch; replaced if it is there.
    level : str or int, optional
        The lowest level that is kept.
    limit : int, optional
        Bytes to keep, half of them from the beginning and half from the end; 0 keeps all.
    """

    def __init__(self, path: str = "", level: str | int = "INFO", limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(level)
        self._kept = KeptText(path, limit)

    @property
    def text(self) -> str:
        """What is kept of it so far; what no encoding can hold is written as its escape."""
        return self._kept.text

    def resume(self, path: str) -> None:
        """Begin with what another process left in its file.

        Parameters
        ----------
        path : str
            The file; it may be missing.
        """
        self._kept.resume(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record.

        Parameters
        ----------
        record : logging.LogRecord
            Which.
        """
        try:
            self._kept.add(_LINES.format(record) + "\n")
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
        self._kept.add(f"{level} {_LINES.stamp(time.time())} stage: {message}\n")

    def output(self, stream: str, lines: str) -> None:
        """Add lines that the task printed.

        Parameters
        ----------
        stream : str
            ``stdout`` or ``stderr``.
        lines : str
            Without the last newline.
        """
        head = f"PRINT {_LINES.stamp(time.time())} {stream}: "
        self._kept.add(head + lines.replace("\n", "\n" + head) + "\n")

    @contextlib.contextmanager
    def capturing(self) -> Iterator[None]:
        """Take part in all logging of this process while the context lasts.

        Yields
        ------
        None
            Nothing.
        """
        with level_lowered(self.level) as root:
            root.addHandler(self)
            try:
                yield
            finally:
                root.removeHandler(self)

    def close(self) -> None:
        """Close the file."""
        self._kept.close()
        super().close()


class OutputCapture(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: lines go to the log of the running quantum.

    Parameters
    ----------
    name : str
        ``stdout`` or ``stderr``.
    also : file, optional
        Gets the text too, at once.
    """

    log: QuantumLog | None = None
    """The running quantum's log, one for the process; without one, text goes to standard error."""

    def __init__(self, name: str, also: TextIO | None = None) -> None:
        super().__init__()
        self._name = name
        self._also = also
        self._rest: list[str] = []
        self._rest_size = 0

    def writable(self) -> bool:
        """Tell that it can be written to.

        Returns
        -------
        bool
            True.
        """
        return True

    def isatty(self) -> bool:
        """Tell whether a person sees the text as it is written.

        Returns
        -------
        bool
            As for what gets the text too.
        """
        return self._also is not None and self._also.isatty()

    def flush(self) -> None:
        """Pass on what waits."""
        if self._also is not None:
            self._also.flush()

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
        if self._also is not None:
            self._also.write(text)
        log = OutputCapture.log
        if log is None:
            if self._also is None:
                os.write(2, text.encode(errors="backslashreplace"))
            return len(text)
        whole, newline, rest = text.rpartition("\n")
        if newline:
            log.output(self._name, "".join((*self._rest, whole)))
            self._rest, self._rest_size = [], 0
        if rest:
            self._rest.append(rest)
            self._rest_size += len(rest)
            if self._rest_size > _LONG_LINE:
                self._end_line(log)
        return len(text)

    def finish(self) -> None:
        """End a line that was left incomplete."""
        if self._rest and OutputCapture.log is not None:
            self._end_line(OutputCapture.log)

    def _end_line(self, log: QuantumLog) -> None:
        log.output(self._name, "".join(self._rest))
        self._rest, self._rest_size = [], 0

    @classmethod
    def install(cls) -> None:
        """Put one in the place of each of the two streams of this process."""
        sys.stdout, sys.stderr = cls("stdout"), cls("stderr")

    @classmethod
    @contextlib.contextmanager
    def beside(cls) -> Iterator[None]:
        """Put one in the place of each of the two streams while the context lasts; they get the text too.

        Yields
        ------
        None
            Nothing.
        """
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = cls("stdout", before[0]), cls("stderr", before[1])
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before

    @classmethod
    @contextlib.contextmanager
    def into(cls, log: QuantumLog) -> Iterator[None]:
        """Send what is printed to a log while the context lasts, where `install` or `beside` was called.

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
