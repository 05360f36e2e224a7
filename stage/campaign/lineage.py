"""What a dataset or quantum came from and what came of it; or why there is no such dataset."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.data_id import typed_assignments
from registry.model.records import QuantumStatus
from registry.model.refs import id_text, parse_id
from stage.campaign.absent import Absence, absences, planned_types
from stage.campaign.graph_reports import Document
from stage.campaign.lineage_tree import Datasets, LineageTree, Quanta
from stage.campaign.moved_on import moved_on
from stage.campaign.reading import is_id
from stage.campaign.run_documents import run_document

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from sync.repo import Repo

__all__ = ["QuantumFacts", "Why", "why", "why_in_repo"]


@dataclass(frozen=True)
class QuantumFacts(Document):
    """One quantum, with what it ran with.

    Parameters
    ----------
    id, task, data_id, run, status, message, host : str
        As it is recorded; the data ID as compact JSON.
    attempts : int
        How often it was tried.
    started_ns, finished_ns : int
        When; UTC nanoseconds since 1970, 0 if it never ran.
    settings : mapping
        The task's whole configuration in that run; empty if it cannot be read.
    versions : mapping of str to str
        Packages of that run and their versions; empty if they cannot be read.
    """

    id: str
    task: str
    data_id: str
    run: str
    status: str
    message: str = ""
    host: str = ""
    attempts: int = 1
    started_ns: int = 0
    finished_ns: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Why(Document):
    """The answer.

    Parameters
    ----------
    kind : {"dataset", "quantum", "absent"}
        What was asked about.
    name : str
        Its dataset type, or its task.
    data_id : str
        Its data ID as compact JSON.
    id, run : str
        Which it is, and where; empty if there is none.
    repository : str
        Where it was looked for.
    quantum : QuantumFacts or None
        The quantum itself, or the one that made the dataset, if that is known.
    made_by, read_by : sequence of Quanta
        The lineage of a dataset, up and down.
    reads, makes : sequence of Datasets
        The lineage of a quantum, up and down.
    directions : sequence of {"up", "down"}
        Which of them were asked for.
    absences : sequence of Absence
        Why a dataset is not there, run by run.
    file : str
        Of a dataset: its file, as the datastore names it; empty if it is gone.
    moved_on : str
        Of a dataset that quanta have read: what has become of it upstream since, as pulls have noted it.
    """

    kind: str
    name: str
    data_id: str
    id: str = ""
    run: str = ""
    repository: str = ""
    quantum: QuantumFacts | None = None
    made_by: Sequence[Quanta] = ()
    read_by: Sequence[Quanta] = ()
    reads: Sequence[Datasets] = ()
    makes: Sequence[Datasets] = ()
    directions: Sequence[str] = ("up", "down")
    absences: Sequence[Absence] = ()
    file: str = ""
    moved_on: str = ""


def why(
    repo: Repo,
    *words: str,
    up: bool = False,
    down: bool = False,
    depth: int | None = None,
    run: str | None = None,
    path: Sequence[str] = (),
    runs: Sequence[str] = (),
    layout: Layout | None = None,
    prov: str | os.PathLike[str] | None = None,
) -> Why:
    """Say what a dataset or quantum came from, and what came of it.

    Parameters
    ----------
    repo : Repo
        Open.
    *words : str
        An id; or a dataset type or task, and ``dimension=value`` words.
    up, down : bool, optional
        Only that direction; both by default.
    depth : int, optional
        Over so many quanta one after another at most.
    run : str, optional
        Only of this RUN.
    path : sequence of str, optional
        Where datasets are searched, in order; every RUN by default.
    runs : sequence of str, optional
        Runs whose graphs may tell why a dataset is not there, the newest first.
    layout : Layout, optional
        Paths of the campaign that has these graphs.
    prov : str or path, optional
        A file that gets the lineage as W3C PROV-JSON.

    Returns
    -------
    Why
        Plain values.

    Raises
    ------
    NotFoundError
        If there is no such thing, and none was planned.
    UsageError
        If nothing is asked for, or the depth is negative.
    """
    if not words:
        raise UsageError(
            "nothing is named", hint="Name a dataset or quantum: stage why DATASET_TYPE DIMENSION=VALUE …"
        )
    if depth is not None and depth < 0:
        raise UsageError(f"a lineage of depth {depth} is none", code="depth-negative", hint="Give 0 or more.")
    directions = [name for name, wanted in (("up", up), ("down", down)) if wanted] or ["up", "down"]
    with repo.registry.read() as snapshot:
        if run is not None:
            snapshot.collection(run)
        file = None if prov is None else Path(prov)
        question = _Question(repo, snapshot, tuple(directions), depth, run, path, runs, layout, file)
        return question.of_id(words[0]) if is_id(words[0]) and len(words) == 1 else question.of_name(*words)


def why_in_repo(
    repo: str,
    *words: str,
    up: bool = False,
    down: bool = False,
    depth: int | None = None,
    run: str | None = None,
    prov: str | os.PathLike[str] | None = None,
) -> Why:
    """Ask a repository what something came from, and what came of it, by the provenance that was pushed.

    Parameters
    ----------
    repo : str
        Its root; it is only read.
    *words : str
        As for `why`.
    up, down : bool, optional
        As for `why`.
    depth : int, optional
        As for `why`.
    run : str, optional
        As for `why`.
    prov : str or path, optional
        As for `why`.

    Returns
    -------
    Why
        Plain values.

    Raises
    ------
    NotFoundError
        If there is no such repository, dataset or quantum.
    """
    from sync.repo import Repo

    with Repo.open(repo) as opened:
        return why(opened, *words, up=up, down=down, depth=depth, run=run, prov=prov)


@dataclass(frozen=True)
class _Question:
    """One question, and what is needed to answer it."""

    repo: Repo
    snapshot: Snapshot
    directions: tuple[str, ...]
    depth: int | None
    run: str | None
    path: Sequence[str]
    runs: Sequence[str]
    layout: Layout | None
    prov: Path | None

    def of_id(self, text: str) -> Why:
        wanted = parse_id(text)
        if self.snapshot.existing_ids([wanted]):
            return self._dataset(wanted)
        quanta = self.snapshot.quanta_by_id([wanted])
        if quanta.n_rows:
            return self._quantum(quanta)
        raise NotFoundError(
            f"neither a dataset nor a quantum has the id {id_text(wanted)} here",
            code="no-such-id",
            hint="Name it by dataset type and data ID: that also tells why one that was planned is not there.",
        )

    def of_name(self, name: str, *words: str) -> Why:
        types = [t.name for t in self.snapshot.dataset_types()]
        if name in types:
            return self._named_dataset(name, words)
        if self.layout is not None and name in planned_types(self.layout, self._own_runs):
            return self._absent(name, typed_assignments(self.snapshot.universe, list(words)))
        quanta = self._quanta_of(name, words)
        if quanta is None:
            raise NotFoundError(
                f"there is no dataset type and no task '{name}'",
                code="no-such-name",
                hint=nearest(name, types),
            )
        return self._quantum(quanta)

    @property
    def _own_runs(self) -> Sequence[str]:
        return [self.run] if self.run else self.runs

    def _named_dataset(self, name: str, words: Sequence[str]) -> Why:
        given = typed_assignments(self.snapshot.universe, list(words))
        path = [self.run] if self.run else self.path or self._runs_with(name)
        ref = self.snapshot.find(name, given, path)
        if ref is not None:
            return self._dataset(ref.id)
        answer = self._absent(name, given)
        if answer.absences:
            return answer
        raise NotFoundError(
            f"no {name} with {', '.join(words) or 'an empty data ID'} in {', '.join(path[:5]) or 'any run'}",
            code="no-such-dataset",
            hint=f"List them: stage query datasets {name}{'' if self.layout else f' --repo {self._place}'}",
        )

    def _runs_with(self, name: str) -> list[str]:
        """Return the RUNs with datasets of a type, those registered last first."""
        counts = self.snapshot.count_datasets()
        mine = set(counts["run"][counts["dataset_type"] == name].tolist())
        return [c.name for c in reversed(self.snapshot.collections()) if c.name in mine]

    def _absent(self, name: str, data_id: Mapping[str, Any]) -> Why:
        found = (
            absences(self.snapshot, self.layout, self._own_runs, name, data_id)
            if self.layout is not None
            else []
        )
        return Why(
            "absent", name, json.dumps(data_id, ensure_ascii=False), repository=self._place, absences=found,
            directions=(),
        )  # fmt: skip

    @property
    def _place(self) -> str:
        return self.repo.root

    def _quanta_of(self, task: str, words: Sequence[str]) -> Columns | None:
        """Return the quantum of a task and data ID, of the newest run that has it; None if there is no such task."""
        given = typed_assignments(self.snapshot.universe, list(words))
        runs = (
            [self.run]
            if self.run
            else list(self.runs) or [c.name for c in reversed(self.snapshot.collections())]
        )
        is_known = False
        for run in runs:
            if self.snapshot.collection(run).type.name != "RUN":
                continue
            rows = self.snapshot.outcomes(run, task=task)
            is_known |= bool(rows.n_rows)
            ids = [i for i, text in rows.rows(("id", "data_id")) if _has(text, given)]
            if len(ids) > 1:
                raise UsageError(
                    f"{len(ids)} quanta of '{task}' in '{run}' have {', '.join(words) or 'any data ID'}",
                    code="not-one-quantum",
                    hint="Give its whole data ID, DIMENSION=VALUE each.",
                )
            if ids:
                return self.snapshot.quanta_by_id(ids)
        if not is_known:
            return None
        raise NotFoundError(
            f"no quantum of '{task}' has {', '.join(words)}",
            code="no-such-quantum",
            hint=f"See: stage log {task}" if self.layout is not None else "Name it by its id.",
        )

    def _dataset(self, wanted: bytes) -> Why:
        ref = self.snapshot.dataset(wanted)
        artifact = self.snapshot.artifact(wanted)
        trees = self._trees(wanted)
        maker = self.snapshot.walk([wanted], depth=1).quanta["id"].tolist()[:1]
        return Why(
            "dataset",
            ref.dataset_type.name,
            json.dumps(dict(ref.data_id), ensure_ascii=False, separators=(",", ":")),
            id_text(wanted),
            ref.run,
            self._place,
            self._facts(self.snapshot.quanta_by_id(maker)) if maker else None,
            made_by=trees["up"].of_dataset(wanted) if "up" in trees else (),
            read_by=trees["down"].of_dataset(wanted) if "down" in trees else (),
            directions=self.directions,
            file="" if artifact is None else artifact.uri,
            moved_on=moved_on(self.snapshot, wanted) if self.layout is not None else "",
        )

    def _quantum(self, quanta: Columns) -> Why:
        facts = self._facts(quanta)
        wanted = quanta["id"].tolist()[0]
        trees = self._trees(wanted)
        return Why(
            "quantum",
            facts.task,
            facts.data_id,
            facts.id,
            facts.run,
            self._place,
            facts,
            reads=trees["up"].of_quantum(wanted) if "up" in trees else (),
            makes=trees["down"].of_quantum(wanted) if "down" in trees else (),
            directions=self.directions,
        )

    def _trees(self, wanted: bytes) -> dict[str, LineageTree]:
        walks = {
            name: self.snapshot.walk([wanted], up=name == "up", depth=self.depth) for name in self.directions
        }
        if self.prov is not None:
            from stage.campaign.prov_file import write_prov

            write_prov(self.prov, self.snapshot, walks.values())
        return {name: LineageTree(self.snapshot, walk, up=name == "up") for name, walk in walks.items()}

    def _facts(self, quanta: Columns) -> QuantumFacts:
        row = dict(zip(quanta.names, quanta.rows()[0], strict=True))
        has_run = row["status"] != QuantumStatus.BLOCKED
        return QuantumFacts(
            id_text(row["id"]),
            row["task"],
            row["data_id"],
            row["run"],
            row["status"],
            row["message"] or "",
            row["host"] or "",
            int(row["attempt"]) + 1 if has_run else 0,
            int(row["started_ns"] or 0),
            int(row["finished_ns"] or 0),
            settings=run_document(self.repo, self.snapshot, row["run"], f"{row['task']}_config"),
            versions=run_document(self.repo, self.snapshot, row["run"], "packages"),
        )


def _has(text: str, given: Mapping[str, Any]) -> bool:
    values = json.loads(text)
    return all(values.get(name) == value for name, value in given.items())
