"""`Campaign`: a campaign directory. Each subcommand of ``stage`` is one method with the same keyword names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from stage.campaign import building, history, pushing, registering, running
from stage.campaign.command_line import command_text
from stage.campaign.graphs import open_graph
from stage.campaign.lock import campaign_lock
from stage.campaign.options import EditOptions
from stage.campaign.reader import StrPath
from stage.campaign.state import load_state
from stage.campaign.writer import CampaignWriter
from stage.execution.kept import DEFAULT_LIMIT

if TYPE_CHECKING:
    from stage.campaign.registering import RegisteredTypes
    from stage.campaign.reports import BuildReport, FetchReport, PushReport, RunReport

__all__ = ["Campaign"]


class Campaign(CampaignWriter):
    """One campaign. Get it from `load`, `init`, `clone` or `open`.

    Parameters
    ----------
    layout : Layout
        Its paths.
    state : CampaignState
        Its state, as it was read; methods that change the campaign read it again under the lock.
    unsaved : EditOptions, optional
        For a campaign that is defined but not written: the options that it was defined by.
    """

    @classmethod
    def clone(
        cls,
        upstream: str,
        directory: StrPath,
        *,
        data_query: str | None = None,
        data_id_table: str | None = None,
        fetch: bool = True,
        **edits: Unpack[EditOptions],
    ) -> tuple[Self, BuildReport | None]:
        """Make a campaign with a staging registry bound to an upstream repository.

        Parameters
        ----------
        upstream : str
            The upstream repository.
        directory : str or path
            Where to make it: a new or empty directory, or one in which a clone was killed.
        data_query : str, optional
            Expression that chooses data IDs.
        data_id_table : str, optional
            File of data IDs to keep to.
        fetch : bool, optional
            Whether to fetch what the graph needs.
        **edits
            See `EditOptions`. With a pipeline and inputs, the graph is built too.

        Returns
        -------
        campaign : Campaign
            Saved.
        report : BuildReport or None
            What was built.

        Raises
        ------
        AlreadyExistsError
            If the directory is in use.
        NotFoundError
            If upstream cannot be reached.
        StageError
            If something else is wrong. In all cases nothing is left behind.
        """
        campaign = cls.init(upstream, directory, **edits)
        return campaign, campaign._clone(data_query, data_id_table, fetch)  # noqa: SLF001 - its own

    def _clone(self, query: str | None, table: str | None, fetch: bool) -> BuildReport | None:
        self._clear_unfinished()
        with self._changing("clone", {}) as change:
            return building.build_first(change, data_query=query, data_id_table=table, fetch=fetch)

    # -- definition -----------------------------------------------------------------------------------------

    def edit(self, **edits: Unpack[EditOptions]) -> dict[str, tuple[Any, Any]]:
        """Change what the campaign will run.

        Parameters
        ----------
        **edits
            See `EditOptions`.

        Returns
        -------
        dict of str to (object, object)
            Each changed field of the state, and each changed setting of a task, with its old and new value.

        Raises
        ------
        StageError
            If an option is wrong; nothing has changed.
        """
        with self._changing("edit", edits):
            pass
        return self._changes

    # -- graph ----------------------------------------------------------------------------------------------

    def build(
        self,
        *,
        data_query: str | None = None,
        data_id_table: str | None = None,
        fetch: bool = True,
        skip_existing_in: Sequence[str] = (),
        write_qg: str | None = None,
        **edits: Unpack[EditOptions],
    ) -> BuildReport:
        """Build the quantum graph and fetch what it needs into staging.

        Parameters
        ----------
        data_query : str, optional
            Expression that chooses data IDs; the last one by default.
        data_id_table : str, optional
            File of data IDs to keep to; the last one by default, and none if it is empty text.
        fetch : bool, optional
            Whether to fetch.
        skip_existing_in : sequence of str, optional
            Collections and patterns: quanta whose metadata exist there are not planned again. Not remembered.
        write_qg : str, optional
            Where to write the graph.
        **edits
            See `EditOptions`.

        Returns
        -------
        BuildReport
            What was made.

        Raises
        ------
        StageError
            If it cannot be built; state, graph and registry are as they were.
        """
        given = {"data_query": data_query, "data_id_table": data_id_table, "write_qg": write_qg}
        with self._changing("build", edits) as change:
            return building.build_graph(change, **given, skip_existing_in=skip_existing_in, fetch=fetch)

    def fetch(self) -> FetchReport:
        """Copy into staging the upstream rows that the graph needs.

        Returns
        -------
        FetchReport
            What was brought.

        Raises
        ------
        StageError
            If there is no graph, or upstream cannot be reached; staging is as it was.
        """
        with self._changing("fetch", {}) as change:
            return building.fetch_graph(self.layout, change.state, change)

    def register_dataset_types(
        self, *, use_qg_configs: bool = False, use_task_configs: bool = False
    ) -> RegisteredTypes:
        """Register the intermediate and output dataset types in staging, and check the inputs'.

        Parameters
        ----------
        use_qg_configs : bool, optional
            Where the graph is not what the pipeline says now, take the graph's.
        use_task_configs : bool, optional
            Take the pipeline's.

        Returns
        -------
        RegisteredTypes
            What is new.

        Raises
        ------
        UsageError
            If the campaign has neither pipeline nor graph.
        ConflictError
            If graph and pipeline differ, and neither was chosen.
        StageError
            If an input is not registered, or a type is not what the pipeline takes it for. Nothing was registered.
        """
        with self._changing("register-dataset-types", {}) as change:
            return registering.register_campaign_types(
                change, use_qg_configs=use_qg_configs, use_task_configs=use_task_configs
            )

    # -- execution ------------------------------------------------------------------------------------------

    def prep(
        self,
        *,
        new_run: bool = False,
        continue_run: bool = False,
        use_qg_configs: bool = False,
        **edits: Unpack[EditOptions],
    ) -> str:
        """Make a RUN ready to be written, and leave it as the current one; the graph is never built.

        Parameters
        ----------
        new_run : bool, optional
            Begin a new one even if there is a current one.
        continue_run : bool, optional
            Where there is no current one, take the newest past run.
        use_qg_configs : bool, optional
            Take the graph as it was built, whatever changed since.
        **edits
            See `EditOptions`.

        Returns
        -------
        str
            The RUN.

        Raises
        ------
        NotFoundError
            If there is no graph.
        StageError
            If it cannot be made ready; all is as it was.
        """
        with self._changing("prep", edits) as change:
            if change.state.quantum_graph.uri is None:
                open_graph(self.layout, change.state)
            return running.prepare_campaign(
                change, new_run=new_run, continue_run=continue_run, use_qg_configs=use_qg_configs
            )[0]

    def run(
        self,
        *,
        processes: int = 1,
        data_query: str | None = None,
        new_run: bool = False,
        continue_run: bool = False,
        finish: bool | None = None,
        rebuild: bool = False,
        use_qg_configs: bool = False,
        fail_fast: bool = False,
        timeout: float | None = None,
        retries: int = 0,
        log_limit: int = DEFAULT_LIMIT,
        on_progress: Callable[[Any], None] | None = None,
        **edits: Unpack[EditOptions],
    ) -> RunReport:
        """Execute the graph's quanta; build the graph if there is none.

        Parameters
        ----------
        processes : int, optional
            Worker processes; 0 runs everything in this one.
        data_query : str, optional
            Expression for a graph that has to be built.
        new_run : bool, optional
            Begin a new RUN even if there is a current one.
        continue_run : bool, optional
            Where there is no current RUN, go on with the newest past one.
        finish : bool, optional
            Whether the RUN ends when all quanta are done; by default it does.
        rebuild : bool, optional
            Build the graph again first.
        use_qg_configs : bool, optional
            Run the graph as it was built, whatever changed since.
        fail_fast : bool, optional
            Begin nothing more after the first failure.
        timeout : float, optional
            Longest time for one quantum, in seconds; it then fails. Needs worker processes.
        retries : int, optional
            How often a quantum that failed is tried again.
        log_limit : int, optional
            Bytes that are kept of the log of each quantum, from its beginning and its end; 0 keeps all.
        on_progress : callable, optional
            Called with each `stage.execution.progress.ProgressEvent`.
        **edits
            See `EditOptions`.

        Returns
        -------
        RunReport
            What became of the run. Failed quanta are in it and are not raised.

        Raises
        ------
        ConflictError
            If the graph is not what the campaign would build now.
        StageError
            If the run could not be begun; all is as it was.
        """
        with self._changing("run", edits) as change:
            return running.run_campaign(
                change,
                processes=processes,
                data_query=data_query,
                new_run=new_run,
                continue_run=continue_run,
                finish=finish,
                rebuild=rebuild,
                use_qg_configs=use_qg_configs,
                fail_fast=fail_fast,
                timeout=timeout,
                retries=retries,
                log_limit=log_limit,
                on_progress=on_progress,
            )

    def merge(self, *records: str) -> RunReport:
        """Bring the records of jobs into staging.

        Parameters
        ----------
        *records : str
            Record files, all of one run.

        Returns
        -------
        RunReport
            What became of that run.

        Raises
        ------
        StageError
            If a record is damaged, of another graph, or names an output that is not there; nothing has changed.
        """
        from stage.campaign.jobs import merge_campaign

        with self._changing("merge", {}) as change:
            return merge_campaign(change, records)

    # -- upstream -------------------------------------------------------------------------------------------

    def push(
        self,
        *runs: str,
        dry_run: bool = False,
        chain: str | None = None,
        dataset_type: Sequence[str] = (),
        register_dataset_types: bool = False,
        only_complete: bool = False,
    ) -> PushReport:
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
        register_dataset_types : bool, optional
            Define upstream the dataset types that it lacks.
        only_complete : bool, optional
            Leave out runs in which a quantum failed or is missing.

        Returns
        -------
        PushReport
            The plan, and whether it was carried out.

        Raises
        ------
        ConflictError
            If the two sides disagree; nothing was written. (A dry run returns them in its plan.)
        """
        options: dict[str, Any] = {
            "chain": chain,
            "dataset_type": dataset_type,
            "register_dataset_types": register_dataset_types,
            "only_complete": only_complete,
        }
        if dry_run:
            return pushing.push_campaign(self.layout, self.state, runs, dry_run=True, **options)
        with campaign_lock(self.layout.lock, command_text("push")):
            self.state = load_state(self.layout.state)
            report = pushing.push_campaign(self.layout, self.state, runs, **options)
            if report.pushed:
                entry = history.HistoryRecord(self.layout, command_text("push"))
                entry.note({"pushed": ([], list(report.plan.runs))})
        return report
