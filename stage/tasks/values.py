"""Small values that go in and out of scripts as variables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stage.pipeline.node import ConnectionDef
from stage.pipeline.value_types import check_value, text_of_value, value_of_text

__all__ = ["check_written", "input_text", "said_values", "with_values"]

_DUMP = """\
_stage_values() {{
    local status=$?
    set +eu
{lines}
    return $status
}}
trap _stage_values EXIT
. {script}
_stage_values
"""


def input_text(connection: ConnectionDef, values: Sequence[Any]) -> str:
    """Return what the variable of a typed input holds.

    Parameters
    ----------
    connection : ConnectionDef
        The input.
    values : sequence of object
        Its values.

    Returns
    -------
    str
        The value itself, nothing if there is none, or a JSON list where the input is multiple.
    """
    if connection.multiple:
        return json.dumps(list(values))
    return text_of_value(values[0]) if values else ""


def with_values(script: str, names: Iterable[str], directory: Path, number: int) -> str:
    """Return a script that tells at its end what some variables hold.

    Parameters
    ----------
    script : str
        Its text, which is written to a file of its own: what bash says of a line of it stays right.
    names : iterable of str
        The variables.
    directory : Path
        The quantum's scratch directory.
    number : int
        Which of its commands.

    Returns
    -------
    str
        Text for bash.

    Notes
    -----
    It is told when the script ends by itself or by ``exit``. One that sets a trap of its own on EXIT has to come to its
    last line, or to write its values to files.
    """
    text = directory / f"command-{number}.bash"
    text.write_text(script, encoding="utf-8")
    told = directory / "values"
    told.mkdir(exist_ok=True)
    lines = "\n".join(f'    printf %s "${{{name}-}}" > {shlex.quote(str(told / name))}' for name in names)
    return _DUMP.format(lines=lines, script=shlex.quote(str(text)))


def said_values(
    typed: Mapping[str, str], environment: Mapping[str, str], directory: Path, owner: str
) -> dict[str, Any]:
    """Return the values that a script has said by variables.

    Parameters
    ----------
    typed : mapping of str to str
        Type by the name of the output.
    environment : mapping of str to str
        What the script got: a variable that still holds that has said nothing.
    directory : Path
        The quantum's scratch directory.
    owner : str
        The task, for errors.

    Returns
    -------
    dict
        Value by name of the output; those about which nothing was said are not there.

    Raises
    ------
    PipelineError
        If a value is not of its type (``wrong-type``).
    """
    out: dict[str, Any] = {}
    for name, kind in typed.items():
        told = directory / "values" / name
        text = told.read_text(encoding="utf-8", errors="replace") if told.is_file() else environment[name]
        if text != environment[name]:
            out[name] = value_of_text(text, kind, _said(name, owner))
    return out


def check_written(place: Path, name: str, kind: str, owner: str) -> None:
    """Refuse a file with a value of another type.

    Parameters
    ----------
    place : Path
        What the script has written, in JSON.
    name, kind : str
        The output, and its type.
    owner : str
        The task, for errors.

    Raises
    ------
    PipelineError
        If it is not (``wrong-type``).
    """
    check_value(json.loads(place.read_text(encoding="utf-8")), kind, _said(name, owner))


def _said(name: str, owner: str) -> str:
    return f"output '{name}' of {owner}"
