"""What `plan` tells: per quantum what the next run would do with it and why, and what would stop that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

__all__ = [
    "Plan",
    "PlanCount",
    "PlanStep",
    "PlanStop",
    "PlanWay",
    "PlannedQuantum",
    "Reason",
    "SettingChange",
]


class Reason(NamedTuple):
    """Why something is done with a quantum.

    Parameters
    ----------
    name : str
        Short and stable, as in JSON.
    action : {"run", "skip", "blocked"}
        What is done with it.
    text : str
        For a person.
    """

    name: str
    action: str
    text: str


@dataclass(frozen=True)
class PlannedQuantum:
    """One quantum, and what the next run would do with it.

    Parameters
    ----------
    task : str
        Its task's label.
    data_id : str
        Its data ID as compact JSON.
    action : {"run", "skip", "blocked"}
        What would be done.
    reason : str
        Why: name of a `Reason`.
    text : str
        The same for a person, with names and values.
    step : str
        The step of the pipeline that it is of; empty for a pipeline without.
    facts : mapping
        What the text is made of: ``run``, ``attempts``, ``message``, ``because`` (a quantum), ``datasets``,
        ``settings``; only what there is.
    """

    task: str
    data_id: str
    action: str
    reason: str
    text: str
    step: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanCount:
    """How many quanta of a task have one reason.

    Parameters
    ----------
    task, action, reason, text : str
        As of a quantum; the text without names and values.
    n : int
        How many.
    step : str
        The step of the pipeline; empty for a pipeline without.
    """

    task: str
    action: str
    reason: str
    text: str
    n: int
    step: str = ""


@dataclass(frozen=True)
class PlanWay:
    """One way on for a run that would be refused.

    Parameters
    ----------
    options : sequence of str
        What to give `run` besides.
    counts : mapping of str to int, optional
        What it would then do: action to number of quanta; None if that cannot be known before.
    problem : str
        Why it would be refused too; empty if it would not.
    """

    options: Sequence[str]
    counts: Mapping[str, int] | None = None
    problem: str = ""


@dataclass(frozen=True)
class PlanStop:
    """Why the run would be refused.

    Parameters
    ----------
    code, message, hint : str
        Of the error that it would end with.
    ways : sequence of PlanWay
        The ways on.
    """

    code: str
    message: str
    hint: str = ""
    ways: Sequence[PlanWay] = ()


@dataclass(frozen=True)
class SettingChange:
    """A setting that is not what an earlier run had.

    Parameters
    ----------
    task : str
        Label of the task.
    key : str
        The setting, as it is typed after ``-c``; ``version`` or ``code`` for what is no setting.
    old, new : object
        What it was and what it is.
    run : str
        The earlier run.
    """

    task: str
    key: str
    old: Any
    new: Any
    run: str


@dataclass(frozen=True)
class PlanStep:
    """What is known of one step of a pipeline.

    Parameters
    ----------
    number : int
        Which, from 1.
    label : str
        Its name.
    is_known : bool
        Whether its graph is there and stays: then its quanta are among those planned.
    text : str
        What is known of it.
    """

    number: int
    label: str
    is_known: bool
    text: str


@dataclass(frozen=True, eq=False)
class Plan:
    """What the next run would do.

    Parameters
    ----------
    run : str
        The RUN that it would write; of a new one the name that it would have now. Empty if nothing would be begun.
    is_new : bool
        Whether it would be begun.
    counts : sequence of PlanCount
        Of all quanta that were asked about.
    select : callable
        Takes whether only what is news is wanted; yields each `PlannedQuantum`.
    stop : PlanStop, optional
        Why the run would be refused: then quanta are told as if the graph were run as it was built, or not at all.
    settings : sequence of SettingChange
        What differs from earlier runs.
    steps : sequence of PlanStep
        What is known of the pipeline's steps; none for a pipeline without.
    notes : sequence of str
        What else a person may want to know before.
    dropped : sequence of str
        Runs whose place it would take.
    """

    run: str
    is_new: bool
    counts: Sequence[PlanCount]
    select: Callable[[bool], Iterator[PlannedQuantum]]
    stop: PlanStop | None = None
    settings: Sequence[SettingChange] = ()
    steps: Sequence[PlanStep] = ()
    notes: Sequence[str] = ()
    dropped: Sequence[str] = ()

    @property
    def totals(self) -> dict[str, int]:
        """How many quanta would be ``run``, ``skip`` and ``blocked``."""
        out = {"run": 0, "skip": 0, "blocked": 0}
        for count in self.counts:
            out[count.action] += count.n
        return out

    def quanta(self, limit: int | None = None, *, news: bool = False) -> list[PlannedQuantum]:
        """List quanta.

        Parameters
        ----------
        limit : int, optional
            At most so many; all by default.
        news : bool, optional
            Only those of which a person wants to hear: not what is done, or simply new.

        Returns
        -------
        list of PlannedQuantum
            In the graph's order; what is news by reason first.
        """
        out: list[PlannedQuantum] = []
        for quantum in self.select(news):
            if limit is not None and len(out) >= limit:
                break
            out.append(quantum)
        return out

    def to_document(self, limit: int | None = None) -> dict[str, Any]:
        """Return it as JSON-like values.

        Parameters
        ----------
        limit : int, optional
            List at most so many quanta; all by default.

        Returns
        -------
        dict
            One key a field; ``quanta`` is a list, each with its data ID as an object.
        """
        import json

        return {
            "run": self.run,
            "is_new": self.is_new,
            "totals": self.totals,
            "counts": [asdict(c) for c in self.counts],
            "stop": asdict(self.stop) if self.stop else None,
            "settings": [asdict(s) for s in self.settings],
            "steps": [asdict(s) for s in self.steps],
            "notes": list(self.notes),
            "dropped": list(self.dropped),
            "quanta": [{**vars(q), "data_id": json.loads(q.data_id)} for q in self.quanta(limit)],
        }
