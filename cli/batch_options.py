"""Options that the stages of a submission share, each written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.options import CampaignDir, extended, parameter
from cli.stack_options import ContinueRun, NewRun, Purge, Replace, Restart, Unstore

__all__ = ["ComputeSite", "Engine", "File", "Id", "User", "with_submit_options"]


File = Annotated[
    str, typer.Argument(metavar="FILE|DIR", help="The submission's YAML; or a directory, to go on there.")
]
Id = Annotated[
    str,
    typer.Option(
        "--id",
        metavar="ID|RUN|DIR",
        help="Which: its number, its run's name, or its directory.",
        show_default=False,
    ),
]
User = Annotated[
    str, typer.Option("--user", metavar="NAME", help="All submissions of a user.", show_default=False)
]
ComputeSite = Annotated[
    str | None, typer.Option("--compute-site", metavar="SITE", help="Which 'site' section counts.")
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--wms-service-class",
        "--engine",
        metavar="ENGINE",
        help="What runs the jobs: local, parsl, slurm, htcondor, or module:Class.",
    ),
]


def _text(*names: str, metavar: str, about: str) -> Any:
    return Annotated[str | None, typer.Option(*names, metavar=metavar, help=about)]


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "butler_config": (
        _text("-b", "--butler-config", metavar="URI", about="The upstream repository."),
        None,
    ),
    "input": (
        Annotated[
            list[str] | None,
            typer.Option(
                "-i",
                "--input",
                metavar="COLL[,COLL…]",
                help="Input collections, in search order; repeatable.",
            ),
        ],
        None,
    ),
    "output": (_text("-o", "--output", metavar="COLL", about="The chain of all runs and inputs."), None),
    "output_run": (_text("--output-run", metavar="COLL", about="The run."), None),
    "data_query": (
        _text("-d", "--data-query", metavar="QUERY", about="Expression that chooses data IDs."),
        None,
    ),
    "pipeline": (
        _text("-p", "--pipeline", metavar="URI", about="Pipeline definition; its '#labels' select tasks."),
        None,
    ),
    "qgraph": (_text("-g", "--qgraph", metavar="URI", about="A quantum graph that was built before."), None),
    "compute_site": (ComputeSite, None),
    "wms_service_class": (Engine, None),
    "extra_qgraph_options": (
        _text(
            "--extra-qgraph-options",
            metavar="TEXT",
            about="More options for building the graph, as of 'stage build'.",
        ),
        None,
    ),
    "extra_run_quantum_options": (
        _text(
            "--extra-run-quantum-options",
            metavar="TEXT",
            about="More options for each job, as of 'stage exec'.",
        ),
        None,
    ),
    "extra_init_options": (
        _text(
            "--extra-init-options", metavar="TEXT", about="Refused: a run is made ready here without a job."
        ),
        None,
    ),
    "extra_update_qgraph_options": (
        _text(
            "--extra-update-qgraph-options",
            metavar="TEXT",
            about="Refused: no program gives a graph its run.",
        ),
        None,
    ),
    "new_run": (NewRun, False),
    "continue_run": (ContinueRun, False),
    "replace": (Replace, False),
    "restart": (Restart, False),
    "unstore": (Unstore, False),
    "purge": (Purge, False),
    "finish": (
        Annotated[
            bool | None,
            typer.Option(
                "--finish/--no-finish", help="Whether the run ends when all is done; by default it does."
            ),
        ],
        None,
    ),
    "save_dot": (
        Annotated[
            bool, typer.Option("--save-dot", help="Draw clusters and jobs, into the submission's directory.")
        ],
        False,
    ),
}
"""Options by the names of `stage.batch.submission.options.SubmitOptions`."""


def with_submit_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a submission.

    Parameters
    ----------
    function : callable
        Takes ``options``, a mapping of those that were given, and ``campaign_dir``.

    Returns
    -------
    callable
        The command, for Typer.
    """
    extra = [parameter(name, option, default) for name, (option, default) in _OPTIONS.items()]
    extra.append(parameter("campaign_dir", CampaignDir, None))

    def collect(kwargs: dict[str, Any]) -> None:
        given = {name: kwargs.pop(name) for name in _OPTIONS}
        kwargs["options"] = {k: v for k, v in given.items() if v or (k == "finish" and v is not None)}

    return extended(function, extra, collect, ["options"])
