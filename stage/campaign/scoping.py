"""Executing a run only up to a task, and scripts from a command on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError, nearest
from stage.campaign.steps import StepPlan, built_nodes
from stage.execution.scope import Scope

if TYPE_CHECKING:
    from stage.execution.progress import RunSummary
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.node import TaskNode

__all__ = ["ScopeOptions", "Scoping"]

_COMMAND = re.compile(r"(\w+):([1-9]\d{0,5})\Z")


@dataclass(frozen=True)
class ScopeOptions:
    """What of a run a person wants executed now.

    Parameters
    ----------
    until : str, optional
        A task or a step: it and what it depends on are executed, and nothing else.
    keep_scratch : bool, optional
        Keep the scratch directories of scripts that fail.
    from_command : sequence of str, optional
        ``LABEL:N``: quanta of that task begin at that command, where their scratch directory is kept.
    """

    until: str = ""
    keep_scratch: bool = False
    from_command: Sequence[str] = ()

    @property
    def begin_at(self) -> dict[str, int]:
        """Task to number of the command.

        Raises
        ------
        UsageError
            If a text is not of its form.
        """
        out: dict[str, int] = {}
        for text in self.from_command:
            match = _COMMAND.match(text)
            if match is None:
                raise UsageError(
                    f"'{text}' does not name a command of a task",
                    code="bad-command",
                    hint="As LABEL:N, with N from 1: --from-command assemble:3.",
                )
            out[match[1]] = int(match[2])
        return out


class Scoping:
    """Says for each step of a run what of it is executed.

    Parameters
    ----------
    graph : QuantumGraph
        Of the first step, or of a pipeline without steps.
    options : ScopeOptions
        What is wanted.

    Raises
    ------
    UsageError
        If there is no such task, or it has no such command.
    """

    def __init__(self, graph: QuantumGraph, options: ScopeOptions) -> None:
        self._options = options
        self._steps = StepPlan.of(graph.header)
        self._begin_at = options.begin_at
        nodes = built_nodes(graph) if options.until or self._begin_at else {}
        _check_commands(nodes, self._begin_at)
        self._wanted = self._wanted_of(nodes) if options.until else frozenset()

    def _wanted_of(self, nodes: Mapping[str, TaskNode]) -> frozenset[str]:
        """Return the labels of the tasks up to the last that is wanted."""
        until, homes = self._options.until, self._homes(nodes)
        if until in self._steps.labels:
            last = self._steps.labels.index(until) + 1
            return frozenset(label for label in nodes if homes[label] <= last)
        if until not in nodes:
            raise UsageError(
                f"there is no task or step '{until}' to stop after",
                code="unknown-label",
                hint=nearest(until, [*nodes, *self._steps.labels]),
            )
        # A step begins when all before it is done.
        earlier = {label for label in nodes if homes[label] < homes[until]}
        return frozenset(earlier | _with_makers(until, nodes))

    def _homes(self, nodes: Iterable[str]) -> dict[str, int]:
        """Return the number of each task's step."""
        if not self._steps.labels:
            return dict.fromkeys(nodes, 1)
        from stage.pipeline.settle import definition_of_text

        definition = definition_of_text(self._steps.pipeline, "the pipeline in the graph")
        return {label: n for n, step in enumerate(definition.steps, start=1) for label in step.tasks}

    @property
    def scope(self) -> Scope:
        """What is executed of each graph."""
        only = self._wanted if self._options.until else None
        return Scope(only, self._options.keep_scratch, self._begin_at)

    def ends_before(self, number: int) -> bool:
        """Tell whether nothing of a step is wanted.

        Parameters
        ----------
        number : int
            Which, from 1.

        Returns
        -------
        bool
            Whether the run ends before it.
        """
        if not self._options.until:
            return False
        homes = self._homes(self._wanted)
        return all(homes[label] < number for label in self._wanted)

    def reached(self, summary: RunSummary) -> str:
        """Return the task or step after which a run was stopped as asked.

        Parameters
        ----------
        summary : RunSummary
            What came of all steps that were begun.

        Returns
        -------
        str
            Empty if nothing was asked, or not even that was reached.
        """
        done = {label for label, c in summary.tasks.items() if c.done == c.total}
        return self._options.until if not summary.interrupted and self._wanted <= done else ""


def _with_makers(label: str, nodes: Mapping[str, TaskNode]) -> set[str]:
    """Return a task and all that it depends on."""
    made = {c.dataset_type: n.label for n in nodes.values() for c in n.connections if not _reads(c)}
    out: set[str] = set()
    waiting = [label]
    while waiting:
        out.add(current := waiting.pop())
        read = (c.dataset_type for c in nodes[current].connections if _reads(c))
        waiting += [made[name] for name in read if name in made and made[name] not in out]
    return out


def _reads(connection: Any) -> bool:
    return bool(connection.is_input or connection.role == "init_input")


def _check_commands(nodes: Mapping[str, TaskNode], begin_at: Mapping[str, int]) -> None:
    for label, number in begin_at.items():
        if label not in nodes:
            raise UsageError(
                f"there is no task '{label}'", code="unknown-label", hint=nearest(label, list(nodes))
            )
        n = len(nodes[label].config.get("commands") or [""]) if nodes[label].kind == "shell" else 0
        if number > n:
            what = "command" if n == 1 else "commands"
            raise UsageError(
                f"task '{label}' has {n} {what}, so it cannot begin at command {number}"
                if n
                else f"task '{label}' is no shell task, so it has no commands to begin at",
                code="bad-command",
                hint=f"Give {label}:1 to {label}:{n}." if n else "Leave --from-command out.",
            )
