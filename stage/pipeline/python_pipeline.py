"""Pipelines that a Python function makes: ``file.py:function`` in place of a pipeline file."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, PipelineError, StageError, nearest
from registry.model.digest import digest_bytes
from stage.pipeline.importing import extend_path
from stage.pipeline.overrides import read_text

if TYPE_CHECKING:
    from stage.pipeline.definition import PipelineDefinition

__all__ = ["is_python", "python_definition", "python_location"]

_FILE = re.compile(r"(.+\.py):([A-Za-z_]\w*)\Z", re.DOTALL)
_MODULE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)\Z")

_loaded: dict[str, str] = {}
"""Digest of the text of each file as it was when its module was imported."""


def is_python(location: str) -> bool:
    """Tell whether a location names a function that makes a pipeline.

    Parameters
    ----------
    location : str
        Without a selection.

    Returns
    -------
    bool
        Whether it is ``file.py:function``, or a file of Python, of which the function is not named.
    """
    return bool(_FILE.match(location)) or location.endswith(".py")


def python_location(location: str) -> str:
    """Return ``module:function`` as ``file.py:function``.

    Parameters
    ----------
    location : str
        As it was typed, with or without a selection.

    Returns
    -------
    str
        The same, unless it names a function of a module that is found from here, or is installed.

    Raises
    ------
    NotFoundError
        If there is no such module.
    """
    name, hash_sign, selection = location.partition("#")
    match = _MODULE.match(name)
    if match is None or is_python(name) or Path(name).exists():
        return location
    relative = match[1].replace(".", "/")
    for folder in (Path.cwd(), *(Path(p) for p in sys.path if p)):
        for file in (folder / f"{relative}.py", folder / relative / "__init__.py"):
            if file.is_file():
                return f"{file}:{match[2]}{hash_sign}{selection}"
    raise NotFoundError(
        f"there is no module '{match[1]}' that could make a pipeline",
        code="no-pipeline-module",
        hint="Name its file: path/to/file.py:function.",
    )


def python_definition(location: str) -> PipelineDefinition:
    """Call the function that makes a pipeline.

    Parameters
    ----------
    location : str
        ``file.py:function``. The function takes no arguments and returns a `Pipeline`, or a mapping with the keys of a
        pipeline file.

    Returns
    -------
    PipelineDefinition
        Its own directory is on its search path.

    Raises
    ------
    NotFoundError
        If there is no such file.
    PipelineError
        If it has no such function, that fails, or it returns something else.
    """
    match = _FILE.match(location)
    if match is None:
        raise PipelineError(
            f"{location} is a file of Python, and the function that makes the pipeline is not named",
            code="bad-location",
            hint=f"Name it: {location}:function.",
        )
    path, name = match[1], match[2]
    text = read_text(path, "pipeline")
    file = Path(path).resolve()
    root, module_name = _home(file)
    module = _module(module_name, root, file, digest_bytes(text.encode()))
    function = getattr(module, name, None)
    if not callable(function):
        functions = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise PipelineError(
            f"{path} has no function '{name}' to make a pipeline",
            code="no-pipeline-function",
            hint=nearest(name, functions),
        )
    try:
        made = function()
    except StageError:
        raise
    except Exception as exc:
        raise PipelineError(
            f"{location}() failed: {type(exc).__name__}: {exc}", code="pipeline-function-failed"
        ) from exc
    found = _as_definition(made, location)
    return replace(found, where=location, search_path=tuple(dict.fromkeys((str(root), *found.search_path))))


def _home(file: Path) -> tuple[Path, str]:
    """Return the directory from which a file is imported, and the name of its module."""
    names = [] if file.stem == "__init__" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    return root, ".".join(names)


def _module(name: str, root: Path, file: Path, digest: str) -> ModuleType:
    """Import a module, again if its text has changed since."""
    extend_path([str(root)])
    known = _loaded.get(str(file))
    try:
        module = importlib.import_module(name)
        if known is not None and known != digest:
            module = importlib.reload(module)
    except Exception as exc:
        raise PipelineError(
            f"{file} cannot be imported: {type(exc).__name__}: {exc}", code="import-failed"
        ) from exc
    if Path(getattr(module, "__file__", None) or "").resolve() != file:
        raise PipelineError(
            f"{file} cannot be imported as '{name}': there is an installed module of that name",
            code="shadowed-module",
            hint="Call the file something else.",
        )
    _loaded[str(file)] = digest
    return module


def _as_definition(made: Any, location: str) -> PipelineDefinition:
    from stage.pipeline.load import read_definition
    from stage.pipeline.pipeline import Pipeline

    if isinstance(made, Pipeline):
        return made.definition
    if isinstance(made, Mapping):
        return read_definition(made, location)
    raise PipelineError(
        f"{location}() returned a {type(made).__name__}, which is no pipeline",
        code="wrong-result",
        hint="Return a Pipeline, or a dict with the keys of a pipeline file.",
    )
