"""The part of `Campaign` that looks after it: fsck and doctor. They work where a campaign cannot be loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stage.campaign.layout import Layout, absolute_uri, find_campaign

if TYPE_CHECKING:
    from stage.campaign.doctor import DoctorReport
    from sync.fsck.findings import FsckReport

__all__ = ["CampaignChecks", "fsck_repo"]

_A_DAY_S = 86_400.0


class CampaignChecks:
    """A campaign that can be checked."""

    @classmethod
    def fsck(
        cls,
        campaign_dir: str | os.PathLike[str] | None = None,
        *,
        fast: bool = False,
        full: bool = False,
        repair: bool = False,
        lost: Sequence[str] = (),
        older_than: float = _A_DAY_S,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> FsckReport:
        """Find what is wrong with a campaign: its rows, its files, its graphs, its notes.

        Parameters
        ----------
        campaign_dir : str or path, optional
            Its directory; ``$STAGE_CAMPAIGN_DIR``, then the working directory by default.
        fast : bool, optional
            Only rows, and whether files are there with their size.
        full : bool, optional
            Every byte too.
        repair : bool, optional
            Repair what can be repaired without loss.
        lost : sequence of str, optional
            With `repair`, files that are given up: paths (patterns allowed) or ids of datasets among what is missing or
            damaged. The datasets stay on record.
        older_than : float, optional
            Files that no row names count as left over when they were not touched for so long, in seconds.
        on_progress : callable, optional
            Called with the numbers of bytes read and in all.

        Returns
        -------
        FsckReport
            What is (still) wrong, and what was repaired.

        Raises
        ------
        NotFoundError
            If there is no campaign, or nothing lost goes by a name that was given.
        BusyError
            If another command changes it, and a repair was asked for.
        UsageError
            If options contradict each other.
        """
        from stage.campaign.checking_all import check_campaign
        from sync.fsck.check import CheckOptions, depth_of

        depth = depth_of(fast=fast, full=full)
        options = CheckOptions(depth, repair, tuple(lost), older_than, on_progress)
        return check_campaign(Layout(find_campaign(campaign_dir)), options)

    @classmethod
    def doctor(cls, directory: str | os.PathLike[str] | None = None) -> DoctorReport:
        """Look at what a campaign stands on: file systems, locks, versions, room, limits.

        Parameters
        ----------
        directory : str or path, optional
            Its directory; as for `fsck`.

        Returns
        -------
        DoctorReport
            A line for each thing, with one next step where one is to be taken.

        Raises
        ------
        NotFoundError
            If there is no campaign.
        """
        from stage.campaign.doctor import examine

        return examine(Layout(find_campaign(directory)))


def fsck_repo(
    repo: str,
    *,
    fast: bool = False,
    full: bool = False,
    repair: bool = False,
    lost: Sequence[str] = (),
    older_than: float = _A_DAY_S,
    on_progress: Callable[[int, int], None] | None = None,
) -> FsckReport:
    """Find what is wrong with a repository: its rows and its files.

    Parameters
    ----------
    repo : str
        Its root, or its database.
    fast : bool, optional
        Only rows, and whether files are there with their size.
    full : bool, optional
        Every byte too.
    repair : bool, optional
        Repair what can be repaired without loss; needs the right to write.
    lost : sequence of str, optional
        With `repair`, files that are given up, as for `Campaign.fsck`.
    older_than : float, optional
        Files that no row names count as left over when they were not touched for so long, in seconds.
    on_progress : callable, optional
        Called with the numbers of bytes read and in all.

    Returns
    -------
    FsckReport
        What is (still) wrong, and what was repaired.

    Raises
    ------
    NotFoundError
        If there is no repository, or nothing lost goes by a name that was given.
    UsageError
        If options contradict each other.
    """
    from sync.filesystem.files import redact
    from sync.fsck.check import CheckOptions, check_repo, depth_of
    from sync.repo import Repo

    options = CheckOptions(depth_of(fast=fast, full=full), repair, tuple(lost), older_than, on_progress)
    root = repo if "://" in repo else absolute_uri(repo)
    return check_repo(redact(root), lambda writable: Repo.open(root, writable=writable), options)
