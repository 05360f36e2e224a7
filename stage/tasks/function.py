"""``@task``: a plain function made a task, and still a plain function."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, cast

from pydantic import create_model

from registry.errors import PipelineError, nearest
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.resources import Resources
from stage.pipeline.struct import Struct
from stage.pipeline.task import QuantumLike, RepoLike, Task
from stage.tasks.local_files import FileRepoLike, is_made

__all__ = ["FunctionTask", "TaskFunction", "task"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FunctionTask(Task):
    """A task made from a function; see `task`."""

    kind = "function"
    function: ClassVar[Callable[..., Any]]
    settings: ClassVar[tuple[str, ...]] = ()
    paths: ClassVar[tuple[str, ...]] = ()

    def run(self, **inputs: Any) -> Struct:
        """Call the function with the inputs, and with the settings of the config.

        Parameters
        ----------
        **inputs
            One keyword an input connection, ``data_id`` if the function has it, and the path of each output that the
            function writes itself.

        Returns
        -------
        Struct
            One field an output connection.
        """
        settings = {name: getattr(self.config, name) for name in self.settings}
        result = self._named(type(self).function(**inputs, **settings))
        written = {name: inputs[name] for name in self.paths if inputs.get(name) is not None}
        return Struct(**{**result.as_dict(), **written}) if written else result

    def run_quantum(self, quantum: QuantumLike, repo: RepoLike) -> None:
        """Read a quantum's inputs, call the function, write its outputs or take the files that it has written.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Where they are; also with ``local_path`` and ``put_file`` if the function is given paths.

        Raises
        ------
        NoWorkFound
            If there are too few inputs, or the function says so. Nothing was written.
        PipelineError
            If the function does not return or write what is declared. Nothing was written.
        """
        if not self.paths:
            super().run_quantum(quantum, repo)
            return
        files = cast("FileRepoLike", repo)
        inputs, outputs = self.adjust_quantum(dict(quantum.inputs), dict(quantum.outputs), quantum.data_id)
        places = {n: [Path(files.local_path(ref)) for ref in outputs.get(n, ())] for n in self.paths}
        arguments = self.read_inputs(inputs, repo)
        if self.wants_data_id:
            arguments["data_id"] = dict(quantum.data_id)
        result = self.run(**arguments, **self._handed(places)).as_dict()
        # Those that the function has written are taken from their places, not from here.
        result |= {name: [] for name in places}
        written = list(self._written(places, outputs))
        self.write_outputs(result, {n: refs for n, refs in outputs.items() if n not in places}, repo)
        for place, ref in written:
            files.put_file(place, ref)

    def _handed(self, places: Mapping[str, list[Path]]) -> dict[str, Any]:
        """Return the paths as parameters: a list where an output is multiple, None where it is not wanted."""
        declared = {c.name: c for c in self.connections.by_role("output")}
        return {
            name: found if declared[name].multiple else next(iter(found), None)
            for name, found in places.items()
        }

    def _written(
        self, places: Mapping[str, list[Path]], outputs: Mapping[str, Sequence[Any]]
    ) -> Iterator[tuple[Path, Any]]:
        """Yield the files that the function has written, each with its ref."""
        for connection in self.connections.by_role("output"):
            for place, ref in zip(
                places.get(connection.name, ()), outputs.get(connection.name, ()), strict=False
            ):
                if is_made(place):
                    yield place, ref
                elif connection.minimum:
                    raise PipelineError(
                        f"the function of task '{self.name}' did not write its output '{connection.name}' to {place}",
                        code="missing-output",
                        hint="Write it there, or declare it with minimum=0.",
                    )

    def _named(self, result: Any) -> Struct:
        """Give names to what the function returned: a single output is the value itself."""
        if isinstance(result, Struct):
            return result
        names = [c.name for c in self.connections.by_role("output") if c.name not in self.paths]
        if len(names) == 1:
            return Struct(**{names[0]: result})
        if isinstance(result, Mapping):
            return Struct(**result)
        if not names and result is None:
            return Struct()
        raise PipelineError(
            f"function of task '{self.name}' returned a {type(result).__name__}; it has outputs {', '.join(names)}",
            code="wrong-result",
            hint="Return a dict or a Struct with one entry an output.",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The class cannot be found by name: the function stands there.
        return _rebuild, (
            f"{type(self).__module__}:{type(self).__qualname__}",
            self.config.to_document(),
            self.name,
        )


def _rebuild(target: str, config: dict[str, Any], name: str) -> Task:
    from stage.pipeline.importing import load_task_class

    return load_task_class(target, f"task '{name}'")(config, name=name)


class TaskFunction(Generic[_P, _R]):
    """A function with the `task` decorator: calling it calls the function.

    Parameters
    ----------
    function : callable
        The function.
    task_class : type
        The task made from it.

    Attributes
    ----------
    task_class : type
        Construct it with a config to run the function as a task.
    """

    def __init__(self, function: Callable[_P, _R], task_class: type[FunctionTask]) -> None:
        functools.update_wrapper(self, function)
        self.task_class = task_class

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function."""
        return typing.cast("_R", self.task_class.function(*args, **kwargs))

    def __reduce__(self) -> str:
        return self.task_class.__qualname__

    def __repr__(self) -> str:
        return f"<task {self.task_class.__module__}.{self.task_class.__qualname__}>"


def task(
    *,
    dimensions: Iterable[str] | str = (),
    inputs: Mapping[str, Input] | None = None,
    outputs: Mapping[str, Output] | None = None,
    resources: Resources = Resources(),  # noqa: B008 - frozen
) -> Callable[[Callable[_P, _R]], TaskFunction[_P, _R]]:
    """Make a function a task.

    Parameters
    ----------
    dimensions : iterable of str
        What identifies one quantum.
    inputs : mapping of str to Input
        Its inputs: each is a parameter of the function.
    outputs : mapping of str to Output
        Its outputs. The function returns the value itself if there is one, else a dict or a `Struct` by name. One that
        is a parameter with the annotation ``Path`` it writes itself: it is handed the path of a file that is not there
        yet, or of an empty directory for a `FileSet`.
    resources : Resources
        What one quantum needs of a machine.

    Returns
    -------
    callable
        The decorator. What it gives can be called as before, and named in a pipeline as ``module.function``.

    Raises
    ------
    PipelineError
        If an input is no parameter, or a parameter is neither an input, ``data_id``, nor has a type or a default.

    Notes
    -----
    All other parameters are settings: their annotations and defaults make the config.

    Examples
    --------
    >>> @task(inputs={"raw": Input("raw", "Json")}, outputs={"clean": Output("clean", "Json")})
    ... def clean(raw: list[float], limit: float = 3.0) -> list[float]:
    ...     return [x for x in raw if x < limit]
    >>> clean(raw=[1, 5])
    [1]
    >>> clean.task_class({"limit": 6}).run(raw=[1, 5])
    Struct(clean=[1, 5])
    """
    ins, outs = dict(inputs or {}), dict(outputs or {})

    def decorate(function: Callable[_P, _R]) -> TaskFunction[_P, _R]:
        name = getattr(function, "__qualname__", repr(function))
        parameters = _parameters(function, name, ins)
        paths = tuple(n for n in outs if n not in ins and _is_path(function, parameters.get(n)))
        settings = {n: p for n, p in parameters.items() if n not in ins and n not in {"data_id", *paths}}
        common = {"__module__": function.__module__, "__doc__": function.__doc__}
        connections: type[Connections] = type(
            f"{name}.Connections", (Connections,), {**common, **ins, **outs}, dimensions=dimensions
        )
        body = {
            **common,
            "__qualname__": name,
            "function": staticmethod(function),
            "settings": tuple(settings),
            "paths": paths,
            "wants_data_id": "data_id" in parameters,
            "ConfigClass": _config_class(function, name, settings),
            "ConnectionsClass": connections,
            "default_label": function.__name__,
            "resources": resources,
        }
        return TaskFunction(function, type(function.__name__, (FunctionTask,), body))

    return decorate


def _parameters(
    function: Callable[..., Any], name: str, inputs: Mapping[str, Input]
) -> dict[str, inspect.Parameter]:
    """Return the function's parameters, compared with the inputs."""
    parameters = dict(inspect.signature(function).parameters)
    for parameter in parameters.values():
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY}:
            raise PipelineError(
                f"task function {name}: parameter '{parameter.name}' cannot be given by name",
                code="run-signature",
            )
    for wanted in inputs:
        if wanted not in parameters:
            raise PipelineError(
                f"task function {name} has no parameter for its input '{wanted}'",
                code="run-signature",
                hint=nearest(wanted, parameters),
            )
    return parameters


def _is_path(function: Callable[..., Any], parameter: inspect.Parameter | None) -> bool:
    """Tell whether a parameter is annotated as a path."""
    if parameter is None:
        return False
    holder = types.SimpleNamespace(__annotations__={"path": parameter.annotation})
    try:
        found = typing.get_type_hints(holder, getattr(function, "__globals__", {})).get("path")
    except (NameError, TypeError):  # a type that only checkers know is no path
        return False
    return isinstance(found, type) and issubclass(found, Path)


def _config_class(
    function: Callable[..., Any], name: str, settings: Mapping[str, inspect.Parameter]
) -> type[Config]:
    """Make a config of the parameters that are settings."""
    annotated = {n: p.annotation for n, p in settings.items() if p.annotation is not p.empty}
    try:
        # Only these are evaluated: types of inputs may be imported for type checkers alone.
        holder = types.SimpleNamespace(__annotations__=annotated)
        hints = typing.get_type_hints(holder, getattr(function, "__globals__", {}), include_extras=True)
    except (NameError, TypeError) as exc:
        raise PipelineError(
            f"task function {name}: a setting's type is not known: {exc}", code="run-signature"
        ) from exc
    fields: dict[str, Any] = {}
    for setting, parameter in settings.items():
        required = parameter.default is parameter.empty
        if required and setting not in hints:
            raise PipelineError(
                f"task function {name}: '{setting}' is no input, and has neither a type nor a default",
                code="run-signature",
                hint="Declare it under inputs, or give it a default: then it is a setting.",
            )
        fields[setting] = (
            hints.get(setting, _type_of(parameter.default)),
            ... if required else parameter.default,
        )
    try:
        return create_model(
            f"{function.__name__}_config", __base__=Config, __module__=function.__module__, **fields
        )
    except PipelineError as exc:
        raise PipelineError(f"task function {name}: {exc.message}", code=exc.code) from exc


def _type_of(default: Any) -> Any:
    """Return a type for a setting that has none written."""
    if isinstance(default, bool | str):
        return type(default)
    if isinstance(default, int | float):
        return float if isinstance(default, float) else int | float
    return Any
