"""Commands of jobs: what is put into them at once, and what is left to be put in for each job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.workflow.needs import Place, disagree

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings

__all__ = ["OF_THE_HEAD", "OF_THE_JOB", "Command", "command_of", "file_values"]

_NAME = re.compile(r"\{(\w+)\}")
OF_THE_HEAD = "attempt"
"""Put in for each attempt by whoever starts it."""
OF_THE_JOB = ("jobNumber", "jobName", "recordFile", "qgraphNodeId", "node_number", "subDir")
"""Put in for each job, besides the dimensions that its name may have."""
_KEY = "runQuantumCommand"


@dataclass(frozen=True, slots=True)
class Command:
    """How jobs of one label are run.

    Parameters
    ----------
    executable, arguments : str
        Program and arguments; ``{name}`` is put in for each job.
    values : mapping of str to object, optional
        What is put in that is the same for all of them.
    own : tuple of str, optional
        Names of what differs from job to job.
    """

    executable: str
    arguments: str
    values: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[str, ...] = ()


def file_values(settings: Settings, names: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what stands for files in commands.

    Parameters
    ----------
    settings : Settings
        The submission's.
    names : mapping of str to str, optional
        What goes before.

    Returns
    -------
    dict of str to str
        ``qgraphFile`` and ``graphFile``, the graph; ``workflowFile``, where jobs find what is theirs.
    """
    root = settings.text("submitPath").rstrip("/") or "."
    graph = settings.text("qgraphFile") or f"{root}/graph.qg"
    return {"qgraphFile": graph, "graphFile": graph, "workflowFile": f"{root}/workflow.jobs", **(names or {})}


def command_of(
    settings: Settings,
    label: str,
    place: Place,
    tasks: Sequence[str],
    *,
    given: Mapping[str, Any],
    files: Mapping[str, str],
    dimensions: Sequence[str] = (),
    late_environment: bool = False,
    graph_id: str = "",
) -> Command:
    """Return the command of a label's jobs.

    Parameters
    ----------
    settings : Settings
        The submission's.
    label : str
        The label.
    place : Place
        Whose settings count for what is put in.
    tasks : sequence of str
        Its tasks, which must agree about the command where no section of ``cluster`` says it.
    given : mapping
        That section; empty for a task.
    files : mapping of str to str
        What stands for files.
    dimensions : sequence of str, optional
        Dimensions by which its jobs are told apart.
    late_environment : bool, optional
        Whether variables of the environment are marked, to be put in on the machine of the job.
    graph_id : str, optional
        The graph's.

    Returns
    -------
    Command
        What is named and nowhere said is empty, as users of the field have it.

    Raises
    ------
    UsageError
        If there is none, or tasks disagree about it.
    """
    options: dict[str, Any] = {
        "replace": False,
        "expand_env": not late_environment,
        "replace_env": late_environment,
    }
    if _KEY in given or not tasks:
        text = str(settings.search(_KEY, **place.where, **options)[1])
    else:
        text = _agreed(settings, label, place, tasks, options)
    if not text.strip():
        raise UsageError(
            f"jobs of '{label}' have no command",
            code="no-command",
            hint=f"Set {_KEY} in the submission's YAML, or leave it to the package's.",
        )
    own = (*OF_THE_JOB, *dimensions)
    known: dict[str, Any] = {"label": label, "qgraphId": graph_id, **files}
    return _filled(settings, place, text.strip(), known, own)


def _agreed(
    settings: Settings, label: str, place: Place, tasks: Sequence[str], options: Mapping[str, Any]
) -> str:
    texts = {}
    for task in tasks:
        where = {**place.where, "pipetask": task}
        texts[task] = str(settings.search(_KEY, **where, **options)[1])
    first = next(iter(texts))
    for task, text in texts.items():
        if text != texts[first]:
            raise disagree(label, _KEY, (first, texts[first]), (task, text))
    return texts[first]


def _filled(
    settings: Settings, place: Place, text: str, known: dict[str, Any], own: Sequence[str]
) -> Command:
    """Put files in at once; of what else is named, tell what is the same for all jobs from what is each one's own."""
    skipped = {*own, OF_THE_HEAD}
    executable, _, arguments = text.partition(" ")
    values: dict[str, Any] = {}

    def value_of(name: str) -> Any:
        if name in known:
            return known[name]
        return settings.search(name, **place.where, values=known, skip=skipped)[1]

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name in skipped:
            return match[0]
        value = value_of(name)
        if name in _FILES or _NAME.search(str(value)):
            return str(value)
        values[name] = value
        return match[0]

    executable = _NAME.sub(lambda m: m[0] if m[1] in skipped else str(value_of(m[1])), executable)
    # What was put in may itself name what is each job's own.
    arguments = _NAME.sub(put, arguments)
    first, _, more = executable.partition(" ")
    arguments = f"{more} {arguments}" if more else arguments
    named = dict.fromkeys(_NAME.findall(f"{first} {arguments}"))
    return Command(first, arguments, values, tuple(n for n in named if n in own))


_FILES = ("qgraphFile", "graphFile", "workflowFile")
