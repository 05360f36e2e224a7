"""``bpsEval(function, arguments)`` in a value: a few functions without effects, on literals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from registry.errors import UsageError

__all__ = ["FUNCTIONS", "evaluated"]

_NAME = "bpsEval"
_CALL = re.compile(r"bpsEval\(\s*([A-Za-z_][\w.]*)\s*,([^()]*)\)")
_LONGEST = 10_000
FUNCTIONS = (
    *("abs", "bool", "float", "int", "len", "max", "min", "round", "sorted", "str", "sum"),
    *("math.ceil", "math.floor", "math.sqrt", "os.path.basename", "os.path.dirname", "os.path.join"),
)
"""What can be called. The field's service calls whatever can be imported: reading settings is not to run code."""


def evaluated(text: str) -> str:
    """Put in what calls in a text come to.

    Parameters
    ----------
    text : str
        With ``bpsEval(max, 3, 9)`` in it, perhaps.

    Returns
    -------
    str
        With 9 in its place.

    Raises
    ------
    UsageError
        If a call is not of that form, or its function is not one of `FUNCTIONS`.
    """
    if _NAME not in text:
        return text
    out = _CALL.sub(lambda found: _call(found[1], found[2], found[0]), text)
    if _NAME in out:
        raise _refused(f"'{text[:120]}' has a {_NAME} that cannot be read")
    return out


def _call(name: str, arguments: str, whole: str) -> str:
    import ast

    if name not in FUNCTIONS:
        raise _refused(f"'{whole[:120]}' calls '{name}'")
    if len(whole) > _LONGEST:
        raise _refused(f"a {_NAME} is longer than {_LONGEST} characters")
    try:
        values = ast.literal_eval(f"[{arguments}]")
        return str(_function(name)(*values))
    except Exception as error:  # whatever a function says of its arguments
        raise _refused(f"'{whole[:120]}' fails: {error}") from error


def _function(name: str) -> Callable[..., Any]:
    import builtins
    import math
    import os.path

    module, _, last = name.rpartition(".")
    home: Any = {"math": math, "os.path": os.path, "": builtins}[module]
    found: Callable[..., Any] = getattr(home, last)
    return found


def _refused(what: str) -> UsageError:
    return UsageError(
        what,
        code="batch-config-eval",
        hint=f"Write {_NAME}(FUNCTION, ARGUMENTS) with numbers and quoted text, and one of: {', '.join(FUNCTIONS)}.",
    )
