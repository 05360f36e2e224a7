"""Giving up pushes of a campaign that were broken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.refs import id_text
from stage.campaign.command_line import command_text
from stage.campaign.lock import campaign_lock
from stage.campaign.pushing import campaign_info
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream
from stage.campaign.state import load_state

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.pushing.abort import AbortPlan, AbortResult
    from sync.repo import Repo

__all__ = ["AbortReport", "abort_push"]


@dataclass(frozen=True, eq=False)
class AbortReport:
    """What giving up pushes did, or would do.

    Parameters
    ----------
    plan : sync.pushing.abort.AbortPlan
        What was found.
    dry_run : bool
        Whether it was only planned.
    result : sync.pushing.abort.AbortResult, optional
        What went.
    """

    plan: AbortPlan
    dry_run: bool = False
    result: AbortResult | None = field(default=None)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            The plan's document, ``dry_run``, and what was ``aborted``, ``acknowledged`` and removed.
        """
        done = self.result
        return {
            **self.plan.to_document(),
            "dry_run": self.dry_run,
            "aborted": [id_text(i) for i in done.aborted] if done else [],
            "acknowledged": [id_text(i) for i in done.acknowledged] if done else [],
            "removed": done.files if done else 0,
            "kept": done.kept if done else 0,
        }


def abort_push(
    layout: Layout,
    state: CampaignState,
    runs: Sequence[str] = (),
    options: Mapping[str, Any] = {},
    *,
    dry_run: bool = False,
) -> AbortReport:
    """Give up pushes that were broken off, or say what that would do.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    runs : sequence of str, optional
        Only pushes of these RUNs; all by default.
    options : mapping, optional
        Other options of a push, by name.
    dry_run : bool, optional
        Only plan: upstream is opened read-only.

    Returns
    -------
    AbortReport
        What was found, and what went.

    Raises
    ------
    NotFoundError
        If a run does not exist, upstream cannot be reached, or nothing was ever run.
    StorageError
        If a file cannot be removed; giving up again goes on.
    UsageError
        If an option was given that has no meaning here.
    """
    _refuse_options(options)
    if dry_run:
        return _abort(layout, state, runs, dry_run=True)
    with campaign_lock(layout.lock, command_text("push")):
        return _abort(layout, load_state(layout.state), runs, dry_run=False)


def _abort(layout: Layout, state: CampaignState, runs: Sequence[str], *, dry_run: bool) -> AbortReport:
    from sync.pushing.abort import execute_abort, plan_abort

    with (
        open_staging(layout, writable=not dry_run) as staging,
        open_upstream(state, writable=not dry_run) as upstream,
    ):
        if upstream.is_foreign:
            raise UsageError(
                f"{upstream.root} is another system's repository: a push to it is one transaction there",
                code="foreign-upstream",
                hint="Run 'stage push' again, which completes it; or remove the run with that system's tools.",
            )
        check_same_upstream(staging, upstream)
        _check_runs(staging, state, runs)
        plan = plan_abort(staging, upstream, runs, campaign=campaign_info(staging, state))
        return AbortReport(plan, dry_run, None if dry_run else execute_abort(plan, staging, upstream))


def _check_runs(staging: Repo, state: CampaignState, runs: Sequence[str]) -> None:
    """See that the campaign has the runs that are named, or has pushed them once."""
    from sync.pushing.settled import noted_pushes

    with staging.registry.read() as snapshot:
        pushed = [run for entry in noted_pushes(snapshot) for run in entry.payload["runs"]]
    known = list(dict.fromkeys([*state.collections.runs, *pushed]))
    for name in runs:
        if name not in known:
            raise NotFoundError(
                f"campaign '{state.name}' has no run '{name}'", code="no-such-run", hint=nearest(name, known)
            )


def _refuse_options(options: Mapping[str, Any]) -> None:
    """Refuse options of a push that mean nothing where one is given up."""
    given = [
        f"--{name.replace('_', '-')}"
        for name, value in options.items()
        if value not in (None, False, (), "auto", [])
    ]
    if given:
        raise UsageError(
            f"--abort gives up what was broken off, for which {', '.join(given)} has no meaning",
            code="bad-options",
            hint="Leave it out.",
        )
