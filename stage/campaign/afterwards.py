"""The part of `Campaign` that is asked afterwards: what came of what, and in what runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from registry.errors import UsageError
from stage.campaign.files import write_atomically
from stage.campaign.reader import StrPath
from stage.campaign.repositories import open_staging, open_upstream
from stage.campaign.standing import CampaignStanding

if TYPE_CHECKING:
    from stage.campaign.comparing_report import RunDifferences
    from stage.campaign.comparing_upstream import FetchedDifferences
    from stage.campaign.lineage import Why
    from stage.pipeline.introspection import TaskDoc
    from stage.report.picture import Picture
    from stage.report.summary import RunReport

__all__ = ["CampaignAfterwards"]


class CampaignAfterwards(CampaignStanding):
    """Questions about what has run; nothing here takes the lock.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, as it was read.
    """

    def why(
        self,
        *words: str,
        up: bool = False,
        down: bool = False,
        depth: int | None = None,
        run: str | None = None,
        upstream: bool = False,
        prov: StrPath | None = None,
    ) -> Why:
        """Say what a dataset or quantum came from and what came of it, or why there is no such dataset.

        Parameters
        ----------
        *words : str
            An id; or a dataset type or task, and ``dimension=value`` words.
        up, down : bool, optional
            Only what it came from, only what came of it; both by default.
        depth : int, optional
            Over so many quanta one after another at most.
        run : str, optional
            Only of this run; by default of the campaign's runs, the newest first, and its inputs.
        upstream : bool, optional
            Whether to ask upstream, which knows what the campaign's inputs came from, and what came of what was pushed.
        prov : str or path, optional
            A file that gets the lineage as W3C PROV-JSON.

        Returns
        -------
        Why
            Plain values.

        Raises
        ------
        NotFoundError
            If there is no such thing, and no run of the campaign was to make it.
        UsageError
            If nothing is named, or a data ID fits several quanta.
        DataIdError
            If a data ID lacks a dimension.
        """
        from stage.campaign.lineage import why

        if upstream:
            with open_upstream(self.state, layout=self.layout) as theirs:
                path = self._search_path(theirs)
                return why(theirs, *words, up=up, down=down, depth=depth, run=run, path=path, prov=prov)
        with open_staging(self.layout) as staging:
            return why(
                staging,
                *words,
                up=up,
                down=down,
                depth=depth,
                run=run,
                path=self._search_path(staging),
                runs=[r for r in self.state.collections.runs if r in self._search_path(staging)],
                layout=self.layout,
                prov=prov,
            )

    @overload
    def diff(
        self,
        old: str,
        new: str = ".",
        *,
        metrics: str | None = None,
        rows: bool = False,
        upstream: bool = False,
    ) -> RunDifferences: ...

    @overload
    def diff(self, *, upstream: Literal[True]) -> FetchedDifferences: ...

    def diff(
        self,
        old: str = "",
        new: str = ".",
        *,
        metrics: str | None = None,
        rows: bool = False,
        upstream: bool = False,
    ) -> RunDifferences | FetchedDifferences:
        """Compare two runs, each in staging or else upstream, or of another campaign; or staging with upstream.

        Parameters
        ----------
        old, new : str
            RUN collections; ``.`` is the campaign's newest. With a place before it, ``PLACE:RUN``: that of another
            campaign (its directory), of a repository (its root), or ``upstream``.
        metrics : str, optional
            Pattern of the numbers to compare, ``task.key`` or ``dataset_type.key``; by default the notes of a hundred
            quanta are, chosen evenly.
        rows : bool, optional
            Whether to tell each number that differs.
        upstream : bool, optional
            Compare the run `old` as upstream has it with the same run in staging; without one, all that was fetched with
            what it is upstream now.

        Returns
        -------
        RunDifferences or FetchedDifferences
            Only what differs.

        Raises
        ------
        NotFoundError
            If there is no such run, or the campaign has none yet.
        UsageError
            If no run is named, or two of which one is to be upstream's.
        """
        from stage.campaign.comparing import diff_in_campaign
        from stage.campaign.comparing_metrics import MetricChoice

        if upstream:
            if new != ".":
                raise UsageError(
                    "--upstream compares one run with the same upstream, and two were named",
                    code="one-run",
                    hint="Name one, or the other with its place: upstream:RUN.",
                )
            if not old:
                from stage.campaign.comparing_upstream import diff_fetched

                return diff_fetched(self.layout, self.state)
            run = self._newest_run() if old == "." else old
            old, new = f"upstream:{run}", run
        if not old:
            raise UsageError(
                "no run was named to compare with",
                code="no-run-named",
                hint="Name one: stage diff RUN; or compare what was fetched: stage diff --upstream.",
            )
        return diff_in_campaign(self.layout, self.state, old, new, MetricChoice(metrics, rows))

    def report(
        self,
        *runs: str,
        html: StrPath | None = None,
        times: bool = False,
        resources: bool = False,
        task: str | None = None,
        filter: str = "*",  # noqa: A002 - the option's name
        data_query: str = "",
        facts: Mapping[str, str] | None = None,
        pictures: Sequence[Picture] = (),
    ) -> RunReport:
        """Summarise what became of runs, and write it as one HTML page.

        Parameters
        ----------
        *runs : str
            Which; the newest by default.
        html : str or path, optional
            File for the page, which has all of this.
        times : bool, optional
            Whether to measure how long quanta took, and which took longest.
        resources : bool, optional
            Whether to hold what quanta used against what they asked for, and to say what to ask for next time.
        task : str, optional
            Only this task.
        filter : str, optional
            Only tasks whose labels fit this pattern.
        data_query : str, optional
            Only quanta whose data IDs fulfil this expression.
        facts : mapping of str to str, optional
            Further lines for the page.
        pictures : sequence of stage.report.picture.Picture, optional
            Pictures for the page.

        Returns
        -------
        stage.report.summary.RunReport
            The figures.

        Raises
        ------
        NotFoundError
            If there is no such run or task.
        QueryError
            If the expression is not understood.
        """
        from stage.campaign.reporting import Selection, asked_of, drawings_of, make_report, report_page

        chosen = runs or (self._newest_run(),)
        is_page = html is not None
        asked = asked_of(self.layout, chosen) if resources or is_page else None
        with open_staging(self.layout) as staging, staging.registry.read() as snapshot:
            found = make_report(
                snapshot, chosen, Selection(task, filter, data_query), asked, times=times or is_page
            )
        if html is not None:
            title = f"Report of campaign '{self.state.name}'"
            drawings = drawings_of(self.layout, chosen)
            write_atomically(Path(html), report_page(found, title, drawings, facts, pictures))
        return found

    def describe(self, task: str | None = None) -> list[TaskDoc]:
        """Tell what the tasks of the campaign's pipeline are: connections, settings, resources.

        Parameters
        ----------
        task : str, optional
            Only the task of this label.

        Returns
        -------
        list of TaskDoc
            Producers before consumers.

        Raises
        ------
        UsageError
            If the campaign has no pipeline.
        PipelineError
            If there is no such task.
        """
        from stage.campaign.graphs import load_pipeline
        from stage.pipeline.introspection import describe_tasks

        return describe_tasks(load_pipeline(self.layout, self.state), task)
