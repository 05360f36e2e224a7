"""Data IDs from the paths of files: ``{instrument}/{exposure}_{detector}.fits``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError, nearest
from registry.model.columns import Columns
from stage.campaign.layout import absolute_uri

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse

__all__ = ["rows_from_paths"]

_PART = re.compile(r"\{([^{}]*)\}|(\*)|([{}])")


def rows_from_paths(
    universe: DimensionUniverse, pattern: str, paths: Sequence[str], common: Mapping[str, Any]
) -> Columns:
    """Read the data IDs of files off their paths.

    Parameters
    ----------
    universe : DimensionUniverse
        Says which dimensions there are, and which are numbers.
    pattern : str
        What paths end with: ``{dimension}`` stands for its value, ``*`` for anything; neither goes beyond a ``/``.
    paths : sequence of str
        The files.
    common : mapping
        Values that hold for all files; they go before what a path says.

    Returns
    -------
    Columns
        One column a dimension, and ``path``.

    Raises
    ------
    UsageError
        If the pattern names no dimension, or one that there is not, or a path does not end so; names the first.
    """
    expression, names = _compile(universe, pattern)
    absolute = [absolute_uri(path) for path in paths]
    found = [expression.search(path) for path in absolute]
    unlike = [path for path, match in zip(absolute, found, strict=True) if match is None]
    if unlike:
        raise UsageError(
            f"{unlike[0]} does not end as '{pattern}'{f', nor do {len(unlike) - 1} more' if len(unlike) > 1 else ''}",
            code="path-differs",
            hint="Leave those files out, or correct --data-id-from.",
        )
    values = [match.groupdict() for match in found if match is not None]
    columns: dict[str, Any] = {
        name: [value[name] for value in values] for name in names if name not in common
    }
    columns |= {name: [value] * len(absolute) for name, value in common.items()}
    return Columns({**columns, "path": absolute})


def _compile(universe: DimensionUniverse, pattern: str) -> tuple[re.Pattern[str], list[str]]:
    names: list[str] = []
    parts: list[str] = []
    end = 0
    for match in _PART.finditer(pattern):
        parts.append(re.escape(pattern[end : match.start()]))
        end = match.end()
        name, star, brace = match.groups()
        if brace:
            raise UsageError(f"'{pattern}' has a '{brace}' without its partner", code="bad-pattern")
        if star:
            parts.append("[^/]*")
        elif name in names:
            parts.append(f"(?P={name})")
        else:
            names.append(name)
            parts.append(f"(?P<{name}>{_value(universe, name, pattern)})")
    parts.append(re.escape(pattern[end:]))
    if not names:
        raise UsageError(
            f"'{pattern}' names no dimension", code="bad-pattern", hint="Write {instrument}/{exposure}.fits"
        )
    return re.compile(f"(?:^|/){''.join(parts)}$"), names


def _value(universe: DimensionUniverse, name: str, pattern: str) -> str:
    if name not in universe.dimension_names:
        raise UsageError(
            f"'{pattern}': no dimension '{name}'",
            code="unknown-dimension",
            hint=nearest(name, [n for n in universe.dimension_names if universe.element(n).skypix is None]),
        )
    key = universe.element(name).key
    return "[0-9]+" if key is not None and key.type == "int" else "[^/]+?"
