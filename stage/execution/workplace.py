"""Where the scripts of a quantum work, and what they are told of the run that they are part of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.model.refs import id_text
from stage.execution.limited import stem_of
from stage.pipeline.node import LOG
from stage.tasks.workspace import Workspace

if TYPE_CHECKING:
    from stage.execution.settings import RunnerSettings
    from stage.graph.layout import Header
    from stage.graph.quantum import Quantum

__all__ = ["live_log_path", "workspace_of"]


def live_log_path(logs_dir: str, quantum: Quantum) -> str:
    """Return the file in which a quantum's log can be followed.

    Parameters
    ----------
    logs_dir : str
        As in the settings.
    quantum : Quantum
        Whose log.

    Returns
    -------
    str
        A path; each attempt replaces the file of the one before.
    """
    planned = quantum.outputs[LOG][0]
    return str(Path(logs_dir) / quantum.label / (stem_of(planned).rpartition("/")[2] + ".log"))


def workspace_of(settings: RunnerSettings, header: Header, quantum: Quantum, attempt: int) -> Workspace:
    """Return where the scripts of a quantum work.

    Parameters
    ----------
    settings : RunnerSettings
        Whether failed quanta keep their scratch directories: beside their logs, if these are anywhere.
    header : Header
        Of the graph.
    quantum : Quantum
        Which.
    attempt : int
        How often it was tried before.

    Returns
    -------
    Workspace
        With the variables that tell of the run.
    """
    log = live_log_path(settings.logs_dir, quantum) if settings.logs_dir else ""
    code = (*settings.code_dirs, *settings.task_path, *header.search_path)
    environment = {
        "STAGE_RUN": header.output_run,
        "STAGE_QUANTUM": id_text(quantum.id),
        "STAGE_ATTEMPT": str(attempt),
        "STAGE_LOG": str(Path(log).absolute()) if log else "",
        "STAGE_CODE_DIR": code[0] if code else "",
    }
    return Workspace(
        str(Path(log).absolute().with_suffix(".scratch")) if log else "",
        settings.keep_scratch,
        settings.begin_at.get(quantum.label, 0),
        environment,
    )
