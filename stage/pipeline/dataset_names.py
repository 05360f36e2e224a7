"""Names of dataset types as connections write them: with templates that a config fills."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from registry.errors import PipelineError, nearest

__all__ = ["full_name", "template_keys"]

_DATASET_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def template_keys(text: str) -> list[str]:
    """Return the templates in a name.

    Parameters
    ----------
    text : str
        As ``"{prefix}warp"``.

    Returns
    -------
    list of str
        What stands in braces.

    Raises
    ------
    PipelineError
        If braces do not match.
    """
    try:
        return [key for _, key, _, _ in string.Formatter().parse(text) if key is not None]
    except ValueError as exc:
        raise PipelineError(f"'{text}' is not a dataset type name: {exc}", code="bad-name") from exc


def full_name(text: str, templates: Mapping[str, str], name: str, owner: str) -> str:
    """Return a dataset type's full name.

    Parameters
    ----------
    text : str
        As ``"{prefix}warp"``.
    templates : mapping of str to str
        Values of the templates.
    name, owner : str
        The connection and its task, for errors.

    Returns
    -------
    str
        It.

    Raises
    ------
    PipelineError
        If there is no such template, or it is no name.
    """
    for key in template_keys(text):
        if key not in templates:
            raise PipelineError(
                f"{owner}, connection '{name}': no template '{{{key}}}' in '{text}'",
                code="unknown-template",
                hint=nearest(key, templates),
            )
    # A template is a plain name in braces: attribute or index syntax in one is no known key.
    out = text.format(**templates)
    if not _DATASET_TYPE.match(out):
        raise PipelineError(
            f"{owner}, connection '{name}': '{out}' is not a dataset type name",
            code="bad-name",
            hint="Use letters, digits and _, at most 128.",
        )
    return out
