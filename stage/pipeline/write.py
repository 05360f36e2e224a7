"""`PipelineDefinition` → pipeline YAML that stands by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from stage.pipeline.definition import Override, PipelineDefinition, TaskDefinition
from stage.pipeline.resolve import changes_of, load_class

__all__ = ["definition_yaml"]


def definition_yaml(definition: PipelineDefinition, base: str | Path | None = None) -> str:
    """Return a pipeline as one file that imports no other.

    Parameters
    ----------
    definition : PipelineDefinition
        The pipeline; its task code must be importable.
    base : str or Path, optional
        Directory of the file that this is for; see `Pipeline.to_yaml`.

    Returns
    -------
    str
        YAML. Changes of settings are merged, with parameters still named.
    """
    d = definition
    out: dict[str, Any] = {
        "description": d.description,
        "instrument": d.instrument,
        "instruments": {name: _instrument(name, d.tasks) for name in d.instruments},
        "parameters": dict(d.parameters),
        "search_path": [os.path.relpath(p, base) if base is not None else p for p in d.search_path],
        "tasks": {label: _task(task) for label, task in d.tasks.items()},
        "subsets": {
            name: {"subset": list(labels)} | ({"description": doc} if doc else {})
            for name, (labels, doc) in d.subsets.items()
        },
        "contracts": [
            {"contract": c.expression} | ({"msg": c.message} if c.message else {}) for c in d.contracts
        ],
        "steps": [step.to_document() for step in d.steps],
    }
    kept = {k: v for k, v in out.items() if v}
    return yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _task(task: TaskDefinition) -> Any:
    more = {
        "resources": dict(task.resources),
        "units": task.units,
        "ephemeral": list(task.ephemeral or ()),
    }
    further = {k: v for k, v in more.items() if v}
    merged = _merged(task, task.overrides)
    if task.shell is None:
        given = further | ({"config": merged} if merged else {})
        return {"class": task.target, **given} if given else task.target
    config = _of_script(merged)
    rest = {
        "shell" if key == "script" else key: value
        for key, value in task.shell.items()
        if value or key == "dimensions"
    }
    return {**rest, **further} | ({"config": config} if config else {})


def _instrument(name: str, tasks: Mapping[str, TaskDefinition]) -> dict[str, Any]:
    """Return the settings for one instrument, by label."""
    return {
        label: {"config": config}
        for label, task in tasks.items()
        if (config := _instrument_config(name, task))
    }


def _instrument_config(name: str, task: TaskDefinition) -> dict[str, Any]:
    merged = _merged(task, task.instruments.get(name, ()))
    if task.shell is None:
        return merged
    # The defaults of a script are written with what goes over them: here is left only what they do not decide.
    decided = _of_script(_merged(task, task.overrides[task.declared :]))
    return _without(_of_script(merged), decided)


def _without(config: Mapping[str, Any], decided: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not decided."""
    out = {k: v for k, v in config.items() if k not in decided}
    names = decided.get("connections", {})
    if "connections" in config and (
        left := {k: v for k, v in config["connections"].items() if k not in names}
    ):
        out["connections"] = left
    return out


def _merged(task: TaskDefinition, overrides: tuple[Override, ...]) -> dict[str, Any]:
    """Return changes of a task's settings as one, whatever its instrument."""
    plain = replace(task, overrides=overrides, instruments={}, shell=None if task.shell is None else {})
    return load_class(task).ConfigClass.merged(*(change for _, change in changes_of(plain)))


def _of_script(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a script as its author declares them."""
    out = dict(merged.get("variables", {}))
    return out | ({"connections": merged["connections"]} if merged.get("connections") else {})


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as blocks, to be read by people."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
