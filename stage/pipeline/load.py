"""Pipeline YAML → `PipelineDefinition`: keys checked by name, imports taken in, a selection applied."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from registry.errors import PipelineError, nearest
from stage.pipeline.contracts import contract_labels
from stage.pipeline.definition import Contract, Override, PipelineDefinition, TaskDefinition, check_label
from stage.pipeline.edit import set_parameter
from stage.pipeline.instruments import common_instrument, with_instruments
from stage.pipeline.keys import names_of, only_keys, typed
from stage.pipeline.overrides import (
    nested,
    note_variable,
    python_overrides,
    read_overrides,
    read_text,
    read_yaml_file,
)
from stage.pipeline.prefix import with_prefix
from stage.pipeline.python_pipeline import is_python, python_definition, python_location
from stage.pipeline.selecting import selected
from stage.pipeline.shell_keys import shell_settings
from stage.pipeline.steps import Step

__all__ = ["load_definition", "read_definition", "resolve_location"]

_TOP_KEYS = (
    "description", "instrument", "instruments", "parameters", "imports", "tasks", "subsets", "contracts", "steps",
    "search_path",
)  # fmt: skip
_TASK_KEYS = (
    "class",
    "function",
    "shell",
    "commands",
    "config",
    "file",
    "python",
    "dimensions",
    "inputs",
    "outputs",
    "resources",
    "units",
    "ephemeral",
)
_SHELL_KEYS = ("dimensions", "inputs", "outputs")
_IMPORT_KEYS = ("location", "include", "exclude", "prefix", "parameters")
_STEP_KEYS = ("label", "tasks", "description", "dimensions")
_SUBSET_KEYS = ("subset", "description")
_CONTRACT_KEYS = ("contract", "msg")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def load_definition(location: str | Path) -> PipelineDefinition:
    """Read a pipeline file and what it imports.

    Parameters
    ----------
    location : str or Path
        A path or a URI, or a function that makes one (``file.py:function``, ``module:function``), with
        ``#label,subset`` at its end to take only a part (see `stage.pipeline.selecting`).

    Returns
    -------
    PipelineDefinition
        Keys and labels are checked; no task code was imported, unless the selection is about dependencies.

    Raises
    ------
    NotFoundError
        If a file does not exist.
    PipelineError
        If a file is not a pipeline; names file, key and the nearest known one.
    """
    path, _, selection = python_location(str(location)).partition("#")
    found = _read(path, ())
    return selected(found, selection) if selection else found


def read_definition(document: Mapping[str, Any], where: str) -> PipelineDefinition:
    """Read a pipeline that is no file, and imports none.

    Parameters
    ----------
    document : mapping
        The keys of a pipeline file.
    where : str
        What it is called in errors.

    Returns
    -------
    PipelineDefinition
        As `load_definition` gives it.

    Raises
    ------
    PipelineError
        If it is not a pipeline.
    """
    return _Reader(where, document, (), is_file=False).definition()


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
    if is_python(path):
        return python_definition(path)
    key = path if "://" in path else str(Path(path).resolve())
    if key in above:
        chain = " → ".join(Path(p).name for p in (*above[above.index(key) :], key))
        raise PipelineError(f"pipeline files import each other in a circle: {chain}", code="import-cycle")
    document = read_yaml_file(path, "pipeline file")
    return _Reader(path, document, (*above, key)).definition()


class _Reader:
    """Reads one file, key by key."""

    def __init__(
        self, path: str, document: Mapping[str, Any], chain: tuple[str, ...], *, is_file: bool = True
    ) -> None:
        self.path = path
        self.document = document
        self.chain = chain
        self.is_file = is_file

    def definition(self) -> PipelineDefinition:
        doc = self.document
        only_keys(doc, _TOP_KEYS, self.path)
        base = self._imported()
        tasks = dict(base.tasks)
        for label, body in typed(doc, "tasks", dict, self.path).items():
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
            description=typed(doc, "description", str, self.path) or base.description,
            instrument=typed(doc, "instrument", str, self.path)
            or (None if "instrument" in doc else base.instrument),
            instruments=base.instruments,
            parameters={**base.parameters, **typed(doc, "parameters", dict, self.path)},
            tasks=tasks,
            subsets={**base.subsets, **self._subsets()},
            contracts=(*base.contracts, *self._contracts()),
            steps=base.steps,
            search_path=self._search_path(base),
            scopes=base.scopes,
            where=self.path,
        )
        self._check_names(found)
        found = with_instruments(found, doc, self.path, self._overrides)
        return replace(found, steps=tuple(self._steps(found)) or base.steps)

    def _search_path(self, base: PipelineDefinition) -> tuple[str, ...]:
        own = [] if "://" in self.path or not self.is_file else [str(Path(self.path).resolve().parent)]
        further = (resolve_location(t, self.path) for t in names_of(self.document, "search_path", self.path))
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
                ("step", [s.label for s in out.steps], [s.label for s in part.steps]),
            ):
                if twice := sorted(set(ours) & set(theirs)):
                    raise PipelineError(
                        f"{self.path}: {kind} '{twice[0]}' is imported twice, the second time from {part.where}",
                        code="imported-twice",
                        hint="Exclude it from one of the imports, or give one a prefix.",
                    )
            out = replace(
                part,
                description="",
                parameters={**out.parameters, **part.parameters},
                instrument=common_instrument(out, part, is_decided="instrument" in self.document),
                instruments=tuple(dict.fromkeys((*out.instruments, *part.instruments))),
                tasks={**out.tasks, **part.tasks},
                subsets={**out.subsets, **part.subsets},
                contracts=(*out.contracts, *part.contracts),
                steps=(*out.steps, *part.steps),
                search_path=(*out.search_path, *part.search_path),
                scopes=(*out.scopes, *part.scopes),
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
        only_keys(body, _IMPORT_KEYS, where)
        include, exclude = names_of(body, "include", where), names_of(body, "exclude", where)
        if include and exclude:
            raise PipelineError(
                f"{where}: {body['location']}: give include or exclude, not both", code="bad-key"
            )
        path, _, selection = resolve_location(body["location"], self.path).partition("#")
        found = _read(path, self.chain)
        if selection:
            found = selected(found, selection)
        if include:
            found = found.only(found.expand(include))
        found = found.only(set(found.tasks) - found.expand(exclude)) if exclude else found
        for name, value in typed(body, "parameters", dict, where).items():
            found = set_parameter(found, name, value, where)
        prefix = typed(body, "prefix", str, where)
        return with_prefix(found, prefix, where) if prefix else found

    # -- tasks ----------------------------------------------------------------------------------------------

    def _task(self, label: str, body: Any) -> TaskDefinition:
        where = f"{self.path}, task '{label}'"
        if body is None:
            body = {}
        if isinstance(body, str):
            body = {"class": body}
        if not isinstance(body, Mapping):
            raise PipelineError(f"{where}: expected module.Class or a mapping, not {body!r}", code="bad-key")
        only_keys(body, _TASK_KEYS, where)
        forms = [k for k in ("class", "function", "shell", "commands") if k in body]
        if len(forms) > 1:
            raise PipelineError(f"{where}: give one of {', '.join(forms)}, not several", code="bad-key")
        is_shell = forms in (["shell"], ["commands"])
        if not is_shell and (extra := [k for k in _SHELL_KEYS if k in body]):
            raise PipelineError(
                f"{where}: '{extra[0]}' belongs to shell tasks; others declare it in their code",
                code="bad-key",
            )
        target = typed(body, forms[0], str, where) if forms and not is_shell else ""
        overrides = tuple(self._overrides(body, where))
        return TaskDefinition(
            target,
            overrides,
            self._shell(body, where) if is_shell else None,
            where,
            typed(body, "resources", dict, where),
            typed(body, "units", str, where),
            tuple(names_of(body, "ephemeral", where)) if "ephemeral" in body else None,
            declared=len(overrides) if is_shell else 0,
        )

    def _overrides(self, body: Mapping[str, Any], where: str) -> Iterable[Override]:
        """Yield the changes of settings: files, then Python, then the mapping."""
        for text in names_of(body, "file", where):
            path = resolve_location(text, self.path)
            yield Override(path, read_overrides(path))
        if "python" in body:
            yield Override(where, python_overrides(typed(body, "python", str, where), where))
        if config := typed(body, "config", dict, where):
            yield Override(where, nested(config))

    def _shell(self, body: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the settings of a shell task."""
        return shell_settings(
            body, where, lambda name: read_text(resolve_location(name, self.path), "script")
        )

    # -- the rest -------------------------------------------------------------------------------------------

    def _subsets(self) -> dict[str, tuple[tuple[str, ...], str]]:
        out: dict[str, tuple[tuple[str, ...], str]] = {}
        for name, body in typed(self.document, "subsets", dict, self.path).items():
            where = f"{self.path}, subset '{name}'"
            check_label(name, self.path, subset=True)
            full = body if isinstance(body, Mapping) else {"subset": body}
            only_keys(full, _SUBSET_KEYS, where)
            labels = names_of(full, "subset", where)
            if not labels:
                raise PipelineError(f"{where} is empty", code="bad-key", hint="Write: subset: [label, …]")
            out[name] = (tuple(dict.fromkeys(labels)), typed(full, "description", str, where))
        return out

    def _steps(self, found: PipelineDefinition) -> Iterable[Step]:
        """Yield the steps: names of subsets and tasks, or mappings."""
        given = self.document.get("steps") or []
        for entry in given if isinstance(given, list) else [given]:
            where = f"{self.path}, steps"
            body = entry if isinstance(entry, Mapping) else {"label": entry}
            only_keys(body, _STEP_KEYS, where)
            label = check_label(body.get("label", ""), where, subset=True)
            tasks = found.expand(names_of(body, "tasks", where) or [label])
            if tasks != {label}:
                self._check_step_label(label, tasks, found)
            yield Step(
                label,
                tuple(name for name in found.tasks if name in tasks),
                typed(body, "description", str, where),
                tuple(names_of(body, "dimensions", where)),
            )

    def _check_step_label(self, label: str, tasks: set[str], found: PipelineDefinition) -> None:
        """Refuse a step that is called as something else is."""
        subset = found.subsets.get(label, (tuple(tasks),))[0]
        if label in found.tasks or set(subset) != tasks:
            kind = "task" if label in found.tasks else "subset"
            raise PipelineError(
                f"{self.path}: step '{label}' is called as a {kind}, but has other tasks", code="bad-label"
            )

    def _contracts(self) -> list[Contract]:
        out: list[Contract] = []
        for entry in typed(self.document, "contracts", list, self.path):
            where = f"{self.path}, contracts"
            body = entry if isinstance(entry, Mapping) else {"contract": entry}
            only_keys(body, _CONTRACT_KEYS, where)
            out.append(
                Contract(typed(body, "contract", str, where), typed(body, "msg", str, where), self.path)
            )
        return out
