"""What a check of a repository finds: values, which can be printed, compared and repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sync.fsck.kinds import KINDS, Severity

__all__ = ["Depth", "Finding", "FsckPlan", "FsckReport", "Repaired"]

Depth = Literal["fast", "default", "full"]


@dataclass(frozen=True)
class Finding:
    """Things that are wrong in one way, in one place.

    Parameters
    ----------
    code : str
        In which way; one of `sync.fsck.kinds.KINDS`.
    where : str
        A table, a directory, a file.
    items : sequence of str
        Each of them.
    detail : str, optional
        More than the kind says by itself.
    """

    code: str
    where: str
    items: Sequence[str] = field(repr=False)
    detail: str = ""

    @property
    def severity(self) -> Severity:
        """``error``: something is lost or wrong; ``warning``: something is left over; ``note``: to be known."""
        return KINDS[self.code].severity

    @property
    def what(self) -> str:
        """What is wrong, in a sentence without its end."""
        return KINDS[self.code].what + (f": {self.detail}" if self.detail else "")

    @property
    def hint(self) -> str:
        """The way on."""
        return KINDS[self.code].hint

    @property
    def repair(self) -> str:
        """What a repair does about it; empty if nothing."""
        return KINDS[self.code].repair

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field, and what its kind says.
        """
        return {
            "code": self.code, "severity": self.severity, "what": self.what, "where": self.where, "n": len(self.items),
            "items": list(self.items), "hint": self.hint, "repair": self.repair,
        }  # fmt: skip


@dataclass(frozen=True)
class FsckPlan:
    """What was looked at, what is wrong, and with it what a repair would do.

    Parameters
    ----------
    place : str
        What was checked.
    depth : {"fast", "default", "full"}
        How thoroughly.
    findings : sequence of Finding
        The grave ones first.
    checked : mapping of str to int
        What was looked at: ``artifacts``, ``files``, ``bytes``.
    n_young : int
        Files that no row names and that are too young to be taken for left over.
    """

    place: str
    depth: Depth
    findings: tuple[Finding, ...]
    checked: Mapping[str, int] = field(default_factory=dict)
    n_young: int = 0

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings that are more than notes."""
        return tuple(f for f in self.findings if f.severity != "note")

    def with_findings(self, more: Sequence[Finding]) -> FsckPlan:
        """Return a copy that says more.

        Parameters
        ----------
        more : sequence of Finding
            What else was found.

        Returns
        -------
        FsckPlan
            The copy, the grave ones first.
        """
        order: tuple[Severity, ...] = ("error", "warning", "note")
        every = sorted((*self.findings, *more), key=lambda f: (order.index(f.severity), f.code, f.where))
        return FsckPlan(self.place, self.depth, tuple(every), self.checked, self.n_young)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {
            "place": self.place, "depth": self.depth, "sound": not self.wrong, "checked": dict(self.checked),
            "young": self.n_young, "findings": [f.to_document() for f in self.findings],
        }  # fmt: skip


@dataclass(frozen=True)
class Repaired:
    """One thing that a repair did.

    Parameters
    ----------
    code : str
        The kind of finding that it was about.
    what : str
        What it did.
    items : sequence of str
        To which things.
    """

    code: str
    what: str
    items: Sequence[str] = field(repr=False)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {**asdict(self), "items": list(self.items)}


@dataclass(frozen=True)
class FsckReport:
    """What a check came to.

    Parameters
    ----------
    plan : FsckPlan
        What is wrong, after a repair if there was one.
    repaired : tuple of Repaired
        What was repaired.
    """

    plan: FsckPlan
    repaired: tuple[Repaired, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return not self.plan.wrong

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            The plan's, and ``repaired``.
        """
        return {**self.plan.to_document(), "repaired": [r.to_document() for r in self.repaired]}
