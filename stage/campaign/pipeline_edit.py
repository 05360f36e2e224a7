"""Editing a campaign's pipeline: a local ``pipeline.yaml`` that imports the external one and holds the changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from registry.errors import PipelineError, StageError, UsageError
from stage.campaign.layout import Layout, absolute_uri
from stage.campaign.options import EditOptions

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.state import CampaignState

__all__ = ["edit_document", "edit_pipeline", "has_pipeline_edits"]

_EDITING = ("task", "config", "config_file", "instrument", "no_instrument")
_CHANGING = ("pipeline", *_EDITING, "write_pipeline")
Document = dict[str, Any]


def has_pipeline_edits(options: EditOptions) -> bool:
    """Tell whether options say anything about the pipeline.

    Parameters
    ----------
    options : EditOptions
        The options.

    Returns
    -------
    bool
        Whether `edit_pipeline` would look at one of them.
    """
    return any(options.get(name) for name in _CHANGING) or options.get("write_pipeline") is not None


def _split(text: str, separator: str, form: str) -> tuple[str, str]:
    label, found, rest = text.partition(separator)
    if not (label.strip() and found and rest.strip()):
        raise UsageError(f"'{text}' is not of the form {form}", code="bad-option")
    return label.strip(), rest.strip()


def _task(document: Document, label: str) -> Document:
    tasks = document.setdefault("tasks", {})
    body = tasks.get(label)
    if isinstance(body, str):
        body = {"class": body}
    tasks[label] = body = dict(body or {})
    return body


def _folder_with(target: str) -> str | None:
    """Return the working directory if a task's module lies there, for a person who names it does not say where else."""
    name = target.partition(":")[0].partition(".")[0]
    here = Path.cwd()
    is_there = name.isidentifier() and ((here / f"{name}.py").is_file() or (here / name).is_dir())
    return str(here) if is_there else None


def _search(document: Document, folder: str) -> None:
    """Let a pipeline's modules be searched for in a directory too; its file's own is searched anyway."""
    found = document.get("search_path") or []
    known = [found] if isinstance(found, str) else list(found)
    if folder not in (*known, "", "."):
        document["search_path"] = [*known, folder]


def edit_document(
    document: Document, options: EditOptions, place: Callable[[str], str] = absolute_uri
) -> Document:
    """Apply ``-t``, ``-c``, ``-C``, ``--instrument`` and ``--no-instrument`` to the document of a local pipeline.

    Parameters
    ----------
    document : dict
        The YAML document.
    options : EditOptions
        ``task``, ``config``, ``config_file``, ``instrument``, ``no_instrument``; others are ignored.
    place : callable, optional
        Says how a file is named in the document.

    Returns
    -------
    dict
        A new document. The same options again change nothing more.

    Raises
    ------
    UsageError
        If an option is not of its form.
    """
    from stage.pipeline.overrides import nested, parse_setting, parse_value

    document = {**document, "tasks": dict(document.get("tasks") or {})}
    for text in options.get("task", ()):
        label, target = _split(text, ":", "LABEL:CLASS")
        _task(document, label)["class"] = target
        if (folder := _folder_with(target)) is not None:
            _search(document, place(folder))
    for text in options.get("config_file", ()):
        label, uri = _split(text, ":", "LABEL:FILE")
        body = _task(document, label)
        files = body.get("file") or []
        files = [files] if isinstance(files, str) else list(files)
        body["file"] = [f for f in files if f != place(uri)] + [place(uri)]
    for text in options.get("config", ()):
        setting = parse_setting(text)
        body = _task(document, setting.label)
        config = nested(body.get("config") or {})
        *above, last = setting.name.split(".")
        below = config
        for part in above:
            inner = below.get(part)
            below[part] = inner = dict(inner) if isinstance(inner, dict) else {}
            below = inner
        below[last] = parse_value(setting.text)
        body["config"] = config
    if options.get("instrument"):
        document["instrument"] = options["instrument"]
    if options.get("no_instrument"):
        document["instrument"] = None  # said, so that what is imported does not say one
    if not document["tasks"]:
        del document["tasks"]
    return document


def _location(given: str) -> str:
    """Return where a pipeline is that a person names; a function of a module is one of its file."""
    from stage.pipeline.python_pipeline import python_location

    return absolute_uri(python_location(given))


def edit_pipeline(change: Change, state: CampaignState, options: EditOptions) -> CampaignState:
    """Apply the options about the pipeline.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the new local pipeline.
    state : CampaignState
        The state so far.
    options : EditOptions
        ``pipeline``, ``task``, ``config``, ``config_file``, ``instrument``, ``no_instrument``, ``write_pipeline``; others
        are ignored.

    Returns
    -------
    CampaignState
        Naming the pipeline. An external pipeline stays external until it has to be changed; then a local one
        imports it.

    Raises
    ------
    NotFoundError
        If a file is missing.
    PipelineError
        If what comes out is no pipeline.
    UsageError
        If an option is not of its form.
    """
    if not has_pipeline_edits(options):
        return state
    layout = change.layout
    uri = _location(options["pipeline"]) if options.get("pipeline") else None
    if uri is not None:
        uri = layout.relative(uri)
    local = layout.relative(str(layout.pipeline))
    is_local = (state.pipeline or "").partition("#")[0] == local
    options = _needed(change, state, options, uri)
    edits = any(options.get(name) for name in _EDITING)
    if uri in (state.pipeline, local) and is_local:
        uri = None  # it is the local one already
    if not is_local and not edits and state.pipeline in (None, uri):
        state = replace(state, pipeline=uri or state.pipeline)
    elif uri or edits:
        imports = [u for u in (None if is_local else state.pipeline, uri) if u]
        document = _read_local(layout) if is_local else {}
        edited = edit_document(
            _with_imports(document, imports), options, lambda file: layout.relative(absolute_uri(file))
        )
        change.write(layout.pipeline, _dump(edited))
        # A selection of the local pipeline's own tasks stays; an external one's is in the import.
        state = replace(state, pipeline=state.pipeline if is_local else local)
    try:
        _check(change, state, options.get("instrument"))
    except PipelineError as exc:
        if exc.code != "imported-twice" or uri is None:
            raise
        # The file that it names is not there: nothing has been changed.
        raise PipelineError(
            f"{uri} is added to the pipeline there is, and both have tasks of one name: {exc.message}",
            code=exc.code,
            hint="Leave -p out; for another pipeline make another campaign, or edit what 'stage status' names.",
        ) from exc
    if options.get("write_pipeline") is not None:
        state = _write_elsewhere(change, state, options["write_pipeline"] or str(layout.pipeline))
    return state


def _read_local(layout: Layout) -> Document:
    from stage.pipeline.overrides import read_yaml_file

    return read_yaml_file(str(layout.pipeline), "pipeline file")


def _with_imports(document: Document, uris: list[str]) -> Document:
    """Return `document` with `uris` among its imports, each once."""
    entries = document.get("imports") or []
    entries = list(entries) if isinstance(entries, list) else [entries]
    known = {e if isinstance(e, str) else e.get("location") for e in entries if isinstance(e, str | dict)}
    entries += [{"location": uri} for uri in uris if uri not in known]
    return {
        **({"imports": entries} if entries else {}),
        **{k: v for k, v in document.items() if k != "imports"},
    }


def _dump(document: Document) -> bytes:
    import yaml

    document = {"description": "Made by stage; edit it with 'stage edit' or by hand.", **document}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def _needed(change: Change, state: CampaignState, options: EditOptions, uri: str | None) -> EditOptions:
    """Leave ``--instrument`` and ``--no-instrument`` out where the pipeline has it so already: it stays as it is."""
    name, known = options.get("instrument"), state.pipeline or uri
    if options.get("no_instrument"):
        if name:
            raise UsageError(
                "--instrument and --no-instrument contradict each other",
                code="contradicting-options",
                hint="Give one of them.",
            )
        return (
            options if _names_one(change.layout, state.pipeline, uri) else _without(options, "no_instrument")
        )
    if not name or (known is None and options.get("task")):
        return options
    if known is None:
        raise UsageError(
            f"campaign '{state.name}' has no pipeline that could have settings for instrument '{name}'",
            code="no-pipeline",
            hint="Give one with -p URI.",
        )
    # What is added to a pipeline may be for another: then the instrument has to be said.
    if uri not in (None, known) or _instrument_of(change.layout, known) != name:
        return options
    return _without(options, "instrument")


def _names_one(layout: Layout, *uris: str | None) -> bool:
    """Tell whether a pipeline names an instrument, or cannot be read: perhaps because of that."""
    from stage.pipeline.load import load_definition

    try:
        return any(uri and load_definition(layout.resolve(uri)).instrument for uri in uris)
    except StageError:
        return True


def _without(options: EditOptions, name: str) -> EditOptions:
    return cast("EditOptions", {key: value for key, value in options.items() if key != name})


def _instrument_of(layout: Layout, uri: str) -> str | None:
    """Return the instrument of a pipeline as it is; what is wrong with it, this command may mend."""
    from stage.pipeline.load import load_definition

    with suppress(StageError):
        return load_definition(layout.resolve(uri)).instrument
    return None


def _check(change: Change, state: CampaignState, instrument: str | None) -> None:
    """Load what the pipeline would be, naming the file as it will be called."""
    from stage.campaign.graphs import load_pipeline

    try:
        pipeline = load_pipeline(change.layout, state, change)
        if instrument and instrument not in pipeline.instruments:
            raise PipelineError(
                f"the pipeline has no settings for any instrument, so none for '{instrument}'",
                code="unknown-instrument",
                hint="Write them in the pipeline file, under 'instruments:'.",
            )
    except StageError as exc:
        final = change.layout.pipeline
        exc.message = exc.message.replace(str(change.current(final)), str(final))
        exc.args = (exc.message,)
        raise


def _write_elsewhere(change: Change, state: CampaignState, target: str) -> CampaignState:
    from stage.campaign.graphs import load_pipeline
    from stage.pipeline.write import definition_yaml
    from sync.filesystem.files import write_bytes

    uri = absolute_uri(target)
    if "#" in uri:
        raise PipelineError(f"'{target}' selects tasks; a pipeline is written whole", code="bad-option")
    pipeline = load_pipeline(change.layout, state, change)
    if "://" in uri:
        write_bytes(uri, pipeline.to_yaml().encode())
    else:
        search_path = _search_path(pipeline.search_path, Path(uri).parent, change.layout.root)
        text = definition_yaml(replace(pipeline.definition, search_path=search_path))
        change.write(Path(uri), text.encode())
    local = change.layout.pipeline
    if uri != str(local) and (passing := change.current(local)) != local:
        passing.unlink()  # it has only led to what is written: what is there stays as it is
    return replace(state, pipeline=change.layout.relative(uri))


def _search_path(directories: Iterable[str], folder: Path, root: Path) -> tuple[str, ...]:
    """Name directories of user modules in a file: those in the campaign relative, so that it can be moved."""
    inside = folder.is_relative_to(root)
    return tuple(
        os.path.relpath(d, folder) if inside and Path(d).is_relative_to(root) else d
        for d in directories
        if Path(d) != folder  # a file's own is searched anyway
    )
