"""`SshEngine`: the engine of a far machine, run there by an agent; graph, inputs and outputs are moved."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from registry.errors import InternalError, StageError, StorageError, UsageError
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.desk import Desk, Piece, not_begun
from stage.batch.engines.ssh.fetching import Fetcher
from stage.batch.engines.ssh.home import Home, check_outputs, home_of
from stage.batch.engines.ssh.inputs import InputFinder
from stage.batch.engines.ssh.listening import Listener
from stage.batch.engines.ssh.movers import Movers
from stage.batch.engines.ssh.opening import FarSide, ask_agent, lay_out
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.outbox import given_before, relative_log
from stage.batch.engines.ssh.sending import Sender, line_of
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow

__all__ = ["SshEngine"]

_log = logging.getLogger(__name__)
_WAIT_S = 1.0
_BYE_S = 30.0
_MORE, _SHARE, _MANY = 8, 4, 2000
"""So many jobs more than the inner engine has are sent ahead, or that part of them; and so many if it takes any number."""
_HANDLE = "ssh"
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED})


@dataclass(frozen=True, slots=True)
class _Opened:
    """A submission that is open."""

    home: Home
    side: FarSide
    listener: Listener
    sender: Sender
    fetcher: Fetcher


class SshEngine(DrivenEngine):
    """Jobs of another engine on a machine that is reached by ssh.

    Parameters
    ----------
    settings : EngineSettings
        The site's, with a section ``ssh``.
    inner : str
        What runs jobs there.

    Raises
    ------
    UsageError
        If the section makes no sense, or the engine cannot be told its jobs one by one.
    """

    name: ClassVar[str] = "ssh"
    leaves: bool = True

    def __init__(self, settings: EngineSettings, inner: str) -> None:
        from stage.batch.engines.finding import engine_class

        super().__init__(settings)
        self.options = SshOptions.from_section(settings.options["ssh"])
        self.inner = inner
        found = engine_class(inner)
        if not issubclass(found, DrivenEngine):
            raise UsageError(
                f"site '{settings.site}' is reached by ssh, and the engine '{inner}' walks through jobs by itself",
                code="bad-site",
                hint="Choose an engine that is told each job: local, parsl or slurm; or submit on that machine.",
            )
        # What its section says of it is looked at here, where somebody sees what is wrong.
        there = {key: value for key, value in settings.options.items() if key != "ssh"}
        self.looks_ahead = found(replace(settings, options=there)).looks_ahead
        self._changed = threading.Condition()
        self._desk = Desk(self._changed, self.options.streams)
        self._movers = Movers(self.options, self._changed)
        self._opened: _Opened | None = None

    @property
    def capacity(self) -> int | None:
        """The number of jobs that it should have at once: what the inner engine takes, and a few to be sent ahead."""
        inner = self._opened.listener.outbox.capacity if self._opened is not None else None
        return _MANY if inner is None else inner + max(_MORE, inner // _SHARE)

    def ping(self) -> str:
        """Ask whether the machine can be reached, and its engine answers.

        Returns
        -------
        str
            Both.

        Raises
        ------
        StorageError
            If one of the two does not.
        """
        with Connection(self.options) as connection:
            hello = connection.open()
            said = _answer(ask_agent(connection, self.settings, self.inner, "ping"))
        return f"{hello.user}@{hello.host}, python {hello.python_version}, {hello.base}; {self.inner} there: {said}"

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return the most memory that a job can get there.

        Parameters
        ----------
        pattern : str, optional
            Of the names of machines that count.

        Returns
        -------
        int or None
            Megabytes; None if it cannot be known.
        """
        with Connection(self.options) as connection:
            said = _answer(
                ask_agent(connection, self.settings, self.inner, "memory", *([pattern] if pattern else []))
            )
        return said if isinstance(said, int) else None

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Refuse what cannot run there; the engine there prepares itself when it is begun.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            None.

        Raises
        ------
        UsageError
            If it is a script of one's own, or its outputs go to a store.
        """
        if workflow.n_jobs and not len(workflow.quanta.indices):
            raise UsageError(
                f"site '{self.settings.site}' is reached by ssh, and files of a script of one's own are not sent there",
                code="no-script-there",
                hint="Submit it on that machine, or run it on a site without 'ssh'.",
            )
        if where.graph.exists():
            home = home_of(where)
            home.close()
            check_outputs(home.data)
        return []

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Lay the submission out there, have an agent, and find what it has.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping of int to (int, str)
            Of jobs that had not ended: attempt and handle.

        Returns
        -------
        sequence of (int, int, str)
            Number, attempt and handle of those that the agent was told of.

        Raises
        ------
        StorageError
            If the machine cannot be reached, or its engine does not begin.
        """
        self._changed = threading.Condition()
        self._desk = Desk(self._changed, self.options.streams)
        self._movers = Movers(self.options, self._changed)
        home = home_of(where)
        finder = InputFinder(home, takes_all=self.options.inputs == "all")
        try:
            with Connection(self.options) as connection:
                side = lay_out(connection, self.settings, self.inner, home, finder)
                told = given_before(connection, side.run.inbox)
                listener = Listener(side, self._desk)
                events = listener.begin(connection)
        except BaseException:
            home.close()
            raise
        sender = Sender(side.run, finder, side.translator, self._desk.in_flight, str(where.root))
        self._opened = now = _Opened(home, side, listener, sender, Fetcher(side.run, home))
        found = self._adopt(now, told, events, known)
        self._movers.start(listener.work, *[self._move] * self.options.streams)
        return found

    def _adopt(
        self,
        now: _Opened,
        told: Mapping[tuple[int, int], str],
        events: Sequence[JobEvent],
        known: Mapping[int, tuple[int, str]],
    ) -> list[tuple[int, int, str]]:
        """Go on with what the agent has; what has ended and is not known has been heard by an earlier head."""
        ended = {(e.number, e.attempt) for e in events if e.state in _ENDS}
        wanted = {(number, attempt) for number, (attempt, _) in known.items()}
        submit = now.side.run.there(now.side.run.submit)
        mine = {
            key: relative_log(log, submit) for key, log in told.items() if key in wanted or key not in ended
        }
        self._desk.adopt(mine)
        self._desk.hear(events)
        return [(*key, _HANDLE) for key in mine]

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Take attempts; they are sent by threads.

        Parameters
        ----------
        requests : sequence of JobRequest
            The attempts.

        Returns
        -------
        sequence of str
            A handle each.
        """
        root = str(self._now.home.where.root)
        self._desk.take(requests, [relative_log(str(r.log), root) for r in requests])
        return [_HANDLE] * len(requests)

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait for news: ends are said when all that a job has left is at home.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        sequence of JobEvent
            What has changed.

        Raises
        ------
        StorageError
            If the line is broken (transient: jobs go on there), a file cannot be written here, or the agent's engine
            does not answer.
        """
        until = time.monotonic() + timeout_s
        with self._changed:
            while not self._desk.has_news:
                error = self._movers.take_error() or self._now.listener.take_error()
                if error is not None:
                    raise error
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._desk.told()

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs.

        Parameters
        ----------
        numbers : sequence of int
            Jobs that have not ended.
        """
        there = self._desk.cancel(set(numbers))
        if there:
            self._desk.speak(line_of({"cancel": there}))

    def close(self) -> None:
        """Leave. If nothing runs there any more the agent ends, and what is left of the run there goes."""
        now = self._opened
        if now is None:
            return
        is_over = self._desk.is_empty and not self._movers.is_broken
        self._movers.end()
        try:
            if is_over:
                self._leave(now)
        except StageError as error:
            _log.warning("what is left of the run on %s could not be removed: %s", self.options.host, error)
        finally:
            now.fetcher.close()
            now.home.close()
            self._opened = None

    def _leave(self, now: _Opened) -> None:
        with Connection(self.options) as connection:
            connection.append(now.side.run.inbox, line_of({"end": True}))
            if not now.listener.await_bye(connection, _BYE_S):
                _log.warning("the agent on %s does not end", self.options.host)
            elif not self.options.keep:
                connection.remove(now.side.run.name)
                _log.info("all is home; the run's directory on %s is removed", self.options.host)

    @property
    def _now(self) -> _Opened:
        if self._opened is None:
            raise InternalError("the engine was not opened")
        return self._opened

    def _move(self, connection: Connection) -> bool:
        """Do the next piece of moving; what cannot be done is given back."""
        piece = self._desk.next(_WAIT_S, self._movers.ending)
        if piece is None:
            return False
        try:
            if piece.words:
                self._speak(connection, piece)
            elif piece.ended:
                self._bring(connection, piece)
            else:
                self._send(connection, piece.requests)
        except BaseException:
            self._desk.give_back(piece)
            raise
        return True

    def _speak(self, connection: Connection, piece: Piece) -> None:
        connection.append(self._now.side.run.inbox, b"".join(piece.words))

    def _bring(self, connection: Connection, piece: Piece) -> None:
        bad = self._now.fetcher.fetch(connection, [job for job, _ in piece.ended])
        failed = partial(replace, state=JobState.FAILED, cause=Cause.NODE)
        self._desk.say(
            failed(event, message=bad[event.number]) if event.number in bad else event
            for _, event in piece.ended
        )

    def _send(self, connection: Connection, requests: Sequence[JobRequest]) -> None:
        sender = self._now.sender
        try:
            sender.send(connection, requests)
        except StorageError:
            raise
        except StageError as error:
            # It is about a file of one of them: the others are to go on.
            if len(requests) > 1:
                for request in requests:
                    self._send(connection, [request])
            else:
                self._desk.say([not_begun(requests[0], str(error))])
            return
        to_begin = self._desk.to_begin(requests)
        sender.begin(connection, to_begin)
        late = self._desk.begun(to_begin)
        if late:
            self._desk.speak(line_of({"cancel": late}))


def _answer(said: object) -> object:
    """Return what the agent answers, or raise what it says is wrong."""
    if isinstance(said, dict) and "error" in said:
        error = said["error"]
        raise StorageError(
            str(error.get("message", error)),
            code=str(error.get("code") or "far-agent"),
            hint=str(error.get("hint") or ""),
            transient=bool(error.get("transient")),
        )
    return said.get("answer") if isinstance(said, dict) and "answer" in said else said
