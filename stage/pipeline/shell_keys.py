"""The keys of a shell task in a pipeline file: one script, or several commands one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from registry.errors import PipelineError
from stage.pipeline.keys import names_of, only_keys, typed

__all__ = ["shell_settings"]

_COMMAND_KEYS = ("name", "shell", "file")


def shell_settings(body: Mapping[str, Any], where: str, read: Callable[[str], str]) -> dict[str, Any]:
    """Return the settings of a shell task.

    Parameters
    ----------
    body : mapping
        What the pipeline file says of it, with ``shell`` or ``commands``.
    where : str
        The file and the task, for errors.
    read : callable
        Gives the text of a script file, by its name as written.

    Returns
    -------
    dict
        The settings of `stage.tasks.shell.ShellTask`.

    Raises
    ------
    PipelineError
        If a script is none, or a key is unknown.
    """
    if "commands" in body:
        given = body["commands"]
        if not isinstance(given, list) or not given:
            raise PipelineError(
                f"{where}: 'commands' should be a list of scripts, not {given!r:.60}",
                code="bad-key",
                hint='Write one a line, as: - sort "$table" > sorted',
            )
        commands = [_command(entry, f"{where}, command {i}", read) for i, entry in enumerate(given, start=1)]
        what: dict[str, Any] = {"commands": commands}
    else:
        what = {"script": _script(body["shell"], where, read)}
    return {
        **what,
        "dimensions": names_of(body, "dimensions", where),
        "inputs": typed(body, "inputs", dict, where),
        "outputs": typed(body, "outputs", dict, where),
    }


def _command(entry: Any, where: str, read: Callable[[str], str]) -> dict[str, str]:
    if not isinstance(entry, Mapping):
        return {"shell": _script(entry, where, read)}
    only_keys(entry, _COMMAND_KEYS, where)
    if ("shell" in entry) == ("file" in entry):
        raise PipelineError(f"{where}: give shell or file", code="bad-key")
    script = entry["shell"] if "shell" in entry else {"file": entry["file"]}
    name = typed(entry, "name", str, where)
    return {**({"name": name} if name else {}), "shell": _script(script, where, read)}


def _script(given: Any, where: str, read: Callable[[str], str]) -> str:
    if isinstance(given, Mapping):
        only_keys(given, ("file",), f"{where}, shell")
        given = read(typed(given, "file", str, where))
    if not isinstance(given, str) or not given.strip():
        raise PipelineError(
            f"{where}: 'shell' should be the text of a script, or file: and its name", code="bad-key"
        )
    return given
