"""The part of `Campaign` that is about the stack of its runs: prep, pop, clean, rollback."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from registry.errors import UsageError
from stage.campaign import dropping, running
from stage.campaign.command_line import command_text
from stage.campaign.drop_report import drop_mode
from stage.campaign.entries import trim
from stage.campaign.graph_verbs import CampaignGraphs
from stage.campaign.history import HistoryRecord
from stage.campaign.lock import campaign_lock
from stage.campaign.options import EditOptions
from stage.campaign.run_options import RunOptions, StackOptions
from stage.campaign.state import load_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage.campaign.drop_report import CleanReport, DropReport
    from stage.campaign.freeing import FreeReport
    from stage.campaign.rollback import RollbackReport

__all__ = ["CampaignStack"]


class CampaignStack(CampaignGraphs):
    """A campaign whose runs can be begun and dropped; `Campaign` has the other verbs."""

    def prep(
        self,
        *,
        new_run: bool = False,
        continue_run: bool = False,
        replace: bool = False,
        restart: bool = False,
        unstore: bool = False,
        purge: bool = False,
        use_qg_configs: bool = False,
        use_task_configs: bool = False,
        **edits: Unpack[EditOptions],
    ) -> str:
        """Make a RUN ready to be written, and leave it as the current one; the graph is never built.

        Without a graph the pipeline's tasks and their settings are what it is made ready for.

        Parameters
        ----------
        new_run : bool, optional
            Begin a new one even if there is a current one.
        continue_run : bool, optional
            Where there is no current one, take the newest past run.
        replace : bool, optional
            Begin a new one in the place of the current one, or else of the newest past one.
        restart : bool, optional
            Begin a new one in the place of all.
        unstore, purge : bool, optional
            As for `pop`, with the runs whose place it takes.
        use_qg_configs : bool, optional
            Take the graph as it was built, whatever changed since.
        use_task_configs : bool, optional
            Take the graph's quanta with the tasks and settings of the pipeline.
        **edits
            See `EditOptions`.

        Returns
        -------
        str
            The RUN.

        Raises
        ------
        NotFoundError
            If there is neither a graph nor a pipeline.
        StageError
            If it cannot be made ready; all is as it was.
        """
        options = RunOptions(
            new_run, continue_run, False, False, use_qg_configs, use_task_configs,
            stack=StackOptions(replace, restart, unstore, purge), command="prep",
        )  # fmt: skip
        with self._changing("prep", edits) as change:
            if change.state.quantum_graph.uri is None:
                from stage.campaign.prep_alone import prepare_without_graph

                return prepare_without_graph(change, options)
            name = running.prepare_campaign(change, options).name
            if not name:
                raise UsageError(
                    "the graph has no quanta, so there is nothing to make a run ready for",
                    code="empty-graph",
                    hint="Build another one, as with 'stage build -d QUERY'.",
                )
            return name

    def pop(
        self, n: int = 0, *, unstore: bool = False, purge: bool = False, dry_run: bool = False
    ) -> DropReport:
        """Drop runs from the top of the stack; they stay in staging unless told otherwise.

        Parameters
        ----------
        n : int, optional
            How many past runs, besides the current one.
        unstore : bool, optional
            Remove their files.
        purge : bool, optional
            Remove them altogether, with their datasets, logs and records; does more than `unstore`.
        dry_run : bool, optional
            Only say what would leave.

        Returns
        -------
        DropReport
            What left.

        Raises
        ------
        UsageError
            If there are not that many.
        ConflictError
            If one is to be removed that was pushed, or datasets of it are in other collections. In both cases all is as
            it was.
        """
        mode = drop_mode(unstore=unstore, purge=purge)
        if dry_run:
            return dropping.plan_pop(self.layout, self.state, n, mode)
        with self._changing("pop", {}) as change:
            return dropping.pop_campaign(change, n, mode)

    def clean(
        self, *, purge: bool = False, keep_history: int | None = None, dry_run: bool = False
    ) -> CleanReport:
        """Remove the files of runs that the campaign made and that are in its stack no more.

        Parameters
        ----------
        purge : bool, optional
            Remove the runs altogether, with their datasets, logs and records. Those that were pushed stay on record.
        keep_history : int, optional
            Keep only so many of the latest entries of `history` as ones to go back to.
        dry_run : bool, optional
            Only say what would go.

        Returns
        -------
        CleanReport
            What went; it is no error if there was nothing.

        Raises
        ------
        ConflictError
            If datasets of such a run are in other collections; nothing has changed.
        """
        if keep_history is not None and keep_history < 1:
            raise UsageError(
                f"cannot keep {keep_history} entries of the history: the newest one stays", code="bad-option"
            )
        entries = [] if keep_history is None else trim(self.layout, keep_history, dry_run=True)
        if dry_run:
            return replace(dropping.plan_clean(self.layout, self.state, purge=purge), history=entries)
        with self._changing("clean", {}) as change:
            report = dropping.clean_campaign(change, purge=purge)
        if keep_history is not None:
            with campaign_lock(self.layout.lock, command_text("clean")):
                entries = trim(self.layout, keep_history)
        return replace(report, history=entries, done=report.done or bool(entries))

    def rollback(self, to: int, *, without_lost: bool = False, dry_run: bool = False) -> RollbackReport:
        """Bring the campaign back to what it was after a command: its state, its pipeline, its graph.

        No run is removed; those made since leave the stack and stay in staging. Going back is a change like any other, so it
        can be taken back.

        Parameters
        ----------
        to : int
            Number of the command's entry in `history`.
        without_lost : bool, optional
            Leave runs of that time that were purged since out of the stack, instead of failing.
        dry_run : bool, optional
            Only say what would change.

        Returns
        -------
        RollbackReport
            What changed; it is no error if that is nothing.

        Raises
        ------
        NotFoundError
            If there is no such entry, or it is not kept what the campaign was then.
        ConflictError
            If runs of that time were purged since. In both cases all is as it was.
        """
        from stage.campaign.rollback import plan_rollback, roll_back

        if dry_run:
            return plan_rollback(self.layout, self.state, to, without_lost=without_lost)
        with self._changing("rollback", {}) as change:
            return roll_back(change, to, without_lost=without_lost)

    def drop(
        self,
        *runs: str,
        dataset_type: Sequence[str] = (),
        inputs: bool = False,
        cache: bool = False,
        verify: bool = False,
        dry_run: bool = False,
    ) -> FreeReport:
        """Remove files of the campaign that upstream holds with the same bytes; the datasets stay, and refer to those.

        Parameters
        ----------
        *runs : str
            Whose files; of all its runs if neither these nor `inputs` nor `cache` is given.
        dataset_type : sequence of str, optional
            Globs of dataset types; all by default.
        inputs : bool, optional
            Files of inputs that were fetched.
        cache : bool, optional
            What this machine's cache of remote inputs holds.
        verify : bool, optional
            Read upstream's files and compare them with what was recorded.
        dry_run : bool, optional
            Only say what would go.

        Returns
        -------
        FreeReport
            What goes, and what stays and why.

        Raises
        ------
        NotFoundError
            If there is no such run, or upstream cannot be reached.
        ConflictError
            If there are files and none of them may go. Nothing has changed.
        """
        from stage.campaign.freeing import free_files

        def free(*, only_plan: bool) -> FreeReport:
            return free_files(
                self.layout, self.state, runs,
                dataset_type=dataset_type, inputs=inputs, cache=cache, verify=verify, dry_run=only_plan,
            )  # fmt: skip

        if dry_run:
            return free(only_plan=True)
        with campaign_lock(self.layout.lock, command_text("drop")):
            self.state = load_state(self.layout.state)
            report = free(only_plan=False)
            if not report.is_empty:
                entry = HistoryRecord(self.layout, command_text("drop"))
                entry.note({"freed": ([], [*report.runs, *(["inputs"] if inputs else [])])}, self.state)
        return report
