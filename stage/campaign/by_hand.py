"""Quanta that a person runs by hand: named by task and data ID, with the environment that their scripts get."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from stage.execution.worker import QuantumRunner
    from stage.graph.quantum import Quantum

__all__ = ["as_exports", "named_quanta", "quantum_environment"]


def named_quanta(graph_uri: str, names: Iterable[str]) -> list[int]:
    """Find quanta by task and data ID.

    Parameters
    ----------
    graph_uri : str
        A graph file.
    names : iterable of str
        Each as ``label:detector=1,visit=2``, or a label alone for all quanta of that task.

    Returns
    -------
    list of int
        Their numbers in the graph, rising, each once.

    Raises
    ------
    UsageError
        If one is not of that form.
    NotFoundError
        If the graph has no such task, or no quantum with these values.
    """
    from stage.graph.graph import QuantumGraph

    graph = QuantumGraph.load(graph_uri)
    found: set[int] = set()
    for name in names:
        label, values = _split(name)
        ordinals = graph.find(label, values).tolist()
        if not ordinals:
            dimensions = ", ".join(graph.node(label).dimensions) or "none"
            raise NotFoundError(
                f"the graph has no quantum '{name}'",
                code="unknown-quantum",
                hint=f"Dimensions of '{label}' are: {dimensions}. 'stage qg show FILE' lists its quanta.",
            )
        found.update(ordinals)
    return sorted(found)


def _split(name: str) -> tuple[str, dict[str, str]]:
    label, colon, rest = name.partition(":")
    values: dict[str, str] = {}
    for word in rest.split(",") if colon else ():
        dimension, equals, value = (part.strip() for part in word.partition("="))
        if not (label and dimension and equals and value):
            raise UsageError(
                f"'{name}' does not name a quantum",
                code="bad-quanta",
                hint="As LABEL:DIMENSION=VALUE,DIMENSION=VALUE.",
            )
        values[dimension] = value
    return label.strip(), values


def quantum_environment(
    graph: str, quantum: str, *, datastore: str | None = None, task_path: Sequence[str] = ()
) -> dict[str, str]:
    """Return the variables that the script of one quantum gets, with a scratch directory to run it in by hand.

    Parameters
    ----------
    graph : str
        A graph with a RUN.
    quantum : str
        Which, see `named_quanta`.
    datastore : str, optional
        Where its inputs are; by default ``$STAGE_DATASTORE``, or ``data`` of the campaign that the graph lies in.
    task_path : sequence of str, optional
        Directories of the users' own modules, besides those that the graph names.

    Returns
    -------
    dict of str to str
        By name. ``STAGE_SCRATCH`` and ``STAGE_OUTPUT_DIR`` are made and empty, and the caller's to remove. What is
        written there is nobody's output. A task that is no script has only the variables that tell of the quantum.

    Raises
    ------
    UsageError
        If more than one quantum is meant, or the graph has no RUN.
    NotFoundError
        If there is none, or one of its inputs is not there.
    """
    from stage.campaign.jobs import code_dirs, datastore_of, given_datastore, open_run_graph
    from stage.execution.worker import QuantumRunner, RunnerSettings
    from stage.execution.workplace import workspace_of

    opened = open_run_graph(graph)
    ordinals = named_quanta(graph, [quantum])
    if len(ordinals) > 1:
        raise UsageError(
            f"'{quantum}' means {len(ordinals)} quanta, and an environment is of one",
            code="bad-quanta",
            hint=f"Give all its dimensions: {', '.join(opened.quantum(ordinals[0]).data_id)}.",
        )
    store = datastore or given_datastore() or datastore_of(graph, opened.header.output_run)
    runner = QuantumRunner(RunnerSettings(graph, store, tuple(task_path), code_dirs=code_dirs()))
    found = opened.quantum(ordinals[0])
    told = workspace_of(runner.settings, opened.header, found, 0).environment
    return {**told, **_script_variables(runner, found)}


def _script_variables(runner: QuantumRunner, quantum: Quantum) -> dict[str, str]:
    """Return what a script gets, its directories made; of another task what tells of the quantum."""
    import tempfile

    from stage.execution.limited import LimitedRepo
    from stage.tasks.shell import ShellTask

    task = runner.task(quantum.label)
    if not isinstance(task, ShellTask):
        return {"STAGE_TASK": quantum.label, "STAGE_DATA_ID": json.dumps(quantum.data_id)}
    # Not closed: files that had to be unpacked or fetched stay for whoever runs the script.
    repo = LimitedRepo(quantum, runner.store)
    there = {name: [r for r in refs if r.size or repo.exists(r)] for name, refs in quantum.inputs.items()}
    root = Path(tempfile.mkdtemp(prefix=f"stage-{quantum.label}-"))
    return task.prepare(replace(quantum, inputs=there), repo, root)


def as_exports(environment: dict[str, str]) -> list[str]:
    """Word variables so that a shell takes them over.

    Parameters
    ----------
    environment : dict of str to str
        By name.

    Returns
    -------
    list of str
        Lines for ``eval``.
    """
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
