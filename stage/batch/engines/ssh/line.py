"""`Line`: what is said over one ssh, and that it broke when it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from registry.errors import StageError
from stage.batch.engines.ssh.failures import far_trouble, lacking_packages, too_old
from stage.batch.engines.ssh.frames import Frames, FramesError
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.pipe import Pipe

__all__ = ["Hello", "Line"]


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers.

    Parameters
    ----------
    host, user : str
        The machine and the account, in its own words.
    base : str
        The directory below which everything is, absolute.
    python_version : str
        Like ``3.12.1``.
    pid : int
        The far end.
    python : str
        The interpreter, absolute.
    boot : str, optional
        A name of this life of the machine: another since it was started anew.
    """

    host: str
    user: str
    base: str
    python_version: str
    pid: int
    python: str
    boot: str = ""


class Line:
    """A far end to talk to. It opens itself when something is asked, and again when it broke.

    Parameters
    ----------
    options : SshOptions
        How to get there.
    """

    def __init__(self, options: SshOptions) -> None:
        self._options = options
        self._open: tuple[Frames, Pipe, Hello] | None = None

    def open(self) -> Hello:
        """Get there, unless it is open.

        Returns
        -------
        Hello
            Who answers.

        Raises
        ------
        StorageError
            If that does not go.
        """
        if self._open is None:
            pipe = Pipe(self._options)
            frames = Frames(cast("BinaryIO", pipe.source), pipe.write_all)
            try:
                self._open = frames, pipe, self._greeted(frames.message())
            except FramesError as error:
                raise pipe.lost() from error
            finally:
                if self._open is None:
                    pipe.close()
        return self._open[2]

    def close(self) -> None:
        """Let go of it."""
        found, self._open = self._open, None
        if found is not None:
            found[1].close()

    def ask(self, op: str, **given: Any) -> Any:
        """Ask for something that has one answer.

        Parameters
        ----------
        op : str
            What.
        **given : object
            Values of JSON.

        Returns
        -------
        object
            The answer.

        Raises
        ------
        StageError
            What the far end tells instead; or that the line broke.
        """
        with self.asking(op, **given) as (frames, _):
            return self.result(frames.message())

    @contextmanager
    def asking(self, op: str, **given: Any) -> Iterator[tuple[Frames, Pipe]]:
        """Ask for something, and go on talking.

        Parameters
        ----------
        op : str
            What.
        **given : object
            Values of JSON.

        Yields
        ------
        (Frames, Pipe)
            To talk by; the last that is heard is to be given to `result`.
        """
        self.open()
        with self.watched():
            if self._open is None:
                raise FramesError
            frames, pipe, _ = self._open
            frames.say(op=op, **given)
            yield frames, pipe

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say of a line that breaks that it did.

        Yields
        ------
        None
            While something is said.

        Raises
        ------
        StorageError
            If it breaks: ``far-lost``.
        """
        try:
            yield
        except FramesError as error:
            trouble = self._open[1].lost() if self._open else error
            self.close()
            raise trouble from error
        except StageError:
            raise
        except BaseException:
            self.close()  # nobody knows how far it had come
            raise

    def result(self, message: Mapping[str, Any]) -> Any:
        """Return an answer.

        Parameters
        ----------
        message : mapping
            The last that was heard.

        Returns
        -------
        object
            What it says.

        Raises
        ------
        StageError
            If it tells of trouble.
        """
        if "error" in message:
            raise far_trouble(self._options, *message["error"])
        return message["ok"]

    def _greeted(self, message: Mapping[str, Any]) -> Hello:
        if "old" in message:
            raise too_old(self._options, message["old"])
        if "hello" not in message:
            self.result(message)
        if message["lacks"]:
            raise lacking_packages(self._options, message["lacks"])
        return Hello(**message["hello"])
