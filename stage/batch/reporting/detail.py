"""One submission task by task: counts, causes grouped, memory asked for and used, what is held and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.errors import StageError
from stage.batch.driving.board import Attempt
from stage.batch.engines.base import Cause, JobState
from stage.batch.engines.finding import engine_sites
from stage.batch.reporting.report import CauseGroup, HeldJob, JobOutput, LabelCounts, RunDetail
from stage.execution.record_file import RecordFile
from stage.execution.starts import newest

if TYPE_CHECKING:
    from stage.batch.driving.states import RunStates
    from stage.batch.layout import SubmitDir
    from stage.batch.submission.identity import Identity
    from stage.batch.workflow.model import Workflow
    from stage.execution.outcome import QuantumOutcome

__all__ = ["detail_of"]

_RECORDS = 200
"""So many record files are read at most, for causes and for each label's memory: a report is for a person who waits."""
_SAMPLE = 25
_HELD = 20
_OUTPUTS = 10
_TAIL_BYTES = 4000
_TAIL_LINES = 20
_MB = 1 << 20


class _Key(NamedTuple):
    label: str
    cause: str
    message: str


def detail_of(
    where: SubmitDir, identity: Identity, workflow: Workflow, states: RunStates, *, logs: bool = False
) -> RunDetail:
    """Say of each task what became of its jobs.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    identity : Identity
        What it is.
    workflow : Workflow
        Its jobs.
    states : RunStates
        Where they are.
    logs : bool, optional
        Also the end of what jobs that failed printed.

    Returns
    -------
    RunDetail
        Over all attempts.
    """
    sites = engine_sites(where)
    jobs = _Jobs(where, workflow, states, identity.site if sites else "")
    return RunDetail(
        identity.engine,
        identity.site,
        jobs.labels(),
        jobs.causes(),
        jobs.held(),
        jobs.outputs() if logs else (),
        sites,
    )


class _Jobs:
    """The jobs of one submission, looked at together."""

    def __init__(self, where: SubmitDir, workflow: Workflow, states: RunStates, site: str) -> None:
        self._where, self._workflow, self._states = where, workflow, states
        self._site = site
        self._attempts: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in states.history:
            self._attempts[attempt.number].append(attempt)

    def labels(self) -> list[LabelCounts]:
        """Count jobs by label, in the order of the workflow; the final job last."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, settings in enumerate(self._workflow.settings):
            places[settings.label].append(place)
        out = []
        for label, those in places.items():
            numbers = np.flatnonzero(np.isin(self._workflow.settings_of, those))
            counts = {s.value: n for s, n in self._states.counts(numbers).items()}
            found = dict.fromkeys(self._workflow.settings[p].compute_site or self._site for p in those)
            out.append(self._label(label, counts, numbers.tolist(), ", ".join(found) if self._site else ""))
        if self._workflow.final is not None:
            state = self._states.state_of(-1)
            out.append(self._label(self._workflow.final.label, {state.value: 1}, [-1]))
        return out

    def _label(
        self, label: str, counts: dict[str, int], numbers: Sequence[int], site: str = ""
    ) -> LabelCounts:
        attempts = [a for n in numbers for a in self._attempts.get(n, ())]
        asked = [a.memory_mb for a in attempts if a.memory_mb]
        return LabelCounts(
            label,
            counts,
            len(numbers),
            len(attempts),
            (min(asked), max(asked)) if asked else (0, 0),
            self._used(numbers),
            site,
        )

    def _used(self, numbers: Sequence[int]) -> int:
        """Return the most memory that a quantum had, of some jobs that have ended."""
        ended = [n for n in numbers if n >= 0 and self._states.ended_ns[n]]
        step = max(1, len(ended) // _SAMPLE)
        peaks = [o.peak_bytes for n in ended[::step][:_SAMPLE] for o in self._record(n)]
        return -(-max(peaks, default=0) // _MB)

    def causes(self) -> list[CauseGroup]:
        """Group the attempts that failed, the most frequent first."""
        groups: dict[_Key, list[Attempt]] = defaultdict(list)
        said = self._said_by_records()
        for number, attempts in self._attempts.items():
            for attempt in attempts:
                if attempt.state is JobState.FAILED or attempt.cause not in {Cause.NONE, Cause.CANCELLED}:
                    is_last = attempt is attempts[-1]
                    message = (said.get(number, "") if is_last else "") or _first_line(attempt.message)
                    key = _Key(self._label_of(number), attempt.cause.value or "exit", message)
                    groups[key].append(attempt)
        found = [self._group(key, those) for key, those in groups.items()]
        return sorted(found, key=lambda g: (-g.jobs, -g.attempts, g.label, g.message))

    def _group(self, key: _Key, attempts: Sequence[Attempt]) -> CauseGroup:
        numbers = {a.number for a in attempts}
        recovered = sum(self._states.state_of(n) is JobState.SUCCEEDED for n in numbers)
        codes = sorted({a.exit_code for a in attempts if a.exit_code is not None})
        return CauseGroup(*key, len(attempts), len(numbers), recovered, codes, self._log(attempts[-1]))

    def _said_by_records(self) -> dict[int, str]:
        """Return what the quanta of jobs that failed said of themselves: engines know only how a program ended."""
        failed = [n for n in self._attempts if n >= 0 and self._states.state_of(n) is JobState.FAILED]
        out = {}
        for number in failed[:_RECORDS]:
            messages = (_first_line(o.message) for o in self._record(number) if o.root < 0 and o.message)
            out[number] = next(messages, "")
        return out

    def held(self) -> list[HeldJob]:
        """Return the first jobs that are held."""
        numbers = [n for n in self._states.messages if self._states.state_of(n) is JobState.HELD]
        return [
            HeldJob(self._name(n), self._label_of(n), _first_line(self._states.messages[n]))
            for n in numbers[:_HELD]
        ]

    def outputs(self) -> list[JobOutput]:
        """Return the end of what some jobs printed that failed."""
        last = (a[-1] for a in self._attempts.values())
        failed = [a for a in last if a.state is JobState.FAILED][:_OUTPUTS]
        return [JobOutput(self._name(a.number), self._log(a), _tail(Path(self._log(a)))) for a in failed]

    def _record(self, number: int) -> Iterable[QuantumOutcome]:
        try:
            return RecordFile.load(newest(self._where.record(number))[0]).outcomes
        except StageError:
            return ()

    def _label_of(self, number: int) -> str:
        if number < 0:
            return self._workflow.final.label if self._workflow.final else "finalJob"
        return self._workflow.settings_for(number).label

    def _name(self, number: int) -> str:
        return self._workflow.names[number] if number >= 0 else self._label_of(number)

    def _log(self, attempt: Attempt) -> str:
        if attempt.number < 0:
            return str(self._where.final_log)
        name = self._workflow.names[attempt.number]
        return str(self._where.job_log(self._label_of(attempt.number), name, attempt.attempt))


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").rstrip("\n").split("\n")
    except OSError as error:
        return f"(it cannot be read: {error.strerror})"
    return "\n".join(lines[-_TAIL_LINES:])
