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
    from registry.registry import Registry
    from stage.campaign.administration import (
        create_repo,
        get_from_repo,
        import_records,
        query_repo,
        register_dataset_type,
        repo_info,
    )
    from stage.campaign.campaign import Campaign
    from stage.campaign.graphs import show_graph
    from stage.campaign.ingesting import ingest_files
    from stage.campaign.jobs import exec_graph
    from stage.campaign.options import EditOptions
    from stage.campaign.state import CampaignState
    from stage.demo.tour import run_demo
    from stage.errors import ExecutionError, QuantumFailed, UpstreamFailed
    from stage.execution.job import execute_job
    from stage.execution.merge import merge_records
    from stage.execution.run import run_graph
    from stage.graph.build import build as build_graph
    from stage.graph.file import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.graph.quantum import Quantum
    from stage.graph.view import BuildView
    from stage.pipeline.config import Config, Field
    from stage.pipeline.connections import (
        Connections,
        InitInput,
        InitOutput,
        Input,
        Output,
        PrerequisiteInput,
    )
    from stage.pipeline.node import Resources
    from stage.pipeline.pipeline import Pipeline
    from stage.pipeline.struct import NoWorkFound, Struct
    from stage.pipeline.subtask import Subtask, SubtaskChoice
    from stage.pipeline.task import Task
    from stage.tasks.function import task
    from sync.errors import TransferError
    from sync.repo import Repo

_HOME = {
    "AlreadyExistsError": "registry.errors",
    "BuildView": "stage.graph.view",
    "BusyError": "registry.errors",
    "Campaign": "stage.campaign.campaign",
    "CampaignState": "stage.campaign.state",
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
    "DimensionUniverse": "registry.model.dimensions",
    "EditOptions": "stage.campaign.options",
    "ExecutionError": "stage.errors",
    "Field": "stage.pipeline.config",
    "GraphFile": "stage.graph.file",
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
    "PrerequisiteInput": "stage.pipeline.connections",
    "Quantum": "stage.graph.quantum",
    "QuantumFailed": "stage.errors",
    "QuantumGraph": "stage.graph.graph",
    "QueryError": "registry.errors",
    "Registry": "registry.registry",
    "Repo": "sync.repo",
    "Resources": "stage.pipeline.node",
    "SchemaVersionError": "registry.errors",
    "StageError": "registry.errors",
    "StorageError": "registry.errors",
    "Struct": "stage.pipeline.struct",
    "Subtask": "stage.pipeline.subtask",
    "SubtaskChoice": "stage.pipeline.subtask",
    "Task": "stage.pipeline.task",
    "TransferError": "sync.errors",
    "UpstreamFailed": "stage.errors",
    "UsageError": "registry.errors",
    "build_graph": "stage.graph.build:build",
    "create_repo": "stage.campaign.administration",
    "default_universe": "registry.model.dimensions",
    "exec_graph": "stage.campaign.jobs",
    "execute_job": "stage.execution.job",
    "get_from_repo": "stage.campaign.administration",
    "import_records": "stage.campaign.administration",
    "ingest_files": "stage.campaign.ingesting",
    "merge_records": "stage.execution.merge",
    "query_repo": "stage.campaign.administration",
    "register_dataset_type": "stage.campaign.administration",
    "repo_info": "stage.campaign.administration",
    "run_demo": "stage.demo.tour",
    "run_graph": "stage.execution.run",
    "show_graph": "stage.campaign.graphs",
    "task": "stage.tasks.function",
}

__all__ = [
    "AlreadyExistsError",
    "BuildView",
    "BusyError",
    "Campaign",
    "CampaignState",
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
    "DimensionUniverse",
    "EditOptions",
    "ExecutionError",
    "Field",
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
    "PrerequisiteInput",
    "Quantum",
    "QuantumFailed",
    "QuantumGraph",
    "QueryError",
    "Registry",
    "Repo",
    "Resources",
    "SchemaVersionError",
    "StageError",
    "StorageError",
    "Struct",
    "Subtask",
    "SubtaskChoice",
    "Task",
    "TransferError",
    "UpstreamFailed",
    "UsageError",
    "build_graph",
    "create_repo",
    "default_universe",
    "exec_graph",
    "execute_job",
    "get_from_repo",
    "import_records",
    "ingest_files",
    "merge_records",
    "query_repo",
    "register_dataset_type",
    "repo_info",
    "run_demo",
    "run_graph",
    "show_graph",
    "task",
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
