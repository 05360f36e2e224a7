"""What a comparison has found so far: conflicts, those that a policy leaves out, and how many of everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync.plan_parts import Conflict
    from sync.pushing.policies import Policies

__all__ = ["Findings"]


class Findings:
    """Conflicts and counts of one comparison.

    Parameters
    ----------
    policies : Policies
        What becomes of conflicts.
    """

    def __init__(self, policies: Policies) -> None:
        self.policies = policies
        self.conflicts: list[Conflict] = []
        self.skipped: list[Conflict] = []
        self.counts: dict[str, dict[str, int]] = {}

    def count(self, kind: str, **classes: int) -> None:
        """Count things.

        Parameters
        ----------
        kind : str
            Of which kind.
        **classes
            Class to number, to be added; a class of policies is only told where there are any.
        """
        tally = self.counts.setdefault(kind, {})
        for name, n in classes.items():
            cls = name.replace("_", "-")
            if n or cls != "skipped":
                tally[cls] = tally.get(cls, 0) + n

    def judge(self, conflicts: Iterable[Conflict]) -> list[Conflict]:
        """Take conflicts in, each as what its policy says.

        Parameters
        ----------
        conflicts : iterable of Conflict
            Newly found.

        Returns
        -------
        list of Conflict
            Those that are left out.
        """
        skipped = []
        for conflict in conflicts:
            if self.policies.skips(conflict):
                skipped.append(conflict)
                self.count("skipped", **{conflict.code: 1})
            else:
                self.conflicts.append(conflict)
        self.skipped += skipped
        return skipped
