"""The half of `Campaign` that only reads: nothing here takes the lock or asks upstream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from registry.errors import NotFoundError, UsageError
from stage.campaign import graphs, history, outcomes, questions, reading
from stage.campaign.check_verbs import CampaignChecks
from stage.campaign.layout import Layout, find_campaign
from stage.campaign.repositories import open_staging, open_upstream
from stage.campaign.state import CampaignState, load_state

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.queries.results import Result
    from stage.campaign.reports import DatasetContent, GraphReport, HistoryEntry, LogEntry
    from stage.graph.file.reader import GraphFile
    from sync.repo import Repo

__all__ = ["CampaignReader", "StrPath"]

StrPath = str | os.PathLike[str]


class CampaignReader(CampaignChecks):
    """What can be asked of a campaign while others change it.

    Parameters
    ----------
    layout : Layout
        Its paths.
    state : CampaignState
        Its state, as it was read.
    """

    def __init__(self, layout: Layout, state: CampaignState) -> None:
        self.layout = layout
        self.state = state

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.layout.root)!r})"

    @classmethod
    def load(cls, campaign_dir: StrPath | None = None) -> Self:
        """Load a campaign that exists.

        Parameters
        ----------
        campaign_dir : str or path, optional
            Its directory; ``$STAGE_CAMPAIGN_DIR``, then the working directory by default.

        Returns
        -------
        Campaign
            The campaign.

        Raises
        ------
        NotFoundError
            If there is none.
        IntegrityError
            If its state file is broken; names the field.
        """
        layout = Layout(find_campaign(campaign_dir))
        return cls(layout, load_state(layout.state))

    def pipeline_text(self) -> str:
        """Return the pipeline as YAML, imports taken in.

        Returns
        -------
        str
            The text.

        Raises
        ------
        UsageError
            If the campaign has no pipeline.
        """
        return graphs.load_pipeline(self.layout, self.state).to_yaml()

    def show_graph(self) -> GraphReport:
        """Say what the campaign's graph holds.

        Returns
        -------
        GraphReport
            Counts.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        graph = graphs.open_graph(self.layout, self.state)
        return graphs.graph_report(graph, self.layout.resolve(self.state.quantum_graph.uri or ""))

    def open_graph(self) -> GraphFile:
        """Open the campaign's graph, of which only what is asked for is read.

        Returns
        -------
        GraphFile
            To be closed.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return graphs.open_graph(self.layout, self.state)

    def draw_graph(
        self,
        format: str = "text",  # noqa: A002 - the option's name
        *,
        uri: str | None = None,
        status: bool = False,
        run: str | None = None,
        max_nodes: int = 200,
    ) -> str:
        """Draw the campaign's graph.

        Parameters
        ----------
        format : {"text", "dot", "mermaid", "svg"}, optional
            Form of the picture.
        uri : str, optional
            Another graph file.
        status : bool, optional
            Whether to show what became of the quanta.
        run : str, optional
            In which run; the newest by default. Implies `status`.
        max_nodes : int, optional
            A graph with more quanta and datasets is drawn task by task.

        Returns
        -------
        str
            The picture.

        Raises
        ------
        NotFoundError
            If there is no graph, or no such run.
        UsageError
            If there is no such form.
        """
        from stage.campaign.seeing import draw_graph
        from stage.graph.file.reader import GraphFile

        with GraphFile.open(uri) if uri else self.open_graph() as graph:
            if not (status or run):
                return draw_graph(graph, format, max_nodes=max_nodes)
            with open_staging(self.layout) as staging, staging.registry.read() as snapshot:
                newest = run or self._newest_run()
                return draw_graph(graph, format, snapshot=snapshot, run=newest, max_nodes=max_nodes)

    def draw_pipeline(
        self,
        format: str = "text",  # noqa: A002 - the option's name
        *,
        uri: str | None = None,
        status: bool = False,
        run: str | None = None,
    ) -> str:
        """Draw the campaign's pipeline.

        Parameters
        ----------
        format : {"text", "dot", "mermaid", "svg"}, optional
            Form of the picture.
        uri : str, optional
            Another pipeline.
        status : bool, optional
            Whether to show how many quanta of each task became what.
        run : str, optional
            In which run; the newest by default. Implies `status`.

        Returns
        -------
        str
            The picture.

        Raises
        ------
        NotFoundError
            If there is no such run.
        UsageError
            If the campaign has no pipeline, or there is no such form.
        """
        from stage.campaign.seeing import task_statuses
        from stage.graph.drawing import draw
        from stage.pipeline.pipeline import Pipeline

        pipeline = Pipeline.load(uri) if uri else graphs.load_pipeline(self.layout, self.state)
        title = uri or f"Pipeline of campaign '{self.state.name}'"
        if not (status or run):
            return draw(pipeline, format, title=title)
        newest = run or self._newest_run()
        with open_staging(self.layout) as staging, staging.registry.read() as snapshot:
            counts = task_statuses(snapshot, self.layout, newest)
        return draw(pipeline, format, task_status=counts, title=f"{title}, {newest}")

    def query(self, what: str, *names: str, upstream: bool = False, **options: Any) -> Columns:
        """Put one question to the campaign's staging, or to its upstream.

        Parameters
        ----------
        what : {"data-ids", "records", "datasets", "collections", "dataset-types"}
            What is asked for.
        *names : str
            As for `stage.campaign.questions.ask`.
        upstream : bool, optional
            Whether to ask upstream; it is only read.
        **options
            As for `stage.campaign.questions.question`.

        Returns
        -------
        Columns
            The answer.
        """
        with self._repo(upstream) as repo:
            return questions.ask(repo, what, *names, **options)

    @contextmanager
    def open_query(
        self, what: str, *names: str, upstream: bool = False, **options: Any
    ) -> Iterator[Result[Any]]:
        """Put a question for rows together, whose answer can be counted, explained or read within the block.

        Parameters
        ----------
        what : {"data-ids", "records", "datasets"}
            What is asked for.
        *names : str
            As for `stage.campaign.questions.question`.
        upstream : bool, optional
            Whether to ask upstream; it is only read.
        **options
            As for `stage.campaign.questions.question`.

        Yields
        ------
        Result
            Not asked for yet.
        """
        with self._repo(upstream) as repo:
            yield questions.question(repo, what, *names, **options)

    def _repo(self, upstream: bool) -> AbstractContextManager[Repo]:
        return open_upstream(self.state, layout=self.layout) if upstream else open_staging(self.layout)

    def get(
        self, dataset: str, *data_id: str, collections: Sequence[str] = (), output: StrPath | None = None
    ) -> DatasetContent:
        """Get one dataset of the campaign: of its runs, the newest first, then of its inputs.

        Parameters
        ----------
        dataset : str
            A dataset type, or an id.
        *data_id : str
            ``dimension=value`` words.
        collections : sequence of str, optional
            Where to search instead, in order.
        output : str or path, optional
            A local file that gets the artifact.

        Returns
        -------
        DatasetContent
            Its content.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        with open_staging(self.layout) as staging:
            where = collections or self._search_path(staging)
            return reading.get_dataset(
                staging, dataset, *data_id, collections=where, output=None if output is None else Path(output)
            )

    def _search_path(self, staging: Any) -> list[str]:
        with staging.registry.read() as snapshot:
            there = {c.name for c in snapshot.collections()}
        return [name for name in self.state.collections.stack if name in there]

    def log(
        self,
        *words: str,
        failed: bool = False,
        run: str | None = None,
        tail: int | None = None,
        attempts: bool = False,
        data_query: str = "",
        follow: Callable[[str], None] | None = None,
    ) -> list[LogEntry]:
        """Read the logs of a run's quanta.

        Parameters
        ----------
        *words : str
            A task's label, and ``dimension=value`` words.
        failed : bool, optional
            Only quanta that failed, and those that were running when the run ended.
        run : str, optional
            Which run; the newest by default. One that is not in staging is looked for upstream.
        tail : int, optional
            Only the last lines of each, so many.
        attempts : bool, optional
            Earlier attempts too.
        data_query : str, optional
            Expression that their data IDs fulfil; one that tells nothing of what it asks for does not.
        follow : callable, optional
            Called with each line as it is written, until nobody changes the campaign any more, in place of all else.

        Returns
        -------
        list of LogEntry
            By task and data ID; none where they were followed.

        Raises
        ------
        NotFoundError
            If nothing was run yet, or there is no such run or task.
        UsageError
            If logs are to be followed that were written already.
        """
        from stage.campaign.following import follow_logs
        from stage.campaign.lost_logs import logs_of

        if follow is not None:
            if failed or attempts or data_query:
                raise UsageError(
                    "logs that are followed are those of quanta that run now, whatever becomes of them",
                    code="contradicting-options",
                    hint="Leave --follow out, or --failed, --attempts and -d.",
                )
            follow_logs(self.layout, run or self._newest_run(), words, follow, tail=tail)
            return []
        name = run or self._newest_run()
        asked: dict[str, Any] = {
            "failed": failed,
            "tail": tail,
            "attempts": attempts,
            "data_query": data_query,
        }
        with open_staging(self.layout) as staging:
            if self._has(staging, name):
                return logs_of(staging, self.layout, name, *words, **asked)
        with open_upstream(self.state, layout=self.layout) as theirs:
            return reading.read_logs(theirs, name, *words, **asked)

    def _has(self, repo: Repo, run: str) -> bool:
        with repo.registry.read() as snapshot:
            return outcomes.has_collection(snapshot, run)

    def _newest_run(self) -> str:
        runs = self.state.collections.runs
        if not runs:
            raise NotFoundError(
                f"campaign '{self.state.name}' has no run yet", code="no-run", hint="Begin one: stage run."
            )
        return runs[0]

    def history(self, *, verbose: bool = False) -> list[HistoryEntry]:
        """List the commands that changed the campaign.

        Parameters
        ----------
        verbose : bool, optional
            Whether to tell what became of each line of the pipeline's files.

        Returns
        -------
        list of HistoryEntry
            In order.
        """
        return history.read_history(self.layout, verbose=verbose)
