"""What a pull does about what both sides have changed: ``CODE=fail``, ``CODE=keep`` or ``CODE=take``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from registry.errors import UsageError, nearest
from sync.fetching.ways import INPUT_MOVED, KEPT_ONLY, RESOLVED

__all__ = ["FAIL", "KEEP", "TAKE", "Policies"]

FAIL, KEEP, TAKE = "fail", "keep", "take"
_ALL = "all"


@dataclass(frozen=True)
class Policies:
    """All that was said about conflicts.

    Parameters
    ----------
    by_code : mapping of str to str
        Code to ``fail``, ``keep`` or ``take``; by default all fail, but what quanta have read is kept.
    """

    by_code: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Policies:
        """Read policies.

        Parameters
        ----------
        texts : iterable of str
            ``CODE=fail``, ``CODE=keep``, ``CODE=take``; ``all`` stands for every code but that of what quanta have
            read. The last of a code counts.

        Returns
        -------
        Policies
            They.

        Raises
        ------
        UsageError
            If there is no such code or action, or upstream's cannot be taken.
        """
        found: dict[str, str] = {}
        for text in texts:
            code, _, action = text.partition("=")
            _check(text, code, action)
            for name in [c for c in RESOLVED if c != INPUT_MOVED] if code == _ALL else [code]:
                found[name] = FAIL if code == _ALL and action == TAKE and name in KEPT_ONLY else action
        return cls(found)

    def of(self, code: str) -> str:
        """Return what becomes of the conflicts of one code.

        Parameters
        ----------
        code : str
            The code.

        Returns
        -------
        str
            ``fail``, ``keep`` or ``take``.
        """
        return self.by_code.get(code, KEEP if code == INPUT_MOVED else FAIL)


def _check(text: str, code: str, action: str) -> None:
    if action not in {FAIL, KEEP, TAKE} or not code:
        raise UsageError(
            f"'{text}' is no policy: after '=' comes fail, keep or take",
            code="bad-policy",
            hint="'--on-conflict record-differs=keep' keeps ours, '--on-conflict record-differs=take' takes upstream's.",
        )
    if code not in {*RESOLVED, _ALL}:
        known = ", ".join((*RESOLVED, _ALL))
        raise UsageError(
            f"there is no kind of conflict '{code}' that a pull can resolve",
            code="no-such-conflict",
            hint=nearest(code, RESOLVED) or f"There are {known}.",
        )
    if action == TAKE and code in KEPT_ONLY:
        raise UsageError(
            f"upstream's side of a {code} cannot be taken: what is here may need ours",
            code="unsafe-policy",
            hint="Make a campaign of upstream as it is now: 'stage clone'.",
        )
