"""``stage exec`` as batch systems call it, by the ten thousand: read without the machinery that other commands need.

Only whole options with their values are read here. Whatever else a person may type (a short form, ``--help``, something
that is wrong) is left to the program, which knows how to say what it makes of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["exec_options", "run_exec"]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


_VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--quanta": ("quanta", str),
    "--workflow": ("workflow", str),
    "--job": ("job", str),
    "--attempt": ("attempt", _count),
    "--record": ("record", str),
    "--datastore": ("datastore", str),
    "--processes": ("processes", _count),
    "-j": ("processes", _count),
    "--retries": ("retries", _count),
    "--log-limit": ("log_limit", _count),
    "--memory": ("memory", _count),
    "--wrap": ("wrap", str),
}
_FLAGS = {"--force": "force", "--quiet": "quiet", "-q": "quiet", "--json": "as_json"}


def exec_options(words: Sequence[str]) -> dict[str, Any] | None:
    """Read the words after ``stage exec``.

    Parameters
    ----------
    words : sequence of str
        The words.

    Returns
    -------
    dict or None
        What `cli.executing.execute` takes; None if there is anything that is not read here.
    """
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word in _FLAGS:
            found[_FLAGS[word]] = True
            continue
        if word in _VALUES:
            (name, read), value = _VALUES[word], next(rest, "")
        elif not word.startswith("-"):
            (name, read), value = ("graph", str), word
        else:
            return None
        if name in found or not value or value.startswith("-"):
            return None
        try:
            value.encode()
            found[name] = read(value)
        except ValueError:
            return None
    return found if "graph" in found else None


def _begin_lightly() -> None:
    """Say to libraries, before they load, what a process that runs a few quanta does not need.

    Numerical ones have one thread, as in workers: whoever gives a job more cores says so by the variable. Pydantic does not
    look through all that is installed for plugins, unless it was told whether to.
    """
    import gc
    from importlib import import_module

    from stage.execution.threads import THREAD_VARIABLES

    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Nearly all that is made while modules load stays: to look for garbage among it takes a tenth of the time.
    gc.disable()
    for module in ("stage.execution.job", "stage.pipeline.task"):
        import_module(module)
    gc.freeze()
    gc.enable()


def run_exec(words: Sequence[str]) -> bool:
    """Run ``stage exec`` as all that this process does.

    Parameters
    ----------
    words : sequence of str
        What stands after it.

    Returns
    -------
    bool
        False if it has to be read by the program; else the process ends.
    """
    options = exec_options(words)
    if options is None:
        return False
    from cli.ending import code_of, run_process

    def act() -> None:
        from cli.executing import execute

        if options.get("processes", 0 if "workflow" in options else 1) == 0:
            _begin_lightly()
        raise SystemExit(int(execute(**options)))

    run_process(lambda: code_of(act, is_debug=lambda: bool(os.environ.get("STAGE_DEBUG"))))
    return True
