"""`Subtask`: a config field that chooses a task class and keeps the settings of every choice."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, create_model

from registry.errors import PipelineError, nearest
from stage.pipeline.config import Config, DeclaredField

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["Subtask", "SubtaskChoice", "check_offers", "chosen"]


class SubtaskChoice(Config):
    """Settings of a `Subtask` field: the chosen `name`, and the settings of each choice under its own name."""

    task_classes: ClassVar[Mapping[str, type[Task]]] = {}
    name: str = ""


def chosen(choice: SubtaskChoice) -> tuple[type[Task], Config]:
    """Return the class that is chosen, and its settings.

    Parameters
    ----------
    choice : SubtaskChoice
        The value of a `Subtask` field.

    Returns
    -------
    type, Config
        The task class and the config for it.
    """
    return choice.task_classes[choice.name], getattr(choice, choice.name)


def Subtask(  # noqa: N802 - stands where a field's value does, as pydantic's Field
    choices: Mapping[str, type[Task]],
    default: str,
    *,
    base: type | None = None,
    doc: str = "",
) -> Any:
    """Declare a subtask that a config can swap for another.

    Parameters
    ----------
    choices : mapping of str to type
        The task classes that can stand here, by name.
    default : str
        Which stands here unless a config says otherwise.
    base : type, optional
        What such a task must offer: a subclass of `Task`, of which every choice must be one, or a
        `typing.Protocol`. Either way each of its public methods must take, in every choice, what it takes here.
    doc : str
        What it is for.

    Returns
    -------
    object
        The value of a config field, whose annotation is `SubtaskChoice`.

    Raises
    ------
    PipelineError
        If the default is no choice, a choice does not offer what `base` says, or has a name that settings need.

    Examples
    --------
    ::

        class CalibrateConfig(Config):
            background: SubtaskChoice = Subtask({"mesh": MeshTask, "median": MedianTask}, default="mesh")

    ``calibrate:background.name=median`` swaps; ``calibrate:background.mesh.size=32`` sets what counts when it
    is swapped back.
    """
    if default not in choices:
        raise PipelineError(
            f"default subtask '{default}' is none of the choices",
            code="unknown-subtask",
            hint=nearest(default, choices),
        )
    for name, task_class in choices.items():
        if name in SubtaskChoice.model_fields or not name.isidentifier():
            raise PipelineError(f"'{name}' is not a usable name for a subtask", code="unknown-subtask")
        if base is not None:
            check_offers(name, task_class, base)
    fields: dict[str, Any] = {
        n: (t.ConfigClass, Field(default_factory=t.ConfigClass)) for n, t in choices.items()
    }
    fields["name"] = (Literal[tuple(choices)], default)
    model = create_model("SubtaskChoice", __base__=SubtaskChoice, __doc__=doc or None, **fields)
    model.task_classes = dict(choices)
    return DeclaredField(model, doc)


def check_offers(name: str, task_class: type, base: type) -> None:
    """Refuse a task that could not stand in a slot.

    Parameters
    ----------
    name : str
        The choice's name, for errors.
    task_class : type
        The choice.
    base : type
        What it must offer: a task class or a protocol.

    Raises
    ------
    PipelineError
        If it is no subclass, lacks a method, or has one that cannot be called as the slot's (``wrong-subtask``).
    """
    if not getattr(base, "_is_protocol", False) and not issubclass(task_class, base):
        raise PipelineError(
            f"subtask '{name}': {task_class.__name__} is not a {base.__name__}", code="wrong-subtask"
        )
    for method, wanted in _methods(base).items():
        offered = getattr(task_class, method, None)
        text = "has no" if not callable(offered) else _mismatch(wanted, offered)
        if text:
            raise PipelineError(
                f"subtask '{name}': {task_class.__name__}.{method}() {text} (the slot's is {base.__name__}.{method}"
                f"{inspect.signature(wanted)})",
                code="wrong-subtask",
                hint=f"Let it be called as {base.__name__}.{method}() is.",
            )


def _methods(base: type) -> dict[str, Any]:
    """Return the public methods that a slot's class defines itself, above what every task has."""
    from stage.pipeline.task import Task

    found: dict[str, Any] = {}
    for kind in base.__mro__:
        if kind is Task:
            break
        if kind is not object and kind.__module__ != "typing":
            members = {n: m for n, m in vars(kind).items() if inspect.isfunction(m) and not n.startswith("_")}
            found = {**members, **found}
    return found


def _mismatch(wanted: Any, offered: Any) -> str:
    """Say why one method cannot be called as the other; empty if it can."""
    theirs = list(inspect.signature(wanted).parameters.values())[1:]
    ours = dict(list(inspect.signature(offered).parameters.items())[1:])
    variadic = {p.kind for p in ours.values()}
    for p in theirs:
        is_variadic = p.kind in {p.VAR_KEYWORD, p.VAR_POSITIONAL}
        if is_variadic and p.kind not in variadic:
            return f"does not take {'**' if p.kind is p.VAR_KEYWORD else '*'}{p.name}"
        if not is_variadic and p.name not in ours and p.VAR_KEYWORD not in variadic:
            return f"does not take '{p.name}'"
        if p.name in ours and p.default is not p.empty and ours[p.name].default is p.empty:
            return f"must be given '{p.name}'"
    known = {p.name for p in theirs}
    for name, p in ours.items():
        if name not in known and p.default is p.empty and p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}:
            return f"must be given '{name}' too"
    return ""
