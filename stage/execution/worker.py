"""`QuantumRunner`: runs one quantum in this process, whoever asked for it.

This module and all that it imports know no database. A quantum leaves three kinds of files: its outputs, its log,
and its metadata. Those of a quantum that is complete (it succeeded, or found no work) are where the graph planned
them, the metadata written last: where that file is, the quantum is complete. A failed attempt leaves a log and
metadata only, under names that say so, and never in the way of a later attempt.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import StageError
from registry.model.records import QuantumStatus
from registry.model.refs import id_text
from stage.execution.limited import LimitedRepo, artifact_of, stem_of
from stage.execution.logs import OutputCapture, QuantumLog
from stage.execution.lookout import Lookout
from stage.execution.outcome import QuantumOutcome
from stage.execution.settings import RunnerSettings
from stage.execution.usage import Usage
from stage.graph.file import GraphFile
from stage.pipeline.importing import extend_path
from stage.pipeline.node import LOG, METADATA
from stage.pipeline.struct import NoWorkFound
from sync.fsspec_store import FsspecDatastore

if TYPE_CHECKING:
    from stage.graph.quantum import Quantum
    from stage.pipeline.node import TaskNode
    from stage.pipeline.task import Task

__all__ = ["QuantumRunner", "RunnerSettings", "live_log_path"]

_MESSAGE_LENGTH = 2000


def live_log_path(logs_dir: str, quantum: Quantum) -> str:
    """Return the file in which a quantum's log can be followed.

    Parameters
    ----------
    logs_dir : str
        As in the settings.
    quantum : Quantum
        Whose log.

    Returns
    -------
    str
        A path; each attempt replaces the file of the one before.
    """
    planned = quantum.outputs[LOG][0]
    return str(Path(logs_dir) / quantum.label / (stem_of(planned).rpartition("/")[2] + ".log"))


@dataclass
class _Trial:
    """One attempt at one quantum, while it lasts."""

    quantum: Quantum
    attempt: int
    usage: Usage
    log: QuantumLog
    status: str = QuantumStatus.SUCCEEDED
    message: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def end(self, status: str, message: str) -> None:
        self.status, self.message = status, message


class QuantumRunner:
    """Runs quanta of one graph, one after another; tasks are constructed once.

    Parameters
    ----------
    settings : RunnerSettings
        Which graph, where to.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        self.settings = settings
        self.graph = GraphFile.open(settings.graph_uri)
        self.store = FsspecDatastore(settings.datastore_root)
        self._tasks: dict[str, Task | Exception] = {}
        self._host = platform.node()
        self._python = platform.python_version()
        self._lookout = Lookout(self.graph, self.store)

    def run(self, ordinal: int, attempt: int = 0, absent: Sequence[int] = ()) -> QuantumOutcome:
        """Run one quantum.

        Parameters
        ----------
        ordinal : int
            Which of the graph.
        attempt : int, optional
            How often it was tried before.
        absent : sequence of int, optional
            Datasets that quanta before it did not make; those among its inputs are left out. A quantum that so
            has fewer of an input than the connection's minimum has no work itself.

        Returns
        -------
        QuantumOutcome
            What became of it, whatever the task raised. Only a person's KeyboardInterrupt gets through.
        """
        try:
            quantum = self.graph.quantum(ordinal)
        except StageError as error:
            return self._outcome(ordinal, QuantumStatus.FAILED, attempt, Usage(), message=str(error))
        if self.settings.look_for_inputs:
            missing = self._lookout.missing(quantum, frozenset(absent))
            if missing.blocked_by:
                message = f"blocked: {missing.blocked_by}"
                return QuantumOutcome(ordinal, QuantumStatus.BLOCKED, attempt, message=message)
            absent = (*absent, *missing.absent)
        path = live_log_path(self.settings.logs_dir, quantum) if self.settings.logs_dir else ""
        log = QuantumLog(path, self.settings.log_level)
        with LimitedRepo(quantum, self.store) as repo:
            log.note("INFO", f"{quantum}, attempt {attempt}, on {self._host}, process {os.getpid()}")
            with log.capturing(), OutputCapture.into(log):
                self._prepare(quantum.label)
                trial = _Trial(quantum, attempt, Usage(), log)
                self._try(trial, repo, frozenset(absent))
            outcome = self._finish(trial, repo)
        log.close()
        return outcome

    def abandon(self, ordinal: int, attempt: int, message: str, started_ns: int) -> QuantumOutcome:
        """Record a quantum whose process died, with what can be had of its log.

        Parameters
        ----------
        ordinal : int
            Which of the graph.
        attempt : int
            How often it was tried before.
        message : str
            How it ended.
        started_ns : int
            When it was begun, at the latest; UTC nanoseconds since 1970.

        Returns
        -------
        QuantumOutcome
            It failed.
        """
        usage = Usage()
        usage.started_ns = started_ns
        quantum = self.graph.quantum(ordinal)
        log = QuantumLog()
        if self.settings.logs_dir:
            log.resume(live_log_path(self.settings.logs_dir, quantum))
        trial = _Trial(quantum, attempt, usage, log, QuantumStatus.FAILED, message)
        with LimitedRepo(quantum, self.store) as repo:
            outcome = self._finish(trial, repo)
        return outcome._replace(finished_ns=max(started_ns, outcome.finished_ns), cpu_ns=0, peak_bytes=0)

    def task(self, label: str) -> Task:
        """Return a task, constructed at the first call.

        Parameters
        ----------
        label : str
            Its label.

        Returns
        -------
        Task
            Ready to run quanta.
        """
        self._prepare(label)
        found = self._tasks[label]
        if isinstance(found, Exception):
            raise found
        return found

    def _prepare(self, label: str) -> None:
        """Construct a task, or keep the reason why that cannot be done."""
        if label not in self._tasks:
            try:
                self._tasks[label] = self._build(self.graph.node(label))
            except Exception as error:  # noqa: BLE001 - whatever it is, it fails each of the task's quanta
                self._tasks[label] = error

    def _build(self, node: TaskNode) -> Task:
        extend_path((*self.graph.header.search_path, *self.settings.task_path))
        init_inputs = {
            name: self.store.get(artifact_of(planned), planned.storage_class)
            for name, planned in self.graph.init_inputs(node.label).items()
        }
        return node.build(init_inputs)

    def _try(self, trial: _Trial, repo: LimitedRepo, absent: frozenset[int]) -> None:
        """Run the task, and note in `trial` how that ended."""
        task: Task | None = None
        try:
            quantum = _without(trial.quantum, absent)
            _check_minimum(quantum)
            task = self.task(quantum.label)
            task.take_metadata()
            task.run_quantum(quantum, repo)
        except NoWorkFound as reason:
            trial.end(QuantumStatus.NO_WORK, f"no work: {reason}" if str(reason) else "no work")
        except BaseException as error:
            # A worker of the pool ignores Ctrl-C: there it is the task itself that raised this.
            if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
                raise
            trial.end(QuantumStatus.FAILED, _describe(error))
            logging.getLogger("stage").exception("%s failed", trial.quantum)
        if task is not None:
            trial.notes = task.take_metadata()

    def _finish(self, trial: _Trial, repo: LimitedRepo) -> QuantumOutcome:
        """Write log and metadata, and say what became of the quantum."""
        trial.usage.stop()
        if trial.status in QuantumStatus.COMPLETE:
            try:
                self._write_account(trial, repo)
            except StageError as error:
                trial.end(QuantumStatus.FAILED, f"its log could not be written: {error}")
        if trial.status != QuantumStatus.SUCCEEDED:
            self._clean_up(trial.quantum)
        if trial.status not in QuantumStatus.COMPLETE:
            try:
                self._write_account(trial, repo)
            except StageError as error:
                trial.end(trial.status, f"{trial.message}; nor could its log be written: {error}")
        own = {trial.quantum.outputs[name][0].ordinal for name in (LOG, METADATA)}
        succeeded = trial.status == QuantumStatus.SUCCEEDED
        data = [d.ordinal for refs in trial.quantum.outputs.values() for d in refs if d.ordinal not in own]
        return self._outcome(
            trial.quantum.ordinal,
            trial.status,
            trial.attempt,
            trial.usage,
            message=trial.message,
            artifacts=tuple(a for d, a in repo.written.items() if succeeded or d in own),
            read=tuple(repo.read),
            absent=tuple(d for d in data if not succeeded or d not in repo.written)
            if trial.status in QuantumStatus.COMPLETE
            else (),
        )

    def _clean_up(self, quantum: Quantum) -> None:
        """Remove what a quantum has written of its data: nobody is to take it for the work of a complete one."""
        for name, refs in quantum.outputs.items():
            if name not in {LOG, METADATA}:
                for planned in refs:
                    if planned.uri is not None:
                        with contextlib.suppress(StageError):
                            self.store.remove(planned.uri)

    def _write_account(self, trial: _Trial, repo: LimitedRepo) -> None:
        complete = trial.status in QuantumStatus.COMPLETE
        suffix = "" if complete else f"_{trial.status}-{trial.attempt}"
        level = "INFO" if complete else "ERROR"
        ending = f": {trial.message}" if trial.message else ""
        trial.log.note(level, f"{trial.status} after {trial.usage.wall_s:.3f} s{ending}")
        for name, content in ((LOG, trial.log.text), (METADATA, self._metadata(trial, repo))):
            planned = trial.quantum.outputs[name][0]
            repo.note(planned, self.store.put(content, planned.storage_class, stem_of(planned) + suffix))

    def _metadata(self, trial: _Trial, repo: LimitedRepo) -> dict[str, Any]:
        quantum, usage = trial.quantum, trial.usage
        ids = {d.ordinal: d.id for refs in quantum.inputs.values() for d in refs}
        return {
            "quantum": id_text(quantum.id),
            "task": quantum.label,
            "data_id": quantum.data_id,
            "status": trial.status,
            "message": trial.message,
            "attempt": trial.attempt,
            "started": _iso(usage.started_ns),
            "finished": _iso(usage.finished_ns),
            "wall_s": usage.wall_s,
            "cpu_s": usage.cpu_ns * 1e-9,
            "peak_bytes": usage.peak_bytes,
            "host": self._host,
            "pid": os.getpid(),
            "versions": {"python": self._python, "task": quantum.node.version},
            "read": [id_text(ids[d]) for d in repo.read],
            "outputs": len(repo.written),
            "notes": _plain(trial.notes),
        }

    def _outcome(
        self, ordinal: int, status: str, attempt: int, usage: Usage, *, message: str, **fields: Any
    ) -> QuantumOutcome:
        return QuantumOutcome(
            ordinal,
            status,
            attempt,
            started_ns=usage.started_ns,
            finished_ns=usage.finished_ns,
            cpu_ns=usage.cpu_ns,
            peak_bytes=usage.peak_bytes,
            host=self._host,
            message=message[:_MESSAGE_LENGTH],
            **fields,
        )


def _without(quantum: Quantum, absent: frozenset[int]) -> Quantum:
    """Leave out inputs that were never made."""
    if not absent:
        return quantum
    kept = {name: [d for d in refs if d.ordinal not in absent] for name, refs in quantum.inputs.items()}
    return replace(quantum, inputs=kept)


def _check_minimum(quantum: Quantum) -> None:
    for connection in quantum.node.inputs:
        n = len(quantum.inputs.get(connection.name, ()))
        if n < connection.minimum:
            raise NoWorkFound(
                f"{n} of at least {connection.minimum} '{connection.name}' ({connection.dataset_type}) are there"
            )


def _describe(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001 - an exception of the user's may fail at anything
        text = "(it has no text)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns * 1e-9, UTC).isoformat(timespec="microseconds")


def _plain(notes: dict[str, Any]) -> Any:
    """Return what a task noted as JSON has it; what JSON cannot hold, as text."""
    if not notes:
        return {}
    try:
        return json.loads(json.dumps(notes, default=_text))
    except (TypeError, ValueError):
        return {"unreadable": repr(notes)}


def _text(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
