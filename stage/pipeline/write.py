"""`PipelineDefinition` → pipeline YAML that stands by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from stage.pipeline.definition import PipelineDefinition, TaskDefinition
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
    more = {"resources": dict(task.resources), "units": task.units}
    further = {k: v for k, v in more.items() if v}
    merged = load_class(task).ConfigClass.merged(*(change for _, change in changes_of(task)))
    if task.shell is None:
        given = further | ({"config": merged} if merged else {})
        return {"class": task.target, **given} if given else task.target
    config = dict(merged.get("variables", {}))
    if merged.get("connections"):
        config["connections"] = merged["connections"]
    rest = {
        key: value for key, value in task.shell.items() if key != "script" and (value or key == "dimensions")
    }
    return {"shell": task.shell["script"], **rest, **further} | ({"config": config} if config else {})


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as blocks, to be read by people."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
