"""What can be known of a SELECT without its rows: how many there are, whether there is any, how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from registry.sql.failures import translated
from registry.sql.session import Session

__all__ = ["Plan", "count_rows", "has_rows", "plan_of"]

_LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, and how the database goes about it.

    Parameters
    ----------
    sql : str
        Its text, with a name after a colon for each value.
    parameters : mapping of str to object
        The values.
    steps : str
        The database's own account: ``EXPLAIN QUERY PLAN`` of SQLite, ``EXPLAIN`` of PostgreSQL.
    """

    sql: str
    parameters: Mapping[str, Any]
    steps: str

    def __str__(self) -> str:
        values = "".join(f"\n  :{name} = {_shown(value)}" for name, value in self.parameters.items())
        return f"{self.sql}{values}\n{self.steps}"


class _Explained(sa.Executable, sa.ClauseElement):
    """A statement that is to be planned and not run."""

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _explain_standard(element: _Explained, compiler: Any, **kw: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **kw)}"


@compiles(_Explained, "sqlite")
def _explain_sqlite(element: _Explained, compiler: Any, **kw: Any) -> str:
    return f"EXPLAIN QUERY PLAN {compiler.process(element.statement, **kw)}"


def count_rows(session: Session, statement: sa.Select[Any], at_most: int | None = None) -> int:
    """Count the rows of a query, in the database.

    Parameters
    ----------
    session : Session
        Where.
    statement : sqlalchemy.Select
        The query.
    at_most : int, optional
        Where to stop counting.

    Returns
    -------
    int
        Rows.
    """
    # Their order costs a sort and changes nothing, not even with a limit.
    rows = statement.order_by(None)
    if at_most is not None:
        rows = sa.select(rows.subquery()).limit(at_most)
    count = sa.select(sa.func.count().label("n")).select_from(rows.subquery())
    return int(session.fetch(count)["n"][0])


def has_rows(session: Session, statement: sa.Select[Any]) -> bool:
    """Tell whether a query has a row, looking no further than for the first.

    Parameters
    ----------
    session : Session
        Where.
    statement : sqlalchemy.Select
        The query.

    Returns
    -------
    bool
        Whether it has.
    """
    rows = statement.order_by(None).subquery()
    return session.fetch(sa.select(sa.literal(1).label("there")).select_from(rows).limit(1)).n_rows > 0


def plan_of(session: Session, statement: sa.Select[Any]) -> Plan:
    """Ask how the database would go about a query.

    Parameters
    ----------
    session : Session
        Where.
    statement : sqlalchemy.Select
        The query.

    Returns
    -------
    Plan
        Its text, its values, and the database's account.
    """
    kind: Any = type(session.database.dialect)
    compiled = statement.compile(
        dialect=kind(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    with translated(session.place):
        rows = session.database.connection.execute(_Explained(statement)).fetchall()
    if session.database.dialect.name == "sqlite":
        steps = _indented([(r[0], r[1], r[3]) for r in rows])
    else:
        steps = "\n".join(str(r[0]) for r in rows)
    text = "\n".join(line.rstrip() for line in str(compiled).splitlines())
    return Plan(text, dict(compiled.params), steps)


def _indented(rows: list[tuple[int, int, str]]) -> str:
    """Return the steps of SQLite's plan, each under the one that it is a part of."""
    depth: dict[int, int] = {0: -1}
    lines = []
    for number, parent, detail in rows:
        depth[number] = depth.get(parent, -1) + 1
        lines.append("  " * depth[number] + detail)
    return "\n".join(lines)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
