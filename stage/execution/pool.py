"""A pool of long-lived worker processes on this machine."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stage.errors import ExecutionError
from stage.execution.executor import Assignment
from stage.execution.memory import was_killed_for_memory
from stage.execution.nursery import Nursery, can_fork
from stage.execution.outcome import QuantumOutcome
from stage.execution.temporary import RunScratch
from stage.execution.worker import QuantumRunner
from stage.execution.worker_process import WorkerProcess, describe_exit, thread_env

if TYPE_CHECKING:
    from stage.execution.executor import Interrupt, Work
    from stage.execution.needs import Needs
    from stage.execution.settings import RunnerSettings
    from stage.execution.time_limits import TimeLimits

__all__ = ["ProcessPool", "describe_exit"]

_log = logging.getLogger(__name__)

_AHEAD_S = 0.02
"""How much work, in seconds as measured, waits at a worker while it runs something: enough to hide the way there and
back, and too little to matter when the work would have been better given to another."""
_AHEAD_MAX = 16
_BIG_MESSAGE = 1000
"""A longer list of absent or standing datasets goes only to a worker that waits for it: both sides sending could block both."""
_TICK_S = 0.5
_START_FAILURES = 3
_FAREWELL_S = 2.0


class ProcessPool:
    """The executor of many processes on this machine.

    Parameters
    ----------
    settings : RunnerSettings
        What the workers' runners are made from.
    processes : int
        Number of workers, at least 1.
    limit_threads : bool, optional
        Whether numerical libraries in the workers are held to one thread, or to the cores that a quantum has, unless
        the environment says otherwise: N workers of N threads each would fight for the cores.
    grace_s : float, optional
        How long running quanta may go on after an interrupt.
    limits : TimeLimits, optional
        How long quanta may take; one that takes longer fails.
    """

    def __init__(
        self,
        settings: RunnerSettings,
        processes: int,
        *,
        limit_threads: bool = True,
        grace_s: float = 5.0,
        limits: TimeLimits | None = None,
    ) -> None:
        self._settings = settings
        self._processes = max(1, processes)
        self._limit_threads = limit_threads
        self._grace_s = grace_s
        self._limits = limits
        self._workers: list[WorkerProcess] = []
        self._seconds: dict[int, float] = {}
        self._start_failures = 0
        self._own_runner: QuantumRunner | None = None
        self._nursery: Nursery | None = None
        self._may_fork = True

    def execute(self, work: Work, interrupt: Interrupt) -> bool:
        """Run all that can be run.

        Parameters
        ----------
        work : Work
            Gives out quanta and takes outcomes, in the calling thread only.
        interrupt : Interrupt
            Ends it: nothing more is begun, what runs has `grace_s` seconds, or none at the second request.

        Returns
        -------
        bool
            Whether it came to its end.

        Raises
        ------
        ExecutionError
            If workers cannot be started. Outcomes so far were given to `work`.
        """
        self._lifeline, lifeline = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(interrupt, selectors.EVENT_READ, None)
        with RunScratch() as self._scratch:
            try:
                self._loop(work, interrupt)
                return not interrupt.count
            finally:
                self._stop()
                os.close(lifeline)
                os.close(self._lifeline)
                self._selector.close()

    def _loop(self, work: Work, interrupt: Interrupt) -> None:
        while not work.is_finished and not interrupt.count:
            if work.needs is None:
                self._start_missing(work)
                self._feed(work)
            else:
                self._feed_admitted(work, work.needs)
            work.tick()
            self._wait(work, _TICK_S)
        if not interrupt.count:
            return
        # Its descriptor stays readable from now on, so it is no longer waited on.
        self._selector.unregister(interrupt)
        self._end_running(work, interrupt)
        for worker in self._workers:
            work.give_back(worker.queue)
            worker.queue.clear()

    def _end_running(self, work: Work, interrupt: Interrupt) -> None:
        """Let what runs come to its end, for a while, unless a person asks again."""
        deadline = time.monotonic() + self._grace_s
        if busy := sum(bool(w.queue) for w in self._workers):
            quanta = "quantum" if busy == 1 else "quanta"
            _log.warning(
                "interrupted: waiting for %d running %s, at most %g s (Ctrl-C again to kill %s)",
                busy, quanta, self._grace_s, "it" if busy == 1 else "them",
            )  # fmt: skip
        else:
            _log.warning("interrupted: nothing is running")
        while interrupt.count == 1 and any(w.queue for w in self._workers) and time.monotonic() < deadline:
            self._wait(work, min(_TICK_S / 5, max(0.0, deadline - time.monotonic())))
        if busy := sum(bool(w.queue) for w in self._workers):
            _log.warning("killing %d running %s", busy, "quantum" if busy == 1 else "quanta")

    # Workers come and go

    def _start_missing(self, work: Work) -> None:
        wanted = min(self._processes, work.n_active)
        while len(self._workers) < wanted:
            self._start()

    def _start(self, threads: int = 1) -> WorkerProcess:
        env = thread_env(threads) if self._limit_threads else dict(os.environ)
        temporary = self._scratch.directory()
        env["TMPDIR"] = temporary
        worker = self._new_worker(env, threads, temporary)
        self._workers.append(worker)
        self._selector.register(worker.conn, selectors.EVENT_READ, worker)
        if worker.sentinel is not None:
            self._selector.register(worker.sentinel, selectors.EVENT_READ, worker)
        return worker

    def _new_worker(self, env: Mapping[str, str], threads: int, temporary: str) -> WorkerProcess:
        settings, nursery = self._settings, self._nursery_for(env)
        try:
            return WorkerProcess(settings, self._lifeline, env, threads, temporary=temporary, nursery=nursery)
        except ExecutionError:
            if nursery is None:
                raise
            # It was killed, or does not start: then each worker is an interpreter of its own, and says what is wrong.
            self._may_fork = False
            return WorkerProcess(settings, self._lifeline, env, threads, temporary=temporary)

    def _nursery_for(self, env: Mapping[str, str]) -> Nursery | None:
        """Return what forks a worker with some environment; None where it has to be a process of its own."""
        if self._settings.wrap or not self._may_fork or not can_fork(env):
            return None
        if self._nursery is not None and not self._nursery.is_alive:
            self._nursery.close()
            self._nursery = None
        if self._nursery is None:
            self._nursery = Nursery(env, self._lifeline)
        return self._nursery

    def _bury(self, worker: WorkerProcess, work: Work) -> None:
        """Take leave of a dead worker: its quantum failed, those that waited for it go back."""
        status = self._forget(worker)
        ending = worker.kill_reason or f"worker process died: {describe_exit(status)}"
        if not worker.is_ready:
            self._start_failures += 1
            if self._start_failures >= _START_FAILURES:
                raise ExecutionError(
                    f"worker processes do not start ({ending})",
                    code="worker-start-failed",
                    hint="What they wrote to standard error says why; -j 0 runs without workers.",
                )
        victim = worker.queue.popleft() if worker.queue and worker.is_ready else None
        work.give_back(worker.queue)
        worker.queue.clear()
        if victim is None:
            return
        outcome = self._runner_here().abandon(
            victim.ordinal, victim.attempt, ending, worker.since_ns, victim.standing
        )
        if not worker.kill_reason and was_killed_for_memory(status):
            outcome = outcome._replace(out_of_memory=True)
        work.done(victim.number, outcome)

    def _forget(self, worker: WorkerProcess) -> int:
        self._workers.remove(worker)
        self._selector.unregister(worker.conn)
        if worker.sentinel is not None:
            self._selector.unregister(worker.sentinel)
        status = worker.close()
        self._scratch.remove(worker.temporary)
        return status

    def _runner_here(self) -> QuantumRunner:
        if self._own_runner is None:
            self._own_runner = QuantumRunner(self._settings)
        return self._own_runner

    def _stop(self) -> None:
        """Let idle workers end by themselves, briefly; no process and no child of one is left."""
        for worker in self._workers:
            if worker.queue or not worker.is_ready:
                worker.kill()
            else:
                worker.send(None)
        deadline = time.monotonic() + _FAREWELL_S
        for worker in list(self._workers):
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            self._forget(worker)
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None

    # Quanta go out, outcomes come in

    def _feed(self, work: Work) -> None:
        ready = [w for w in self._workers if w.is_ready]
        batches: dict[int, list[Assignment]] = {}
        for depth in (1, _AHEAD_MAX):
            for index, worker in enumerate(ready):
                ahead = sum(self._cost(work, a.ordinal) for a in worker.queue)
                while len(worker.queue) < depth and (ordinal := work.peek()) is not None:
                    cost = self._cost(work, ordinal)
                    if worker.queue and ahead + cost > _AHEAD_S:
                        break
                    assignment = work.take()
                    if assignment is None:
                        break
                    if len(assignment.absent) + len(assignment.standing) > _BIG_MESSAGE and worker.queue:
                        work.give_back([assignment])
                        break
                    if not worker.queue:
                        worker.begin()
                    worker.queue.append(assignment)
                    batches.setdefault(index, []).append(assignment)
                    ahead += cost
        for index, batch in batches.items():
            ready[index].send([a[1:] for a in batch])

    def _feed_admitted(self, work: Work, needs: Needs) -> None:
        """Hand out what fits on the machine, one quantum a worker, so that it has what it needs and no longer than that.

        Threads are decided when a process begins, so each number of them has workers of its own.
        """
        while (assignment := work.take()) is not None:
            need = needs.given(assignment.number)
            idle = (w for w in self._workers if not w.queue and w.threads == need.cpus)
            worker = next(idle, None) or self._start(need.cpus)
            worker.begin()
            worker.queue.append(assignment)
            worker.send([[*assignment[1:], need.memory_mb, need.cpus]])

    def _cost(self, work: Work, ordinal: int) -> float:
        """Return the expected seconds of a quantum; without end for a task that is not known yet."""
        return self._seconds.get(work.task_of(ordinal), math.inf)

    def _wait(self, work: Work, timeout_s: float) -> None:
        events = self._selector.select(timeout_s)
        workers = {id(key.data): key.data for key, _ in events if key.data is not None}
        for worker in list(workers.values()) if events else list(self._workers):
            self._hear(worker, work)
        if self._limits is not None:
            self._end_late(work, self._limits)

    def _end_late(self, work: Work, limits: TimeLimits) -> None:
        """Kill what has taken too long; the time in which a worker starts is not its quantum's."""
        now = time.monotonic()
        for worker in self._workers:
            took = now - worker.since
            if worker.queue and worker.is_ready and took > limits.shortest_s:
                number, ordinal, *_ = worker.queue[0]
                late_s = None if work.needs is None else work.needs.walltimes.get(number)
                limit = limits.of(ordinal, late_s)
                if took > limit.seconds:
                    worker.kill(limit.message)

    def _hear(self, worker: WorkerProcess, work: Work) -> None:
        # Asked before the pipe is emptied: what it sent before it died still counts.
        is_dead = worker.process.poll() is not None
        for message in worker.receive():
            if message is None:
                is_dead = True
            elif message == "ready":
                worker.is_ready = True
                worker.begin()
                self._start_failures = 0
            else:
                self._take_outcome(worker, QuantumOutcome.from_tuple(message), work)
        if is_dead:
            self._bury(worker, work)

    def _take_outcome(self, worker: WorkerProcess, outcome: QuantumOutcome, work: Work) -> None:
        assignment = worker.queue.popleft()
        worker.begin()
        task = work.task_of(outcome.ordinal)
        took = (outcome.finished_ns - outcome.started_ns) * 1e-9
        self._seconds[task] = 0.8 * self._seconds.get(task, took) + 0.2 * took
        work.done(assignment.number, outcome)
