"""What there is to say about settings: their documentation, and how two configs differ."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

if typing.TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["Difference", "FieldDoc", "describe_field", "differences"]


class FieldDoc(NamedTuple):
    """What there is to know about one setting.

    Parameters
    ----------
    name : str
        Dotted.
    type : str
        As declared.
    default : object
        JSON-like; None where a value must be given.
    required : bool
        Whether a value must be given.
    constraints : tuple of str
        Such as ``gt=0``.
    doc : str
        What it means.
    """

    name: str
    type: str
    default: Any
    required: bool
    constraints: tuple[str, ...]
    doc: str


class Difference(NamedTuple):
    """One setting in which two configs differ.

    Parameters
    ----------
    name : str
        Dotted.
    ours, theirs : object
        The two values; None where there is none.
    """

    name: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.name}: {self.ours!r} against {self.theirs!r}"


def describe_field(name: str, field: FieldInfo) -> FieldDoc:
    """Return what there is to know about one field of a config class.

    Parameters
    ----------
    name : str
        Its dotted name.
    field : FieldInfo
        As pydantic holds it.

    Returns
    -------
    FieldDoc
        Plain values.
    """
    kind = getattr(field.annotation, "__name__", None) if not typing.get_args(field.annotation) else None
    default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    return FieldDoc(
        name,
        kind or str(field.annotation).replace("typing.", ""),
        default,
        field.is_required(),
        tuple(_constraints(field.metadata)),
        field.description or "",
    )


def _constraints(metadata: list[Any]) -> Iterator[str]:
    for item in metadata:
        for key in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern"):
            if getattr(item, key, None) is not None:
                yield f"{key}={getattr(item, key)}"


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """Compare two configs in their JSON-like form.

    Parameters
    ----------
    ours, theirs : mapping
        As `Config.to_document` gives them.

    Returns
    -------
    list of Difference
        In order of name; empty if they agree.
    """
    a, b = dict(_leaves(ours)), dict(_leaves(theirs))
    return [
        Difference(name, a.get(name), b.get(name))
        for name in sorted({*a, *b})
        if (name in a) != (name in b) or a[name] != b[name]
    ]


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
