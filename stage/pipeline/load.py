"""Pipeline YAML → `PipelineDefinition`: keys checked by name, imports taken in, a selection applied."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from registry.errors import PipelineError, nearest
from stage.pipeline.contracts import contract_labels
from stage.pipeline.definition import Contract, Override, PipelineDefinition, TaskDefinition, check_label
from stage.pipeline.overrides import (
    nested,
    note_variable,
    python_overrides,
    read_overrides,
    read_text,
    read_yaml_file,
)

__all__ = ["load_definition", "resolve_location"]

_TOP_KEYS = (
    "description", "instrument", "parameters", "imports", "tasks", "subsets", "contracts", "steps", "search_path",
)  # fmt: skip
_TASK_KEYS = ("class", "function", "shell", "config", "file", "python", "dimensions", "inputs", "outputs")
_SHELL_KEYS = ("dimensions", "inputs", "outputs")
_IMPORT_KEYS = ("location", "include", "exclude")
_SUBSET_KEYS = ("subset", "description")
_CONTRACT_KEYS = ("contract", "msg")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def load_definition(location: str | Path) -> PipelineDefinition:
    """Read a pipeline file and what it imports.

    Parameters
    ----------
    location : str or Path
        A path or a URI, with ``#label,subset`` at its end to take only a part.

    Returns
    -------
    PipelineDefinition
        Keys and labels are checked; no task code was imported.

    Raises
    ------
    NotFoundError
        If a file does not exist.
    PipelineError
        If a file is not a pipeline; names file, key and the nearest known one.
    """
    path, _, selection = str(location).partition("#")
    found = _read(path, ())
    if not selection:
        return found
    return found.only(found.expand(s.strip() for s in selection.split(",") if s.strip()))


def resolve_location(location: str, importer: str) -> str:
    """Return where an imported or named file is.

    Parameters
    ----------
    location : str
        As written: relative to the file that names it, absolute, or a URI; ``$NAME`` is read from the environment.
    importer : str
        The file that names it.

    Returns
    -------
    str
        A path or URI.

    Raises
    ------
    PipelineError
        If an environment variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise PipelineError(f"{importer}: ${name} in '{location}' is not set", code="unset-variable")
        note_variable(name)
        return os.environ[name]

    text = _VARIABLE.sub(value, location)
    if "://" in text or Path(text).is_absolute():
        return text
    if "://" in importer:
        return importer.rsplit("/", 1)[0] + "/" + text
    return str(Path(importer).parent / text)


def _read(path: str, above: tuple[str, ...]) -> PipelineDefinition:
    """Read one file; `above` are the files that are being read because of each other."""
    if "\0" in path:
        raise PipelineError(f"{path!r} is not the name of a pipeline file", code="bad-location")
    key = path if "://" in path else str(Path(path).resolve())
    if key in above:
        chain = " → ".join(Path(p).name for p in (*above[above.index(key) :], key))
        raise PipelineError(f"pipeline files import each other in a circle: {chain}", code="import-cycle")
    document = read_yaml_file(path, "pipeline file")
    return _Reader(path, document, (*above, key)).definition()


def _only(body: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    for key in body:
        if key not in known:
            raise PipelineError(
                f"{where}: unknown key '{key}'", code="unknown-key", hint=nearest(str(key), known)
            )


def _typed(body: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return the value of `key`, or an empty one, refusing another type."""
    value = body.get(key)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if value is None:
        return kinds[0]()
    if not isinstance(value, kinds):
        wanted: dict[type, str] = {dict: "a mapping", list: "a list", str: "text"}
        raise PipelineError(
            f"{where}: '{key}' should be {' or '.join(wanted[k] for k in kinds)}, not {value!r}",
            code="bad-key",
        )
    return value


def _names(body: Mapping[str, Any], key: str, where: str) -> list[str]:
    """Return the value of `key` as a list of names; one may be written bare."""
    value = _typed(body, key, (list, str), where)
    names = [value] if isinstance(value, str) else value
    if not all(isinstance(n, str) for n in names):
        raise PipelineError(f"{where}: '{key}' should be a list of names, not {value!r}", code="bad-key")
    return cast("list[str]", names)


class _Reader:
    """Reads one file, key by key."""

    def __init__(self, path: str, document: Mapping[str, Any], chain: tuple[str, ...]) -> None:
        self.path = path
        self.document = document
        self.chain = chain

    def definition(self) -> PipelineDefinition:
        doc = self.document
        _only(doc, _TOP_KEYS, self.path)
        base = self._imported()
        tasks = dict(base.tasks)
        for label, body in _typed(doc, "tasks", dict, self.path).items():
            own = self._task(check_label(label, self.path), body)
            tasks[label] = own.over(tasks[label]) if label in tasks else own
            if not tasks[label].target and tasks[label].shell is None:
                raise PipelineError(
                    f"{self.path}: task '{label}' has no class, function or shell, and is not imported",
                    code="no-task-class",
                    hint=nearest(label, base.tasks) if base.tasks else "Write: class: module.Class",
                )
        if not tasks:
            raise PipelineError(
                f"{self.path} has no tasks", code="empty-pipeline", hint="Write some under 'tasks:'."
            )
        found = PipelineDefinition(
            description=_typed(doc, "description", str, self.path) or base.description,
            instrument=_typed(doc, "instrument", str, self.path) or base.instrument,
            parameters={**base.parameters, **_typed(doc, "parameters", dict, self.path)},
            tasks=tasks,
            subsets={**base.subsets, **self._subsets()},
            contracts=(*base.contracts, *self._contracts()),
            steps=tuple(_names(doc, "steps", self.path)) or base.steps,
            search_path=self._search_path(base),
            where=self.path,
        )
        self._check_names(found)
        return found

    def _search_path(self, base: PipelineDefinition) -> tuple[str, ...]:
        own = [] if "://" in self.path else [str(Path(self.path).resolve().parent)]
        further = (resolve_location(t, self.path) for t in _names(self.document, "search_path", self.path))
        own += [str(Path(p).resolve()) for p in further]
        return tuple(dict.fromkeys([*own, *base.search_path]))

    def _check_names(self, found: PipelineDefinition) -> None:
        for name, (labels, _) in found.subsets.items():
            if name in found.tasks:
                raise PipelineError(f"{self.path}: '{name}' is both a task and a subset", code="bad-label")
            for label in labels:
                if label not in found.tasks:
                    raise PipelineError(
                        f"{self.path}: subset '{name}' names '{label}', which is no task",
                        code="unknown-label",
                        hint=nearest(label, found.tasks),
                    )
        for contract in self._contracts():
            for label in contract_labels(contract):
                if label not in found.tasks:
                    raise PipelineError(
                        f"{self.path}: contract '{contract.expression}' names '{label}', which is no task",
                        code="unknown-label",
                        hint=nearest(label, found.tasks),
                    )
        for step in found.steps:
            if step not in found.subsets:
                raise PipelineError(
                    f"{self.path}: step '{step}' is no subset",
                    code="unknown-label",
                    hint=nearest(step, found.subsets),
                )

    # -- imports --------------------------------------------------------------------------------------------

    def _imported(self) -> PipelineDefinition:
        """Return what all the imports bring together."""
        out = PipelineDefinition(where=self.path)
        given = self.document.get("imports") or []
        for entry in given if isinstance(given, list) else [given]:
            part = self._import(entry)
            for kind, ours, theirs in (
                ("task", out.tasks, part.tasks),
                ("subset", out.subsets, part.subsets),
            ):
                if twice := sorted(set(ours) & set(theirs)):
                    raise PipelineError(
                        f"{self.path}: {kind} '{twice[0]}' is imported twice, the second time from {part.where}",
                        code="imported-twice",
                        hint="Exclude it from one of the imports.",
                    )
            out = replace(
                part,
                description="",
                parameters={**out.parameters, **part.parameters},
                instrument=part.instrument or out.instrument,
                tasks={**out.tasks, **part.tasks},
                subsets={**out.subsets, **part.subsets},
                contracts=(*out.contracts, *part.contracts),
                steps=(*out.steps, *part.steps),
                search_path=(*out.search_path, *part.search_path),
                where=self.path,
            )
        return out

    def _import(self, entry: Any) -> PipelineDefinition:
        where = f"{self.path}, imports"
        body = {"location": entry} if isinstance(entry, str) else entry
        if not isinstance(body, Mapping) or not isinstance(body.get("location"), str):
            raise PipelineError(
                f"{where}: {entry!r} has no location", code="bad-key", hint="Write: location: file.yaml"
            )
        _only(body, _IMPORT_KEYS, where)
        include, exclude = _names(body, "include", where), _names(body, "exclude", where)
        if include and exclude:
            raise PipelineError(
                f"{where}: {body['location']}: give include or exclude, not both", code="bad-key"
            )
        path, _, selection = resolve_location(body["location"], self.path).partition("#")
        found = _read(path, self.chain)
        if selection:
            found = found.only(found.expand(selection.split(",")))
        if include:
            found = found.only(found.expand(include))
        return found.only(set(found.tasks) - found.expand(exclude)) if exclude else found

    # -- tasks ----------------------------------------------------------------------------------------------

    def _task(self, label: str, body: Any) -> TaskDefinition:
        where = f"{self.path}, task '{label}'"
        if body is None:
            body = {}
        if isinstance(body, str):
            body = {"class": body}
        if not isinstance(body, Mapping):
            raise PipelineError(f"{where}: expected module.Class or a mapping, not {body!r}", code="bad-key")
        _only(body, _TASK_KEYS, where)
        forms = [k for k in ("class", "function", "shell") if k in body]
        if len(forms) > 1:
            raise PipelineError(f"{where}: give one of {', '.join(forms)}, not several", code="bad-key")
        if forms != ["shell"] and (extra := [k for k in _SHELL_KEYS if k in body]):
            raise PipelineError(
                f"{where}: '{extra[0]}' belongs to shell tasks; others declare it in their code",
                code="bad-key",
            )
        target = _typed(body, forms[0], str, where) if forms and forms != ["shell"] else ""
        return TaskDefinition(
            target,
            tuple(self._overrides(body, where)),
            self._shell(body, where) if "shell" in body else None,
            where,
        )

    def _overrides(self, body: Mapping[str, Any], where: str) -> Iterable[Override]:
        """Yield the changes of settings: files, then Python, then the mapping."""
        for text in _names(body, "file", where):
            path = resolve_location(text, self.path)
            yield Override(path, read_overrides(path))
        if "python" in body:
            yield Override(where, python_overrides(_typed(body, "python", str, where), where))
        if config := _typed(body, "config", dict, where):
            yield Override(where, nested(config))

    def _shell(self, body: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the settings of a shell task."""
        script = body["shell"]
        if isinstance(script, Mapping):
            _only(script, ("file",), f"{where}, shell")
            path = resolve_location(_typed(script, "file", str, where), self.path)
            script = read_text(path, "script")
        if not isinstance(script, str) or not script.strip():
            raise PipelineError(
                f"{where}: 'shell' should be the text of a script, or file: and its name", code="bad-key"
            )
        return {
            "script": script,
            "dimensions": _names(body, "dimensions", where),
            "inputs": _typed(body, "inputs", dict, where),
            "outputs": _typed(body, "outputs", dict, where),
        }

    # -- the rest -------------------------------------------------------------------------------------------

    def _subsets(self) -> dict[str, tuple[tuple[str, ...], str]]:
        out: dict[str, tuple[tuple[str, ...], str]] = {}
        for name, body in _typed(self.document, "subsets", dict, self.path).items():
            where = f"{self.path}, subset '{name}'"
            check_label(name, self.path, subset=True)
            full = body if isinstance(body, Mapping) else {"subset": body}
            _only(full, _SUBSET_KEYS, where)
            labels = _names(full, "subset", where)
            if not labels:
                raise PipelineError(f"{where} is empty", code="bad-key", hint="Write: subset: [label, …]")
            out[name] = (tuple(dict.fromkeys(labels)), _typed(full, "description", str, where))
        return out

    def _contracts(self) -> list[Contract]:
        out: list[Contract] = []
        for entry in _typed(self.document, "contracts", list, self.path):
            where = f"{self.path}, contracts"
            body = entry if isinstance(entry, Mapping) else {"contract": entry}
            _only(body, _CONTRACT_KEYS, where)
            out.append(
                Contract(_typed(body, "contract", str, where), _typed(body, "msg", str, where), self.path)
            )
        return out
