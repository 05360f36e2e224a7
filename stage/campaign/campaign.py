"""`Campaign`: a campaign directory. Each subcommand of ``stage`` is one method with the same keyword names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from stage.campaign import building, running
from stage.campaign.graph_options import GraphOptions
from stage.campaign.graphs import load_pipeline
from stage.campaign.options import EditOptions
from stage.campaign.push_verbs import CampaignPushes
from stage.campaign.reader import StrPath
from stage.campaign.run_options import RunOptions, StackOptions
from stage.campaign.scoping import ScopeOptions
from stage.campaign.unfinished import clear_for_clone
from stage.execution.allowance import Allowance
from stage.execution.kept import DEFAULT_LIMIT

if TYPE_CHECKING:
    from stage.campaign.reports import BuildReport, RunReport
    from stage.pipeline.describe import SettingOrigin

__all__ = ["Campaign"]


class Campaign(CampaignPushes):
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
            Where to make it: a new or empty directory, or one in which a clone was broken off. Files of inputs that this had
            brought of the same upstream are not fetched again.
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
            If something else is wrong. In all cases nothing is left behind, but for files of inputs that have arrived: they wait
            for the next try.
        """
        campaign = cls.init(upstream, directory, **edits)
        return campaign, campaign._clone(data_query, data_id_table, fetch)  # noqa: SLF001 - its own

    def _clone(self, query: str | None, table: str | None, fetch: bool) -> BuildReport | None:
        clear = partial(clear_for_clone, self.layout, self.state.name)
        clear(dry_run=True)
        with self._changing("clone", {}, first=clear) as change:
            return building.build_first(change, data_query=query, data_id_table=table, fetch=fetch)

    # -- definition -----------------------------------------------------------------------------------------

    def edit(self, *, dry_run: bool = False, **edits: Unpack[EditOptions]) -> dict[str, tuple[Any, Any]]:
        """Change what the campaign will run.

        Parameters
        ----------
        dry_run : bool, optional
            Only say what would change.
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
        with self._changing("edit", edits, dry_run=dry_run):
            pass
        return self._changes

    def settings(self, label: str | None = None, *, diff: bool = False) -> dict[str, list[SettingOrigin]]:
        """Return the settings of the pipeline's tasks, with what they are by default and where they were changed.

        Parameters
        ----------
        label : str, optional
            Of this task only.
        diff : bool, optional
            Only settings that are not what they are by default.

        Returns
        -------
        dict of str to list of SettingOrigin
            By task, in the pipeline's order.

        Raises
        ------
        UsageError
            If the campaign has no pipeline.
        PipelineError
            If there is no such task.
        """
        from stage.pipeline.describe import describe_settings

        pipeline = load_pipeline(self.layout, self.state)
        found = {name: describe_settings(pipeline, name) for name in ([label] if label else pipeline.labels)}
        return {
            name: [s for s in settings if not diff or s.value != s.default]
            for name, settings in found.items()
        }

    # -- execution ------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        processes: int = 1,
        data_query: str | None = None,
        data_id_table: str | None = None,
        new_run: bool = False,
        continue_run: bool = False,
        replace: bool = False,
        restart: bool = False,
        unstore: bool = False,
        purge: bool = False,
        finish: bool | None = None,
        rebuild: bool = False,
        refresh: bool = False,
        use_qg_configs: bool = False,
        use_task_configs: bool = False,
        skip_existing_in: str = "",
        extend_qg: bool = False,
        trim_existing_in: str = "",
        allow_pruning: bool = False,
        allow_empty: bool = False,
        write_qg: str | None = None,
        qg_dot: str | None = None,
        offline: bool = False,
        fail_fast: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
        log_limit: int = DEFAULT_LIMIT,
        memory: int | None = None,
        memory_multiplier: float = 1.0,
        memory_max: int | None = None,
        wrap: str = "",
        pdb: bool = False,
        ephemeral: Sequence[str] = (),
        keep: Sequence[str] = (),
        until: str = "",
        keep_scratch: bool = False,
        from_command: Sequence[str] = (),
        on_progress: Callable[[Any], None] | None = None,
        **edits: Unpack[EditOptions],
    ) -> RunReport:
        """Execute the graph's quanta; build the graph if there is none.

        Parameters
        ----------
        processes : int, optional
            Worker processes; 0 runs everything in this one.
        data_query, data_id_table : str, optional
            As for `build`, for a graph that has to be built.
        new_run : bool, optional
            Begin a new RUN even if there is a current one.
        continue_run : bool, optional
            Where there is no current RUN, go on with the newest past one.
        replace : bool, optional
            Begin a new RUN in the place of the current one, or else of the newest past one.
        restart : bool, optional
            Begin a new RUN in the place of all.
        unstore, purge : bool, optional
            As for `pop`, with the runs whose place it takes.
        finish : bool, optional
            Whether the RUN ends when all quanta are done; by default it does, unless `prep` made it or it was begun
            with false.
        rebuild : bool, optional
            Build the graph again first.
        refresh : bool, optional
            Refresh the graph first, as `refresh_qg` does.
        use_qg_configs : bool, optional
            Run the graph as it was built, whatever changed since.
        use_task_configs : bool, optional
            Run the graph's quanta with the tasks and settings of the pipeline, matched by label.
        skip_existing_in : str, optional
            ``RUN``, ``CAMPAIGN`` or ``INPUTS``: quanta whose outputs are all there are not executed. The campaign's
            graph keeps them.
        extend_qg : bool, optional
            With `rebuild`, as for `build`.
        trim_existing_in : str, optional
            With `rebuild` or `refresh`, as for `refresh_qg`.
        allow_pruning : bool, optional
            With `refresh`, as for `refresh_qg`.
        allow_empty : bool, optional
            With `rebuild` or `refresh`, as for `refresh_qg`.
        write_qg, qg_dot : str, optional
            Where to write the graph and a drawing of it.
        offline : bool, optional
            Ask nothing of upstream that staging has.
        fail_fast : bool, optional
            Begin nothing more after the first failure.
        timeout : float, optional
            Longest time for one quantum, in seconds; it then fails. Needs worker processes.
        retries : int, optional
            How often a quantum that failed is tried again; by default never, or 5 times with `memory_multiplier`.
        log_limit : int, optional
            Bytes that are kept of the log of each quantum, from its beginning and its end; 0 keeps all.
        memory : int, optional
            Memory for all quanta that run at a time, in megabytes; by default what the machine has.
        memory_multiplier : float, optional
            By how much more memory a quantum gets after it died for want of some.
        memory_max : int, optional
            The most memory that one quantum gets, in megabytes.
        wrap : str, optional
            Command in which worker processes are started, with ``{command}`` for theirs.
        pdb : bool, optional
            Open a debugger where the first quantum fails, at a terminal.
        ephemeral : sequence of str, optional
            Dataset types whose files are removed once all that read them is recorded; patterns allowed. To be said
            each time, unless the pipeline says so.
        keep : sequence of str, optional
            Dataset types that stay although the pipeline calls them ephemeral.
        until : str, optional
            A task or a step: it and what it depends on are executed, and nothing else.
        keep_scratch : bool, optional
            Keep the scratch directories of scripts that fail; going on begins there.
        from_command : sequence of str, optional
            ``LABEL:N``: quanta of that task begin at that command, where their scratch directory is kept.
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
        graph = GraphOptions(
            data_query, data_id_table, None, extend_qg, refresh, trim_existing_in, allow_pruning, allow_empty,
            write_qg, qg_dot, offline,
        )  # fmt: skip
        options = RunOptions(
            new_run, continue_run, finish, rebuild, use_qg_configs, use_task_configs, skip_existing_in, graph,
            processes, fail_fast, timeout, retries, log_limit, on_progress,
            StackOptions(replace, restart, unstore, purge), Allowance(memory, memory_multiplier, memory_max), wrap, pdb,
            ephemeral, keep, ScopeOptions(until, keep_scratch, from_command),
        )  # fmt: skip
        with self._changing("run", edits) as change:
            return running.run_campaign(change, options)

    def merge(self, *records: str, run: str | None = None, finish: bool | None = None) -> RunReport:
        """Bring the records of jobs into staging.

        Parameters
        ----------
        *records : str
            Record files, all of one run.
        run : str, optional
            Instead of these: all that the jobs of a submission have recorded so far. Of such a run, what cannot be merged
            is left out and named.
        finish : bool, optional
            Whether a run that is complete ends; it does by default.

        Returns
        -------
        RunReport
            What became of that run; ``refused`` names what was left out.

        Raises
        ------
        StageError
            If one of `records` is damaged, of another graph, or names an output that is not there; nothing has changed.
        """
        from stage.campaign.merging import merge_campaign

        with self._changing("merge", {}) as change:
            return merge_campaign(change, records, run, finish=finish)
