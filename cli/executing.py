"""What ``stage exec`` does with its options, and the words of its answer; nothing here parses a command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from cli.exit_codes import ExitCode
from registry.errors import UsageError

if TYPE_CHECKING:
    from stage.execution.progress import RunSummary

__all__ = ["dump_environment", "execute"]

_SHOWN = 10


def execute(
    *,
    graph: str,
    record: str = "",
    processes: int | None = None,
    quiet: bool = False,
    as_json: bool = False,
    **options: Any,
) -> ExitCode:
    """Execute quanta from a graph file alone, and say what became of them.

    Parameters
    ----------
    graph : str
        The graph file.
    record : str, optional
        Where to write what became of them.
    processes : int, optional
        Worker processes; by default 1, and 0 for a job of a submission.
    quiet : bool, optional
        Whether to write nothing while it works.
    as_json : bool, optional
        Whether to answer in JSON.
    **options : object
        As for `stage.exec_graph`.

    Returns
    -------
    ExitCode
        What the command ends with.

    Raises
    ------
    UsageError
        If it is not said which quanta, or where to write what becomes of them.
    """
    _check(record, options)
    if processes is None:
        processes = 0 if options.get("workflow") else 1
    from cli.progress import progress_display
    from stage.campaign.jobs import exec_graph

    # What tasks print in this process (-j 0) is not our answer.
    with progress_display(quiet=quiet or as_json) as on_progress, redirect_stdout(sys.stderr):
        report = exec_graph(graph, record=record, processes=processes, on_progress=on_progress, **options)
    (_tell_json if as_json else _tell)(report, record)
    if report.interrupted:
        return ExitCode.INTERRUPTED
    if report.is_out_of_memory:
        return ExitCode.OUT_OF_MEMORY
    return ExitCode.DONE if report.is_complete else ExitCode.PARTLY_DONE


def _check(record: str, options: dict[str, Any]) -> None:
    if not (options.get("quanta") or options.get("quantum") or options.get("workflow")):
        raise UsageError(
            "which quanta are to be executed has to be said",
            code="bad-quanta",
            hint="By number, --quanta 0,3,7-12 or all; by name, --quantum LABEL:DIMENSION=VALUE,…; "
            "or as a job, --workflow FILE --job NUMBER.",
        )
    if not record:
        raise UsageError(
            "where to write what becomes of the quanta has to be said",
            code="no-record",
            hint="As --record job.jsonl; 'stage merge' brings it into staging.",
        )


def _tell(report: RunSummary, record: str) -> None:
    from cli.render import count_text, emit

    total = report.total
    ran = count_text(total.done - total.skipped, "quantum", "quanta")
    emit(f"ran     {ran}, {total.failed:,} failed, {total.blocked:,} blocked")
    if total.skipped:
        skipped = count_text(total.skipped, "quantum", "quanta")
        emit(f"skipped {skipped}, complete already (--force runs them again)")
    emit(f"record  {record}")
    for failure in report.failures[:_SHOWN]:
        emit(f"failed  {failure.quantum}: {failure.message.strip().splitlines()[0]}")
    if report.interrupted:
        emit("interrupted; the same command goes on from here")


def _tell_json(report: RunSummary, record: str) -> None:
    from dataclasses import asdict

    from cli.render import emit_json

    emit_json(
        {
            "run": report.run,
            "record": record,
            "tasks": {k: asdict(v) for k, v in report.tasks.items()},
            "failures": [{"quantum": f.quantum, "message": f.message} for f in report.failures],
            "interrupted": report.interrupted,
            "out_of_memory": report.is_out_of_memory,
        }
    )


def dump_environment(
    graph: str, quantum: Sequence[str], datastore: str | None = None, *, as_json: bool = False
) -> None:
    """Print the environment that the script of one quantum gets.

    Parameters
    ----------
    graph : str
        The graph file.
    quantum : sequence of str
        The one name of a quantum.
    datastore : str, optional
        Where its inputs are.
    as_json : bool, optional
        Whether to answer in JSON.

    Raises
    ------
    UsageError
        If it is not one.
    """
    if len(quantum) != 1:
        raise UsageError(
            "an environment is of one quantum",
            code="bad-quanta",
            hint="Name it: --quantum LABEL:DIMENSION=VALUE,…",
        )
    from cli.render import emit, emit_json
    from stage.campaign.by_hand import as_exports, quantum_environment

    with redirect_stdout(sys.stderr):
        found = quantum_environment(graph, quantum[0], datastore=datastore)
    if as_json:
        emit_json(found)
        return
    for line in as_exports(found):
        emit(line)
