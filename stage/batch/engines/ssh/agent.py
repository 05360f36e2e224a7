"""`main`: an agent: runs jobs on a far machine for a head that is elsewhere, and outlives the line between them.

``python -P -m stage.batch.engines.ssh.agent RUN_DIR`` is one until home says ``end``; with ``--ask ping`` or
``--ask memory [PATTERN]`` it only asks the engine there, prints a line of JSON and ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from registry.errors import BusyError, IntegrityError, StageError, UsageError
from stage.batch.engines.base import DrivenEngine, Engine, EngineSettings
from stage.batch.engines.finding import find_engine
from stage.batch.engines.leftovers import TAG
from stage.batch.engines.ssh.agent_life import Beat, Life
from stage.batch.engines.ssh.agent_mail import Inbox, Mail, read_history
from stage.batch.engines.ssh.agent_work import Work, told_of
from stage.batch.layout import SubmitDir

__all__ = ["main"]

_log = logging.getLogger(__name__)
_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_VERSION = 1
_BRISK_S, _CALM_S = 0.05, 0.5
"""So long it waits for news while there is something to do, and at most when there is not."""
_CALMER = 1.1
_RETRY_S = 5.0
_DAY_S = 24 * 3600.0


def main(words: Sequence[str]) -> int:
    """Be an agent, or ask what one would be asked.

    Parameters
    ----------
    words : sequence of str
        The run's directory; ``--ask`` and what is asked.

    Returns
    -------
    int
        Exit code.
    """
    folder = Path(words[0]).absolute()
    if len(words) > 2 and words[1] == "--ask":
        return _answer(folder, words[2], *words[3:])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=_FORMAT)
    # Whoever started it may be a job itself; with that it has nothing to do.
    os.environ.pop(TAG, None)
    with ExitStack() as stack:
        try:
            stack.enter_context(Life(folder / "agent"))
        except BusyError as error:
            _log.info("leaves: %s", error)
            return 0
        return _Agent(folder).run()


class _Agent:
    """One life of an agent.

    Parameters
    ----------
    folder : pathlib.Path
        The run's.
    """

    def __init__(self, folder: Path) -> None:
        self._where = SubmitDir(folder / "submit")
        self._home = folder / "agent"
        self._mail = Mail(self._home / "outbox.jsonl")
        self._inbox = Inbox(self._home / "inbox.jsonl")
        self._beat = Beat(self._home)
        self._is_told = False
        self._orphan_s = _DAY_S

    def run(self) -> int:
        """Work until there is nothing more to do."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        work = None
        try:
            work = self._begin()
            why = self._drive(work)
        except StageError as error:
            _log.exception("the engine failed")
            return self._fail(told_of(error, transient=False))
        except Exception as error:  # noqa: BLE001 - nobody is there to see it: home is told
            _log.exception("this should not happen")
            message = f"the agent failed: {type(error).__name__}: {error}"
            said = {"code": "far-agent", "message": message, "hint": f"See {self._home}/agent.log there."}
            return self._fail({**said, "transient": False})
        finally:
            if work is not None:
                work.close()
        self._bye(why)
        return 0

    def _begin(self) -> Work:
        document = _document(self._home)
        self._orphan_s = float(document.get("orphan_s", _DAY_S))
        engine = _engine(document)
        if not isinstance(engine, DrivenEngine):
            raise UsageError(f"engine '{engine.name}' walks through jobs by itself", code="bad-site")
        if self._where.workflow.exists():
            from stage.batch.workflow.file import load_workflow

            engine.prepare(load_workflow(self._where.workflow), self._where)
        self._mail.is_durable = engine.leaves
        history = read_history(self._home / "outbox.jsonl")
        work = Work(engine, self._where, self._mail, history)
        work.hear(self._inbox.read(), again=False)
        # What an earlier agent was told, and did, is not meant for this one.
        work.is_to_end &= work.n_ends_asked > history.n_byes
        while not work.is_open and not self._is_told:
            work.step(_CALM_S)
            self._post()
            self._beat.touch()
        self._mail.say(hello=_hello(engine))
        self._post()
        return work

    def _drive(self, work: Work) -> str:
        pause = _BRISK_S
        while True:
            news = self._inbox.read()
            work.hear(news)
            if work.is_to_end:
                return "end"
            if self._is_told:
                return "signal"
            if work.is_idle and self._beat.is_orphan(self._orphan_s):
                return "orphan"
            pause = _BRISK_S if news or not work.is_idle else min(_CALM_S, pause * _CALMER)
            work.step(pause)
            self._post()
            self._beat.touch()

    def _post(self) -> None:
        """Say what is to be said; a disk that is full does not end anything."""
        while not self._is_told:
            try:
                self._mail.post()
            except OSError as error:
                _log.warning("cannot write what is to be said: %s; tries again in %g s", error, _RETRY_S)
                self._beat.touch()
                time.sleep(_RETRY_S)
            else:
                return

    def _fail(self, said: Mapping[str, Any]) -> int:
        self._mail.say(error=said)
        self._bye("error")
        return 1

    def _bye(self, why: str) -> None:
        _log.info("leaves: %s", why)
        self._mail.say(bye={"why": why})
        with suppress(OSError):
            self._mail.post()

    def _hear_signal(self, number: int, frame: object) -> None:
        del number, frame
        self._is_told = True


def _hello(engine: DrivenEngine) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "engine": engine.name,
        "capacity": engine.capacity,
        "looks_ahead": engine.looks_ahead,
        "leaves": engine.leaves,
        "version": _VERSION,
    }


def _answer(folder: Path, what: str, *given: str) -> int:
    """Print what the engine answers."""
    said: dict[str, Any]
    try:
        engine = _engine(_document(folder / "agent"))
        said = {"answer": engine.ping() if what == "ping" else engine.memory_limit_mb(*given)}
    except StageError as error:
        said = {"error": told_of(error, transient=getattr(error, "transient", False))}
    sys.stdout.write(json.dumps(said) + "\n")
    return int("error" in said)


def _document(home: Path) -> Mapping[str, Any]:
    path = home / "agent.json"
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"{path} is not what home writes there: {error}", code="bad-agent-file"
        ) from error
    return found


def _engine(document: Mapping[str, Any]) -> Engine:
    return find_engine(str(document["engine"]), EngineSettings(**document["settings"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
