"""``IN`` a list of values that is handed over as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["InLongList", "list_text"]


class InLongList(FunctionElement[bool]):
    """``x IN`` a list that travels as one JSON text: one form of statement, and one parameter, for a list of any length.

    Parameters
    ----------
    value : sqlalchemy.ColumnElement
        Of integers or strings.
    document : sqlalchemy.ColumnElement
        From `list_text`.
    """

    name = "stage_in_long_list"
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Stand in a condition as it is: as a value that is compared with 1 no index would be used for it.

        Parameters
        ----------
        against : callable, optional
            What it is an operand of.

        Returns
        -------
        sqlalchemy.ColumnElement
            This one.
        """
        del against
        return self


@compiles(InLongList, "sqlite")
def _in_long_list_sqlite(element: InLongList, compiler: Any, **kw: Any) -> str:
    value, document = element.clauses
    return f"({compiler.process(value, **kw)} IN (SELECT value FROM json_each({compiler.process(document, **kw)})))"


@compiles(InLongList)
def _in_long_list_standard(element: InLongList, compiler: Any, **kw: Any) -> str:
    value, document = element.clauses
    kind, collate, order = compiler.dialect.type_compiler_instance.process(value.type).partition(" COLLATE ")
    listed = f"SELECT CAST(v AS {kind}){collate}{order} FROM json_array_elements_text(CAST({compiler.process(document, **kw)} AS json)) AS t(v)"
    return f"({compiler.process(value, **kw)} IN ({listed}))"


def list_text(values: Sequence[Any]) -> str:
    """Return a list as `InLongList` takes it.

    Parameters
    ----------
    values : sequence
        Integers or strings.

    Returns
    -------
    str
        JSON.
    """
    return json.dumps(values)
