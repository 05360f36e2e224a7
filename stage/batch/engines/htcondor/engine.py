"""`HTCondorEngine`: a workflow as a DAG, which HTCondor's DAGMan works through with no process of ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from registry.errors import NotFoundError, StorageError, UsageError
from stage.batch.engines.base import Engine, EngineSettings, JobState
from stage.batch.engines.htcondor.arguments import Arguments
from stage.batch.engines.htcondor.client import Client, escaped, find_client
from stage.batch.engines.htcondor.dag import CONFIG, STATUS, node_names, write_dag
from stage.batch.engines.htcondor.descriptions import describe
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun

if TYPE_CHECKING:
    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["HTCondorEngine"]

_log = logging.getLogger(__name__)
_DAG = "workflow.dag"
_LOG = f"{_DAG}.dagman.log"
"""Events of DAGMan's own job, of which the first is that it was submitted."""
_SUBMITTED = re.compile(r"^000 \((\d+)\.", re.MULTILINE)
_TAG = "stage_dir"
"""Attribute of DAGMan's job alone: the submission's directory."""
_HERE = frozenset({1, 2, 5})
"""The queue's codes of jobs that wait, run or are held."""
_NODE = re.compile(r"\[\s*Type = \"NodeStatus\";(.*?)\n\]", re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+) = (\"(?:[^\"\\]|\\.)*\"|-?\d+)", re.MULTILINE)
_STATES = {
    0: JobState.UNREADY,
    1: JobState.READY,
    2: JobState.READY,
    3: JobState.PENDING,
    4: JobState.RUNNING,
    5: JobState.SUCCEEDED,
    6: JobState.FAILED,
    7: JobState.PRUNED,
}
"""DAGMan's codes of the states of nodes."""
_QUEUED = {1: JobState.PENDING, 2: JobState.RUNNING, 5: JobState.HELD, 3: JobState.DELETED}
"""The queue's codes of the states of jobs."""


class HTCondorEngine(Engine):
    """Hands a whole workflow to DAGMan.

    Parameters
    ----------
    settings : EngineSettings
        The site's. ``profile: {condor: {…}}`` adds commands to submit descriptions, ``dagman: {…}`` settings of DAGMan's,
        ``concurrencyLimits: {name: number}`` limits that the DAG keeps itself; limits of other names are the pool's.
    """

    name: ClassVar[str] = "htcondor"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        where = f"site.{settings.site}"
        profile = _section(settings.options, "profile", where)
        self._profile = _section(profile, "condor", f"{where}.profile")
        self._dagman = _section(settings.options, "dagman", where)
        self._limits = _section(settings.options, "concurrencyLimits", where)
        for name, number in self._limits.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise UsageError(
                    f"{where}.concurrencyLimits.{name} is {number!r}, and has to be a whole number, 1 or more",
                    code="bad-setting",
                )

    def ping(self) -> str:
        """Ask whether the scheduler answers.

        Returns
        -------
        str
            Its version.
        """
        return self._client().version()

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return the memory of the largest machine.

        Parameters
        ----------
        pattern : str, optional
            Regular expression of the names of machines that count.

        Returns
        -------
        int or None
            Megabytes; None if there is no machine of such a name, or no pool that could be asked.
        """
        try:
            machines = self._client().slots(["Machine", "TotalSlotMemory"])
        except (StorageError, UsageError) as error:
            # Files can be prepared anywhere.
            _log.warning("the memory of the pool's machines is not known: %s", error)
            return None
        wanted = re.compile(pattern)
        found = [
            int(m.get("TotalSlotMemory") or 0) for m in machines if wanted.search(str(m.get("Machine") or ""))
        ]
        return max(found, default=0) or None

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write the DAG, its settings, and a submit description for each kind of jobs.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            What was written, the DAG first.
        """
        where.engine.mkdir(parents=True, exist_ok=True)
        attributes = _attributes(workflow)
        kinds = list(workflow.settings)
        if workflow.final is not None and workflow.when_final != WhenRun.NEVER:
            kinds.append(_final(workflow.final, where))
        files: list[tuple[str, Arguments]] = []
        written: list[Path] = []
        for kind, settings in enumerate(kinds):
            path = where.engine / _file_name(settings.label, {name for name, _ in files})
            command = Arguments(
                settings, workflow.values, np.flatnonzero(workflow.settings_of == kind).tolist()
            )
            text = describe(
                settings,
                where,
                command=command,
                attributes=attributes,
                environment=self.settings.environment,
                limits=self._limits,
                profile=self._profile,
            )
            path.write_text(text, encoding="utf-8")
            (where.jobs / settings.label).mkdir(parents=True, exist_ok=True)
            files.append((path.name, command))
            written.append(path)
        config = where.engine / CONFIG
        config.write_text(_config(self._dagman), encoding="utf-8")
        dag = where.engine / _DAG
        # What DAGMan's job before wrote is of the DAG before.
        (where.engine / _LOG).unlink(missing_ok=True)
        write_dag(dag, workflow, files, self._limits, {**attributes, _TAG: escaped(str(where.root))})
        return [dag, config, *written]

    def submit(self, where: SubmitDir, name: str) -> str:
        """Hand a prepared workflow to DAGMan, unless it has it: who did that may have been killed before noting it.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        name : str
            What the queue shows.

        Returns
        -------
        str
            The cluster of DAGMan's job: by it the run is known to HTCondor.
        """
        dag = where.engine / _DAG
        if not dag.is_file():
            raise NotFoundError(
                f"{where.root} was not prepared: there is no {_DAG}",
                code="not-prepared",
                hint="Prepare it first: stage batch prepare.",
            )
        client = self._client()
        known = _in_queue(client, where) or _in_log(where)
        if known:
            _log.info("DAGMan has %s already, as cluster %s", dag, known)
        return known or str(client.submit_dag(dag, name))

    def restart(self, where: SubmitDir, name: str) -> str:
        """Submit what has not ended well: DAGMan left a rescue file that says what has.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        name : str
            What the queue shows.

        Returns
        -------
        str
            The cluster of DAGMan's new job.
        """
        if not list(where.engine.glob(f"{_DAG}.rescue*")):
            raise NotFoundError(
                f"there is nothing to restart in {where.root}: DAGMan has left no rescue file",
                code="nothing-to-restart",
                hint="It still runs, or has ended well: see stage batch report.",
            )
        client = self._client()
        return _in_queue(client, where) or str(client.submit_dag(where.engine / _DAG, name))

    def cancel(self, handle: str, name: str) -> int:
        """Remove DAGMan's job, which removes those of its nodes and runs the final one.

        Parameters
        ----------
        handle : str
            What `submit` returned.
        name : str
            The run's; a job of that number which is of another run is left alone.

        Returns
        -------
        int
            How many jobs were removed; 0 if it is not in the queue, or not ours.
        """
        return self._client().act("remove", f'ClusterId == {int(handle)} && bps_run == "{name}"')

    def states(self, workflow: Workflow, where: SubmitDir, handle: str = "") -> list[JobState]:
        """Return where the jobs are, by the file that DAGMan keeps and, while it runs, by the queue.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.
        handle : str, optional
            What `submit` returned; without it the queue is not asked.

        Returns
        -------
        list of JobState
            By their numbers.
        """
        by_node = _node_states(where.engine / STATUS)
        if handle:
            jobs = self._client().query(f"DAGManJobId == {int(handle)}", ["DAGNodeName", "JobStatus"])
            by_node |= {
                str(j["DAGNodeName"]): _QUEUED[j["JobStatus"]] for j in jobs if j["JobStatus"] in _QUEUED
            }
        return [by_node.get(node, JobState.UNREADY) for node in node_names(workflow)]

    def _client(self) -> Client:
        return find_client()


def _in_queue(client: Client, where: SubmitDir) -> str:
    """Return the cluster of DAGMan's job for a submission, if it is in the queue; else nothing."""
    found = client.query(f'{_TAG} == "{escaped(str(where.root))}"', ["ClusterId", "JobStatus"])
    known = [int(j["ClusterId"]) for j in found if j.get("ClusterId") and j.get("JobStatus") in _HERE]
    return str(max(known)) if known else ""


def _in_log(where: SubmitDir) -> str:
    """Return the cluster of DAGMan's last job for a submission, also if it has ended: by the log that the queue writes."""
    path = where.engine / _LOG
    if not path.is_file():
        return ""
    found = _SUBMITTED.findall(path.read_text(encoding="utf-8", errors="replace"))
    return str(int(found[-1])) if found else ""


def _section(options: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = options.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise UsageError(f"{where}.{name} is {found!r}, and has to be a section", code="bad-setting")
    return found


def _attributes(workflow: Workflow) -> dict[str, str]:
    """Return the attributes by which the field's own tools find the jobs of a run."""
    named = {
        k: workflow.attributes[k]
        for k in ("project", "campaign", "operator", "payload")
        if k in workflow.attributes
    }
    return {"bps_isjob": "True", "bps_run": workflow.name} | {f"bps_{k}": v for k, v in named.items()}


def _final(settings: JobSettings, where: SubmitDir) -> JobSettings:
    return replace(settings, kind=JobKind.FINAL, executable="/bin/bash", arguments=str(where.final_script))


def _file_name(label: str, taken: Collection[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", label)
    while f"{name}.sub" in taken:
        name += "_"
    return f"{name}.sub"


def _config(extra: Mapping[str, Any]) -> str:
    settings: dict[str, Any] = {
        # Nodes that wait in the queue cost the scheduler; it needs no more than these to choose from.
        "DAGMAN_MAX_JOBS_IDLE": 1000,
    }
    settings |= dict(extra)
    for name, value in settings.items():
        if not re.fullmatch(r"[A-Z_]+", name) or isinstance(value, (list, dict)) or "\n" in str(value):
            raise UsageError(
                f"'{name}: {value}' is no setting of DAGMan",
                code="bad-setting",
                hint="As dagman: {DAGMAN_MAX_JOBS_IDLE: 500}.",
            )
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _node_states(path: Path) -> dict[str, JobState]:
    """Read the file in which DAGMan keeps the states of nodes."""
    if not path.is_file():
        return {}
    found: dict[str, JobState] = {}
    for ad in _NODE.findall(path.read_text(encoding="utf-8", errors="replace")):
        fields = {name: value.strip('"') for name, value in _FIELD.findall(ad)}
        if "Node" in fields and fields.get("NodeStatus", "").isdigit():
            found[fields["Node"]] = _STATES.get(int(fields["NodeStatus"]), JobState.UNKNOWN)
    return found
