"""The half of `Campaign` that is about its quantum graph: build, import, refresh, fetch, pull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from stage.campaign import building, fetching, registering
from stage.campaign.graph_options import GraphOptions, RefreshOptions
from stage.campaign.options import EditOptions
from stage.campaign.writer import CampaignWriter

if TYPE_CHECKING:
    from stage.campaign.graph_reports import BuildReport, FetchReport
    from stage.campaign.pulling import PullReport
    from stage.campaign.registering import RegisteredTypes

__all__ = ["CampaignGraphs"]


class CampaignGraphs(CampaignWriter):
    """A campaign whose graph can be made and changed; `Campaign` has the other verbs."""

    def build(
        self,
        *,
        data_query: str | None = None,
        data_id_table: str | None = None,
        fetch: bool = True,
        skip_existing_in: Sequence[str] | None = None,
        extend_qg: bool = False,
        refresh: bool = False,
        trim_existing_in: str = "",
        allow_pruning: bool = False,
        allow_empty: bool = False,
        write_qg: str | None = None,
        qg_dot: str | None = None,
        offline: bool = False,
        explain: bool = False,
        dry_run: bool = False,
        **edits: Unpack[EditOptions],
    ) -> BuildReport:
        """Build the quantum graph and fetch what it needs into staging.

        What is built is searched for in past runs and inputs; a current run is ignored.

        Parameters
        ----------
        data_query : str, optional
            Expression that chooses data IDs; the last one by default.
        data_id_table : str, optional
            File of data IDs to keep to; the last one by default, and none if it is empty text.
        fetch : bool, optional
            Whether to fetch.
        skip_existing_in : sequence of str, optional
            Collections, patterns and the categories ``RUN``, ``CAMPAIGN``, ``INPUTS``: quanta whose metadata exist there
            are not planned again. The last ones by default; none if it is empty.
        extend_qg : bool, optional
            Add what is built to the graph there is, whose quanta keep their ids, instead of replacing it.
        refresh : bool, optional
            With `extend_qg`: refresh the graph there is first.
        trim_existing_in : str, optional
            ``RUN``, ``CAMPAIGN`` or ``INPUTS``: leave out quanta whose outputs are all there.
        allow_pruning : bool, optional
            With `refresh`, as for `refresh_qg`. A build leaves out by itself what lacks an input.
        allow_empty : bool, optional
            Whether a graph without quanta is a graph.
        write_qg : str, optional
            Where to write the graph, which is then used from there.
        qg_dot : str, optional
            Where to write a drawing of the graph, in dot.
        offline : bool, optional
            Ask staging alone; upstream need not be there, and nothing is fetched.
        explain : bool, optional
            Whether to tell why there are these quanta and no others.
        dry_run : bool, optional
            Only say what would be made: all is taken back, and nothing is fetched.
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
        options = GraphOptions(
            data_query, data_id_table, skip_existing_in, extend_qg, refresh, trim_existing_in, allow_pruning,
            allow_empty, write_qg, qg_dot, offline, explain, fetch and not dry_run,
        )  # fmt: skip
        with self._changing("build", edits, dry_run=dry_run) as change:
            return building.build_graph(change, options)

    def import_qg(
        self,
        uri: str,
        *,
        fetch: bool = True,
        extend_qg: bool = False,
        refresh: bool = False,
        trim_existing_in: str = "",
        allow_pruning: bool = False,
        allow_empty: bool = False,
        write_qg: str | None = None,
        qg_dot: str | None = None,
        offline: bool = False,
        dry_run: bool = False,
        **edits: Unpack[EditOptions],
    ) -> BuildReport:
        """Take over a graph that was built elsewhere, and fetch what it needs into staging.

        It supersedes pipeline and inputs: with these set too, later commands have to be told which counts.

        Parameters
        ----------
        uri : str
            Where the graph is; it stays as it is.
        fetch : bool, optional
            Whether to fetch.
        extend_qg : bool, optional
            Add it to the graph there is, instead of replacing that.
        refresh : bool, optional
            Look up its datasets here, once it is imported, as `refresh_qg` does.
        trim_existing_in, allow_pruning, allow_empty
            With `refresh`, as for `refresh_qg`.
        write_qg, qg_dot, offline, dry_run
            As for `build`.
        **edits
            See `EditOptions`; nothing about pipeline or inputs.

        Returns
        -------
        BuildReport
            What it holds.

        Raises
        ------
        NotFoundError
            If there is no such graph.
        ConflictError
            If it does not fit this campaign.
        StageError
            If something else is wrong; in all cases state, graph and registry are as they were.
        """
        from stage.campaign.adopting import import_graph, refuse_definition

        refuse_definition(edits)
        options = GraphOptions(
            None, None, None, extend_qg, refresh, trim_existing_in, allow_pruning, allow_empty, write_qg, qg_dot,
            offline, fetch=fetch and not dry_run,
        )  # fmt: skip
        with self._changing("qg import", edits, dry_run=dry_run) as change:
            return import_graph(change, uri, options)

    def refresh_qg(
        self,
        *,
        fetch: bool = True,
        explain: bool = False,
        dry_run: bool = False,
        **options: Unpack[RefreshOptions],
    ) -> BuildReport:
        """Look up again what the graph reads: in the current run, past runs and inputs. No quantum is ever added.

        The graph takes over the settings of the pipeline, if there is one.

        Parameters
        ----------
        fetch : bool, optional
            Whether to fetch what it reads now.
        explain : bool, optional
            Whether to tell, and to keep in the graph, what went of which task, and what was found of which dataset type.
        dry_run : bool, optional
            As for `build`.
        **options
            See `RefreshOptions`.

        Returns
        -------
        BuildReport
            What it holds now, and what has changed.

        Raises
        ------
        NotFoundError
            If there is no graph.
        ConflictError
            If quanta would have to go and that was not allowed, or the pipeline has other tasks or connections.
        StageError
            If something else is wrong; in all cases state, graph and registry are as they were.
        """
        from stage.campaign.refreshing import refresh_graph

        with self._changing("qg refresh", {}, dry_run=dry_run) as change:
            wanted = GraphOptions(fetch=fetch and not dry_run, explain=explain, **options)
            return refresh_graph(change, wanted)

    def fetch(self, *, artifacts: str | None = None) -> FetchReport:
        """Copy into staging the upstream rows that the graph needs, and files as the campaign says.

        Where files are fetched, those of all that staging has of upstream's come, and what is here is not fetched again.

        Parameters
        ----------
        artifacts : str, optional
            ``direct``, ``link``, ``symlink`` or ``copy``, from now on; by default as it was said last.

        Returns
        -------
        FetchReport
            What was brought.

        Raises
        ------
        StageError
            If there is no graph, upstream cannot be reached, or files cannot be fetched so; staging is as it was.
        """
        edits: EditOptions = {"artifacts": artifacts} if artifacts is not None else {}
        with self._changing("fetch", edits) as change:
            return fetching.fetch_graph(change)

    def pull(self, *, dry_run: bool = False, on_conflict: Sequence[str] = ()) -> PullReport:
        """Bring staging up to date with what has changed upstream since it was fetched.

        Parameters
        ----------
        dry_run : bool, optional
            Only plan; nothing is written.
        on_conflict : sequence of str, optional
            What becomes of what both sides have changed: ``CODE=fail``, ``CODE=keep`` (ours) or ``CODE=take``
            (upstream's); ``all`` for every code.

        Returns
        -------
        PullReport
            The plan, whether it was carried out, and what is to be done next.

        Raises
        ------
        ConflictError
            If both sides have changed something and nobody said which counts; nothing was written. (A dry run returns
            them in its plan.)
        StageError
            If nothing was fetched yet, or upstream cannot be reached; staging is as it was.
        """
        from stage.campaign.pulling import execute_pulling, plan_pulling

        if dry_run:
            return plan_pulling(self.layout, self.state, on_conflict)
        with self._changing("pull", {}) as change:
            return execute_pulling(change, on_conflict)

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
