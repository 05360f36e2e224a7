"""How a campaign is made, and changed under its lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from registry.errors import ConflictError, StageError, StorageError
from stage.campaign import graphs, history
from stage.campaign.afterwards import CampaignAfterwards
from stage.campaign.change import Change, changing
from stage.campaign.command_line import command_text
from stage.campaign.dropping import keep_chain
from stage.campaign.edit import edit_collections, edit_definition, new_state
from stage.campaign.layout import (
    DIRECTORY_VARIABLE,
    STATE_FILE,
    Layout,
    absolute_uri,
    campaign_exists,
    local_directory,
)
from stage.campaign.naming import infer_name
from stage.campaign.options import EditOptions
from stage.campaign.outputs import set_outputs
from stage.campaign.pipeline_edit import edit_pipeline, has_pipeline_edits
from stage.campaign.reader import StrPath
from stage.campaign.state import CampaignState

if TYPE_CHECKING:
    from stage.pipeline.node import TaskNode

__all__ = ["CampaignWriter"]


class _DryRun(Exception):  # noqa: N818 - all went well
    """Ends a change that was only to be looked at."""


class CampaignWriter(CampaignAfterwards):
    """A campaign that can be made and changed; `Campaign` has the verbs.

    Parameters
    ----------
    layout : Layout
        Its paths.
    state : CampaignState
        Its state, as it was read; methods that change the campaign read it again under the lock.
    unsaved : EditOptions, optional
        For a campaign that is defined but not written: the options that it was defined by.
    """

    def __init__(self, layout: Layout, state: CampaignState, unsaved: EditOptions | None = None) -> None:
        super().__init__(layout, state)
        self._unsaved = unsaved
        self._changes: dict[str, tuple[Any, Any]] = {}

    @classmethod
    def init(cls, repo: str, campaign_dir: StrPath, **edits: Unpack[EditOptions]) -> Self:
        """Define a campaign that does not exist yet; nothing is written until `save`.

        Parameters
        ----------
        repo : str
            URI of the upstream repository; it is not looked at.
        campaign_dir : str or path
            Where it is to be.
        **edits
            See `EditOptions`.

        Returns
        -------
        Campaign
            Not saved.

        Raises
        ------
        AlreadyExistsError
            If there is one.
        UsageError
            If a name or an option is wrong.
        """
        layout = Layout(local_directory(campaign_dir))
        if layout.state.exists():
            raise campaign_exists(layout)
        name = edits.get("campaign_name") or infer_name(os.fspath(campaign_dir))
        state = new_state(absolute_uri(repo), name)
        return cls(layout, edit_collections(edit_definition(state, edits), edits), edits)

    @classmethod
    def open(
        cls, campaign_dir: StrPath | None = None, *, repo: str | None = None, **edits: Unpack[EditOptions]
    ) -> Self:
        """Load a campaign, or define a new one where there is none and a repository is named.

        Parameters
        ----------
        campaign_dir : str or path, optional
            As for `load`.
        repo : str, optional
            URI of the upstream repository; with it the campaign need not exist.
        **edits
            See `EditOptions`; they define a new campaign. To one that exists, the method called next applies them.

        Returns
        -------
        Campaign
            Perhaps not saved: the first method that changes it makes it, or leaves nothing if it fails.

        Raises
        ------
        NotFoundError
            If there is none and no repository was named.
        ConflictError
            If there is one, of another repository.
        """
        where = campaign_dir or os.environ.get(DIRECTORY_VARIABLE) or Path.cwd()
        if repo and not (local_directory(where) / STATE_FILE).exists():
            return cls.init(repo, where, **edits)
        campaign = cls.load(campaign_dir)
        if repo and absolute_uri(repo) != campaign.state.repo:
            raise ConflictError(
                f"campaign '{campaign.state.name}' belongs to {campaign.state.repo}, not to {repo}",
                code="repo-fixed",
                hint="Make another campaign: stage clone.",
            )
        return campaign

    def save(self) -> None:
        """Write a campaign that `init` defined.

        Raises
        ------
        StageError
            If the pipeline is wrong or the directory cannot be written; nothing is left behind.
        """
        with self._changing("init", {}):
            pass

    @contextmanager
    def _changing(
        self,
        command: str,
        edits: EditOptions,
        *,
        dry_run: bool = False,
        first: Callable[[], None] | None = None,
    ) -> Iterator[Change]:
        """Change the campaign under its lock, with the options of earlier steps applied first; a dry run fails at the end."""
        text = command_text(command)
        unsaved = self._unsaved
        made = _make_directory(self.layout) if unsaved is not None else []
        try:
            new = self.state if unsaved is not None else None
            with changing(self.layout, text, new=new, first=first) as change:
                before = {} if unsaved is not None else change.state.to_document()
                entry = history.HistoryRecord(self.layout, text, change)
                settings = _apply(change, {**unsaved, **edits} if unsaved is not None else edits)

                def changes() -> dict[str, tuple[Any, Any]]:
                    differences = history.document_changes(before, change.state.to_document())
                    return {**differences, **(settings if unsaved is None else {}), **change.told}

                def note() -> None:
                    self._changes = changes()
                    entry.note(self._changes, change.state)
                    self._unsaved = None

                # A command that is killed after it has changed something has its entry.
                change.on_keep = note
                yield change
                if dry_run:
                    self._changes = changes()
                    raise _DryRun  # noqa: TRY301 - what takes everything back is a failure
                keep_chain(change)
                change.keep()
                entry.tidy()
                self.state = change.state
        except BaseException as exc:
            if self._unsaved is not None:
                with suppress(OSError):  # what failed is to be told, not that there is still something
                    for path in made:
                        path.rmdir()
            if not isinstance(exc, _DryRun):
                raise


def _apply(change: Change, edits: EditOptions) -> dict[str, tuple[Any, Any]]:
    """Apply the options of the earlier steps to a change; return the settings of tasks that they changed."""
    edits_pipeline = has_pipeline_edits(edits)
    before = _tasks(change) if edits_pipeline else ()
    state = edit_collections(edit_definition(change.state, edits), edits)
    change.state = edit_pipeline(change, state, edits)
    if "outputs_in" in edits:
        set_outputs(change)
    return history.setting_changes(before, _tasks(change)) if edits_pipeline and before else {}


def _tasks(change: Change) -> Sequence[TaskNode]:
    """Return the tasks of a campaign's pipeline as it is now; none if there is none, or it is broken."""
    try:
        return graphs.load_pipeline(change.layout, change.state, change).nodes
    except StageError:
        return ()


def _make_directory(layout: Layout) -> list[Path]:
    """Make a campaign's directory; return those that were made, the deepest first."""
    made = [p for p in (layout.root, *layout.root.parents) if not p.exists()]
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot make {layout.root}: {exc.strerror or exc}") from exc
    return made
