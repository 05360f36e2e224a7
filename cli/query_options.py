"""Options that the query commands share: who is asked, what rows fulfil, and how the answer is shown."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli.options import CampaignDir, Command, DataIdTable, OtherRepo, Where, extended, parameter

if TYPE_CHECKING:
    from cli.rows import Form
    from registry.model.columns import Columns

__all__ = ["COLLECTIONS", "Answer", "Place", "of_campaign", "of_repository", "with_answer", "with_form"]

COLLECTIONS = typer.Option(
    "-i",
    "--input",
    "--collections",
    metavar="COLL[,COLL…]",
    help="Where to search, in order; repeatable. By default everywhere.",
)
_JSON = Annotated[bool, typer.Option("--json", help="Write JSON.")]
_CSV = Annotated[bool, typer.Option("--csv", help="Write CSV.")]
_UPSTREAM = Annotated[
    bool, typer.Option("--upstream", help="Ask the campaign's upstream instead of its staging.")
]
_ASKED: dict[str, tuple[Any, Any]] = {
    "where": (Where, ""),
    "bind": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--bind",
                metavar="NAME=VALUE",
                help="Value for :NAME in the query: 30, 1.5, text, '007', T'2024-01-31'; repeatable.",
            ),
        ],
        None,
    ),
    "data_id_table": (DataIdTable, None),
    "order_by": (
        Annotated[
            list[str] | None,
            typer.Option("--order-by", metavar="NAME", help="Sort by this; '-NAME' for falling; repeatable."),
        ],
        None,
    ),
    "limit": (
        Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="At most so many rows.")],
        None,
    ),
}
_SHOWN: dict[str, tuple[Any, Any]] = {
    "count": (Annotated[bool, typer.Option("--count", help="Tell only how many rows there are.")], False),
    "any": (
        Annotated[
            bool, typer.Option("--any", help="Tell only whether there is a row; if not, the exit code is 10.")
        ],
        False,
    ),
    "explain": (
        Annotated[
            bool,
            typer.Option(
                "--explain", help="Tell how the rows are found; and if there are none, what leaves none."
            ),
        ],
        False,
    ),
}


@dataclass(frozen=True)
class Place:
    """Who is asked.

    Parameters
    ----------
    repo : str or None
        A repository; None for a campaign.
    campaign_dir : Path or None
        The campaign's directory.
    upstream : bool
        Whether its upstream is asked, and not its staging.
    """

    repo: str | None = None
    campaign_dir: Path | None = None
    upstream: bool = False

    def read(self, what: str, *names: str) -> Columns:
        """Put a question, and read its answer.

        Parameters
        ----------
        what : str
            What is asked for.
        *names : str
            As for `stage.query_repo`.

        Returns
        -------
        Columns
            The answer.
        """
        if self.repo is not None:
            return stage.query_repo(self.repo, what, *names)
        return stage.Campaign.load(self.campaign_dir).query(what, *names, upstream=self.upstream)

    def open(self, what: str, *names: str, **options: Any) -> AbstractContextManager[Any]:
        """Put a question together.

        Parameters
        ----------
        what : str
            What is asked for.
        *names : str
            As for `stage.open_query`.
        **options
            As for `stage.open_query`.

        Returns
        -------
        context manager
            Of its result.
        """
        if self.repo is not None:
            return stage.open_query(self.repo, what, *names, **options)
        return stage.Campaign.load(self.campaign_dir).open_query(
            what, *names, upstream=self.upstream, **options
        )


@dataclass(frozen=True)
class Answer:
    """What is told of a question's answer.

    Parameters
    ----------
    form : {"table", "json", "csv"}
        How.
    part : {"rows", "count", "any", "explain"}
        What of it.
    """

    form: Form
    part: str = "rows"


def _take_form(kwargs: dict[str, Any]) -> Form:
    as_json, as_csv = kwargs.pop("as_json"), kwargs.pop("as_csv")
    if as_json and as_csv:
        raise typer.BadParameter("give one of --json and --csv")
    if as_json:
        return "json"
    return "csv" if as_csv else "table"


def _parameters(options: dict[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [parameter(name, annotation, default) for name, (annotation, default) in options.items()]


_FORM = _parameters({"as_json": (_JSON, False), "as_csv": (_CSV, False)})


def with_form(function: Command) -> Command:
    """Give a command the options ``--json`` and ``--csv``.

    Parameters
    ----------
    function : callable
        Takes ``form``.

    Returns
    -------
    callable
        The command.
    """
    return extended(function, _FORM, lambda kwargs: kwargs.update(form=_take_form(kwargs)), ["form"])


def with_answer(function: Command) -> Command:
    """Give a command all options of a question for rows.

    Parameters
    ----------
    function : callable
        Takes ``asked``, keyword arguments for `stage.open_query`, and ``answer``, an `Answer`.

    Returns
    -------
    callable
        The command.
    """

    def collect(kwargs: dict[str, Any]) -> None:
        asked = {name: kwargs.pop(name) for name in _ASKED}
        parts = [name for name in _SHOWN if kwargs.pop(name)]
        form = _take_form(kwargs)
        if len(parts) > 1:
            raise typer.BadParameter(f"give one of {' and '.join(f'--{p}' for p in parts)}")
        kwargs["asked"] = {k: v for k, v in asked.items() if v is not None}
        kwargs["answer"] = Answer(form, parts[0] if parts else "rows")

    return extended(function, _parameters({**_ASKED, **_SHOWN}) + _FORM, collect, ["asked", "answer"])


def of_campaign(function: Command) -> Command:
    """Let a command ask a campaign, or with ``--repo`` a repository.

    Parameters
    ----------
    function : callable
        Takes ``place``, a `Place`.

    Returns
    -------
    callable
        The command.
    """

    def collect(kwargs: dict[str, Any]) -> None:
        given = {name: kwargs.pop(name) for name in ("repo", "campaign_dir", "upstream")}
        if given["repo"] is not None and given["upstream"]:
            raise typer.BadParameter("give one of --repo and --upstream")
        kwargs["place"] = Place(**given)

    options = {
        "upstream": (_UPSTREAM, False), "repo": (OtherRepo, None), "campaign_dir": (CampaignDir, None),
    }  # fmt: skip
    return extended(function, _parameters(options), collect, ["place"])


def of_repository(function: Command) -> Command:
    """Let a command ask the repository that its group of commands was given.

    Parameters
    ----------
    function : callable
        Takes ``place``, a `Place`.

    Returns
    -------
    callable
        The command.
    """

    def collect(kwargs: dict[str, Any]) -> None:
        kwargs["place"] = Place(repo=kwargs.pop("context").obj)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return extended(function, [context], collect, ["place"])
