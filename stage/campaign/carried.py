"""The part of a campaign that goes where no network goes: export and import as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stage.campaign.bundling import export_bundle
from stage.campaign.layout import STATE_FILE, local_directory
from stage.campaign.stack_verbs import CampaignStack
from stage.campaign.unbundling import make_campaign, merge_bundle, open_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from stage.campaign.bundling import BundleReport
    from stage.campaign.reader import StrPath

__all__ = ["CampaignCarried"]


class CampaignCarried(CampaignStack):
    """Bundles of a campaign."""

    def bundle_export(
        self, file: StrPath, *runs: str, on_progress: Callable[[int], None] | None = None
    ) -> BundleReport:
        """Write the campaign into one file: registry, state, graph, and the files of its runs.

        Parameters
        ----------
        file : str or path
            The bundle; one that is there is replaced.
        *runs : str
            Runs whose files go; by default all of the campaign's.
        on_progress : callable, optional
            Called with the number of files written.

        Returns
        -------
        BundleReport
            What is in it.

        Raises
        ------
        NotFoundError
            If the campaign has no such run or no staging yet, or an artifact is missing.
        UsageError
            If its outputs do not lie in its own directory.
        StorageError
            If the file cannot be written; nothing is left of it.
        """
        return export_bundle(self.layout, self.state, Path(file), runs, on_progress=on_progress)

    @classmethod
    def bundle_import(cls, file: StrPath, directory: StrPath | None = None) -> BundleReport:
        """Bring a bundle in: as a campaign, or its runs into the campaign that it came from.

        Parameters
        ----------
        file : str or path
            The bundle.
        directory : str or path, optional
            The campaign's directory. Without a campaign in it one is made there. By default the campaign is that
            of the working directory.

        Returns
        -------
        BundleReport
            What was brought; a second time nothing.

        Raises
        ------
        NotFoundError
            If there is no such file, or no directory was named and there is no campaign here.
        AlreadyExistsError
            If the directory holds something that is no campaign.
        ConflictError
            If the campaign is another one, or the two sides have something else under one name.
        IntegrityError
            If the bundle is damaged. In all cases nothing has changed.
        """
        with open_bundle(Path(file)) as (bundle, state):
            if directory is not None and not (local_directory(directory) / STATE_FILE).exists():
                return make_campaign(bundle, state, local_directory(directory))
            campaign = cls.load(directory)
            with campaign._changing("bundle_import", {}) as change:  # noqa: SLF001 - a campaign of this very class
                return merge_bundle(change, bundle, state)
