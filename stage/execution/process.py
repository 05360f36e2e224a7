"""The main loop of a worker process of the pool."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import threading
import traceback
from multiprocessing.connection import Connection

from stage.execution.logs import OutputCapture
from stage.execution.outcome import StoredArtifact
from stage.execution.settings import RunnerSettings
from stage.execution.worker import QuantumRunner

__all__ = ["main"]


def main(pipe: int, lifeline: int) -> None:
    """Run quanta as they come through a pipe, until it ends or says so.

    Parameters
    ----------
    pipe : int
        File descriptor of this end of the duplex pipe to the parent; -1 if that is standard input and output. First comes the document of the settings;
        then lists of ``[ordinal, attempt, absent, standing]``,
        with memory in megabytes and cores after them where quanta ask for these; null means the end. What goes back is ``"ready"``, then one
        outcome a quantum, in the same order.
    lifeline : int
        File descriptor of a pipe to which the parent never writes; -1 if standard input tells. When it ends, the
        parent has died.
    """
    # Ctrl-C is the parent's affair: it says what is to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if pipe < 0:
        pipe, answers = _take_standard()
        threading.Thread(target=_die_with_other_end, args=(pipe,), daemon=True).start()
    else:
        answers = pipe
        for descriptor in (pipe, lifeline):
            os.set_inheritable(descriptor, False)
        threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    incoming = Connection(pipe)
    outgoing = incoming if answers == pipe else Connection(answers)
    settings = RunnerSettings.from_document(json.loads(incoming.recv_bytes()))
    try:
        runner = QuantumRunner(settings)
    except Exception:  # noqa: BLE001 - the parent hears of it by the exit code; the person by this text
        traceback.print_exc()
        os._exit(1)
    OutputCapture.install()
    logging.getLogger().setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    # The parent may end while an answer is on its way; then there is nobody to tell.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(incoming, outgoing, runner)


def _serve(incoming: Connection, outgoing: Connection, runner: QuantumRunner) -> None:
    outgoing.send_bytes(b'"ready"')
    while (batch := json.loads(incoming.recv_bytes())) is not None:
        for ordinal, attempt, absent, standing, *need in batch:
            outcome = runner.run(
                ordinal, attempt, absent, *need, standing=[StoredArtifact(*s) for s in standing]
            )
            outgoing.send_bytes(outcome.to_json().encode())


def _die_with_parent(lifeline: int) -> None:
    """Wait for the end of the lifeline, then end this process and all that it has started."""
    with contextlib.suppress(OSError):
        os.read(lifeline, 1)
    _end()


def _take_standard() -> tuple[int, int]:
    """Keep standard input and output for speaking with the parent; what tasks read and print there is something else."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _die_with_other_end(incoming: int) -> None:
    """Wait until nobody can send anything any more, without taking away what was sent."""
    watch = select.poll()
    watch.register(incoming, 0)
    with contextlib.suppress(OSError):
        watch.poll()
    _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
