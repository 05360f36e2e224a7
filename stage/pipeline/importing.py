"""Finding a task's code: ``module.Class`` or ``module:Class``, user modules after installed ones."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from registry.errors import PipelineError, nearest
from stage.pipeline.installed import installed_version

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["code_version", "extend_path", "load_object", "load_task_class", "split_target"]

_ours: list[str] = []
"""Directories that `extend_path` has put on the path, the newest first."""


def extend_path(directories: Iterable[str]) -> None:
    """Let modules be imported from `directories`, after everything that is installed.

    Parameters
    ----------
    directories : iterable of str
        Directories of user modules, as of a pipeline file. May be given again.

    Notes
    -----
    They go to the end of ``sys.path``, so that a user's ``cli.py`` never shadows an installed module, but before
    those of earlier calls. A module of the same name that came from elsewhere among them is forgotten: two campaigns
    in one session may each have a ``tasks.py``.
    """
    new = [d for d in (str(Path(d).resolve()) for d in directories) if d in _ours or d not in sys.path]
    new = list(dict.fromkeys(new))
    if not new or _ours[: len(new)] == new:
        return
    old = [d for d in _ours if d not in new]
    sys.path[:] = [p for p in sys.path if p not in _ours] + new + old
    _ours[:] = new + old
    importlib.invalidate_caches()
    for name in [n for n in sys.modules if "." not in n]:
        if _is_shadowed(name, new):
            for stale in [n for n in sys.modules if n == name or n.startswith(name + ".")]:
                del sys.modules[stale]


def _is_shadowed(name: str, new: list[str]) -> bool:
    """Tell whether an imported top-level module is another than `new` directories would give."""
    origin = getattr(sys.modules[name], "__file__", None)
    if origin is None:
        return False
    file = Path(origin)
    home = file.parent.parent if file.name == "__init__.py" else file.parent
    if str(home) not in _ours:
        return False
    found = (
        d for d in new if (Path(d) / f"{name}.py").is_file() or (Path(d) / name / "__init__.py").is_file()
    )
    return next(found, str(home)) != str(home)


def split_target(text: str) -> tuple[str, str]:
    """Split ``module.Class`` or ``module:Class``.

    Parameters
    ----------
    text : str
        As written in a pipeline.

    Returns
    -------
    module, qualname : str
        The two parts.

    Raises
    ------
    PipelineError
        If there are not two parts.
    """
    module, colon, qualname = text.partition(":")
    if not colon:
        module, _, qualname = text.rpartition(".")
    parts = [*module.split("."), *qualname.split(".")]
    if not all(p.isidentifier() for p in parts):
        raise PipelineError(
            f"'{text}' does not name a task",
            code="bad-task-name",
            hint="Write module.Class or module:Class.",
        )
    return module, qualname


def load_object(target: str, what: str) -> Any:
    """Import what `target` names.

    Parameters
    ----------
    target : str
        ``module.name`` or ``module:name``.
    what : str
        Who asks, for errors.

    Returns
    -------
    object
        The class, function or other object.

    Raises
    ------
    PipelineError
        If there is no such module or name, or the module fails to import.
    """
    module_name, qualname = split_target(target)
    found: Any = _import(module_name, qualname, what)
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise PipelineError(
                f"{what}: module '{module_name}' has no '{qualname}'",
                code="unknown-task-class",
                hint=nearest(part, (n for n in vars(found) if not n.startswith("_"))),
            ) from None
    return found


def _import(name: str, wanted: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not (name == exc.name or name.startswith(exc.name + ".")):
            raise PipelineError(
                f"{what}: module '{name}' needs '{exc.name}', which is not installed",
                code="task-import-failed",
            ) from exc
        searched = "the installed packages" + (f", then {', '.join(_ours)}" if _ours else "")
        raise PipelineError(
            f"{what}: no module '{exc.name}' for '{name}:{wanted}'; searched {searched}",
            code="unknown-task-class",
            hint="Put the module beside the pipeline file, or install its package.",
        ) from exc
    except (Exception, SystemExit) as exc:  # a user's module may raise anything when imported
        raise PipelineError(
            f"{what}: importing '{name}' failed: {type(exc).__name__}: {exc}", code="task-import-failed"
        ) from exc


def load_task_class(target: str, what: str) -> type[Task]:
    """Import the task class that `target` names.

    Parameters
    ----------
    target : str
        A subclass of `Task`, or a function made a task by ``@task``.
    what : str
        Who asks, for errors.

    Returns
    -------
    type
        The task class; for a function, the class made from it.

    Raises
    ------
    PipelineError
        If it cannot be imported or is no task.
    """
    from stage.pipeline.task import Task

    found = load_object(target, what)
    task_class = getattr(found, "task_class", found)
    if isinstance(task_class, type) and issubclass(task_class, Task):
        return task_class
    kind = type(found).__name__
    raise PipelineError(
        f"{what}: '{target}' is no task but a {'class' if isinstance(found, type) else kind}",
        code="not-a-task",
        hint="Name a subclass of Task, or a function with the @task decorator.",
    )


def code_version(module_name: str) -> str:
    """Return the version of the code in a module.

    Parameters
    ----------
    module_name : str
        An imported module.

    Returns
    -------
    str
        Version of the distribution named as its top-level package, else the top-level module's or its own
        ``__version__``, else empty.
    """
    top = module_name.partition(".")[0]
    module, own = sys.modules.get(top), sys.modules.get(module_name)
    origin = getattr(module, "__file__", None) or ""
    is_ours = any(Path(origin).is_relative_to(d) for d in _ours)
    if not is_ours and (found := installed_version(top)) is not None:
        return found
    for candidate in (own, module):
        version = getattr(candidate, "__version__", None)
        if isinstance(version, str):
            return version
    return ""
