"""How an answer is found, and why there is none: what is left after each constraint in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import NotFoundError, QueryError, nearest
from registry.queries.constraints import Constraints, Join
from registry.queries.reasons import (
    Constraint,
    constraints_of,
    missing_datasets,
    missing_governor,
    missing_records,
)
from registry.queries.statements import data_id_statement, dataset_statement, record_statement, search_path
from registry.sql.dataset_types import all_types, find_type
from registry.sql.plans import Plan, count_rows, has_rows, plan_of

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup
    from registry.queries.data_ids import DataIds, Records
    from registry.queries.datasets import Datasets
    from registry.queries.results import Result
    from registry.queries.statements import Statement
    from registry.sql.dataset_types import TypeEntry
    from registry.sql.session import Session

__all__ = ["Explanation", "Step", "explain_data_ids", "explain_datasets", "explain_records"]

_COUNTED = 1_000_000
"""Where counting ends: more rows than these are not worth the wait."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one constraint leaves.

    Parameters
    ----------
    constraint : str
        As it was given.
    alone : int or None
        Rows that fulfil it and say which instrument, sky map and the like, and nothing else; None where it has no
        meaning alone. Counting ends after a million.
    together : int
        Rows that fulfil it and all constraints before it.
    """

    constraint: str
    alone: int | None
    together: int

    def __str__(self) -> str:
        alone = "" if self.alone is None else f" (alone {_number(self.alone)})"
        return f"{_number(self.together):>9}  {self.constraint}{alone}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How an answer is found; and of an empty one, why it is.

    Parameters
    ----------
    plans : tuple of Plan
        The statements; none where one cannot even be made.
    is_empty : bool
        Whether there are no rows.
    steps : tuple of Step
        For an empty answer: the rows after each constraint in turn.
    cause : str
        For an empty answer: what leaves nothing.
    hint : str
        One next step.
    """

    plans: tuple[Plan, ...] = ()
    is_empty: bool = False
    steps: tuple[Step, ...] = ()
    cause: str = ""
    hint: str = ""

    @property
    def sql(self) -> str:
        """The statements' text."""
        return "\n\n".join(plan.sql for plan in self.plans)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values in the first statement."""
        return dict(self.plans[0].parameters) if self.plans else {}

    @property
    def plan(self) -> str:
        """The database's account of how it finds the rows."""
        return "\n\n".join(plan.steps for plan in self.plans)

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values.

        Returns
        -------
        dict
            ``is_empty``, ``cause``, ``hint``, ``steps`` and ``statements``.
        """
        return {
            "is_empty": self.is_empty,
            "cause": self.cause,
            "hint": self.hint,
            "steps": [asdict(step) for step in self.steps],
            "statements": [asdict(plan) for plan in self.plans],
        }

    def __str__(self) -> str:
        parts = [str(plan) for plan in self.plans]
        if self.steps:
            parts.append("\n".join(map(str, self.steps)))
        if self.is_empty:
            parts.append(f"Nothing is found: {self.cause}." + (f"\n{self.hint}" if self.hint else ""))
        return "\n\n".join(parts)


def _number(n: int) -> str:
    return f"more than {_COUNTED:,}" if n > _COUNTED else f"{n:,}"


class _Cause(NamedTuple):
    text: str
    hint: str = ""


@dataclass(frozen=True)
class _Inquiry:
    """A question that can be put again with fewer constraints.

    Parameters
    ----------
    session : Session
        Where.
    what : str
        What is asked for.
    group : DimensionGroup
        Its dimensions.
    ask : callable
        Makes the statement for some constraints.
    nothing : callable
        Says why there is nothing even without any.
    """

    session: Session
    what: str
    group: DimensionGroup
    ask: Callable[[Constraints], Statement]
    nothing: Callable[[], _Cause]

    def count(self, asked: Constraints) -> int:
        with self.ask(asked) as statement:
            return count_rows(self.session, statement, _COUNTED + 1)

    def count_alone(self, asked: Constraints) -> int | None:
        try:
            return self.count(asked)
        except QueryError:
            return None  # what it names gets its meaning from another constraint

    def diagnose(self, asked: Constraints) -> tuple[list[Step], _Cause]:
        """Add one constraint after another until nothing is left."""
        left = self.count(Constraints())
        steps = [Step(self.what, None, left)]
        if not left:
            return steps, self.nothing()
        wrong = missing_governor(self.session, self.group, asked)
        cause = _Cause(*wrong) if wrong else None
        so_far = alone_with = Constraints()
        for constraint in constraints_of(asked, self.session.schema.universe):
            alone = None if constraint.is_essential else self.count_alone(constraint.added_to(alone_with))
            so_far = constraint.added_to(so_far)
            if constraint.is_essential:
                alone_with = so_far
            before, left = left, self.count(so_far) if left else 0
            steps.append(Step(f"with {constraint.text}", alone, left))
            if not left and cause is None:
                cause = self._blamed(constraint, alone, before)
        return steps, cause or _Cause("no row is left")

    def _blamed(self, constraint: Constraint, alone: int | None, before: int) -> _Cause:
        if constraint.join is not None:
            nowhere = _no_datasets(self.session, constraint.join)
            if nowhere is not None:
                return nowhere
        if alone == 0:
            return _Cause(f"none of the {self.what} {constraint.verb} {constraint.text}")
        others = "the one" if before == 1 else f"the {_number(before)}"
        return _Cause(f"of {others} left by what comes before, none {constraint.verb} {constraint.text}")


def _no_datasets(session: Session, join: Join) -> _Cause | None:
    found, path = find_type(session, join.dataset_type), search_path(session, join.collections)
    with dataset_statement(session, found, path, Constraints(), find_first=False) as statement:
        if has_rows(session, statement):
            return None
    return _Cause(*missing_datasets(session, found, join.collections))


def _explain(session: Session, result: Result[Any], inquiries: Callable[[], list[_Inquiry]]) -> Explanation:
    try:
        plans, is_empty = _plans(session, result)
    except NotFoundError as exc:
        return Explanation(is_empty=True, cause=exc.message, hint=exc.hint)
    if not is_empty:
        return Explanation(plans)
    if result.most == 0:
        return Explanation(plans, is_empty=True, cause="the limit is 0", hint="Raise the limit.")
    if not plans:
        known = nearest(str(result), [e.type.name for e in all_types(session)])
        return Explanation(is_empty=True, cause="no dataset type matches", hint=known)
    steps: list[Step] = []
    causes: list[_Cause] = []
    for inquiry in inquiries():
        some, cause = inquiry.diagnose(result.asked)
        steps += some
        causes.append(cause)
    text = "; ".join(dict.fromkeys(c.text for c in causes))
    return Explanation(plans, is_empty=True, steps=tuple(steps), cause=text, hint=causes[0].hint)


def _plans(session: Session, result: Result[Any]) -> tuple[tuple[Plan, ...], bool]:
    plans, is_empty = [], True
    for part in result.parts(session):
        with part.open(result.order, result.most) as statement:
            plans.append(plan_of(session, statement))
            is_empty = is_empty and not has_rows(session, statement)
    return tuple(plans), is_empty


def explain_data_ids(session: Session, result: DataIds) -> Explanation:
    """Explain a query for data IDs.

    Parameters
    ----------
    session : Session
        Where.
    result : DataIds
        The query.

    Returns
    -------
    Explanation
        All there is to say.
    """
    group = result.group
    inquiry = _Inquiry(
        session, f"data IDs of {group}", group,
        lambda asked: data_id_statement(session, group, asked),
        lambda: _Cause(*missing_records(session, group)),
    )  # fmt: skip
    return _explain(session, result, lambda: [inquiry])


def explain_records(session: Session, result: Records) -> Explanation:
    """Explain a query for dimension records.

    Parameters
    ----------
    session : Session
        Where.
    result : Records
        The query.

    Returns
    -------
    Explanation
        All there is to say.
    """
    element = result.element
    group = result.universe.group(element.required)
    inquiry = _Inquiry(
        session, f"records of '{element.name}'", group,
        lambda asked: record_statement(session, element, asked),
        lambda: _Cause(f"there are no records of '{element.name}'", "Import some: stage repo import."),
    )  # fmt: skip
    return _explain(session, result, lambda: [inquiry])


def explain_datasets(session: Session, result: Datasets) -> Explanation:
    """Explain a query for datasets.

    Parameters
    ----------
    session : Session
        Where.
    result : Datasets
        The query.

    Returns
    -------
    Explanation
        All there is to say; of several types, for one after the other.
    """
    return _explain(session, result, lambda: [_of_type(session, result, f) for f in result.matching(session)])


def _of_type(session: Session, result: Datasets, found: TypeEntry) -> _Inquiry:
    path = search_path(session, result.collections)
    return _Inquiry(
        session, f"datasets '{found.type.name}'{_place(result.collections)}", found.type.dimensions,
        # All are counted: which is first is no reason for there being none.
        lambda asked: dataset_statement(session, found, path, asked, find_first=False),
        lambda: _Cause(*missing_datasets(session, found, result.collections)),
    )  # fmt: skip


def _place(collections: Sequence[str] | None) -> str:
    return f" in {', '.join(collections)}" if collections else ""
