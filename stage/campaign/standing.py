"""The part of `Campaign` that says where it stands: status, and the plan of the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError
from stage.campaign import status
from stage.campaign.layout import absolute_uri
from stage.campaign.reader import CampaignReader
from stage.campaign.run_options import RunOptions, StackOptions

if TYPE_CHECKING:
    from stage.campaign.plan_report import Plan
    from stage.campaign.status_report import StatusReport

__all__ = ["CampaignStanding"]


class CampaignStanding(CampaignReader):
    """Questions about what is and what comes next; nothing here takes the lock or writes.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, as it was read.
    """

    def status(
        self, *, upstream: bool = False, qg_dot: str | None = None, pipeline_dot: str | None = None
    ) -> StatusReport:
        """Say where the campaign stands.

        Parameters
        ----------
        upstream : bool, optional
            Whether to ask upstream too what has moved there.
        qg_dot : str, optional
            Where to write a drawing of the graph in dot, with what became of its quanta in the newest run.
        pipeline_dot : str, optional
            Where to write a drawing of the pipeline in dot, with what became of its tasks' quanta in the newest run.

        Returns
        -------
        StatusReport
            Plain values.

        Raises
        ------
        NotFoundError
            If the graph is to be drawn and there is none.
        UsageError
            If the pipeline is to be drawn and there is none.
        StorageError
            If a drawing cannot be written.
        """
        if qg_dot:
            _write(qg_dot, self._drawn_graph())
        if pipeline_dot:
            was_run = bool(self.state.collections.runs) and self.layout.staging.is_file()
            _write(pipeline_dot, self.draw_pipeline("dot", status=was_run))
        return status.campaign_status(self.layout, self.state, ask_upstream=upstream)

    def _drawn_graph(self) -> str:
        """Draw the graph with what became of its quanta, as far as anything was run."""
        for run in self.state.collections.runs:
            try:
                return self.draw_graph("dot", run=run)
            except NotFoundError as exc:
                if exc.code == "no-graph":
                    raise
        return self.draw_graph("dot")

    def plan(
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
        skip_existing_in: str = "",
        offline: bool = False,
        task: str | Sequence[str] | None = None,
        data_id: Mapping[str, Any] | None = None,
    ) -> Plan:
        """Say what `run` with the same options would do with each quantum of the graph, and why.

        Parameters
        ----------
        new_run, continue_run, replace, restart, unstore, purge : bool, optional
            As for `run`.
        use_qg_configs, use_task_configs : bool, optional
            As for `run`.
        skip_existing_in : str, optional
            As for `run`.
        offline : bool, optional
            Ask nothing of upstream.
        task : str or sequence of str, optional
            Tell only of quanta of these tasks, chosen as in a pipeline (``>=label`` and so on).
        data_id : mapping, optional
            Tell only of quanta whose data IDs have these values.

        Returns
        -------
        Plan
            What would be done. A run that would be refused is told too, with the ways on.

        Raises
        ------
        NotFoundError
            If there is no graph, or no such task.
        UsageError
            If options contradict each other.
        """
        from stage.campaign.graph_options import GraphOptions
        from stage.campaign.plan import plan_campaign

        options = RunOptions(
            new_run, continue_run, None, False, use_qg_configs, use_task_configs, skip_existing_in,
            GraphOptions(offline=offline), stack=StackOptions(replace, restart, unstore, purge),
        )  # fmt: skip
        return plan_campaign(self.layout, self.state, options, task=task, data_id=data_id)


def _write(uri: str, text: str) -> None:
    from sync.filesystem import files

    files.write_bytes(absolute_uri(uri), text.encode())
