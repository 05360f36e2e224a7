"""Why connected tasks have no data IDs: the record, value, condition, table row or dataset that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.errors import QueryError, nearest
from stage.graph.building.found import shown_data_ids
from stage.graph.building.question import Question
from stage.graph.explaining.steps import Asked, Constraint, Step, constraints_of, narrowed, path_text
from stage.graph.explaining.text import named
from stage.graph.explaining.whereabouts import nowhere
from stage.graph.explaining.words import key_values, subjects
from stage.graph.table import Table

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from registry.model.elements import DimensionElement

__all__ = ["Cause", "Inquiry"]

_OFFERED = 5_000
"""Of more values than these none is offered for a mistyped one: it is not worth the wait."""


class Cause(NamedTuple):
    """One reason for which there are no quanta.

    Parameters
    ----------
    code : str
        What kind of reason.
    tasks : tuple of str
        Labels of the tasks that it empties.
    text : str
        What is wrong.
    hint : str
        One next step, if there is an obvious one.
    """

    code: str
    tasks: tuple[str, ...]
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{named(self.tasks)}: {self.text}"

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            One key a field.
        """
        return {**self._asdict(), "tasks": list(self.tasks)}


class Inquiry(Asked):
    """Asks why connected tasks have no data IDs."""

    @property
    def universe(self) -> DimensionUniverse:
        """Where dimensions are defined."""
        return self.plan.universe

    @property
    def dimensions(self) -> DimensionGroup:
        """All dimensions of the tasks."""
        return self.group.dimensions

    def cause(self, steps: Sequence[Step]) -> Cause:
        """Find what leaves nothing.

        Parameters
        ----------
        steps : sequence of Step
            What each constraint leaves.

        Returns
        -------
        Cause
            Of the first step that leaves no data ID.

        Notes
        -----
        A few questions with at most some rows of answer each, for every dimension of the group at most two.
        """
        last = next((i for i, s in enumerate(steps) if not s.n), None)
        if last is None:
            kinds = ", ".join(f"'{k.name}'" for k in self.inputs) or "all its inputs"
            return self._cause("no-inputs", f"no data ID chosen has {kinds} in {path_text(self.path)}")
        before = [s.constraint for s in steps[:last]]
        failed = steps[last].constraint
        match failed.kind:
            case "records":
                return self._no_records()
            case "value":
                return self._no_value(failed, before)
            case "expression":
                return self._no_match(failed, before)
            case "table":
                return self._not_listed(failed)
        return self._no_datasets(failed, before)

    def _cause(self, code: str, text: str, hint: str = "") -> Cause:
        return Cause(code, tuple(n.label for n in self.group.nodes), text, hint)

    # -- questions ------------------------------------------------------------------------------------------

    def _any(self, names: Iterable[str], question: Question, types: Sequence[DatasetType] = ()) -> bool:
        """Tell whether there is a data ID of some dimensions."""
        group = self.universe.group(names)
        return bool(self.view.data_ids(group, question, types, self.path, limit=1).n_rows)

    def _shown(self, names: Iterable[str], question: Question, types: Sequence[DatasetType] = ()) -> str:
        """Return the first data IDs of some dimensions as text."""
        group = self.universe.group(names)
        rows = self.view.data_ids(group, question, types, self.path, limit=3)
        return shown_data_ids(Table.of(rows), np.arange(min(rows.n_rows, 3)), group.required)

    @cached_property
    def _essential(self) -> list[Constraint]:
        return [c for c in constraints_of(self.question, self.universe, (), ()) if c.is_essential]

    def _values_of(self, name: str, given: Question) -> list[Any]:
        """Return the values of a dimension, or none if they are too many."""
        columns = self.view.data_ids(self.universe.group([name]), given, (), (), limit=_OFFERED + 1)
        return [] if columns.n_rows > _OFFERED else sorted(set(columns[name].tolist()))

    # -- causes ---------------------------------------------------------------------------------------------

    def _no_records(self) -> Cause:
        for name in self.dimensions.required:
            if not self._any([name], Question()):
                return self._cause(
                    "no-records", f"there are no records of '{name}'", "Import some: stage repo import."
                )
        return self._cause("no-join", self._unjoined((), ()), "Look at them with 'stage query records'.")

    def _unjoined(
        self, own: Sequence[str], constraints: Sequence[Constraint], types: Sequence[DatasetType] = ()
    ) -> str:
        """Say which dimension first fails to go together with some that do."""
        names = list(own)
        for name in self.dimensions.required:
            if name in self.universe.group(names):
                continue
            if not self._any([*names, name], self._within([*names, name], constraints), types):
                return self._why_apart(self.universe.group(names), name, is_chosen=bool(constraints))
            names.append(name)
        return f"there are no records that combine to data IDs of {self.dimensions}"

    def _within(self, names: Iterable[str], constraints: Sequence[Constraint]) -> Question:
        """Put those constraints together that speak of nothing but some dimensions."""
        group = self.universe.group(names)
        own = [c for c in constraints if (subjects(c, self.universe) or {""}) <= set(group)]
        return narrowed(own, self.question.bind)

    def _why_apart(self, group: DimensionGroup, name: str, *, is_chosen: bool) -> str:
        """Say what should relate a dimension to others, and does not."""
        both = self.universe.group([*group.required, name])
        known = {e.name for g in (group, self.universe.group([name])) for e in g.elements}
        relations = [e for e in both.elements if e.name not in known and e.always_join]
        families = [[e for e in family if e in both.elements] for family in self.universe.on_sky]
        on_sky = [f[-1] for f in families if f]
        lacking = [e.name for e in (*relations, *on_sky) if not self._has_records(e)]
        these = " of those chosen" if is_chosen else ""
        if lacking:
            return f"there are no records of {' and '.join(repr(n) for n in lacking)}{these}"
        if relations:
            names = " and ".join(n for n in relations[0].required if n not in self.universe.governors)
            return f"no record of '{relations[0].name}' joins {names}{these}"
        if len(on_sky) > 1:
            return f"no regions of {' and '.join(e.name for e in on_sky)}{these} overlap on the sky"
        return f"there are no records{these} that combine to data IDs of {both}"

    def _has_records(self, element: DimensionElement) -> bool:
        """Tell whether there are records of a relation; of a dimension there are, since it has data IDs."""
        if element.is_dimension:
            return True
        keys = self.view.data_ids(
            self.universe.group(element.required), Question(), (), (), limit=_OFFERED
        ).select(element.required)
        return bool(self.view.records(element.name, keys).n_rows)

    def _no_value(self, failed: Constraint, before: Sequence[Constraint]) -> Cause:
        name, value = next(iter(failed.data_id.items()))
        return self._unknown(name, [value], before) or self._apart(
            [name], f"no data ID of {self.dimensions} has {self._given([*before, failed])}", [*before, failed]
        )

    @staticmethod
    def _given(constraints: Iterable[Constraint]) -> str:
        return ", ".join(f"{k}={v}" for c in constraints for k, v in c.data_id.items())

    def _no_match(self, failed: Constraint, before: Sequence[Constraint]) -> Cause:
        named = list(key_values(failed.where, self.universe))
        for name, values in named:
            cause = self._unknown(name, values, before)
            if cause is not None:
                return cause
        others = [c for c in before if c.where or c.data_id]
        whole = self.question.where if any(c.where for c in others) else failed.where
        text = f"no data ID of {self.dimensions} satisfies the expression {whole!r}"
        if others:
            text += f": none of those left by what comes before satisfies {failed.where!r}"
        return self._apart([name for name, _ in named], text, [*before, failed])

    def _unknown(self, name: str, values: Sequence[Any], before: Sequence[Constraint]) -> Cause | None:
        """Say that a dimension has none of some values, and offer the one most like the first."""
        given = [c for c in self._essential if c in before]
        question = narrowed(given, self.question.bind)
        try:
            texts = [str(v) for v in self._values_of(name, question)]
        except QueryError:
            return None
        if not texts or set(map(str, values)) & set(texts):
            return None
        shown = ", ".join(repr(v) for v in values[:3]) + (", …" if len(values) > 3 else "")
        return self._cause("unknown-value", f"there is no {name} {shown}", nearest(str(values[0]), texts))

    def _apart(self, names: Sequence[str], text: str, constraints: Sequence[Constraint]) -> Cause:
        """Tell values that are there, but do not go together, from a condition that nothing satisfies."""
        try:
            if names and self._any(names, self._within(names, constraints)):
                return self._cause("no-join", f"{text}; {self._unjoined(names, constraints)}")
        except QueryError:
            pass
        return self._cause(
            "no-match", text, "Change it, or look at what there is with 'stage query data-ids'."
        )

    def _not_listed(self, failed: Constraint) -> Cause:
        table = failed.table
        if table is None or not table.n_rows:
            return self._cause(
                "not-in-table", "the table has no data IDs", "Put some into it, or leave it out."
            )
        listed = f"among the {table.n_rows:,} of the table"
        if self._any(self.dimensions, Question(table=table)):
            text = f"no data ID of {self.dimensions} that the expression or the data ID chooses is {listed}"
            return self._cause("not-in-table", text, "Leave one of the two out, or change it.")
        text = f"no data ID of {self.dimensions} is {listed}"
        for name, column in table.items():
            values = list(dict.fromkeys(column.tolist()))
            cause = self._unknown(name, values, self._essential)
            if cause is not None:
                return cause._replace(code="not-in-table", text=f"{text}: {cause.text}")
        return self._cause("not-in-table", text, "Look at what there is with 'stage query data-ids'.")

    # -- datasets -------------------------------------------------------------------------------------------

    def _no_datasets(self, failed: Constraint, before: Sequence[Constraint]) -> Cause:
        kind = failed.dataset_type
        if kind is None:
            return self._cause("no-inputs", f"nothing is left {failed.text}")
        place = path_text(self.path)
        is_nowhere = nowhere(self.view, self.path, kind.name)
        if is_nowhere is not None:
            return self._cause("no-datasets", *is_nowhere)
        chosen, dims = narrowed(before, self.question.bind), kind.type.dimensions
        if self._any(self.dimensions, chosen, [kind.type]):
            others = ", ".join(c.dataset_type.name for c in before if c.dataset_type is not None)
            return self._cause(
                "no-inputs", f"no '{kind.name}' in {place} for the data IDs chosen that also have {others}"
            )
        own = self._within(kind.dimensions, before)
        if self._any(dims, own, [kind.type]):
            some = self._shown(dims, own, [kind.type])
            text = f"there are '{kind.name}' for data IDs chosen ({some}), but these go with no data ID of {self.dimensions}"
            why = self._unjoined(kind.dimensions, before, [kind.type])
            return self._cause("no-join", f"{text}: {why}")
        wanted, there = self._shown(dims, chosen), self._shown(dims, Question(), [kind.type])
        return self._cause(
            "other-data-ids",
            f"no '{kind.name}' in {place} for the data IDs chosen (as {wanted}); there are some, as of {there}",
            "Choose other data IDs, or add the collection that has these.",
        )
