"""What of another system's repository is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """What of a repository is looked at; all else is not shown at all, rather than as if it were empty.

    Parameters
    ----------
    searches : frozenset of (str, str)
        Dataset types, and collections in which their datasets are looked for; a chain stands for all it searches.
    storage_classes : mapping of str to str
        The storage class that a pipeline of ours has for a dataset type, where one has.
    """

    searches: frozenset[tuple[str, str]] = frozenset()
    storage_classes: Mapping[str, str] = field(default_factory=dict)

    @property
    def dataset_types(self) -> list[str]:
        """Names of dataset types, sorted."""
        return sorted({name for name, _ in self.searches})

    def collections(self, dataset_type: str | None = None) -> list[str]:
        """Return the collections that are looked into.

        Parameters
        ----------
        dataset_type : str, optional
            For datasets of this type; for any by default.

        Returns
        -------
        list of str
            Sorted.
        """
        return sorted({where for name, where in self.searches if dataset_type in (None, name)})

    def union(self, other: Scope) -> Scope:
        """Return what either of two looks at.

        Parameters
        ----------
        other : Scope
            Another one; its storage classes count before ours.

        Returns
        -------
        Scope
            Both.
        """
        return Scope(self.searches | other.searches, {**self.storage_classes, **other.storage_classes})

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            For `from_document`.
        """
        return {"searches": sorted(map(list, self.searches)), "storage_classes": dict(self.storage_classes)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Scope:
        """Read what `to_document` wrote.

        Parameters
        ----------
        document : mapping
            JSON-like.

        Returns
        -------
        Scope
            Equal to the one written.
        """
        return cls(
            frozenset((str(name), str(where)) for name, where in document["searches"]),
            {str(k): str(v) for k, v in document["storage_classes"].items()},
        )
