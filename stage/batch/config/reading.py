"""One YAML file: its values, and the line of each; refused if it is none, or made to do harm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, StorageError, UsageError

if TYPE_CHECKING:
    import yaml

    from stage.batch.config.origins import Path

__all__ = ["Read", "parse", "read_bytes"]

_MOST_BYTES = 8 << 20
_MOST_VALUES = 200_000
"""With each alias counted as what it stands for: a file of a few lines can stand for more than fits in memory."""
_DEEPEST = 50
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says.

    Parameters
    ----------
    values : dict
        Of the file; empty if it says nothing.
    lines : dict of tuple to int
        The line of each key, by the keys that lead to it.
    repeated : list of (tuple, int)
        Keys that are written twice, and where: the last one counts.
    """

    values: dict[Any, Any]
    lines: dict[Path, int]
    repeated: list[tuple[Path, int]]


def read_bytes(path: FilePath, shown: str, wanted_by: str = "") -> bytes:
    """Read a file of settings.

    Parameters
    ----------
    path : pathlib.Path
        Where it is.
    shown : str
        What it is called in errors.
    wanted_by : str, optional
        What includes it.

    Returns
    -------
    bytes
        What is in it.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError
        If it cannot be read.
    UsageError
        If it is too large for settings.
    """
    by = f"{wanted_by}: " if wanted_by else ""
    try:
        if not path.exists():
            raise NotFoundError(
                f"{by}there is no file '{shown}'",
                code="batch-config-missing",
                hint="Included files are looked for in the working directory, then beside the file that includes them."
                if wanted_by
                else "Give the path of the submission's YAML.",
            )
        if not path.is_file():
            raise UsageError(f"{by}'{shown}' is not a file", code="batch-config-missing")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"{by}'{shown}' cannot be read: {error.strerror}", code="batch-config-unreadable"
        ) from error
    if len(data) > _MOST_BYTES:
        raise UsageError(
            f"{by}'{shown}' has more than {_MOST_BYTES >> 20} MiB", code="batch-config-too-large"
        )
    return data


def parse(data: bytes | str, shown: str) -> Read:
    """Read YAML.

    Parameters
    ----------
    data : bytes or str
        The text; JSON is YAML too.
    shown : str
        Its file, for errors.

    Returns
    -------
    Read
        Values and lines.

    Raises
    ------
    UsageError
        If it is not YAML, not a mapping, or stands for too much; names the line.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = base(data)
        try:
            node = loader.get_single_node()
            size = _Size(shown)
            size.of(node)
            values = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused(shown, f"not valid YAML: {error.problem or error.context}", mark) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        if isinstance(error, UsageError):
            raise
        raise _refused(shown, f"not valid YAML: {_first_line(error)}") from error
    if values is None:
        return Read({}, {}, [])
    if not isinstance(values, dict):
        raise _refused(
            shown, f"a {type(values).__name__} where settings ('key: value') are expected", node.start_mark
        )
    walk = _Lines()
    walk.of(node, ())
    return Read(values, walk.lines, walk.repeated)


def _refused(shown: str, what: str, mark: Any = None) -> UsageError:
    where = f"{shown}:{mark.line + 1}" if mark is not None else shown
    return UsageError(f"{where}: {what}", code="batch-config-yaml", hint=f"Correct '{shown}'.")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Size:
    """Counts what a document stands for without making it."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node | None, depth: int = 0) -> int:
        """Count the values of a node; the same node is looked at once."""
        if node is None or isinstance(node.value, str):
            return 1
        if id(node) in self._known:
            return self._known[id(node)]
        if id(node) in self._open:
            raise _refused(self._shown, "a value that holds itself", node.start_mark)
        if depth > _DEEPEST:
            raise _refused(self._shown, f"nested deeper than {_DEEPEST}", node.start_mark)
        self._open.add(id(node))
        below = [n for item in node.value for n in (item if isinstance(item, tuple) else (item,))]
        found = 1 + sum(self.of(n, depth + 1) for n in below)
        self._open.discard(id(node))
        if found > _MOST_VALUES:
            raise _refused(self._shown, f"more than {_MOST_VALUES} values", node.start_mark)
        self._known[id(node)] = found
        return found


class _Lines:
    """Notes the line of each key."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.repeated: list[tuple[Path, int]] = []

    def of(self, node: Any, path: Path) -> None:
        """Note those below a node."""
        if node.id != "mapping":
            return
        seen: set[str] = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                for merged in value.value if value.id == "sequence" else [value]:
                    self.of(merged, path)
        for key, value in node.value:
            if key.tag == _MERGE or key.tag != "tag:yaml.org,2002:str":
                continue
            below = (*path, key.value)
            if key.value in seen:
                self.repeated.append((below, key.start_mark.line + 1))
            seen.add(key.value)
            self.lines[below] = key.start_mark.line + 1
            self.of(value, below)
