"""What a submission's YAML says of the data and the tasks: what a campaign is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import UsageError
from stage.batch.config.origins import OriginKind
from stage.campaign.layout import absolute_uri, local_directory

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings

__all__ = ["Payload"]

_REPO_FILES = ("/butler.yaml", "/repo.yaml")


@dataclass(frozen=True, slots=True)
class Payload:
    """The part of a submission that says what is to be made from what; empty is "not said".

    Parameters
    ----------
    name : str
        ``payloadName``.
    repo : str
        ``butlerConfig``: the upstream repository.
    pipeline : str
        ``pipelineYaml``, with a ``#selection`` perhaps.
    graph : str
        ``qgraphFile``: a graph that was built before.
    inputs : tuple of str
        ``inCollection``.
    data_query : str or None
        ``dataQuery``; None if it is not said.
    output : str
        ``output``: the chain of all runs.
    output_run : str
        ``outputRun``: the run.
    timestamp : str
        When the file was read, as it is in names.
    names_output, names_run : bool
        Whether the user has said these two, or they are only what they are by default.
    campaign_dir : str
        ``campaignDir``: where a campaign is made if there is none.
    """

    name: str
    repo: str
    pipeline: str
    graph: str
    inputs: tuple[str, ...]
    data_query: str | None
    output: str
    output_run: str
    timestamp: str
    names_output: bool
    names_run: bool
    campaign_dir: str

    @classmethod
    def of(cls, settings: Settings) -> Payload:
        """Read it from the settings.

        Parameters
        ----------
        settings : Settings
            Of the submission.

        Returns
        -------
        Payload
            What they say. A graph that is there goes before a pipeline, unless the pipeline is of the command line.
        """
        pipeline, graph = settings.text("pipelineYaml"), settings.text("qgraphFile")
        if pipeline and graph and _is_given(settings, "pipelineYaml") > _is_given(settings, "qgraphFile"):
            graph = ""
        found, query = settings.search("dataQuery", default="")
        return cls(
            name=settings.text("payloadName"),
            repo=settings.text("butlerConfig"),
            pipeline=pipeline,
            graph=graph,
            inputs=tuple(n.strip() for n in settings.text("inCollection").split(",") if n.strip()),
            data_query=str(query) if found else None,
            output=settings.text("output"),
            output_run=settings.text("outputRun"),
            timestamp=settings.text("timestamp"),
            names_output=settings.is_said("output"),
            names_run=settings.is_said("outputRun"),
            campaign_dir=settings.text("campaignDir"),
        )

    @property
    def directory(self) -> Path:
        """Where a campaign for it is made, if there is none.

        Raises
        ------
        UsageError
            If it has no name.
        """
        if not (self.campaign_dir or self.name):
            raise UsageError(
                "the submission has no payloadName, and there is no campaign that it could be of",
                code="no-payload-name",
                hint="Write 'payload: {payloadName: NAME}' in the file, or go to a campaign (--campaign-dir DIR).",
            )
        return local_directory(self.campaign_dir or self.name)

    def names(self, run: str) -> bool:
        """Tell whether a RUN is the one that is named, perhaps as it was at another time.

        Parameters
        ----------
        run : str
            A RUN.

        Returns
        -------
        bool
            Whether it is, but for the figures of a timestamp.
        """
        when = re.escape(self.timestamp)
        form = re.escape(self.output_run)
        return (
            re.fullmatch(form.replace(when, re.sub(r"\d", r"\\d", when)) if when else form, run) is not None
        )

    def check_whole(self) -> None:
        """Refuse to make a campaign from too little.

        Raises
        ------
        UsageError
            If something is missing; names all of it.
        """
        needed = {
            "butlerConfig": self.repo,
            "pipelineYaml or qgraphFile": self.pipeline or self.graph,
            "inCollection": self.inputs or self.graph,
        }
        missing = [name for name, value in needed.items() if not value]
        if missing:
            raise UsageError(
                f"the submission does not say {', '.join(missing)}, and there is no campaign that would",
                code="incomplete-payload",
                hint="Write it in the file, under 'payload:', or go to a campaign (--campaign-dir DIR).",
            )

    def is_of(self, repo: str) -> bool:
        """Tell whether a repository is the one that is named.

        Parameters
        ----------
        repo : str
            A campaign's upstream.

        Returns
        -------
        bool
            Whether it is, by either's file or directory; nothing said is any.
        """
        return not self.repo or _place(absolute_uri(self.repo)) == _place(repo)


def _place(uri: str) -> str:
    """Return a repository's directory, where its file is named."""
    for name in _REPO_FILES:
        uri = uri.removesuffix(name)
    return uri.rstrip("/")


def _is_given(settings: Settings, key: str) -> bool:
    return settings.origin(key).kind is OriginKind.COMMAND_LINE
