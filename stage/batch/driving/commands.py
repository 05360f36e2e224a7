"""`Requests`: the attempts that an engine is told, made from a workflow and what was changed in it since."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from registry.errors import UsageError
from stage.batch.driving.board import Board
from stage.batch.driving.changes import changed
from stage.batch.driving.policy import memory_of
from stage.batch.engines.base import JobRequest
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings, Workflow

__all__ = ["Requests", "final_request"]

_NAME = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w@%+=:,./~-]+\Z")
"""A value that a shell would take as one word, and as it stands."""


class Requests:
    """Makes the requests of a workflow's jobs.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    workflow : Workflow
        The jobs.
    board : Board
        Where they are: how often each was begun and why it failed; what restarts have changed.
    """

    def __init__(self, where: SubmitDir, workflow: Workflow, board: Board) -> None:
        self._where = where
        self._workflow = workflow
        self._board = board
        self.settings = [changed(s, board.changes) for s in workflow.settings]
        self._templates = [_template(s, workflow.values) for s in self.settings]
        self._made: set[str] = set()

    def settings_for(self, number: int) -> JobSettings:
        """Return what a job needs, with what restarts have changed.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        JobSettings
            Shared by all of its kind.
        """
        return self.settings[int(self._workflow.settings_of[number])]

    def make(self, numbers: Sequence[int], after: Callable[[int], tuple[int, ...]]) -> list[JobRequest]:
        """Make the next attempts of some jobs.

        Parameters
        ----------
        numbers : sequence of int
            The jobs.
        after : callable
            Tells what a job waits for that the engine has.

        Returns
        -------
        list of JobRequest
            In the same order; the directories of their logs are there.
        """
        return [self._make(n, after(n)) for n in numbers]

    def _make(self, number: int, after: tuple[int, ...]) -> JobRequest:
        kind = int(self._workflow.settings_of[number])
        settings, name = self.settings[kind], self._workflow.names[number]
        attempt = int(self._board.begun[number])
        log = self._where.job_log(settings.label, name, attempt)
        if settings.label not in self._made:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(settings.label)
        memory = memory_of(settings, int(self._board.memory_failures[number]))
        command = self._templates[kind](number, attempt)
        return JobRequest(number, name, attempt, command, log, settings, memory, after)


def final_request(where: SubmitDir, workflow: Workflow, board: Board) -> JobRequest:
    """Make the next attempt of the final job.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    workflow : Workflow
        With a final job.
    board : Board
        How often it was tried.

    Returns
    -------
    JobRequest
        Its number is -1.
    """
    settings = changed(workflow.final or JobSettings("finalJob"), board.changes)
    memory = memory_of(settings, int(board.memory_failures[-1]))
    command = ("bash", str(where.final_script))
    return JobRequest(-1, settings.label, int(board.begun[-1]), command, where.final_log, settings, memory)


def _template(
    settings: JobSettings, values: Mapping[str, Sequence[Any]]
) -> Callable[[int, int], tuple[str, ...]]:
    """Return what makes the command of a job of a kind, from its number and attempt."""
    _check(settings)
    text = settings.arguments
    names = [n for n in dict.fromkeys(_NAME.findall(f"{settings.executable} {text}")) if n in values]
    try:
        words: list[str] | None = shlex.split(text)
    except ValueError:
        words = None  # a quotation may be whole only with the values in it

    def make(number: int, attempt: int) -> tuple[str, ...]:
        given = {n: str(values[n][number]) for n in names} | {"attempt": str(attempt)}
        executable = _put_in(settings.executable, given)
        # Splitting is dear: it is done for each job only where a value brings blanks or quotation marks of its own.
        if words is not None and all(map(_PLAIN.match, given.values())):
            return (executable, *(_put_in(w, given) for w in words))
        return (executable, *_split(settings, _put_in(text, given)))

    return make


def _put_in(text: str, given: Mapping[str, str]) -> str:
    return _NAME.sub(lambda m: given.get(m[1], m[0]), text) if "{" in text else text


def _split(settings: JobSettings, text: str) -> Iterable[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"the command of '{settings.label}' cannot be taken apart: {error} in: {text[:200]}",
            code="bad-command",
            hint="Look at runQuantumCommand, and at the quotation marks in it.",
        ) from error


def _check(settings: JobSettings) -> None:
    if not settings.executable:
        raise UsageError(
            f"jobs of '{settings.label}' have no command",
            code="bad-command",
            hint="Say it: runQuantumCommand in the submission's YAML.",
        )
