"""The public names of `stage`, found when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.errors import (
        AlreadyExistsError,
        BusyError,
        ConflictError,
        DataIdError,
        IntegrityError,
        InternalError,
        NotFoundError,
        PipelineError,
        QueryError,
        SchemaVersionError,
        StageError,
        StorageError,
        UsageError,
    )
    from registry.model.collections import Collection, CollectionType
    from registry.model.columns import Columns
    from registry.model.data_id import DataId
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup, DimensionUniverse, default_universe
    from registry.model.refs import DatasetRef
    from registry.queries.query import Query
    from registry.registry import Registry
    from stage.batch.facade import Batch
    from stage.batch.reporting.report import BatchReport
    from stage.batch.submission.options import SubmitOptions
    from stage.batch.submission.report import SubmitReport
    from stage.campaign.administration import (
        get_from_repo,
        import_records,
        open_query,
        query_repo,
        register_dataset_type,
    )
    from stage.campaign.bundling import BundleReport
    from stage.campaign.by_hand import quantum_environment
    from stage.campaign.campaign import Campaign
    from stage.campaign.check_verbs import fsck_repo
    from stage.campaign.collecting import (
        associate,
        certify,
        decertify,
        disassociate,
        edit_chain,
        register_collection,
    )
    from stage.campaign.comparing import diff_in_repo
    from stage.campaign.comparing_report import RunDifferences
    from stage.campaign.describing import describe_pipeline
    from stage.campaign.drop_report import CleanReport, DropReport
    from stage.campaign.exchange import export_repo, import_repo
    from stage.campaign.fetching import fetch_progress
    from stage.campaign.from_graph import transfer_from_graph
    from stage.campaign.graph_reports import BuildReport, FetchReport
    from stage.campaign.graphs import show_graph
    from stage.campaign.ingesting import ingest_files
    from stage.campaign.jobs import exec_graph
    from stage.campaign.keeping import (
        make_roles,
        plan_prune,
        plan_prune_orphans,
        plan_upgrade,
        prune_orphans,
        prune_repo,
        repo_info,
        upgrade_repo,
    )
    from stage.campaign.ledger import plan_unpush, repo_pushes, unpush_repo
    from stage.campaign.lineage import Why, why_in_repo
    from stage.campaign.lock import lock_timeout
    from stage.campaign.making import (
        create_repo,
        create_repo_from_table,
        plan_repo_from_table,
        write_universe,
    )
    from stage.campaign.options import EditOptions
    from stage.campaign.plan_report import Plan
    from stage.campaign.pulling import PullReport
    from stage.campaign.registering import register_dataset_types
    from stage.campaign.removing import plan_removal, remove_collections, remove_dataset_types
    from stage.campaign.reports import PushReport, RunReport
    from stage.campaign.rollback import RollbackReport
    from stage.campaign.state import CampaignState
    from stage.campaign.status_report import StatusReport
    from stage.demo.tour import run_demo
    from stage.errors import ExecutionError, QuantumFailed, UpstreamFailed
    from stage.execution.job import execute_job
    from stage.execution.merge import merge_records
    from stage.execution.run import run_graph
    from stage.graph.building.build import build as build_graph
    from stage.graph.building.view import BuildView
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.graph.hooks.ask import Ask
    from stage.graph.quantum import Quantum
    from stage.pipeline.config import Config, Field
    from stage.pipeline.connections import (
        Connections,
        DimensionRecords,
        InitInput,
        InitOutput,
        Input,
        Output,
        PrerequisiteInput,
    )
    from stage.pipeline.pipeline import Pipeline
    from stage.pipeline.quanta import Quanta
    from stage.pipeline.resources import Resources
    from stage.pipeline.struct import NoWorkFound, Struct
    from stage.pipeline.subtask import Subtask, SubtaskChoice
    from stage.pipeline.task import Task
    from stage.tasks.function import task
    from sync.errors import TransferError
    from sync.formatters.file_set import FileSet
    from sync.repo import Repo
    from sync.tables.data_ids import read_data_id_table

_HOME = {
    "AlreadyExistsError": "registry.errors",
    "Ask": "stage.graph.hooks.ask",
    "Batch": "stage.batch.facade",
    "BatchReport": "stage.batch.reporting.report",
    "BuildReport": "stage.campaign.graph_reports",
    "BuildView": "stage.graph.building.view",
    "BusyError": "registry.errors",
    "BundleReport": "stage.campaign.bundling",
    "Campaign": "stage.campaign.campaign",
    "CampaignState": "stage.campaign.state",
    "CleanReport": "stage.campaign.drop_report",
    "Collection": "registry.model.collections",
    "CollectionType": "registry.model.collections",
    "Columns": "registry.model.columns",
    "Config": "stage.pipeline.config",
    "ConflictError": "registry.errors",
    "Connections": "stage.pipeline.connections",
    "DataId": "registry.model.data_id",
    "DataIdError": "registry.errors",
    "DatasetRef": "registry.model.refs",
    "DatasetType": "registry.model.dataset_type",
    "DimensionGroup": "registry.model.dimensions",
    "DimensionRecords": "stage.pipeline.connections",
    "DimensionUniverse": "registry.model.dimensions",
    "DropReport": "stage.campaign.drop_report",
    "EditOptions": "stage.campaign.options",
    "ExecutionError": "stage.errors",
    "FetchReport": "stage.campaign.graph_reports",
    "Field": "stage.pipeline.config",
    "FileSet": "sync.formatters.file_set",
    "GraphFile": "stage.graph.file.reader",
    "InitInput": "stage.pipeline.connections",
    "InitOutput": "stage.pipeline.connections",
    "Input": "stage.pipeline.connections",
    "IntegrityError": "registry.errors",
    "InternalError": "registry.errors",
    "NoWorkFound": "stage.pipeline.struct",
    "NotFoundError": "registry.errors",
    "Output": "stage.pipeline.connections",
    "Pipeline": "stage.pipeline.pipeline",
    "PipelineError": "registry.errors",
    "Plan": "stage.campaign.plan_report",
    "PrerequisiteInput": "stage.pipeline.connections",
    "PullReport": "stage.campaign.pulling",
    "PushReport": "stage.campaign.reports",
    "Quanta": "stage.pipeline.quanta",
    "Quantum": "stage.graph.quantum",
    "QuantumFailed": "stage.errors",
    "QuantumGraph": "stage.graph.graph",
    "Query": "registry.queries.query",
    "QueryError": "registry.errors",
    "Registry": "registry.registry",
    "Repo": "sync.repo",
    "Resources": "stage.pipeline.resources",
    "RollbackReport": "stage.campaign.rollback",
    "RunDifferences": "stage.campaign.comparing_report",
    "RunReport": "stage.campaign.reports",
    "SchemaVersionError": "registry.errors",
    "StageError": "registry.errors",
    "StatusReport": "stage.campaign.status_report",
    "StorageError": "registry.errors",
    "Struct": "stage.pipeline.struct",
    "SubmitOptions": "stage.batch.submission.options",
    "SubmitReport": "stage.batch.submission.report",
    "Subtask": "stage.pipeline.subtask",
    "SubtaskChoice": "stage.pipeline.subtask",
    "Task": "stage.pipeline.task",
    "TransferError": "sync.errors",
    "UpstreamFailed": "stage.errors",
    "UsageError": "registry.errors",
    "Why": "stage.campaign.lineage",
    "associate": "stage.campaign.collecting",
    "build_graph": "stage.graph.building.build:build",
    "certify": "stage.campaign.collecting",
    "create_repo": "stage.campaign.making",
    "create_repo_from_table": "stage.campaign.making",
    "decertify": "stage.campaign.collecting",
    "default_universe": "registry.model.dimensions",
    "describe_pipeline": "stage.campaign.describing",
    "diff_in_repo": "stage.campaign.comparing",
    "disassociate": "stage.campaign.collecting",
    "edit_chain": "stage.campaign.collecting",
    "exec_graph": "stage.campaign.jobs",
    "execute_job": "stage.execution.job",
    "export_repo": "stage.campaign.exchange",
    "fetch_progress": "stage.campaign.fetching",
    "fsck_repo": "stage.campaign.check_verbs",
    "get_from_repo": "stage.campaign.administration",
    "import_records": "stage.campaign.administration",
    "import_repo": "stage.campaign.exchange",
    "ingest_files": "stage.campaign.ingesting",
    "lock_timeout": "stage.campaign.lock",
    "make_roles": "stage.campaign.keeping",
    "merge_records": "stage.execution.merge",
    "open_query": "stage.campaign.administration",
    "plan_prune": "stage.campaign.keeping",
    "plan_prune_orphans": "stage.campaign.keeping",
    "plan_removal": "stage.campaign.removing",
    "plan_repo_from_table": "stage.campaign.making",
    "plan_unpush": "stage.campaign.ledger",
    "plan_upgrade": "stage.campaign.keeping",
    "prune_orphans": "stage.campaign.keeping",
    "prune_repo": "stage.campaign.keeping",
    "quantum_environment": "stage.campaign.by_hand",
    "query_repo": "stage.campaign.administration",
    "read_data_id_table": "sync.tables.data_ids",
    "register_collection": "stage.campaign.collecting",
    "register_dataset_type": "stage.campaign.administration",
    "register_dataset_types": "stage.campaign.registering",
    "remove_collections": "stage.campaign.removing",
    "remove_dataset_types": "stage.campaign.removing",
    "repo_info": "stage.campaign.keeping",
    "repo_pushes": "stage.campaign.ledger",
    "run_demo": "stage.demo.tour",
    "run_graph": "stage.execution.run",
    "show_graph": "stage.campaign.graphs",
    "task": "stage.tasks.function",
    "transfer_from_graph": "stage.campaign.from_graph",
    "unpush_repo": "stage.campaign.ledger",
    "upgrade_repo": "stage.campaign.keeping",
    "why_in_repo": "stage.campaign.lineage",
    "write_universe": "stage.campaign.making",
}

__all__ = [
    "AlreadyExistsError",
    "Ask",
    "Batch",
    "BatchReport",
    "BuildReport",
    "BuildView",
    "BundleReport",
    "BusyError",
    "Campaign",
    "CampaignState",
    "CleanReport",
    "Collection",
    "CollectionType",
    "Columns",
    "Config",
    "ConflictError",
    "Connections",
    "DataId",
    "DataIdError",
    "DatasetRef",
    "DatasetType",
    "DimensionGroup",
    "DimensionRecords",
    "DimensionUniverse",
    "DropReport",
    "EditOptions",
    "ExecutionError",
    "FetchReport",
    "Field",
    "FileSet",
    "GraphFile",
    "InitInput",
    "InitOutput",
    "Input",
    "IntegrityError",
    "InternalError",
    "NoWorkFound",
    "NotFoundError",
    "Output",
    "Pipeline",
    "PipelineError",
    "Plan",
    "PrerequisiteInput",
    "PullReport",
    "PushReport",
    "Quanta",
    "Quantum",
    "QuantumFailed",
    "QuantumGraph",
    "Query",
    "QueryError",
    "Registry",
    "Repo",
    "Resources",
    "RollbackReport",
    "RunDifferences",
    "RunReport",
    "SchemaVersionError",
    "StageError",
    "StatusReport",
    "StorageError",
    "Struct",
    "SubmitOptions",
    "SubmitReport",
    "Subtask",
    "SubtaskChoice",
    "Task",
    "TransferError",
    "UpstreamFailed",
    "UsageError",
    "Why",
    "associate",
    "build_graph",
    "certify",
    "create_repo",
    "create_repo_from_table",
    "decertify",
    "default_universe",
    "describe_pipeline",
    "diff_in_repo",
    "disassociate",
    "edit_chain",
    "exec_graph",
    "execute_job",
    "export_repo",
    "fetch_progress",
    "fsck_repo",
    "get_from_repo",
    "import_records",
    "import_repo",
    "ingest_files",
    "lock_timeout",
    "make_roles",
    "merge_records",
    "open_query",
    "plan_prune",
    "plan_prune_orphans",
    "plan_removal",
    "plan_repo_from_table",
    "plan_unpush",
    "plan_upgrade",
    "prune_orphans",
    "prune_repo",
    "quantum_environment",
    "query_repo",
    "read_data_id_table",
    "register_collection",
    "register_dataset_type",
    "register_dataset_types",
    "remove_collections",
    "remove_dataset_types",
    "repo_info",
    "repo_pushes",
    "run_demo",
    "run_graph",
    "show_graph",
    "task",
    "transfer_from_graph",
    "unpush_repo",
    "upgrade_repo",
    "why_in_repo",
    "write_universe",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, other = _HOME[name].partition(":")
    found = getattr(import_module(home), other or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
