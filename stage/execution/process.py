"""The main loop of a worker process of the pool."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection

from stage.execution.logs import OutputCapture
from stage.execution.settings import RunnerSettings
from stage.execution.worker import QuantumRunner

__all__ = ["main"]


def main(pipe: int, lifeline: int) -> None:
    """Run quanta as they come through a pipe, until it ends or says so.

    Parameters
    ----------
    pipe : int
        File descriptor of this end of the duplex pipe to the parent. First comes the document of the settings;
        then lists of ``[ordinal, attempt, absent]``; null means the end. What goes back is ``"ready"``, then one
        outcome a quantum, in the same order.
    lifeline : int
        File descriptor of a pipe to which the parent never writes. When it ends, the parent has died.
    """
    # Ctrl-C is the parent's affair: it says what is to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for descriptor in (pipe, lifeline):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(pipe)
    settings = RunnerSettings.from_document(json.loads(connection.recv_bytes()))
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
        _serve(connection, runner)


def _serve(connection: Connection, runner: QuantumRunner) -> None:
    connection.send_bytes(b'"ready"')
    while (batch := json.loads(connection.recv_bytes())) is not None:
        for ordinal, attempt, absent in batch:
            connection.send_bytes(runner.run(ordinal, attempt, absent).to_json().encode())


def _die_with_parent(lifeline: int) -> None:
    """Wait for the end of the lifeline, then end this process and all that it has started."""
    with contextlib.suppress(OSError):
        os.read(lifeline, 1)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
