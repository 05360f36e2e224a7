"""Making a RUN ready: its collection, its dataset types, and what is written once before any quantum."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import ConflictError, IntegrityError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_bytes
from registry.model.records import Artifact
from stage.execution.limited import artifact_of, stem_of
from stage.pipeline.importing import extend_path
from stage.pipeline.installed import installed_packages
from stage.pipeline.node import TaskNode
from sync.storage import convert, formatter

if TYPE_CHECKING:
    from registry.registry import Change
    from stage.graph.graph import QuantumGraph
    from stage.graph.quantum import PlannedDataset
    from sync.repo import Repo

__all__ = ["check_prepared", "config_differences", "package_versions", "prepare_run"]

_MISSING = "(not there)"
_SHOWN = 3


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of every installed package.

    Returns
    -------
    dict of str to str
        Name to version, sorted by name.
    """
    return {"python": platform.python_version(), **installed_packages()}


def config_differences(recorded: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys in which two documents differ.

    Parameters
    ----------
    recorded, now : object
        JSON-like values.
    key : str, optional
        What they are called; parts of nested mappings are joined by dots.

    Yields
    ------
    key : str
        Where they differ.
    recorded, now : object
        Both values.
    """
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        for name in sorted({*recorded, *now}):
            inner = f"{key}.{name}" if key else str(name)
            yield from config_differences(recorded.get(name, _MISSING), now.get(name, _MISSING), inner)
    elif recorded != now and not (recorded != recorded and now != now):  # noqa: PLR0124 - NaN equals NaN here
        yield key, recorded, now


def prepare_run(staging: Repo, graph: QuantumGraph, *, task_path: Sequence[str] = ()) -> int:
    """Make the graph's RUN ready to take outputs; what is ready already is compared and left alone.

    Parameters
    ----------
    staging : Repo
        Writable; it has the dimension records that the graph needs.
    graph : QuantumGraph
        A graph that has a RUN.
    task_path : sequence of str, optional
        Directories of user modules, besides those that the graph names.

    Returns
    -------
    int
        Number of datasets written: configs, versions of packages, init outputs of tasks.

    Raises
    ------
    ConflictError
        If the run has a dataset type, a config, an init output or the version of a package that is not what the
        graph and this environment say. Nothing has changed in the registry.
    PipelineError
        If a task that has init outputs cannot be constructed.
    """
    extend_path((*graph.header.search_path, *task_path))
    recorded = _recorded(staging, graph)
    objects = _objects(staging, graph)
    new = []
    _compare_all(staging, graph, objects, recorded)
    for planned, obj in objects:
        there = recorded.get(planned.dataset_type)
        if there is None or there[0] != planned.id:
            # Where the run has its own of another graph, workers still look where this graph planned it.
            stored = staging.datastore.put(obj, planned.storage_class, stem_of(planned))
            if there is None:
                new.append((planned, stored))
    with staging.registry.write() as change:
        change.register_run(graph.output_run)
        _register_types(change, graph)
        for planned, stored in new:
            rows = Columns.from_rows(("id", *Artifact._fields), [(planned.id, *stored)])
            change.insert_datasets(planned.dataset_type, graph.output_run, rows)
    return len(new)


def check_prepared(staging: Repo, graph: QuantumGraph, *, task_path: Sequence[str] = ()) -> None:
    """Refuse what `prepare_run` would refuse, and write nothing.

    Parameters
    ----------
    staging : Repo
        Only read.
    graph : QuantumGraph
        A graph that has a RUN.
    task_path : sequence of str, optional
        Directories of user modules, besides those that the graph names.

    Raises
    ------
    ConflictError
        As of `prepare_run`.
    PipelineError
        If a task that has init outputs cannot be constructed.
    """
    recorded = _recorded(staging, graph)
    if recorded:
        extend_path((*graph.header.search_path, *task_path))
        _compare_all(staging, graph, _objects(staging, graph), recorded)


def _register_types(change: Change, graph: QuantumGraph) -> None:
    for kind in graph.layout.types:
        if kind.is_planned:
            dimensions = graph.universe.group(kind.dimensions)
            change.register_dataset_type(
                DatasetType(kind.name, dimensions, kind.storage_class, kind.is_calibration)
            )


def _recorded(staging: Repo, graph: QuantumGraph) -> dict[str, tuple[bytes, Artifact]]:
    """Return what the run has of init outputs already: id and artifact by dataset type."""
    names = [t.name for t in graph.layout.types if t.role == "init" and t.n_datasets]
    out: dict[str, tuple[bytes, Artifact]] = {}
    with staging.registry.read() as snapshot:
        runs = {c.name for c in snapshot.collections()}
        known = {t.name for t in snapshot.dataset_types()}
        if graph.output_run not in runs:
            return out
        for name in names:
            if name in known:
                rows = snapshot.datasets(name, [graph.output_run], artifacts=True)
                for dataset_id, *stored in rows.rows(("id", *Artifact._fields)):
                    if None in stored:
                        raise IntegrityError(
                            f"run '{graph.output_run}' has {name}, but nothing says where it is stored",
                            hint="Give the same command --new-run too, or --replace to drop that run.",
                        )
                    out[name] = (dataset_id, Artifact(*stored))
    return out


def _objects(staging: Repo, graph: QuantumGraph) -> list[tuple[PlannedDataset, Any]]:
    """Return what is to be written once: each planned dataset with its object."""
    out: list[tuple[PlannedDataset, Any]] = []
    made: dict[int, Any] = {}
    for node in graph.tasks:
        planned = graph.init_outputs(node.label)
        contents = _init_contents(staging, graph, node, made)
        for name, dataset in planned.items():
            made[dataset.ordinal] = contents[name]
            out.append((dataset, contents[name]))
    if graph.packages is not None:
        out.append((graph.packages, package_versions()))
    return out


def _init_contents(
    staging: Repo, graph: QuantumGraph, node: TaskNode, made: Mapping[int, Any]
) -> dict[str, Any]:
    contents: dict[str, Any] = {c.name: dict(node.config) for c in node.by_role("config")}
    if node.by_role("init_output"):
        init_inputs = {
            name: convert(made[d.ordinal], d.storage_class)
            if d.ordinal in made
            else staging.datastore.get(artifact_of(d), d.storage_class)
            for name, d in graph.init_inputs(node.label).items()
        }
        contents |= node.build(init_inputs).checked_init_outputs()
    return contents


def _compare_all(
    staging: Repo,
    graph: QuantumGraph,
    objects: Sequence[tuple[PlannedDataset, Any]],
    recorded: Mapping[str, tuple[bytes, Artifact]],
) -> None:
    for planned, obj in objects:
        there = recorded.get(planned.dataset_type)
        if there is not None:
            _compare(staging, graph, planned, obj, there)


def _compare(
    staging: Repo, graph: QuantumGraph, planned: PlannedDataset, obj: Any, there: tuple[bytes, Artifact]
) -> None:
    """Refuse to go on with a run whose init output is not what it would be now."""
    if there[1].checksum == digest_bytes(formatter(planned.formatter).encode(obj)):
        return
    recorded: Any = staging.datastore.get(there[1], planned.storage_class)
    if graph.packages is not None and planned.ordinal == graph.packages.ordinal:
        # What was installed or removed besides makes no difference; another version may.
        both = recorded.keys() & obj.keys()
        recorded, obj = ({k: v for k, v in d.items() if k in both} for d in (recorded, obj))
    found = _differences(recorded, obj)
    if not found:
        return
    shown = "; ".join(f"{k or 'content'}: recorded {a!r:.60}, now {b!r:.60}" for k, a, b in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise ConflictError(
        f"run '{graph.output_run}' has another {planned.dataset_type}: {shown}{more}",
        code="init-output-differs",
        hint="Start a new run, or go back to what it was made with.",
        context={"keys": [k for k, _, _ in found]},
    )


def _differences(recorded: Any, now: Any) -> list[tuple[str, Any, Any]]:
    """Compare two objects whose bytes differ; other versions of a library may write the same otherwise."""
    if isinstance(recorded, np.ndarray):
        same = np.array_equal(recorded, np.asarray(now))
    elif hasattr(recorded, "equals"):  # tables of pyarrow and pandas
        same = bool(recorded.equals(now))
    elif recorded is None or isinstance(recorded, Mapping | list | str | int | float):
        return list(config_differences(recorded, _as_json(now)))
    else:
        same = False
    return [] if same else [("", recorded, now)]


def _as_json(value: Any) -> Any:
    """Return a value as it comes back from JSON: lists for tuples, text for keys."""
    if isinstance(value, Mapping):
        return {str(k): _as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value
