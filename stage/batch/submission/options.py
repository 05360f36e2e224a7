"""What the commands of a submission take besides its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from stage.batch.submission.acquire import AcquireOptions
from stage.batch.submission.pass_through import check_exec_options, refuse_handed_through

__all__ = ["SubmitOptions", "acquire_options", "settings_given"]

_SETTINGS = {
    "butler_config": "butlerConfig",
    "output": "output",
    "output_run": "outputRun",
    "data_query": "dataQuery",
    "pipeline": "pipelineYaml",
    "qgraph": "qgraphFile",
    "compute_site": "computeSite",
    "wms_service_class": "wmsServiceClass",
    "extra_qgraph_options": "extraQgraphOptions",
    "extra_update_qgraph_options": "extraUpdateQgraphOptions",
    "extra_init_options": "extraInitOptions",
    "extra_run_quantum_options": "extraRunQuantumOptions",
}


class SubmitOptions(TypedDict, total=False):
    """What may be said on the command line of any stage; it counts before the file. Names are the long options'.

    Attributes
    ----------
    butler_config : str
        The upstream repository.
    input : sequence of str
        Input collections; each may hold several, separated by commas.
    output, output_run : str
        The chain of all runs, and the run.
    data_query : str
        Expression that chooses data IDs.
    pipeline, qgraph : str
        The pipeline, or a graph that was built before.
    compute_site : str
        Which ``site`` section counts.
    wms_service_class : str
        Which engine runs the jobs.
    extra_qgraph_options, extra_run_quantum_options : str
        Options for the building of the graph, and for the jobs.
    extra_update_qgraph_options, extra_init_options : str
        They can mean nothing here, and are refused.
    new_run, continue_run, replace, restart, unstore, purge : bool
        Which RUN, as for `stage.Campaign.run`.
    finish : bool
        Whether the RUN ends when all is done.
    save_dot : bool
        Draw clusters and jobs.
    """

    butler_config: str
    input: Sequence[str]
    output: str
    output_run: str
    data_query: str
    pipeline: str
    qgraph: str
    compute_site: str
    wms_service_class: str
    extra_qgraph_options: str
    extra_update_qgraph_options: str
    extra_init_options: str
    extra_run_quantum_options: str
    new_run: bool
    continue_run: bool
    replace: bool
    restart: bool
    unstore: bool
    purge: bool
    finish: bool | None
    save_dot: bool


def settings_given(options: SubmitOptions) -> dict[str, Any]:
    """Return the settings that options say, by the names of the file.

    Parameters
    ----------
    options : SubmitOptions
        As given.

    Returns
    -------
    dict of str to object
        Only what was said.

    Raises
    ------
    UsageError
        If something is handed through that can mean nothing.
    """
    refuse_handed_through("extraInitOptions", options.get("extra_init_options") or "")
    refuse_handed_through("extraUpdateQgraphOptions", options.get("extra_update_qgraph_options") or "")
    given: dict[str, Any] = {
        key: options[name]  # type: ignore[literal-required]  # its names
        for name, key in _SETTINGS.items()
        if options.get(name)
    }
    if options.get("input"):
        given["inCollection"] = ",".join(options["input"])
    if options.get("save_dot"):
        given["saveDot"] = True
    check_exec_options(str(given.get("extraRunQuantumOptions", "")))
    return given


def acquire_options(options: SubmitOptions, extra_build: str) -> AcquireOptions:
    """Return which RUN options ask for.

    Parameters
    ----------
    options : SubmitOptions
        As given.
    extra_build : str
        What is handed through to the building of the graph, from the command line or the file.

    Returns
    -------
    AcquireOptions
        For the first stage.
    """
    return AcquireOptions(
        new_run=options.get("new_run", False),
        continue_run=options.get("continue_run", False),
        replace=options.get("replace", False),
        restart=options.get("restart", False),
        unstore=options.get("unstore", False),
        purge=options.get("purge", False),
        finish=options.get("finish"),
        extra_build=extra_build,
    )
