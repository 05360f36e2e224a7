"""Options about the quantum graph that several commands share, and which of them need which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from registry.errors import UsageError
from stage.campaign.categories import check_category

__all__ = ["GraphOptions", "RefreshOptions"]


class RefreshOptions(TypedDict, total=False):
    """What a refresh may do to a graph; names are the long options'.

    Attributes
    ----------
    trim_existing_in : str
        ``RUN``, ``CAMPAIGN`` or ``INPUTS``: drop quanta whose outputs are all there already.
    allow_pruning : bool
        Drop quanta whose inputs are there no more, instead of failing.
    allow_empty : bool
        Accept a graph that is left without quanta.
    write_qg : str
        Where to write the graph, which is then used from there.
    qg_dot : str
        Where to write a drawing of the graph, in dot.
    offline : bool
        Ask staging alone; upstream need not be there.
    """

    trim_existing_in: str
    allow_pruning: bool
    allow_empty: bool
    write_qg: str | None
    qg_dot: str | None
    offline: bool


@dataclass(frozen=True)
class GraphOptions:
    """How a graph is to be built, imported or refreshed.

    Parameters
    ----------
    data_query : str, optional
        Expression that chooses data IDs; the last one by default.
    data_id_table : str, optional
        File of data IDs to keep to; the last one by default, and none if it is empty text.
    skip_existing_in : sequence of str, optional
        Collections, patterns and categories; what was done there is not planned. The last ones by default.
    extend_qg : bool, optional
        Add to the graph there is, instead of replacing it.
    refresh : bool, optional
        Look the graph's datasets up again.
    trim_existing_in : str, optional
        Category of collections: drop quanta whose outputs are all there.
    allow_pruning : bool, optional
        Let a refresh drop quanta whose inputs are there no more.
    allow_empty : bool, optional
        Accept a graph without quanta.
    write_qg, qg_dot : str, optional
        Where to write the graph and a drawing of it.
    offline : bool, optional
        Ask staging alone.
    explain : bool, optional
        Say why there are these quanta and no others.
    fetch : bool, optional
        Bring what the graph needs into staging.
    """

    data_query: str | None = None
    data_id_table: str | None = None
    skip_existing_in: Sequence[str] | None = None
    extend_qg: bool = False
    refresh: bool = False
    trim_existing_in: str = ""
    allow_pruning: bool = False
    allow_empty: bool = False
    write_qg: str | None = None
    qg_dot: str | None = None
    offline: bool = False
    explain: bool = False
    fetch: bool = True

    def checked(self, *, builds: bool, why: str = "--refresh") -> GraphOptions:
        """Refuse options that mean nothing without others.

        Parameters
        ----------
        builds : bool
            Whether a graph is built, which looks everything up and drops what cannot be done.
        why : str, optional
            What has to be given too, for the error.

        Returns
        -------
        GraphOptions
            These, with the category's name in capital letters.

        Raises
        ------
        UsageError
            If one is not valid here; says what it needs.
        """
        if self.qg_dot == "":
            raise UsageError(
                "--qg-dot names no file",
                code="no-file-name",
                hint="Name the file of the drawing, or leave the option out.",
            )
        if not self.refresh and not builds:
            self._need("--trim-existing-in", self.trim_existing_in, why)
            self._need("--allow-empty", self.allow_empty, why)
        if not self.refresh:
            self._need("--allow-pruning", self.allow_pruning, "--refresh")
        return replace(self, trim_existing_in=check_category(self.trim_existing_in))

    @staticmethod
    def _need(option: str, given: object, needed: str) -> None:
        if given:
            raise UsageError(
                f"{option} changes the graph, so it needs {needed}",
                code="needs-refresh",
                hint=f"Give {needed} too, or leave {option} out.",
            )
