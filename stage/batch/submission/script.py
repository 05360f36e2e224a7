"""One script of a user's own as a submission: copied, with its inputs, and run in a directory that goes again.

A workflow of one job without quanta: reports, ends and restarts are those of any other.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import AlreadyExistsError, NotFoundError, UsageError
from stage.batch.layout import SubmitDir
from stage.batch.submission.engines import engine_name, find_for
from stage.batch.submission.handing import hand_over
from stage.batch.submission.identity import Identity, SubmitStage, new_identity, save_identity
from stage.batch.submission.report import SubmitReport
from stage.batch.submission.settings_of import (
    file_settings,
    labels_of,
    notes_of,
    site_of,
    unique_name,
    with_run,
    write_config,
)
from stage.campaign.files import write_atomically

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings
    from stage.batch.workflow.model import Workflow

__all__ = ["Script", "submit_script"]

_SECTION = "customJob"
_KEYS = ("executable", "arguments", "inputs", "outputs")
_NAME = re.compile(r"\{(\w+)\}")
_FOLDER = "script"


@dataclass(frozen=True, slots=True)
class Script:
    """What a section ``customJob`` says.

    Parameters
    ----------
    executable : pathlib.Path
        The script.
    arguments : str
        As for a shell; ``{name}`` of an input or output is its name in the directory where the script runs.
    inputs, outputs : mapping of str to pathlib.Path
        Files that go there, and that come back: where they are here.
    """

    executable: Path
    arguments: str
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]

    @classmethod
    def of(cls, settings: Settings) -> Script:
        """Read it.

        Parameters
        ----------
        settings : Settings
            Of the file.

        Returns
        -------
        Script
            Its paths are absolute.

        Raises
        ------
        UsageError
            If the section is missing, or two files would have one name.
        NotFoundError
            If the script or an input is not there.
        """
        names = {key: dict(settings.section(f".{_SECTION}.{key}")) for key in ("inputs", "outputs")}
        # Names of files stand for themselves until it is known what they are called where the script runs.
        known = [name for files in names.values() for name in files]
        section = settings.section(_SECTION, skip=known)
        if not section.get("executable"):
            raise UsageError(
                f"the file has no section '{_SECTION}' with an 'executable'",
                code="no-script",
                hint=f"Write '{_SECTION}: {{executable: path/to/script.sh, arguments: \"\"}}'; for a graph: stage batch submit.",
            )
        made = cls(
            Path(str(section["executable"])).expanduser().absolute(),
            str(section.get("arguments") or ""),
            {name: Path(str(path)).expanduser().absolute() for name, path in names["inputs"].items()},
            {name: Path(str(path)).expanduser().absolute() for name, path in names["outputs"].items()},
        )
        made._check()
        return made

    def _check(self) -> None:
        for path in (self.executable, *self.inputs.values()):
            if not path.is_file():
                raise NotFoundError(
                    f"{path}, which {_SECTION} names, is not there",
                    code="no-such-file",
                    hint="Paths count from the directory in which the command is given.",
                )
        names = [p.name for p in (*self.inputs.values(), *self.outputs.values())]
        double = next((n for n in names if names.count(n) > 1), None)
        if double is not None or self.inputs.keys() & self.outputs.keys():
            raise UsageError(
                f"two files of {_SECTION} are both called '{double or min(self.inputs.keys() & self.outputs.keys())}'",
                code="same-name",
                hint="They lie in one directory where the script runs: give them names of their own.",
            )

    def text(self, folder: Path) -> str:
        """Return what runs it: a program for bash.

        Parameters
        ----------
        folder : pathlib.Path
            Where the copies are.

        Returns
        -------
        str
            It makes a directory, runs the script there, and brings each output back whole, or fails.
        """
        files = {name: path.name for name, path in (*self.inputs.items(), *self.outputs.items())}
        arguments = _NAME.sub(lambda m: shlex.quote(files[m[1]]) if m[1] in files else m[0], self.arguments)
        lines = ["#!/usr/bin/env bash", "set -eu", "there=$(mktemp -d)", "trap 'rm -rf \"$there\"' EXIT"]
        lines += [f'cp {shlex.quote(str(folder / path.name))} "$there/"' for path in self.inputs.values()]
        lines += ['cd "$there"', f"{shlex.quote(str(folder / self.executable.name))} {arguments}".rstrip()]
        for path in self.outputs.values():
            name, target = shlex.quote(path.name), shlex.quote(str(path))
            missing = shlex.quote(f"the script has not made {path.name}")
            lines.append(f"if [ ! -e {name} ]; then echo {missing} >&2; exit 1; fi")
        for path in self.outputs.values():
            name, target = shlex.quote(path.name), shlex.quote(str(path))
            aside = shlex.quote(str(path.with_name(f".{path.name}.part")))
            lines += [
                f"mkdir -p {shlex.quote(str(path.parent))}",
                f"cp {name} {aside}",
                f"mv {aside} {target}",
            ]
        return "\n".join(lines) + "\n"


def submit_script(
    file: str, given: Mapping[str, Any], *, wait: bool = False, dry_run: bool = False
) -> SubmitReport:
    """Run one script on a site.

    Parameters
    ----------
    file : str
        YAML with a section ``customJob``.
    given : mapping of str to object
        What counts before it.
    wait : bool, optional
        Stay until it has ended.
    dry_run : bool, optional
        Write nothing.

    Returns
    -------
    SubmitReport
        With its number.

    Raises
    ------
    AlreadyExistsError
        If its directory is there.
    StageError
        If it cannot be made.
    """
    settings = file_settings(file, given)
    script, (site, engine) = Script.of(settings), site_of(settings)
    name = unique_name(settings, settings.text("outputRun"))
    where = SubmitDir(Path(settings.text("submitPath")).absolute())
    identity = new_identity(name, "", site, engine, labels_of(settings))
    if where.root.exists():
        raise AlreadyExistsError(
            f"{where.root} is there already",
            code="directory-in-use",
            hint="Say another submitPath, with {timestamp} in it.",
        )
    state = ""
    if not dry_run:
        identity = _prepared(where, identity, settings, script)
        identity, state = hand_over(where, identity, wait=wait)
    return SubmitReport(
        str(where.root), identity.id, name, "", SubmitStage.SUBMIT.value, engine, site,
        n_jobs=1, notes=notes_of(settings), dry_run=dry_run, state=state,
    )  # fmt: skip


def _prepared(where: SubmitDir, identity: Identity, settings: Settings, script: Script) -> Identity:
    """Copy what it needs, and write what runs it; if that fails, nothing is left."""
    from stage.batch.engines.finding import save_engine
    from stage.batch.workflow.file import save_workflow

    folder = where.root / _FOLDER
    folder.mkdir(parents=True)
    try:
        own = write_config(where, with_run(settings, where, identity.name, ""))
        for path in (script.executable, *script.inputs.values()):
            shutil.copy2(path, folder / path.name)
        write_atomically(folder / "job.bash", script.text(folder).encode())
        workflow = _workflow(identity.name, own, folder / "job.bash")
        save_workflow(workflow, where.workflow)
        engine = find_for(own, identity.site, identity.engine, identity.name, workflow=workflow)
        where.engine.mkdir(exist_ok=True)
        engine.prepare(workflow, where)
        save_engine(where, engine_name(engine, identity.engine), engine.settings)
    except BaseException:
        shutil.rmtree(where.root, ignore_errors=True)
        raise
    for stage in list(SubmitStage)[:-1]:
        identity = identity.after(stage, n_jobs=1)
    save_identity(where, identity)
    return identity


def _workflow(name: str, settings: Settings, program: Path) -> Workflow:
    """Return a workflow of one job."""
    import numpy as np

    from stage.batch.workflow.model import JobKind, JobSettings, Workflow
    from stage.batch.workflow.needs import place_of, task_needs
    from stage.graph.table import Csr

    at = place_of(settings, pipetask=_SECTION)
    needs = {"compute_site": at.site or None, **task_needs(settings, at).values}
    job = JobSettings(_SECTION, JobKind.PAYLOAD, "bash", shlex.quote(str(program)), **needs)
    none = Csr(np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int32))
    return Workflow(
        name, (job,), [_SECTION], np.zeros(1, dtype=np.int32), none, none, attributes=labels_of(settings)
    )
