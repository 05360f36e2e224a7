"""`QuantumRunner`: runs one quantum in this process, whoever asked for it.

This module and all that it imports know no database. A quantum leaves three kinds of files: its outputs, its log,
and its metadata. Those of a quantum that is complete (it succeeded, or found no work) are where the graph planned
them, the metadata written last: where that file is, the quantum is complete. A failed attempt leaves a log and
metadata only, under names that say so, and never in the way of a later attempt.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.errors import StageError
from registry.model.records import QuantumStatus
from stage.execution.account import metadata_of
from stage.execution.ahead import Ahead
from stage.execution.earlier import find_earlier, is_as_recorded, let_go, put_back, set_aside
from stage.execution.limited import LimitedRepo, artifact_of, stem_of
from stage.execution.logs import OutputCapture, QuantumLog
from stage.execution.lookout import Lookout
from stage.execution.memory import data_mb, is_out_of_memory, limited_memory
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.settings import RunnerSettings
from stage.execution.stores import store_of
from stage.execution.trial import Trial, attempt_suffix, check_minimum, describe, without
from stage.execution.usage import Usage
from stage.execution.versions import VersionsHere
from stage.execution.workplace import live_log_path, workspace_of
from stage.graph.file.reader import GraphFile
from stage.pipeline.importing import extend_path
from stage.pipeline.node import LOG, METADATA
from stage.pipeline.struct import NoWorkFound

if TYPE_CHECKING:
    from stage.execution.starts import Fence
    from stage.graph.access import QuantumSource
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.node import TaskNode
    from stage.pipeline.task import Task
    from sync.job_store import Intermediates

__all__ = ["QuantumRunner", "RunnerSettings", "live_log_path"]

_MESSAGE_LENGTH = 2000


class QuantumRunner:
    """Runs quanta of one graph, one after another; tasks are constructed once.

    Parameters
    ----------
    settings : RunnerSettings
        Which graph, where to.
    graph : QuantumGraph, optional
        That graph, where this process has it in memory and runs all of it.

    Attributes
    ----------
    on_failure : callable or None
        Called with what a task raised, before anything is cleaned up.
    """

    def __init__(self, settings: RunnerSettings, graph: QuantumGraph | None = None) -> None:
        self.settings = settings
        self.file = GraphFile.open(settings.graph_uri)
        self.graph: QuantumSource = graph or self.file
        self._source = Ahead(graph) if graph else self.graph
        self.store = store_of(settings)
        self._tasks: dict[str, Task | Exception] = {}
        self._host = platform.node()
        self._lookout = Lookout(self.file, self.store)
        # A job may run in another environment than the one that prepared the run, and so may what is wrapped.
        elsewhere = settings.look_for_inputs or bool(settings.wrap)
        self._versions = VersionsHere(self.graph, self.store, asks_packages=elsewhere)
        self._own_mb = data_mb()
        self.on_failure: Callable[[BaseException], None] | None = None

    def fence(self, fence: Fence, intermediates: Intermediates | None = None) -> None:
        """Write nothing any more once the job that these quanta are of is started again.

        Parameters
        ----------
        fence : Fence
            Tells.
        intermediates : Intermediates, optional
            What quanta hand each other in memory.
        """
        self.settings = replace(self.settings, fence=fence.uri)
        self.store = store_of(self.settings, intermediates)
        self._lookout = Lookout(self.file, self.store)

    def run(
        self,
        ordinal: int,
        attempt: int = 0,
        absent: Sequence[int] = (),
        memory_mb: int = 0,
        cpus: int = 0,
        *,
        standing: Sequence[StoredArtifact] = (),
    ) -> QuantumOutcome:
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
        memory_mb : int, optional
            How much memory this process may have while the task runs, in megabytes; 0 is no limit.
        cpus : int, optional
            How many cores it was given; 0 where nobody asks for any.
        standing : sequence of StoredArtifact, optional
            What the quantum made when it was complete before and is still recorded. It stays, and the quantum fails if
            it would now make something else.

        Returns
        -------
        QuantumOutcome
            What became of it, whatever the task raised. Only a person's KeyboardInterrupt gets through.
        """
        try:
            quantum = self._source.quantum(ordinal)
        except StageError as error:
            return self._outcome(ordinal, QuantumStatus.FAILED, attempt, Usage(), message=str(error))
        if self.settings.look_for_inputs:
            missing = self._lookout.missing(quantum, frozenset(absent))
            if missing.blocked_by:
                message = f"blocked: {missing.blocked_by}"
                return QuantumOutcome(ordinal, QuantumStatus.BLOCKED, attempt, message=message)
            absent = (*absent, *missing.absent)
        # Only who cannot ask a registry needs to look.
        earlier = find_earlier(quantum, self.store) if self.settings.look_for_inputs else None
        if earlier is not None and earlier.is_whole and not self.settings.replace:
            return earlier.outcome
        path = live_log_path(self.settings.logs_dir, quantum) if self.settings.logs_dir else ""
        log = QuantumLog(path, self.settings.log_level, self.settings.log_limit)
        with LimitedRepo(quantum, self.store) as repo:
            repo.workspace = workspace_of(self.settings, self.graph.header, quantum, attempt)
            log.note("INFO", f"{quantum}, attempt {attempt}, on {self._host}, process {os.getpid()}")
            with log.capturing(), OutputCapture.into(log):
                self._prepare(quantum.label)
                trial = Trial(
                    quantum,
                    attempt,
                    Usage(),
                    log,
                    earlier=earlier,
                    memory_mb=memory_mb,
                    cpus=cpus,
                    standing=standing,
                )
                self._keep_safe(trial, repo)
                self._try(trial, repo, frozenset(absent))
            restored = self._restored(trial, repo)
            outcome = restored or self._finish(trial, repo)
        log.close()
        return outcome

    def _restored(self, trial: Trial, repo: LimitedRepo) -> QuantumOutcome | None:
        """Return the earlier outcome if this attempt has only brought back the same bytes: it then goes on to count."""
        if trial.earlier is None or self.settings.replace or trial.status != QuantumStatus.SUCCEEDED:
            return None
        before = trial.earlier.outcome
        own = {trial.quantum.outputs[name][0].ordinal for name in (LOG, METADATA)}
        data = {a.dataset: a for a in before.artifacts if a.dataset not in own}
        good = all(is_as_recorded(self.store, a) for a in before.artifacts if a.dataset in own)
        return before if good and data == repo.written else None

    def _keep_safe(self, trial: Trial, repo: LimitedRepo) -> None:
        """Keep what the quantum left when it was complete before."""
        if trial.standing:
            trial.log.note(
                "INFO", "it was complete before; of what it made, some was removed and is needed again"
            )
            repo.protect(a for a in trial.standing if is_as_recorded(self.store, a))
        if trial.earlier is None:
            return
        before = trial.earlier.outcome
        if self.settings.replace:
            trial.log.note("WARNING", f"replaces the outputs of attempt {before.attempt}, which was complete")
            set_aside(before, self.store)
            return
        trial.log.note("WARNING", f"attempt {before.attempt} was complete, but not all that it made is there")
        own = {trial.quantum.outputs[name][0].ordinal for name in (LOG, METADATA)}
        repo.protect(a for a in before.artifacts if a.dataset not in own and is_as_recorded(self.store, a))

    def abandon(
        self,
        ordinal: int,
        attempt: int,
        message: str,
        started_ns: int,
        standing: Sequence[StoredArtifact] = (),
    ) -> QuantumOutcome:
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
        standing : sequence of StoredArtifact, optional
            As it was told by `run`.

        Returns
        -------
        QuantumOutcome
            It failed.
        """
        usage = Usage()
        usage.started_ns = started_ns
        quantum = self.graph.quantum(ordinal)
        log = QuantumLog(limit=self.settings.log_limit)
        if self.settings.logs_dir:
            log.resume(live_log_path(self.settings.logs_dir, quantum))
        trial = Trial(quantum, attempt, usage, log, QuantumStatus.FAILED, message, standing=standing)
        if self.settings.look_for_inputs:
            # What its process had set aside is back after this.
            trial.earlier = find_earlier(quantum, self.store)
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
        if isinstance(found := self._tasks[label], Exception):
            raise found
        return found

    def _prepare(self, label: str) -> None:
        """Construct a task, or keep the reason why that cannot be done."""
        if label not in self._tasks:
            before = data_mb()
            try:
                self._tasks[label] = self._build(self.graph.node(label))
            except Exception as error:  # noqa: BLE001 - whatever it is, it fails each of the task's quanta
                self._tasks[label] = error
            self._own_mb += data_mb() - before

    def _build(self, node: TaskNode) -> Task:
        extend_path(self.settings.search_path(self.graph.header.search_path))
        init_inputs = {
            name: self.store.get(artifact_of(planned), planned.storage_class)
            for name, planned in self.graph.init_inputs(node.label).items()
        }
        return node.build(init_inputs)

    def _try(self, trial: Trial, repo: LimitedRepo, absent: frozenset[int]) -> None:
        """Run the task, and note in `trial` how that ended."""
        task: Task | None = None
        try:
            quantum = without(trial.quantum, absent)
            check_minimum(quantum)
            task = self.task(quantum.label)
            task.take_metadata()
            for said in self._versions.warnings(quantum.node):
                trial.log.note("WARNING", said)
            with self._limited(trial):
                task.run_quantum(quantum, repo)
        except NoWorkFound as reason:
            trial.end(QuantumStatus.NO_WORK, f"no work: {reason}" if str(reason) else "no work")
        except BaseException as error:
            # A worker of the pool ignores Ctrl-C: there it is the task itself that raised this.
            if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
                raise
            trial.end(QuantumStatus.FAILED, describe(error), out_of_memory=is_out_of_memory(error))
            logging.getLogger("stage").exception("%s failed", trial.quantum)
            if self.on_failure is not None:
                self.on_failure(error)
        if task is not None:
            trial.notes = task.take_metadata()

    def _limited(self, trial: Trial) -> AbstractContextManager[None]:
        """Hold the process to the memory of an attempt. What is left in it of earlier quanta does not count."""
        if not trial.memory_mb:
            return contextlib.nullcontext()
        trial.log.note("INFO", f"held to {trial.memory_mb} MB of memory")
        return limited_memory(trial.memory_mb, max(0.0, data_mb() - self._own_mb))

    def _finish(self, trial: Trial, repo: LimitedRepo) -> QuantumOutcome:
        """Write log and metadata, and say what became of the quantum."""
        trial.usage.stop()
        if trial.status in QuantumStatus.COMPLETE:
            try:
                self._write_account(trial, repo)
            except StageError as error:
                trial.end(QuantumStatus.FAILED, f"its log could not be written: {error}")
        if trial.status != QuantumStatus.SUCCEEDED:
            self._clean_up(trial)
        elif trial.earlier is not None:
            let_go(trial.earlier.outcome, self.store)
        if trial.status not in QuantumStatus.COMPLETE:
            try:
                self._write_account(trial, repo)
            except StageError as error:
                trial.end(
                    trial.status,
                    f"{trial.message}; nor could its log be written: {error}",
                    out_of_memory=trial.out_of_memory,
                )
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
            out_of_memory=trial.out_of_memory,
        )

    def _clean_up(self, trial: Trial) -> None:
        """Remove what a quantum has written of its data: nobody is to take it for the work of a complete one.

        What stood before this attempt stays, or comes back.
        """
        standing = {a.dataset for a in trial.standing}
        if trial.earlier is not None:
            before = trial.earlier.outcome
            standing |= {a.dataset for a in before.artifacts}
            if trial.status in QuantumStatus.COMPLETE and self.settings.replace:
                standing.clear()
                let_go(before, self.store)
            elif self.settings.replace:
                put_back(before, self.store)
        for name, refs in trial.quantum.outputs.items():
            if name not in {LOG, METADATA}:
                for planned in refs:
                    if planned.uri is not None and planned.ordinal not in standing:
                        with contextlib.suppress(StageError):
                            self.store.remove(planned.uri)

    def _write_account(self, trial: Trial, repo: LimitedRepo) -> None:
        complete = trial.status in QuantumStatus.COMPLETE
        suffix = attempt_suffix(trial.status, trial.attempt)
        level = "INFO" if complete else "ERROR"
        ending = f": {trial.message}" if trial.message else ""
        trial.log.note(level, f"{trial.status} after {trial.usage.wall_s:.3f} s{ending}")
        contents: dict[str, Callable[[], Any]] = {
            LOG: lambda: trial.log.text,
            METADATA: lambda: metadata_of(
                trial, repo, self._versions.document(trial.quantum.node), wrap=self.settings.wrap
            ),
        }
        for name, content in contents.items():
            planned = trial.quantum.outputs[name][0]
            repo.note(planned, self.store.put(content(), planned.storage_class, stem_of(planned) + suffix))

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
