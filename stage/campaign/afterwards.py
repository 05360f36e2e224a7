"""The part of `Campaign` that is asked afterwards: what came of what, and in what runs differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stage.campaign.reader import CampaignReader
from stage.campaign.repositories import open_staging

if TYPE_CHECKING:
    from stage.campaign.comparing_report import RunDifferences
    from stage.campaign.lineage import Why

__all__ = ["CampaignAfterwards"]


class CampaignAfterwards(CampaignReader):
    """Questions about what has run; nothing here takes the lock.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, as it was read.
    """

    def why(
        self,
        *words: str,
        up: bool = False,
        down: bool = False,
        depth: int | None = None,
        run: str | None = None,
    ) -> Why:
        """Say what a dataset or quantum came from and what came of it, or why there is no such dataset.

        Parameters
        ----------
        *words : str
            An id; or a dataset type or task, and ``dimension=value`` words.
        up, down : bool, optional
            Only what it came from, only what came of it; both by default.
        depth : int, optional
            Over so many quanta one after another at most.
        run : str, optional
            Only of this run; by default of the campaign's runs, the newest first, and its inputs.

        Returns
        -------
        Why
            Plain values.

        Raises
        ------
        NotFoundError
            If there is no such thing, and no run of the campaign was to make it.
        UsageError
            If nothing is named, or a data ID fits several quanta.
        DataIdError
            If a data ID lacks a dimension.
        """
        from stage.campaign.lineage import why

        with open_staging(self.layout) as staging:
            return why(
                staging,
                *words,
                up=up,
                down=down,
                depth=depth,
                run=run,
                path=self._search_path(staging),
                runs=[r for r in self.state.collections.runs if r in self._search_path(staging)],
                layout=self.layout,
            )

    def diff(self, old: str, new: str = ".") -> RunDifferences:
        """Compare two runs, each in staging or else upstream.

        Parameters
        ----------
        old, new : str
            RUN collections; ``.`` is the campaign's newest.

        Returns
        -------
        RunDifferences
            Only what differs.

        Raises
        ------
        NotFoundError
            If there is no such run, or the campaign has none yet.
        """
        from stage.campaign.comparing import diff_in_campaign

        return diff_in_campaign(self.layout, self.state, old, new)
