"""What would be done with the quanta of one graph: counted, and worded one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.campaign.plan_past import PastRun, Records
from stage.campaign.plan_report import PlanCount, PlannedQuantum, Reason, SettingChange

if TYPE_CHECKING:
    import numpy.typing as npt

    from stage.graph.graph import QuantumGraph
    from stage.graph.table import Ints

    Mask = npt.NDArray[np.bool_]

__all__ = ["CODES", "REASONS", "Outlook"]

REASONS = (
    Reason("new", "run", "never run"),
    Reason("again", "run", "done in an earlier run, nothing has changed"),
    Reason("freed", "run", "was blocked, what it waited for is run or done"),
    Reason("failed", "run", "failed before"),
    Reason("failed-earlier", "run", "failed in an earlier run"),
    Reason("lost", "run", "begun, and not recorded: its run was killed"),
    Reason("running", "run", "begun by the command that holds the campaign"),
    Reason("output-missing", "run", "was done, but an output is known no more"),
    Reason("removed-needed", "run", "was done, but a file of it was removed and is read again"),
    Reason("settings", "run", "settings changed since an earlier run"),
    Reason("inputs", "run", "inputs changed since an earlier run"),
    Reason("upstream-changed", "run", "what it reads is made otherwise than in an earlier run"),
    Reason("complete", "skip", "done"),
    Reason("no-work", "skip", "there was no work to do"),
    Reason("elsewhere", "skip", "done elsewhere, and left out of this run"),
    Reason("nothing-to-read", "skip", "left out: what it reads was never made"),
    Reason("upstream-failed", "blocked", "rests on one that failed; runs if that succeeds now"),
    Reason("earlier-step", "blocked", "waits for an earlier step"),
)  # fmt: skip
"""All that there are."""
CODES = {reason.name: code for code, reason in enumerate(REASONS)}
_FIRST = (
    "failed", "failed-earlier", "lost", "running", "output-missing", "removed-needed", "settings", "inputs",
    "upstream-changed", "freed", "upstream-failed", "earlier-step", "elsewhere", "nothing-to-read",
)  # fmt: skip
"""What is news, in the order in which a person wants to hear of it: not what is done, or simply new."""
_OF_THIS_RUN = {"complete", "no-work", "output-missing", "removed-needed", "lost", "running"}


@dataclass(eq=False)
class Outlook:
    """What would be done with the quanta of one graph.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    reason : numpy.ndarray of int8
        For each quantum the place of its reason in `REASONS`.
    chosen : numpy.ndarray of bool
        The quanta that are told of.
    cause : numpy.ndarray of int64
        For quanta that wait for others, the one that all begins with; -1 for others.
    records : Records, optional
        What is recorded of them in the graph's run.
    past : sequence of PastRun, optional
        Earlier runs.
    which : numpy.ndarray of int64, optional
        For each quantum its place among these, -1 for none.
    step : str, optional
        Step of the pipeline that the graph is of.
    elsewhere : str, optional
        Where quanta are done that are left out, if no earlier run has them.
    lost_outputs : mapping of int to sequence of str, optional
        For quanta that were done, the dataset types of what they made and is known no more.
    """

    graph: QuantumGraph
    reason: npt.NDArray[np.int8]
    chosen: Mask
    cause: Ints
    records: Records | None = None
    past: Sequence[PastRun] = ()
    which: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    step: str = ""
    elsewhere: str = ""
    lost_outputs: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def has(self, action: str) -> bool:
        """Tell whether there is something to do.

        Parameters
        ----------
        action : str
            What is to be done.

        Returns
        -------
        bool
            Whether there are such quanta, told of or not.
        """
        codes = [c for c, r in enumerate(REASONS) if r.action == action]
        return bool(np.isin(self.reason, codes).any())

    def settings(self) -> Iterator[SettingChange]:
        """Name the settings that let quanta run again.

        Yields
        ------
        SettingChange
            Each once.
        """
        if self.records is not None:
            for run in self.past:
                for changes in run.settings.values():
                    yield from changes

    def counts(self) -> Iterator[PlanCount]:
        """Count by task and reason.

        Yields
        ------
        PlanCount
            Of the quanta that are told of, in the graph's order.
        """
        for task in self.graph.layout.tasks:
            mine = slice(task.offset, task.offset + task.n_quanta)
            counts = np.bincount(self.reason[mine][self.chosen[mine]], minlength=len(REASONS))
            for code in np.flatnonzero(counts).tolist():
                r = REASONS[code]
                yield PlanCount(task.label, r.action, r.name, r.text, int(counts[code]), self.step)

    def select(self, news: bool) -> Iterator[PlannedQuantum]:
        """Name quanta.

        Parameters
        ----------
        news : bool
            Whether only those of which a person wants to hear.

        Yields
        ------
        PlannedQuantum
            In the graph's order; what is news by reason first.
        """
        if not news:
            yield from self._named(np.flatnonzero(self.chosen))
            return
        for name in _FIRST:
            yield from self._named(np.flatnonzero(self.chosen & (self.reason == CODES[name])))

    def _named(self, ordinals: Ints) -> Iterator[PlannedQuantum]:
        """Word quanta, in blocks: who wants but a few does not wait for all."""
        for start in range(0, len(ordinals), 1000):
            block = ordinals[start : start + 1000]
            rows = self.graph.quantum_rows(block).rows(("ordinal", "task", "data_id"))
            for ordinal, task, data_id in rows:
                reason = REASONS[self.reason[ordinal]]
                text, facts = self._words(int(ordinal), task, reason)
                yield PlannedQuantum(task, data_id, reason.action, reason.name, text, self.step, facts)

    def _words(self, ordinal: int, task: str, reason: Reason) -> tuple[str, dict[str, Any]]:
        """Say why in words, and what these are made of."""
        facts: dict[str, Any] = {}
        if reason.name in _OF_THIS_RUN:
            facts["run"] = self.graph.output_run
        elif reason.name == "elsewhere":
            facts["run"] = self.elsewhere
        if self.cause[ordinal] >= 0:
            return self._waits(ordinal, reason, facts), facts
        if len(self.which) and self.which[ordinal] >= 0:
            return self._compared(self.past[self.which[ordinal]], ordinal, task, reason, facts), facts
        if reason.name == "failed" and self.records is not None:
            return _failed(facts, *self.records.failure(ordinal)), facts
        if reason.name == "output-missing":
            facts["datasets"] = list(self.lost_outputs.get(ordinal, ()))
            return f"was done, but its {', '.join(facts['datasets'])} is known no more", facts
        if reason.name in {"elsewhere", "complete"}:
            return f"done in {facts['run']}", facts
        return reason.text, facts

    def _compared(self, past: PastRun, ordinal: int, task: str, reason: Reason, facts: dict[str, Any]) -> str:
        """Say what has changed since an earlier run."""
        facts["run"] = past.run
        if reason.name == "failed-earlier":
            return f"in {past.run}: {_failed(facts, *past.failure(ordinal))}"
        if reason.name == "settings":
            facts["settings"] = [c.key for c in past.settings[task]]
            return f"settings changed since {past.run}: {', '.join(facts['settings'])}"
        if reason.name == "inputs":
            facts["datasets"] = past.input_changes(ordinal)
            return f"inputs changed since {past.run}: {_inputs_text(facts['datasets'])}"
        if reason.name == "again":
            return f"done in {past.run}, nothing has changed"
        return f"done in {past.run}" if reason.name == "elsewhere" else reason.text

    def _waits(self, ordinal: int, reason: Reason, facts: dict[str, Any]) -> str:
        cause = self.graph.quantum(int(self.cause[ordinal]))
        facts["because"] = {"task": cause.label, "data_id": cause.data_id}
        name = f"{cause.label} {', '.join(f'{k}={v}' for k, v in cause.data_id.items())}".rstrip()
        if reason.name == "upstream-failed":
            return f"rests on {name}, which failed; runs if that succeeds now"
        return f"rests on {name}, which is made otherwise now"


def _failed(facts: dict[str, Any], message: str, attempts: int) -> str:
    facts.update(message=message, attempts=attempts)
    tried = f"failed {attempts} times" if attempts > 1 else "failed"
    return f"{tried}: {message}" if message else tried


def _inputs_text(changes: Sequence[dict[str, Any]]) -> str:
    shown = [
        f"{'+' if c['is_new'] else '-'}{c['dataset_type']}"
        f"{{{', '.join(f'{k}={v}' for k, v in c['data_id'].items())}}} of {c['run']}"
        for c in changes[:3]
    ]
    return "; ".join([*shown, *([f"and {len(changes) - 3} more"] if len(changes) > 3 else [])])
