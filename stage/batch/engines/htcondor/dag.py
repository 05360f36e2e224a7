"""The DAG of a workflow, written line by line: a node for each job, its values, what it waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stage.batch.engines.htcondor.arguments import Arguments, macro, vars_value
from stage.batch.workflow.model import WhenRun, Workflow

__all__ = ["CONFIG", "STATUS", "node_names", "write_dag"]

STATUS = "nodes.status"
"""Where DAGMan keeps what became of the nodes."""
CONFIG = "dagman.config"
_FINAL = "finalJob"
_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
_AT_ONCE = 1000


def node_names(workflow: Workflow) -> list[str]:
    """Return what the nodes are called: as the jobs, where DAGMan takes that.

    Parameters
    ----------
    workflow : Workflow
        The jobs.

    Returns
    -------
    list of str
        By the numbers of the jobs; each once, without what DAGMan takes for something else.
    """
    return [
        name
        if _PLAIN.match(name) and name.upper() not in _WORDS
        else f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)}__{number}"
        for number, name in enumerate(workflow.names)
    ]


_WORDS = frozenset(
    [
        "JOB",
        "DATA",
        "SUBDAG",
        "SERVICE",
        "FINAL",
        "PROVISIONER",
        "PARENT",
        "CHILD",
        "SCRIPT",
        "RETRY",
        "ABORT-DAG-ON",
        "VARS",
        "PRIORITY",
        "CATEGORY",
        "MAXJOBS",
        "CONFIG",
        "DOT",
        "DONE",
        "NOOP",
        "NODE_STATUS_FILE",
        "REJECT",
        "INCLUDE",
        "SPLICE",
        "CONNECT",
        "PIN_IN",
        "PIN_OUT",
        "SAVE_POINT_FILE",
        "ENV",
        "SET_JOB_ATTR",
        "SUBMIT-DESCRIPTION",
        "JOBSTATE_LOG",
        "PRE_SKIP",
        "ALL_NODES",
    ]
)


def write_dag(
    path: Path,
    workflow: Workflow,
    descriptions: Sequence[tuple[str, Arguments]],
    limits: Mapping[str, int],
    attributes: Mapping[str, str],
) -> None:
    """Write a DAG.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    workflow : Workflow
        The jobs.
    descriptions : sequence of (str, Arguments)
        For each of the workflow's settings, and the final job's after them, the file of its description and its command.
    limits : mapping of str to int
        How many jobs of a concurrency limit may run at once.
    attributes : mapping of str to str
        Attributes that the job of DAGMan itself gets.
    """
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_lines(workflow, descriptions, limits, attributes))


def _lines(
    workflow: Workflow,
    descriptions: Sequence[tuple[str, Arguments]],
    limits: Mapping[str, int],
    attributes: Mapping[str, str],
) -> Iterator[str]:
    nodes = node_names(workflow)
    yield f"CONFIG {CONFIG}\nNODE_STATUS_FILE {STATUS} 30\n"
    for name, value in attributes.items():
        yield f'SET_JOB_ATTR {name} = "{value}"\n'
    yield from _jobs(workflow, nodes, descriptions, limits)
    yield from _edges(workflow, nodes)
    yield from (f"MAXJOBS {name} {number}\n" for name, number in limits.items())
    if workflow.final is not None and workflow.when_final != WhenRun.NEVER:
        yield from _final(workflow, nodes, descriptions[-1][0])


def _jobs(
    workflow: Workflow,
    nodes: Sequence[str],
    descriptions: Sequence[tuple[str, Arguments]],
    limits: Mapping[str, int],
) -> Iterator[str]:
    kept = [s.concurrency_limit if s.concurrency_limit in limits else None for s in workflow.settings]
    for number, kind in enumerate(workflow.settings_of.tolist()):
        node, (file, command) = nodes[number], descriptions[kind]
        values = {macro("name"): workflow.names[number], **command.values_of(number)}
        text = "".join(f' {name}="{vars_value(value)}"' for name, value in values.items())
        yield f"JOB {node} {file}\nVARS {node}{text}\n"
        priority = workflow.settings[kind].priority
        if priority:
            yield f"PRIORITY {node} {priority}\n"
        if kept[kind]:
            yield f"CATEGORY {node} {kept[kind]}\n"


def _edges(workflow: Workflow, nodes: Sequence[str]) -> Iterator[str]:
    """Name what jobs wait for; jobs that wait for the same, one after another, in one line."""
    indptr = workflow.parents.indptr.tolist()
    indices = workflow.parents.indices
    children: list[str] = []
    before = b""
    parents = ""
    for number, node in enumerate(nodes):
        row = indices[indptr[number] : indptr[number + 1]]
        same = row.tobytes()
        if not same:
            continue
        if same != before or len(children) >= _AT_ONCE:
            if children:
                yield f"PARENT {parents} CHILD {' '.join(children)}\n"
            before, children = same, []
            parents = " ".join(nodes[p] for p in row.tolist())
        children.append(node)
    if children:
        yield f"PARENT {parents} CHILD {' '.join(children)}\n"


def _final(workflow: Workflow, nodes: Sequence[str], description: str) -> Iterator[str]:
    """Write the final job: DAGMan's own last node if it always runs, otherwise a job that waits for all the last ones."""
    node = _FINAL
    while node in nodes:
        node += "_"
    always = workflow.when_final == WhenRun.ALWAYS
    yield f'{"FINAL" if always else "JOB"} {node} {description}\nVARS {node} {macro("name")}="{node}"\n'
    if always:
        return
    waited_for = set(workflow.parents.indices.tolist())
    last = [node for number, node in enumerate(nodes) if number not in waited_for]
    for start in range(0, len(last), _AT_ONCE):
        yield f"PARENT {' '.join(last[start : start + _AT_ONCE])} CHILD {node}\n"
