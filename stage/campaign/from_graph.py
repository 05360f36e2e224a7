"""`transfer_from_graph`: the merge and the push of a run without its campaign, from a graph file alone."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import UsageError
from registry.model.refs import id_text
from stage.campaign.jobs import datastore_of, open_run_graph
from stage.campaign.layout import absolute_uri
from stage.campaign.reports import PushReport

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from sync.faults import At
    from sync.plan import CampaignInfo
    from sync.repo import Repo

__all__ = ["transfer_from_graph"]


def transfer_from_graph(
    graph: str,
    upstream: str,
    *,
    records: str = "",
    datastore: str | None = None,
    dataset_type: Sequence[str] = (),
    where: str = "",
    register_dataset_types: bool = False,
    update_output_chain: bool = False,
    chain: str | None = None,
    on_conflict: Sequence[str] = (),
    dry_run: bool = False,
    at: At | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PushReport:
    """Push what the quanta of a graph have made, without their campaign.

    Parameters
    ----------
    graph : str
        The graph file of a run.
    upstream : str
        The repository to push to.
    records : str, optional
        What the jobs recorded: a file, or a directory of them. Without, what the graph predicts is looked for.
    datastore : str, optional
        Where the outputs are; by default ``data`` of the campaign that the graph lies in.
    dataset_type : sequence of str, optional
        Globs of dataset types; all by default.
    where : str, optional
        An expression that the data IDs of datasets fulfil.
    register_dataset_types : bool, optional
        Define upstream what it lacks.
    update_output_chain : bool, optional
        Put the run at the front of the chain that it belongs to: its name without the last part.
    chain : str, optional
        Put it at the front of this chain.
    on_conflict : sequence of str, optional
        ``KIND=fail`` or ``KIND=skip``, as of a push.
    dry_run : bool, optional
        Only plan: upstream is opened read-only.
    at : callable, optional
        Called between durable steps with the step's name: those of `sync.push.execute_push`.
    on_progress : callable, optional
        Called with the numbers of artifacts done and in all.

    Returns
    -------
    PushReport
        The plan, and whether it was carried out.

    Raises
    ------
    NotFoundError
        If an output is missing though no record says that its quantum failed. Nothing was written.
    IntegrityError
        If a record is damaged, or an output is not what was recorded. Nothing was written.
    ConflictError
        If the two sides disagree. No row was written.
    """
    from sync.faults import no_fault
    from sync.push import check_local, execute_push, plan_push
    from sync.pushing.asking import Asked
    from sync.repo import Repo

    began = time.monotonic()
    with open_run_graph(graph) as opened:
        loaded = opened.load()
    into = chain or (_chain_of(loaded) if update_output_chain else None)
    root = absolute_uri(datastore or datastore_of(graph, loaded.output_run))
    typed = _typed(
        {"--records": records, "--datastore": datastore, "--chain": into, "--where": where},
        [("--dataset-type", glob) for glob in dataset_type] + [("--on-conflict", policy) for policy in on_conflict],
        register_dataset_types=register_dataset_types,
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="stage-transfer-") as folder,
        Repo.open(upstream, writable=not dry_run) as target,
        _scratch(folder, root, loaded) as scratch,
    ):
        _fill(scratch, target, loaded, absolute_uri(records) if records else "")
        plan = plan_push(
            scratch, target, [loaded.output_run], campaign=_info(loaded), dataset_types=tuple(dataset_type), where=where,
            register_dataset_types=register_dataset_types, chain=into, on_conflict=tuple(on_conflict),
            asked=Asked((graph, upstream), typed, "stage transfer-from-graph", upstream),
        )  # fmt: skip
        locked_s = 0.0
        if not dry_run:
            locked_s = execute_push(
                plan, scratch, target, at=at or no_fault, on_progress=on_progress
            ).locked_s
        elif not plan.conflicts:
            check_local(plan, scratch)
    return PushReport(
        plan, dry_run, pushed=not dry_run and not plan.is_empty, seconds=time.monotonic() - began,
        locked_seconds=locked_s,
    )  # fmt: skip


def _typed(
    values: Mapping[str, str | None],
    repeated: Sequence[tuple[str, str]],
    *,
    register_dataset_types: bool,
) -> tuple[str, ...]:
    """Return the options as their user would type them again."""
    words = [word for option, value in (*values.items(), *repeated) if value for word in (option, value)]
    return (*words, *(["--register-dataset-types"] if register_dataset_types else []))


def _fill(scratch: Repo, upstream: Repo, graph: QuantumGraph, records: str) -> None:
    """Record what is known of the graph's quanta: from records, or else from what they left."""
    from stage.execution import from_graph

    sizes = from_graph.run_files(graph, scratch.datastore.root)
    if records:
        outcomes = from_graph.load_records(graph, records)
    else:
        outcomes = from_graph.found_outcomes(graph, scratch.datastore, sizes)
    from_graph.check_whole(graph, outcomes, recorded=bool(records))
    from_graph.fill_scratch(scratch, upstream, graph, outcomes, sizes)


def _scratch(folder: str, root: str, graph: QuantumGraph) -> Repo:
    """Make an empty registry over the datastore that the outputs are in."""
    from registry.registry import Registry
    from sync.repo import Repo

    url = f"sqlite:///{Path(folder) / 'scratch.sqlite3'}"
    Registry.create(url, graph.universe).close()
    return Repo.attach(url, root, writable=True)


def _chain_of(graph: QuantumGraph) -> str:
    chain = graph.output_run.rpartition("/")[0]
    if not chain:
        raise UsageError(
            f"run '{graph.output_run}' does not say to which chain it belongs",
            code="no-chain",
            hint="Name the chain: --chain NAME.",
        )
    return chain


def _info(graph: QuantumGraph) -> CampaignInfo:
    """Say in the ledger where this comes from: there is no campaign but the graph."""
    from sync.plan import CampaignInfo

    document = {"graph": id_text(graph.id), "run": graph.output_run, "where": graph.header.where}
    return CampaignInfo(
        graph.id, f"graph of {graph.output_run}", "transferred from a graph file", json.dumps(document)
    )
