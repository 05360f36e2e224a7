"""The part of a campaign that goes upstream: push, and giving up one that was broken off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from stage.campaign import abandoning, history, pushing
from stage.campaign.carried import CampaignCarried
from stage.campaign.command_line import command_text
from stage.campaign.lock import campaign_lock
from stage.campaign.state import load_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage.campaign.abandoning import AbortReport
    from stage.campaign.reports import PushReport

__all__ = ["CampaignPushes"]


class CampaignPushes(CampaignCarried):
    """A campaign whose runs can be merged upstream; `Campaign` has the other verbs."""

    @overload
    def push(self, *runs: str, abort: Literal[True], **options: Any) -> AbortReport: ...

    @overload
    def push(self, *runs: str, abort: Literal[False] = False, **options: Any) -> PushReport: ...

    def push(  # type: ignore[misc]  # which take any options
        self,
        *runs: str,
        dry_run: bool = False,
        chain: str | None = None,
        dataset_type: Sequence[str] = (),
        where: str | None = None,
        register_dataset_types: bool = False,
        only_complete: bool = False,
        strict_inputs: bool = False,
        replace_run: bool = False,
        on_conflict: Sequence[str] = (),
        artifacts: str = "auto",
        abort: bool = False,
    ) -> PushReport | AbortReport:
        """Merge runs upstream, or say what that would do.

        Parameters
        ----------
        *runs : str
            Which; by default all in which something was done.
        dry_run : bool, optional
            Only plan; nothing is written anywhere.
        chain : str, optional
            Upstream chain to put the runs at the front of.
        dataset_type : sequence of str, optional
            Globs of dataset types; all by default.
        where : str, optional
            Expression that chooses datasets by their data IDs; what they came from is pushed as provenance.
        register_dataset_types : bool, optional
            Define upstream the dataset types that it lacks.
        only_complete : bool, optional
            Leave out runs in which a quantum failed or is missing.
        strict_inputs : bool, optional
            Refuse the push where upstream will not have an input that was used.
        replace_run : bool, optional
            Let the newest run take the place of the campaign's run that is first in the chain.
        on_conflict : sequence of str, optional
            ``KIND=fail`` or ``KIND=skip``: what becomes of conflicts of a kind; by default any refuses the push.
        artifacts : {"auto", "link", "copy"}, optional
            How files get upstream; by default what lies there (``outputs_in``) stays, others are linked, else copied.
        abort : bool, optional
            Give up pushes that were broken off instead, and remove what they left upstream.

        Returns
        -------
        PushReport or AbortReport
            The plan, and whether it was carried out.

        Raises
        ------
        ConflictError
            If the two sides disagree; nothing was written. (A dry run returns them in its plan.)
        """
        options: dict[str, Any] = {
            "chain": chain, "dataset_type": dataset_type, "where": where, "only_complete": only_complete,
            "register_dataset_types": register_dataset_types, "strict_inputs": strict_inputs, "on_conflict": on_conflict,
            "replace_run": replace_run, "artifacts": artifacts,
        }  # fmt: skip
        if abort:
            return abandoning.abort_push(self.layout, self.state, runs, options, dry_run=dry_run)
        if dry_run:
            return pushing.push_campaign(self.layout, self.state, runs, dry_run=True, **options)
        with campaign_lock(self.layout.lock, command_text("push")):
            self.state = load_state(self.layout.state)
            report = pushing.push_campaign(self.layout, self.state, runs, **options)
            if report.pushed:
                entry = history.HistoryRecord(self.layout, command_text("push"))
                entry.note({"pushed": ([], list(report.plan.runs))}, self.state)
        return report
