"""`Subtask`: a config field that chooses a task class and keeps the settings of every choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, create_model

from registry.errors import PipelineError, nearest
from stage.pipeline.config import Config, DeclaredField

if TYPE_CHECKING:
    from stage.pipeline.task import Task

__all__ = ["Subtask", "SubtaskChoice", "chosen"]


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
    base: type[Task] | None = None,
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
        The class that defines what such a task must offer; every choice must be a subclass of it.
    doc : str
        What it is for.

    Returns
    -------
    object
        The value of a config field, whose annotation is `SubtaskChoice`.

    Raises
    ------
    PipelineError
        If the default is no choice, a choice is not a `base`, or has a name that settings need.

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
        if base is not None and not issubclass(task_class, base):
            raise PipelineError(
                f"subtask '{name}': {task_class.__name__} is not a {base.__name__}", code="wrong-subtask"
            )
    fields: dict[str, Any] = {
        n: (t.ConfigClass, Field(default_factory=t.ConfigClass)) for n, t in choices.items()
    }
    fields["name"] = (Literal[tuple(choices)], default)
    model = create_model("SubtaskChoice", __base__=SubtaskChoice, __doc__=doc or None, **fields)
    model.task_classes = dict(choices)
    return DeclaredField(model, doc)
