"""What is to become of conflicts: ``KIND=fail`` or ``KIND=skip``, never overwrite."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registry.errors import UsageError, nearest
from sync.pushing.kinds import KINDS, STRICT

if TYPE_CHECKING:
    from sync.plan_parts import Conflict

__all__ = ["Policies", "Policy"]

_ALL, _FAIL, _SKIP = "all", "fail", "skip"


@dataclass(frozen=True)
class Policy:
    """What becomes of some conflicts.

    Parameters
    ----------
    code : str
        Their code, or ``all``.
    what : str
        A pattern of what they are about; empty for whatever it is.
    skip : bool
        Whether they are left out rather than refuse the push.
    """

    code: str
    what: str
    skip: bool

    def matches(self, code: str, what: str) -> bool:
        """Tell whether a conflict is one of these.

        Parameters
        ----------
        code, what : str
            The conflict's.

        Returns
        -------
        bool
            Whether it is.
        """
        named = self.code == code or (self.code == _ALL and code not in STRICT)
        return named and (not self.what or fnmatchcase(what, self.what))


@dataclass(frozen=True)
class Policies:
    """All that was said about conflicts; the last that matches one decides, and none that matches refuses.

    Parameters
    ----------
    texts : tuple of str
        As they were given.
    policies : tuple of Policy
        What they mean.
    """

    texts: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Policies:
        """Read policies.

        Parameters
        ----------
        texts : iterable of str
            ``KIND=fail``, ``KIND=skip``, or ``KIND:WHAT=…`` with a pattern of what it is about.

        Returns
        -------
        Policies
            In the order given.

        Raises
        ------
        UsageError
            If there is no such kind or action, or skipping that kind would not be safe.
        """
        given = tuple(texts)
        return cls(given, tuple(_parse(text) for text in given))

    def skips(self, conflict: Conflict) -> bool:
        """Tell whether a conflict is left out.

        Parameters
        ----------
        conflict : Conflict
            The conflict.

        Returns
        -------
        bool
            False where it refuses the push.
        """
        if not KINDS[conflict.code].skip:  # 'all' is all that can be
            return False
        said = [policy for policy in self.policies if policy.matches(conflict.code, conflict.what)]
        return bool(said) and said[-1].skip


def _parse(text: str) -> Policy:
    subject, _, action = text.rpartition("=")
    code, _, what = subject.partition(":")
    if action not in {_FAIL, _SKIP} or not code:
        raise UsageError(
            f"'{text}' is no policy: after '=' comes fail or skip",
            code="bad-policy",
            hint="'--on-conflict dataset-exists=skip' keeps upstream's. A push never overwrites.",
        )
    if code != _ALL and code not in KINDS:
        raise UsageError(
            f"there is no kind of conflict '{code}'", code="no-such-conflict", hint=nearest(code, KINDS)
        )
    if code != _ALL and action == _SKIP and not KINDS[code].skip:
        raise UsageError(
            f"{code} cannot be skipped: {KINDS[code].unsafe}", code="unsafe-policy", hint=KINDS[code].hint
        )
    return Policy(code, what, action == _SKIP)
