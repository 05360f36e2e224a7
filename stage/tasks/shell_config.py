"""The settings of a shell task: its scripts, and what they read and write."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from registry.errors import PipelineError
from stage.pipeline.config import Config, Field
from stage.tasks.declared import InputSpec, OutputSpec

__all__ = ["CommandSpec", "ShellConfig"]

_TAKEN = frozenset({
    "BASH_ENV", "CDPATH", "ENV", "HOME", "IFS", "LANG", "LOGNAME", "PATH", "PS4", "PWD", "PYTHONPATH", "SHELL",
    "SHELLOPTS", "TMPDIR", "USER",
})  # fmt: skip
"""Variables that a script and the programs it calls rely on."""

_SAID = ("Json", "Yaml")
"""Storage classes of values that a script can say by a variable: their files may hold JSON."""


class CommandSpec(Config):
    """One of several commands."""

    name: str = Field("", description="What the log and errors call it.")
    shell: str = Field(description="Text for bash.")


class ShellConfig(Config):
    """A script, or several one after another, and what they read and write."""

    script: str = Field("", description="Text for bash.")
    commands: tuple[CommandSpec, ...] = Field(
        (), description="Scripts that run one after another, in its place."
    )
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

    @model_validator(mode="after")
    def _has_one_form(self) -> ShellConfig:
        if bool(self.script) == bool(self.commands):
            raise PipelineError("a shell task has a script, or a list of commands")
        for name, spec in self.outputs.items():
            if spec.type and (spec.multiple or spec.storage_class not in _SAID):
                raise PipelineError(
                    f"output '{name}' of type {spec.type} has to be one {' or '.join(_SAID)}, not "
                    f"{'several' if spec.multiple else spec.storage_class}"
                )
        return self

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Name and script of each command."""
        return [(c.name, c.shell) for c in self.commands] or [("", self.script)]

    def to_document(self) -> dict[str, Any]:
        """Return all settings as JSON-like values.

        Returns
        -------
        dict
            What `from_document` takes; without what few scripts have.
        """
        out = super().to_document()
        out |= {k: {n: {**s} for n, s in out[k].items()} for k in ("inputs", "outputs")}
        for spec in (*out["inputs"].values(), *out["outputs"].values()):
            if not spec["type"]:
                del spec["type"]
        del out["script" if self.commands else "commands"]
        return out
