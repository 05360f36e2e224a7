"""Settings from their sources: command line over file over environment over defaults."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

from stage.batch.config.adopting import adopt_execution_butler, adopt_misprints, adopt_pipetasks
from stage.batch.config.environment import surroundings
from stage.batch.config.including import Includer
from stage.batch.config.notes import Note, check_values
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.reading import parse
from stage.batch.config.settings import SEARCH_ORDER, Settings
from stage.batch.config.tree import Layered

__all__ = ["make_settings", "package_defaults", "packaged_defaults", "plain_settings"]

_ENGINE_VARIABLES = ("STAGE_EXECUTOR", "BPS_WMS_SERVICE_CLASS")
"""Ours goes before the field's."""
_USER_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")
_NAMES = {"input": "inCollection", "pipeline": "pipelineYaml", "qgraph": "qgraphFile"}
"""Options whose settings have other names."""
_DEFAULTS = FilePath(__file__).with_name("defaults.yaml")
_PACKAGE = Origin(OriginKind.DEFAULT, "package default")
_MADE = Origin(OriginKind.DEFAULT, "made for this submission")


def plain_settings(
    path: str | FilePath,
    *,
    environment: Mapping[str, str] | None,
    defaults: Mapping[str, Any],
    order: Sequence[str],
) -> Settings:
    """Read a file over defaults; see `Settings.of_file`.

    Parameters
    ----------
    path : str or path
        The YAML.
    environment : mapping of str to str or None
        Variables; of this process if None.
    defaults : mapping
        What it goes over.
    order : sequence of str
        Sections in which keys are looked for.

    Returns
    -------
    Settings
        As the file says.
    """
    environment = surroundings() if environment is None else environment
    includer = Includer(environment)
    layered = Layered()
    layered.lay(defaults, _PACKAGE)
    file = includer.read(FilePath(path), str(path))
    layered.lay(file.values, file.origins)
    _give_sections(layered)
    return Settings(layered, environment, order=order, notes=[Note(*note) for note in includer.notes])


def make_settings(
    path: str | FilePath,
    *,
    command_line: Mapping[str, Any],
    environment: Mapping[str, str] | None,
    defaults: bool | Mapping[str, Any],
    engine_defaults: Callable[[str], Mapping[str, Any]] | None,
    timestamp: str,
) -> Settings:
    """Read the settings of a submission; see `Settings.read`.

    Parameters
    ----------
    path : str or path
        The YAML.
    command_line : mapping
        What goes over it.
    environment : mapping of str to str or None
        Variables; of this process if None.
    defaults : bool or mapping
        Of the package.
    engine_defaults : callable or None
        Of engines, by name.
    timestamp : str
        When; now if empty.

    Returns
    -------
    Settings
        All of them.
    """
    environment = surroundings() if environment is None else environment
    includer = Includer(environment)
    file = includer.read(FilePath(path), str(path))
    notes = [Note(*note) for note in includer.notes]

    def together(of_engine: Mapping[str, Any], engine: str) -> Layered:
        layered = Layered()
        layered.lay(package_defaults() if defaults is True else defaults or {}, _PACKAGE)
        layered.lay(of_engine, Origin(OriginKind.DEFAULT, f"default of {engine}"))
        _lay_environment(layered, environment)
        layered.lay(file.values, file.origins)
        given = Origin(OriginKind.COMMAND_LINE)
        layered.lay(_given(command_line), given, ("bps_cmdline",))
        return layered

    layered = together({}, "")
    if engine_defaults is not None:
        engine = Settings(layered, environment).text("wmsServiceClass")
        layered = together(engine_defaults(engine) if engine else {}, engine)
    notes += adopt_pipetasks(layered)
    notes += adopt_misprints(layered)
    notes += adopt_execution_butler(layered)
    _define(layered, environment, timestamp)
    check_values(layered)
    return Settings(layered, environment, notes=notes)


def packaged_defaults() -> dict[str, Any]:
    """Return what the package's own file has, wherever it is used.

    Returns
    -------
    dict
        The caller's own.
    """
    return parse(_DEFAULTS.read_bytes(), _DEFAULTS.name).values


def package_defaults() -> dict[str, Any]:
    """Return what settings are that nobody has said.

    Returns
    -------
    dict
        The caller's own.
    """
    values = packaged_defaults()
    beside = FilePath(sys.executable).with_name("stage")
    if beside.exists():  # found by jobs also where it is not on their path
        values["stageCommand"] = shlex.quote(str(beside))
    return values


def _lay_environment(layered: Layered, environment: Mapping[str, str]) -> None:
    for name in _ENGINE_VARIABLES:
        if environment.get(name):
            layered.lay({"wmsServiceClass": environment[name]}, Origin(OriginKind.ENVIRONMENT, name))
            return


def _given(command_line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line says, by the names of settings; what is empty is not said."""
    out: dict[str, Any] = {}
    for option, value in command_line.items():
        if value:
            name = _NAMES.get(option) or re.sub(r"_(\S)", lambda found: found[1].upper(), option)
            out[name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
    return out


def _define(layered: Layered, environment: Mapping[str, str], timestamp: str) -> None:
    """Define what is made for each submission, as far as nobody has said it."""
    section = "bps_defined"

    def define(name: str, value: Any) -> None:
        layered.lay({name: value}, _MADE, (section,))

    _give_sections(layered)
    said = layered.values[section]
    if not (isinstance(said, Mapping) and "timestamp" in said):
        define("timestamp", timestamp or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
    settings = Settings(layered, environment)
    if not settings.search("operator", replace=False)[0]:
        define("operator", _user(environment))
    if not settings.search("uniqProcName", replace=False)[0]:
        define("uniqProcName", settings.text("outputRun").replace("/", "_"))
    if settings.search("submitPath", replace=False)[0]:
        define("submitPath", settings.text("submitPath"))


def _give_sections(layered: Layered) -> None:
    """Make the sections that there always are; one of which all is commented out is an empty one."""
    for name in SEARCH_ORDER:
        if layered.values.get(name) is None:
            layered.values[name] = {}


def _user(environment: Mapping[str, str]) -> str:
    """Return the login name of whoever submits."""
    for name in _USER_VARIABLES:
        if environment.get(name):
            return environment[name]
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as somebody whom nobody knows
        return str(os.getuid())
