"""Connections that a config declares, for tasks whose inputs and outputs are not fixed by code."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from registry.errors import PipelineError
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import (
    Connection,
    Connections,
    DimensionRecords,
    Input,
    Output,
    PrerequisiteInput,
)
from stage.pipeline.value_types import check_type

__all__ = ["InputSpec", "OutputSpec", "declare"]


class _Spec(Config):
    """What both directions say."""

    dataset_type: str = Field(description="Name of the dataset type.")
    storage_class: str = Field("File", description="What it is in memory; its formatter writes the file.")
    dimensions: tuple[str, ...] | None = Field(None, description="Those of the task if left out.")
    multiple: bool = Field(False, description="Whether one quantum has several.")
    minimum: int = Field(1, ge=0, description="Fewest with which there is work; 0 makes it optional.")
    is_calibration: bool = False
    doc: str = ""
    type: str = Field("", description="Of a small value: int, float, str, bool, list or dict.")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        """Take a bare name for the dataset type; what has a type is a plain value unless said otherwise."""
        if isinstance(value, dict) and value.get("type"):
            return {"storage_class": "Json", **value}
        return {"dataset_type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _type_is_known(self) -> typing.Self:
        if self.type:
            check_type(self.type, self.storage_class, f"'{self.dataset_type}'")
        return self


class InputSpec(_Spec):
    """An input as a pipeline file declares it."""

    prerequisite: bool = Field(False, description="Whether it must exist before the graph is built.")


class OutputSpec(_Spec):
    """An output as a pipeline file declares it."""

    records: str = Field(
        "", description="The dimension whose records it holds, to be known to graphs built afterwards."
    )


def declare(
    names: Mapping[str, str],
    dimensions: tuple[str, ...],
    inputs: Mapping[str, InputSpec],
    outputs: Mapping[str, OutputSpec],
    owner: str,
) -> Connections:
    """Return the connections that a config declares.

    Parameters
    ----------
    names : mapping of str to str
        Other dataset type names, by connection.
    dimensions : tuple of str
        The task's dimensions.
    inputs, outputs : mapping
        Declarations by name.
    owner : str
        The task, for errors.

    Returns
    -------
    Connections
        Of a class made for them.

    Raises
    ------
    PipelineError
        If a name is used twice or not usable.
    """
    both = sorted(set(inputs) & set(outputs))
    if both:
        raise PipelineError(f"{owner}: '{both[0]}' is both an input and an output", code="bad-connection")
    declared: dict[str, Connection] = {n: _connection(spec) for n, spec in {**inputs, **outputs}.items()}
    for name in declared:
        if not name.isidentifier():
            raise PipelineError(
                f"{owner}: '{name}' is not a usable connection name",
                code="bad-connection",
                hint="Use letters, digits, _.",
            )
    made: type[Connections] = type(
        "DeclaredConnections", (Connections,), dict(declared), dimensions=dimensions
    )
    return made(names, owner=owner)


def _connection(spec: _Spec) -> Connection:
    common: dict[str, Any] = {
        "dataset_type": spec.dataset_type,
        "storage_class": spec.storage_class,
        "dimensions": spec.dimensions,
        "multiple": spec.multiple,
        "minimum": spec.minimum,
        "is_calibration": spec.is_calibration,
        "doc": spec.doc,
        "type": spec.type,
    }
    if isinstance(spec, InputSpec):
        return (PrerequisiteInput if spec.prerequisite else Input)(**common)
    if isinstance(spec, OutputSpec) and spec.records:
        return DimensionRecords(**{**common, "storage_class": "DimensionRecords", "records": spec.records})
    return Output(**common)
