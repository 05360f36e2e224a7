"""`ShellTask`: a script in a pipeline file, its inputs and outputs files named by environment variables."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from registry.errors import IntegrityError, PipelineError
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections
from stage.pipeline.node import ConnectionDef
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import QuantumLike, RepoLike, Task
from stage.tasks.declared import InputSpec, OutputSpec, declare
from stage.tasks.local_files import FileRepoLike, is_made
from stage.tasks.script import ScriptFailed, run_script

__all__ = ["ShellConfig", "ShellTask"]

_TAKEN = frozenset({
    "BASH_ENV", "CDPATH", "ENV", "HOME", "IFS", "LANG", "LOGNAME", "PATH", "PS4", "PWD", "PYTHONPATH", "SHELL",
    "SHELLOPTS", "TMPDIR", "USER",
})  # fmt: skip
"""Variables that a script and the programs it calls rely on."""


class ShellConfig(Config):
    """A script and what it reads and writes."""

    script: str = Field(description="Text for bash.")
    dimensions: tuple[str, ...] = Field((), description="What identifies a quantum.")
    inputs: dict[str, InputSpec] = Field(default_factory=dict, description="Input files, by variable.")
    outputs: dict[str, OutputSpec] = Field(default_factory=dict, description="Output files, by variable.")
    variables: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="Settings of the script, as further variables."
    )

    @model_validator(mode="after")
    def _names_are_free(self) -> ShellConfig:
        names = [*self.inputs, *self.outputs, *self.variables]
        for name in names:
            if (
                not name.isidentifier()
                or not name.isascii()
                or name in _TAKEN
                or name.startswith(("STAGE_", "LD_"))
            ):
                raise PipelineError(f"'{name}' cannot name a variable of the script")
            if names.count(name) > 1:
                raise PipelineError(f"'{name}' names two things")
        return self


class ShellTask(Task):
    """Runs a script per quantum, in a scratch directory of its own.

    For each input and output, the variable of its name holds the path of a file (several, one a line, where it is
    multiple); of a directory where it is a file set: one with the input's files, or an empty one to be filled. ``STAGE_<DIMENSION>`` holds each value of the data ID, ``STAGE_DATA_ID`` all of them as JSON,
    ``STAGE_TASK`` the label, ``STAGE_SCRATCH`` the scratch directory. A script that finds nothing to do writes a
    reason, or nothing, to the file ``$STAGE_NO_WORK`` and ends with status 0.
    """

    ConfigClass = ShellConfig
    default_label = "shell"
    kind: ClassVar[str] = "shell"
    config: ShellConfig

    @classmethod
    def connections_for(cls, config: ShellConfig, *, owner: str = "this task") -> Connections:
        """Return the connections that the config declares.

        Parameters
        ----------
        config : ShellConfig
            Its settings.
        owner : str
            Who it is, for errors.

        Returns
        -------
        Connections
            With names settled.
        """
        return declare(config.connections, config.dimensions, config.inputs, config.outputs, owner)

    def run(
        self, *, data_id: Mapping[str, Any] | None = None, scratch: str | Path | None = None, **inputs: Any
    ) -> Struct:
        """Run the script on local files.

        Parameters
        ----------
        data_id : mapping, optional
            For ``STAGE_<DIMENSION>``.
        scratch : path, optional
            An empty directory, for the outputs too. By default a new temporary one, which is left to the caller.
        **inputs
            A path an input, or a list of them.

        Returns
        -------
        Struct
            The path of each output's file.

        Raises
        ------
        NoWorkFound
            If the script says so.
        ScriptFailed
            If it fails, or does not make an output, or one that is not of its storage class.
        """
        root = Path(scratch or tempfile.mkdtemp(prefix=f"stage-{self.name}-"))
        paths = {
            c.name: _paths(inputs.get(c.name)) for c in self.connections.by_role("input", "prerequisite")
        }
        planned = {c.name: self._places(c, 1, root) for c in self.connections.by_role("output")}
        self._execute(paths, planned, data_id or {}, root)
        return Struct(**{name: places[0] for name, places in planned.items() if is_made(places[0])})

    def run_quantum(self, quantum: QuantumLike, repo: RepoLike) -> None:
        """Run the script on a quantum's files.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Also with ``local_path`` and ``put_file``.

        Raises
        ------
        NoWorkFound
            If the script says so, or there are too few inputs. Nothing was written.
        ScriptFailed
            If it fails, or does not make an output, or one that is not of its storage class. Nothing was written.
        """
        files: FileRepoLike = repo  # type: ignore[assignment]
        self.check_minimum(quantum.inputs)
        inputs = {
            name: [Path(files.local_path(ref)) for ref in refs] for name, refs in quantum.inputs.items()
        }
        with tempfile.TemporaryDirectory(prefix=f"stage-{self.name}-", ignore_cleanup_errors=True) as scratch:
            root = Path(scratch)
            planned = {
                c.name: self._places(c, len(quantum.outputs.get(c.name, ())), root)
                for c in self.connections.by_role("output")
            }
            self._execute(inputs, planned, quantum.data_id, root)
            for name, places in planned.items():
                for place, ref in zip(places, quantum.outputs.get(name, ()), strict=True):
                    if is_made(place):
                        files.put_file(place, ref)

    def _places(self, connection: ConnectionDef, count: int, root: Path) -> list[Path]:
        """Return where the files of an output are to be made."""
        from sync.storage import directory_formatter, formatter, storage_class

        is_directory = directory_formatter(connection.storage_class) is not None
        ending = (
            "" if is_directory else formatter(storage_class(connection.storage_class).formatter).extension
        )
        names = [connection.name] if count == 1 else [f"{connection.name}_{i}" for i in range(count)]
        return [root / "out" / (name + ending) for name in names]

    def _execute(
        self,
        inputs: Mapping[str, Sequence[Path]],
        outputs: Mapping[str, Sequence[Path]],
        data_id: Mapping[str, Any],
        root: Path,
    ) -> None:
        self._make_places(root / "out", outputs)
        no_work = root / "no-work"
        environment = {f"STAGE_{name.upper()}": str(value) for name, value in data_id.items()}
        environment |= {name: _text(value) for name, value in self.config.variables.items()}
        environment |= {n: "\n".join(map(str, paths)) for n, paths in {**inputs, **outputs}.items()}
        environment |= {
            "STAGE_DATA_ID": json.dumps(dict(data_id)),
            "STAGE_TASK": self.name,
            "STAGE_SCRATCH": str(root / "work"),
            "STAGE_NO_WORK": str(no_work),
        }
        run_script(self.config.script, environment, root, self.log)
        if no_work.exists():
            raise NoWorkFound(no_work.read_text(encoding="utf-8", errors="replace").strip())
        for connection in self.connections.by_role("output"):
            for place in outputs[connection.name]:
                if connection.minimum and not is_made(place):
                    raise ScriptFailed(
                        f"the script of task '{self.name}' did not make its output '{connection.name}' ({place.name})",
                        code="missing-output",
                        hint=f'Write it to "${connection.name}", or declare it with minimum: 0.',
                    )
                if place.is_file():
                    self._check_form(connection, place)

    def _make_places(self, out: Path, outputs: Mapping[str, Sequence[Path]]) -> None:
        """Make the directory of the outputs, and in it those that are directories themselves."""
        from sync.storage import directory_formatter

        out.mkdir()
        for connection in self.connections.by_role("output"):
            if directory_formatter(connection.storage_class) is not None:
                for place in outputs[connection.name]:
                    place.mkdir()

    def _check_form(self, connection: ConnectionDef, place: Path) -> None:
        from sync.checking import check_file

        try:
            check_file(place, connection.storage_class)
        except IntegrityError as exc:
            raise ScriptFailed(
                f"the script of task '{self.name}' made its output '{connection.name}' ({place.name}), "
                f"which is no {connection.storage_class}: {exc.message}",
                code="bad-output",
                hint=f"Write {connection.storage_class}, or declare another storage class: File takes anything.",
            ) from exc


def _paths(given: Any) -> list[Path]:
    if given is None:
        return []
    return [Path(p).absolute() for p in (given if isinstance(given, list | tuple) else [given])]


def _text(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
