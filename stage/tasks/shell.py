"""`ShellTask`: scripts in a pipeline file, their inputs and outputs named by environment variables."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from registry.errors import IntegrityError, PipelineError
from stage.pipeline.connections import Connections
from stage.pipeline.node import ConnectionDef
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import QuantumLike, RepoLike, Task
from stage.tasks.commands import Commands
from stage.tasks.declared import declare
from stage.tasks.local_files import FileRepoLike, is_made
from stage.tasks.script import ScriptFailed
from stage.tasks.shell_config import ShellConfig
from stage.tasks.values import check_written, input_text
from stage.tasks.workspace import Scratch, Workspace, scratch_of

__all__ = ["ShellConfig", "ShellTask"]


class ShellTask(Task):
    """Runs a script per quantum, or several one after another, in a scratch directory of its own.

    For each input and output, the variable of its name holds the path of a file (several, one a line, where it is
    multiple); of a directory where it is a file set: one with the input's files, or an empty one to be filled. That of
    an input with a ``type`` holds the value itself, and an output with a ``type`` may be said by setting its variable.
    ``STAGE_<DIMENSION>`` holds each value of the data ID, ``STAGE_DATA_ID`` all of them as JSON, ``STAGE_TASK`` the
    label, ``STAGE_SCRATCH`` the scratch directory, ``STAGE_OUTPUT_DIR`` that of the outputs. A script that finds nothing
    to do writes a reason, or nothing, to the file ``$STAGE_NO_WORK`` and ends with status 0.
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
            A path an input, or a list of them; a value, or a list of them, where the input has a type.

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
        PipelineError
            If it says a value that is not of its type.
        """
        root = Path(scratch or tempfile.mkdtemp(prefix=f"stage-{self.name}-"))
        given = {
            c.name: _values(inputs.get(c.name), c) for c in self.connections.by_role("input", "prerequisite")
        }
        planned = {c.name: self._places(c, 1, root) for c in self.connections.by_role("output")}
        self._execute(given, planned, data_id or {}, Scratch(root), Workspace())
        return Struct(**{name: places[0] for name, places in planned.items() if is_made(places[0])})

    def run_quantum(self, quantum: QuantumLike, repo: RepoLike) -> None:
        """Run the script on a quantum's files.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Also with ``local_path`` and ``put_file``; its ``workspace``, if it has one, says where scripts work.

        Raises
        ------
        NoWorkFound
            If the script says so, or there are too few inputs. Nothing was written.
        ScriptFailed
            If it fails, or does not make an output, or one that is not of its storage class. Nothing was written.
        PipelineError
            If it says a value that is not of its type. Nothing was written.
        """
        files: FileRepoLike = repo  # type: ignore[assignment]
        workspace: Workspace = getattr(repo, "workspace", Workspace())
        self.check_minimum(quantum.inputs)
        inputs = self.local_inputs(quantum, repo)
        with scratch_of(workspace, f"stage-{self.name}-") as scratch:
            planned = self.planned_places(quantum, scratch.root)
            try:
                self._execute(inputs, planned, quantum.data_id, scratch, workspace)
            except (ScriptFailed, PipelineError):
                if scratch.is_kept:
                    self.log.info("what it has done is kept, and gone on with: %s", scratch.root)
                raise
            for name, places in planned.items():
                for place, ref in zip(places, quantum.outputs.get(name, ()), strict=True):
                    if is_made(place):
                        files.put_file(place, ref)

    # -- what scripts get ------------------------------------------------------------------------------------

    def local_inputs(self, quantum: QuantumLike, repo: RepoLike) -> dict[str, list[Any]]:
        """Return what a quantum's scripts are given.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Also with ``local_path``.

        Returns
        -------
        dict
            By input: paths of files, or values where it has a type.
        """
        files: FileRepoLike = repo  # type: ignore[assignment]
        typed = {c.name for c in self.connections.by_role("input", "prerequisite") if c.type}
        return {
            name: [repo.get(ref) if name in typed else Path(files.local_path(ref)) for ref in refs]
            for name, refs in quantum.inputs.items()
        }

    def planned_places(self, quantum: QuantumLike, root: Path) -> dict[str, list[Path]]:
        """Return where a quantum's outputs are to be made.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        root : Path
            Its scratch directory.

        Returns
        -------
        dict
            Paths by output.
        """
        return {
            c.name: self._places(c, len(quantum.outputs.get(c.name, ())), root)
            for c in self.connections.by_role("output")
        }

    def environment(
        self,
        inputs: Mapping[str, Sequence[Any]],
        outputs: Mapping[str, Sequence[Path]],
        data_id: Mapping[str, Any],
        root: Path,
    ) -> dict[str, str]:
        """Return the variables that scripts get besides those of the process.

        Parameters
        ----------
        inputs : mapping
            As `local_inputs` gives it.
        outputs : mapping
            As `planned_places` gives it.
        data_id : mapping
            Of the quantum.
        root : Path
            Its scratch directory.

        Returns
        -------
        dict of str to str
            By name.
        """
        declared = {c.name: c for c in self.connections.by_role("input", "prerequisite")}
        out = {f"STAGE_{name.upper()}": str(value) for name, value in data_id.items()}
        out |= {name: _text(value) for name, value in self.config.variables.items()}
        for name, values in inputs.items():
            is_typed = name in declared and declared[name].type
            out[name] = input_text(declared[name], values) if is_typed else "\n".join(map(str, values))
        out |= {name: "\n".join(map(str, places)) for name, places in outputs.items()}
        return out | {
            "STAGE_DATA_ID": json.dumps(dict(data_id)),
            "STAGE_TASK": self.name,
            "STAGE_SCRATCH": str(root / "work"),
            "STAGE_OUTPUT_DIR": str(root / "out"),
            "STAGE_NO_WORK": str(root / "no-work"),
        }

    def prepare(self, quantum: QuantumLike, repo: RepoLike, root: Path) -> dict[str, str]:
        """Make the directories in which a quantum's scripts would run, and run none.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Also with ``local_path``.
        root : Path
            An empty directory.

        Returns
        -------
        dict of str to str
            The variables that they would get.
        """
        outputs = self.planned_places(quantum, root)
        self._make_places(root / "out", outputs)
        (root / "work").mkdir()
        return self.environment(self.local_inputs(quantum, repo), outputs, quantum.data_id, root)

    def _places(self, connection: ConnectionDef, count: int, root: Path) -> list[Path]:
        """Return where the files of an output are to be made."""
        from sync.storage import directory_formatter, formatter, storage_class

        is_directory = directory_formatter(connection.storage_class) is not None
        ending = (
            "" if is_directory else formatter(storage_class(connection.storage_class).formatter).extension
        )
        names = [connection.name] if count == 1 else [f"{connection.name}_{i}" for i in range(count)]
        return [root / "out" / (name + ending) for name in names]

    # -- running ---------------------------------------------------------------------------------------------

    def _execute(
        self,
        inputs: Mapping[str, Sequence[Any]],
        outputs: Mapping[str, Sequence[Path]],
        data_id: Mapping[str, Any],
        scratch: Scratch,
        workspace: Workspace,
    ) -> None:
        typed = {c.name: c.type for c in self.connections.by_role("output") if c.type and outputs[c.name]}
        commands = Commands(
            f"task '{self.name}'",
            self.config.texts,
            typed,
            {**workspace.environment, **self.environment(inputs, outputs, data_id, scratch.root)},
            [dict(data_id), dict(self.config.variables), _weights(inputs)],
        )
        first = commands.begin(scratch, self.log, workspace.begin_at)
        if first == 1:
            self._make_places(scratch.root / "out", outputs)
        if self.config.commands:
            self.metadata["commands"] = commands.ran
        commands.run(scratch, self.log, first)
        no_work = scratch.root / "no-work"
        if no_work.exists():
            raise NoWorkFound(no_work.read_text(encoding="utf-8", errors="replace").strip())
        for name in typed.keys() & scratch.values.keys():
            outputs[name][0].write_text(json.dumps(scratch.values[name]), encoding="utf-8")
        self._tell_undeclared(scratch.root / "out", outputs)
        self._check_made(outputs, typed)

    def _check_made(self, outputs: Mapping[str, Sequence[Path]], typed: Mapping[str, str]) -> None:
        """Refuse outputs that are not there, all by name, and those that are not what was declared."""
        made = [(c, p) for c in self.connections.by_role("output") for p in outputs[c.name]]
        if missing := [(c, p) for c, p in made if c.minimum and not is_made(p)]:
            names = ", ".join(f"'{c.name}' ({p.name})" for c, p in missing)
            first, n = missing[0][0].name, len(missing)
            raise ScriptFailed(
                f"the script of task '{self.name}' did not make its output{'s' if n > 1 else ''} {names}",
                code="missing-output",
                hint=f'Write it to "${first}", or declare it with minimum: 0.',
                context={"missing": [c.name for c, _ in missing]},
            )
        for connection, place in made:
            if place.is_file():
                self._check_form(connection, place)
                if connection.name in typed:
                    check_written(place, connection.name, connection.type, f"task '{self.name}'")

    def _tell_undeclared(self, out: Path, outputs: Mapping[str, Sequence[Path]]) -> None:
        """Say what was left among the outputs and is none: it goes with the scratch directory."""
        declared = {place.name for places in outputs.values() for place in places}
        if left := sorted(entry.name for entry in out.iterdir() if entry.name not in declared):
            self.metadata["undeclared_files"] = left
            self.log.warning("left among the outputs, but not declared, so not kept: %s", ", ".join(left))

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


def _values(given: Any, connection: ConnectionDef) -> list[Any]:
    """Return what a caller gave for an input: paths, or values where it has a type."""
    if given is None:
        return []
    several = connection.multiple if connection.type else isinstance(given, list | tuple)
    values = list(given) if several else [given]
    return values if connection.type else [Path(p).absolute() for p in values]


def _weights(inputs: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return of each input what tells that it has changed: name and size of a file, or the value."""
    return {
        name: [[v.name, v.stat().st_size] if isinstance(v, Path) else v for v in values]
        for name, values in inputs.items()
    }


def _text(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
