"""Changes of settings, from each place they can be written: mappings, YAML files, ``label:name=value``, Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import NotFoundError, PipelineError, StorageError

if TYPE_CHECKING:
    import yaml

__all__ = [
    "Setting",
    "mapping_of",
    "nested",
    "note_variable",
    "noting_files",
    "parse_setting",
    "parse_value",
    "read_overrides",
    "read_yaml",
    "read_yaml_file",
]


class Setting(NamedTuple):
    """One ``label:name=value``.

    Parameters
    ----------
    label : str
        Of the task.
    name : str
        Dotted name of the setting.
    text : str
        The value as written.
    """

    label: str
    name: str
    text: str


def parse_setting(text: str) -> Setting:
    """Split ``label:name.sub=value``.

    Parameters
    ----------
    text : str
        As given on a command line.

    Returns
    -------
    Setting
        Its parts.

    Raises
    ------
    PipelineError
        If it is not of that form.
    """
    left, equals, value = text.partition("=")
    label, colon, name = left.strip().partition(":")
    if not (equals and colon and label and name):
        raise PipelineError(f"'{text}' is not of the form label:name=value", code="bad-override")
    return Setting(label.strip(), name.strip(), value.strip())


def parse_value(text: str) -> Any:
    """Read the value of a setting as YAML does: ``3``, ``true``, ``[1, 2]``, ``text``.

    Parameters
    ----------
    text : str
        As written.

    Returns
    -------
    object
        A number, string, bool, list, mapping or None; the text itself if it is not YAML.
    """
    import yaml  # a job that is given no settings needs none of it

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError:
        return text


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with dotted names made into nested mappings.

    Parameters
    ----------
    changes : mapping
        Names to values; later names go over earlier ones.

    Returns
    -------
    dict
        A new one.
    """
    out: dict[str, Any] = {}
    for name, value in changes.items():
        *above, last = str(name).split(".")
        below = out
        for part in above:
            inner = below.get(part)
            below[part] = inner = dict(inner) if isinstance(inner, Mapping) else {}
            below = inner
        old = below.get(last)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        below[last] = {**old, **value} if both and old is not None else value
    return out


@cache
def _loader() -> type[yaml.SafeLoader]:
    """Return a safe loader that refuses a key written twice: the first would be lost silently."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(
                            None, None, f"key '{key.value}' is written twice", key.start_mark
                        )
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader


_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)


@contextmanager
def noting_files() -> Iterator[list[str]]:
    """Note what pipelines and settings are read from while the context lasts.

    Yields
    ------
    list of str
        Gets the path or URI of each file, and ``$NAME`` for a variable of the environment.
    """
    names: list[str] = []
    token = _seen.set(names)
    try:
        yield names
    finally:
        _seen.reset(token)


def note_variable(name: str) -> None:
    """Note that a variable of the environment was read.

    Parameters
    ----------
    name : str
        Its name.
    """
    if (seen := _seen.get()) is not None:
        seen.append(f"${name}")


def read_yaml(text: str, where: str) -> Any:
    """Parse YAML text.

    Parameters
    ----------
    text : str
        The text.
    where : str
        Its file, for errors.

    Returns
    -------
    object
        Plain values.

    Raises
    ------
    PipelineError
        If it is not YAML; names file and line.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise PipelineError(
            f"{where}{line}: not valid YAML: {exc.problem or exc.context}", code="bad-yaml"
        ) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise PipelineError(f"{where}: not valid YAML: {exc}", code="bad-yaml") from exc


def read_text(path: str, what: str) -> str:
    """Read a text file of a pipeline.

    Parameters
    ----------
    path : str
        A local path or a URI.
    what : str
        What it is, for errors.

    Returns
    -------
    str
        Its content.

    Raises
    ------
    NotFoundError
        If there is no such file.
    PipelineError
        If it is not text.
    StorageError
        If it cannot be read.
    """
    if (seen := _seen.get()) is not None:
        seen.append(path)
    try:
        if "://" in path:
            from sync.filesystem.files import read_bytes

            return read_bytes(path).decode("utf-8")
        return Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotFoundError) as exc:
        raise NotFoundError(f"{what} {path} does not exist", code="no-such-file") from exc
    except UnicodeDecodeError as exc:
        raise PipelineError(
            f"{what} {path} is not text: {exc.reason} at byte {exc.start}", code="bad-yaml"
        ) from exc
    except OSError as exc:
        raise StorageError(f"{what} {path} cannot be read: {exc.strerror or exc}") from exc


def read_yaml_file(path: str, what: str = "file") -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Parameters
    ----------
    path : str
        A local path or a URI.
    what : str
        What it is, for errors.

    Returns
    -------
    dict
        Its content; empty for an empty file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    PipelineError
        If it is not YAML, or no mapping.
    """
    return mapping_of(read_yaml(read_text(path, what), path), f"{what} {path}")


def mapping_of(found: Any, where: str) -> dict[str, Any]:
    """Return what a YAML text holds as a mapping.

    Parameters
    ----------
    found : object
        What was read.
    where : str
        Where, for errors.

    Returns
    -------
    dict
        It; empty for an empty text.

    Raises
    ------
    PipelineError
        If it is no mapping of names.
    """
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(k, str) for k in found):
        raise PipelineError(f"{where}: expected a mapping of names to values", code="bad-yaml")
    return found


def read_overrides(path: str) -> dict[str, Any]:
    """Read a file of changed settings: YAML, or Python assignments where the name ends in ``.py``.

    Parameters
    ----------
    path : str
        A local path or a URI.

    Returns
    -------
    dict
        Nested by name.

    Raises
    ------
    NotFoundError
        If there is no such file.
    PipelineError
        If it is neither.
    """
    if path.endswith(".py"):
        return python_overrides(read_text(path, "config file"), path)
    return nested(read_yaml_file(path, "config file"))


def python_overrides(text: str, where: str) -> dict[str, Any]:
    """Read assignments ``config.name.sub = literal``; nothing is executed.

    Parameters
    ----------
    text : str
        Lines of Python.
    where : str
        Its file or task, for errors.

    Returns
    -------
    dict
        Nested by name.

    Raises
    ------
    PipelineError
        If there is anything else; names the line.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        line = f", line {exc.lineno}" if isinstance(exc, SyntaxError) else ""
        raise PipelineError(f"{where}{line}: not valid Python: {exc}", code="bad-override") from exc
    changes: dict[str, Any] = {}
    for statement in statements:
        name = _target(statement)
        if name is None or not isinstance(statement, ast.Assign):
            raise PipelineError(
                f"{where}, line {statement.lineno}: only assignments 'config.name = value' are understood",
                code="bad-override",
                hint="Values are literals, or parameters.name.",
            )
        # A later assignment goes over an earlier one, and must then be the later key.
        changes.pop(name, None)
        changes[name] = _literal(statement.value, where)
    return nested(changes)


def _target(statement: ast.stmt) -> str | None:
    """Return the dotted name that ``config.a.b = …`` sets."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    parts: list[str] = []
    node: ast.expr = statement.targets[0]
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if parts and isinstance(node, ast.Name) and node.id == "config":
        return ".".join(reversed(parts))
    return None


def _literal(node: ast.expr, where: str) -> Any:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "parameters":
        return f"parameters.{node.attr}"
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise PipelineError(
            f"{where}, line {node.lineno}: '{ast.unparse(node)}' is not a literal", code="bad-override"
        ) from None
