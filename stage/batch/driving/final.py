"""`run_final`: the job that runs when all others have ended, on this machine, as the workflow's own rules say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from stage.batch.driving.asking import Ask, asked, forget
from stage.batch.driving.board import Board
from stage.batch.driving.commands import final_request
from stage.batch.driving.ledger import Ledger
from stage.batch.driving.policy import Tally, Verdict, cause_of, judge
from stage.batch.engines.base import Cause, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.local import LocalEngine
from stage.batch.workflow.model import WhenRun, Workflow
from stage.execution.memory import machine_memory_mb

__all__ = ["run_final"]

_log = logging.getLogger(__name__)
_PATIENCE_S = 2.0
_ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED)


def run_final(
    ledger: Ledger, is_told: Callable[[], bool], environment: Mapping[str, str] = MappingProxyType({})
) -> bool:
    """Run the final job, if it is to run and has not; again, if a head was killed while it did.

    Parameters
    ----------
    ledger : Ledger
        The submission: whether and when there is one, and what the others came to.
    is_told : callable
        Tells whether this process is to end.
    environment : mapping of str to str, optional
        Variables that jobs get.

    Returns
    -------
    bool
        Whether there is nothing left to do; otherwise another head goes on.
    """
    where, workflow, board = ledger.where, ledger.workflow, ledger.board
    if board.state_of(-1) in _ENDS or not _is_due(workflow, board):
        return True
    engine = _engine(final_request(where, workflow, board), environment)
    engine.open(where, {})  # ends one that a head which was killed has left behind
    try:
        if board.state_of(-1) != JobState.UNREADY:
            ledger.note(["lost", [-1]])
        while True:
            request = final_request(where, workflow, board)
            event = _attempt(ledger, engine, request, is_told)
            if event is None:
                return False
            if not _goes_again(ledger, request, event):
                return True
    finally:
        engine.close()


def _is_due(workflow: Workflow, board: Board) -> bool:
    if workflow.final is None or workflow.when_final == WhenRun.NEVER:
        return False
    return workflow.when_final == WhenRun.ALWAYS or board.counts().keys() <= {JobState.SUCCEEDED}


def _engine(request: JobRequest, environment: Mapping[str, str]) -> LocalEngine:
    # It runs alone here, and is held to what it asks for, not refused for it.
    options = {"cores": 1, "memory": max(machine_memory_mb(), request.memory_mb or 1)}
    return LocalEngine(EngineSettings("local", options, environment=environment))


def _attempt(
    ledger: Ledger, engine: LocalEngine, request: JobRequest, is_told: Callable[[], bool]
) -> JobEvent | None:
    """Run it once; return how it ended, or nothing if this process is to end first."""
    _log.info("runs the final job (attempt %d)", request.attempt)
    ledger.note(["begin", [-1], [request.attempt], [request.memory_mb or 0]])
    ledger.at("final begun")
    answers = [a for a in engine.start([request]) if isinstance(a, JobEvent)]
    while True:
        for event in answers:
            if event.state in _ENDS:
                return event
            ledger.note(["news", [-1], [event.state], [event.message], [event.host]])
        what = asked(ledger.where)
        if what == Ask.LEAVE or is_told():
            forget(ledger.where)
            return None
        if what == Ask.CANCEL:
            ledger.note(["cancel"])
            forget(ledger.where)
            engine.cancel([-1])
        answers = list(engine.poll(_PATIENCE_S))
        ledger.at("final heard")


def _goes_again(ledger: Ledger, request: JobRequest, event: JobEvent) -> bool:
    board = ledger.board
    cause, verdict = Cause.NONE, Verdict(again=False)
    if event.state != JobState.SUCCEEDED:
        cause = cause_of(event)
        out_of_memory = int(board.memory_failures[-1]) + (cause == Cause.MEMORY)
        tally = Tally(int(board.failures[-1]) + 1, out_of_memory)
        verdict = judge(request.settings, tally, event, cause)
    said = "; ".join(w for w in (event.message, verdict.why) if w)
    ledger.note(["end", [[-1, event.state, cause, event.exit_code, said, event.host, int(verdict.again)]]])
    _log.info("the final job %s%s", event.state.lower(), said and f": {said}")
    return verdict.again
