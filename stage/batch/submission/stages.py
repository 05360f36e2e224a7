"""The stages after the first, each by itself."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stage.batch.engines.finding import engine_sites
from stage.batch.submission.engines import engine_name, find_for, memory_limits
from stage.batch.submission.handing import hand_over
from stage.batch.submission.identity import Identity, SubmitStage, save_identity
from stage.batch.submission.report import SubmitReport
from stage.campaign.files import write_atomically
from sync.faults import At, no_fault

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.engines.base import Engine
    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["Stages", "has_files", "shown_files"]

_log = logging.getLogger(__name__)
_SHOWN_BYTES = 200_000
CLUSTERS_JSON, CLUSTERS_DOT = "clusters.json", "clusters.dot"
JOBS_JSON, JOBS_DOT = "workflow.json", "workflow.dot"


class Stages:
    """A submission of which the first stage is done.

    Parameters
    ----------
    where : SubmitDir
        Where its files are written.
    identity : Identity
        What it is.
    settings : Settings
        Its settings.
    notes : sequence of str, optional
        What a person may want to know.
    dropped : sequence of str, optional
        Runs whose place it takes.
    place : SubmitDir, optional
        Its directory, if what is written now is only to be looked at.
    at : callable, optional
        Called with the name of each step that is done.
    """

    def __init__(
        self,
        where: SubmitDir,
        identity: Identity,
        settings: Settings,
        notes: Sequence[str] = (),
        dropped: Sequence[str] = (),
        *,
        place: SubmitDir | None = None,
        at: At = no_fault,
    ) -> None:
        self.where, self.identity, self.settings = where, identity, settings
        self._place, self._notes, self._dropped = place or where, list(notes), dropped
        self._made: tuple[Any, Any] | None = None
        self._workflow: Workflow | None = None
        self._at = at

    def do(self, stage: SubmitStage, *, wait: bool = False) -> str:
        """Do one stage, and note that it is done.

        Parameters
        ----------
        stage : SubmitStage
            Not the first.
        wait : bool, optional
            With the last one: stay until all has ended.

        Returns
        -------
        str
            What became of it, if it was waited for; else empty.
        """
        began = time.monotonic()
        if stage is SubmitStage.SUBMIT:
            self.identity, state = hand_over(self.where, self.identity, wait=wait, at=self._at)
            return state
        changes = {
            SubmitStage.CLUSTER: self._cluster,
            SubmitStage.TRANSFORM: self._transform,
            SubmitStage.PREPARE: self._prepare,
        }[stage]()
        self._at(f"{stage.value}-made")
        self.identity = self.identity.after(stage, **changes)
        save_identity(self.where, self.identity)
        self._at(f"{stage.value}-noted")
        _log.info("%s: %.1f s", stage.value, time.monotonic() - began)
        return ""

    def report(self, state: str) -> SubmitReport:
        """Say how far it has come.

        Parameters
        ----------
        state : str
            What became of it, if it was waited for.

        Returns
        -------
        SubmitReport
            For the command.
        """
        it = self.identity
        done = [s.value for s in SubmitStage if it.has_done(s)]
        return SubmitReport(
            submit_dir=str(self._place.root),
            run_id=it.id,
            run_name=it.name,
            run=it.run,
            stage=done[-1] if done else SubmitStage.ACQUIRE.value,
            engine=it.engine,
            site=it.site,
            n_quanta=it.n_quanta,
            n_jobs=it.n_jobs,
            notes=self._notes,
            dropped=self._dropped,
            state=state,
            sites=engine_sites(self.where),
        )

    def jobs(self) -> Workflow:
        """Make the jobs; nothing is written.

        Returns
        -------
        Workflow
            The same from the same graph and settings.
        """
        from stage.batch.workflow.making import make_workflow

        limits = memory_limits(self.settings, self._engine(), self.identity.site)
        return make_workflow(*self._clusters(), self.settings, limits=limits)

    def _clusters(self) -> tuple[Any, Any]:
        """Return the graph as a table, and its clusters: the same whenever they are asked for."""
        from stage.batch.clustering.clusters import cluster_quanta
        from stage.batch.clustering.quanta import QuantaTable
        from stage.graph.graph import QuantumGraph

        if self._made is None:
            table = QuantaTable.of(QuantumGraph.load(str(self.where.graph)))
            self._made = table, cluster_quanta(table, self.settings)
        return self._made

    def _cluster(self) -> Mapping[str, Any]:
        table, clusters = self._clusters()
        if self.settings.flag("saveClusteredQgraph"):
            from stage.batch.workflow.document import clusters_document

            _write_json(self.where.root / CLUSTERS_JSON, clusters_document(table, clusters))
        if self.settings.flag("saveDot"):
            from stage.batch.workflow.drawing import draw_clusters

            _write(self.where.root / CLUSTERS_DOT, draw_clusters(table, clusters))
        return {}

    def _transform(self) -> Mapping[str, Any]:
        from stage.batch.workflow.file import save_workflow
        from stage.batch.workflow.final import final_script

        settings = self.settings
        workflow = self._workflow = self.jobs()
        save_workflow(workflow, self.where.workflow)
        self._at("workflow-saved")
        if workflow.final is not None:
            _write(self.where.final_script, final_script(workflow, settings))
            self.where.final_script.chmod(0o755)
        if settings.flag("saveGenericWorkflow"):
            from stage.batch.workflow.document import workflow_document

            _write_json(self.where.root / JOBS_JSON, workflow_document(workflow))
        if settings.flag("saveDot"):
            from stage.batch.workflow.drawing import draw_workflow

            _write(self.where.root / JOBS_DOT, draw_workflow(workflow))
        return {"n_jobs": workflow.n_jobs}

    def _prepare(self) -> Mapping[str, Any]:
        from stage.batch.engines.finding import save_engine
        from stage.batch.workflow.file import load_workflow

        workflow = self._workflow or load_workflow(self.where.workflow)
        engine = self._engine(workflow)
        self.where.engine.mkdir(parents=True, exist_ok=True)
        engine.prepare(workflow, self.where)
        self._at("engine-prepared")
        save_engine(self.where, engine_name(engine, self.identity.engine), engine.settings)
        return {}

    def _engine(self, workflow: Workflow | None = None) -> Engine:
        it = self.identity
        return find_for(self.settings, it.site, it.engine, it.name, workflow=workflow)


def has_files(where: SubmitDir, stage: SubmitStage) -> bool:
    """Tell whether what a stage leaves for the next is there.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    stage : SubmitStage
        Which.

    Returns
    -------
    bool
        Clusters are made again from the graph whenever they are needed: they leave nothing that would be.
    """
    left = {SubmitStage.TRANSFORM: where.workflow, SubmitStage.PREPARE: where.engine}
    return stage not in left or left[stage].exists()


def shown_files(aside: SubmitDir, place: SubmitDir) -> dict[str, str]:
    """Read what was written to be looked at.

    Parameters
    ----------
    aside : SubmitDir
        Where it is.
    place : SubmitDir
        Where it would be.

    Returns
    -------
    dict of str to str
        Path to text: of jobs the JSON, and every small file that is text.
    """
    from stage.batch.workflow.document import workflow_document
    from stage.batch.workflow.file import load_workflow

    out: dict[str, str] = {}
    for path in sorted(p for p in aside.root.rglob("*") if p.is_file() and p != aside.graph):
        text = _text_of(path)
        if path == aside.workflow:
            text = json.dumps(workflow_document(load_workflow(path)), indent=1, default=str)
        if text and path != aside.identity:
            shown = place.root / path.relative_to(aside.root)
            out[str(shown)] = text.replace(str(aside.root), str(place.root))
    return out


def _text_of(path: Path) -> str:
    if path.stat().st_size > _SHOWN_BYTES:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode())


def _write_json(path: Path, document: Any) -> None:
    _write(path, json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")
