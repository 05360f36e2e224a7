"""`.campaign.json`: what will be run. What was run is in the staging registry, never here.

Every field is checked when it is read; an unknown one is refused, so that a misspelt edit by hand cannot be lost silently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry.errors import (
    IntegrityError,
    NotFoundError,
    SchemaVersionError,
    StorageError,
)
from registry.model.collections import check_collection_name
from stage.campaign.fields import Fields
from stage.campaign.files import write_atomically
from stage.campaign.input_options import check_artifacts, check_cache_size
from stage.campaign.naming import check_campaign_name, check_pattern

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMAT_VERSION", "CampaignState", "Collections", "GraphEntry", "load_state", "save_state"]

FORMAT_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class Collections:
    """The collections of a campaign: a stack (current_run, *past_runs, *inputs).

    Parameters
    ----------
    chain : str or None
        Name of the CHAINED collection that holds the stack; None for no such collection.
    inputs : tuple of str
        Where inputs are searched upstream, in order; empty until given.
    current_run : str or None
        The RUN that the next step writes to; None if it makes a new one.
    next_run : str
        Pattern of the next new RUN's name: ``%c`` campaign, ``%t`` time, ``%n`` counter.
    past_runs : tuple of str
        Earlier RUNs, the newest first.
    counter : int
        What ``%n`` becomes.
    created : tuple of str
        All collections that the campaign made, chains included.
    """

    chain: str | None
    inputs: tuple[str, ...] = ()
    current_run: str | None = None
    next_run: str = "%c/%t"
    past_runs: tuple[str, ...] = ()
    counter: int = 0
    created: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """The campaign's RUNs, the newest first."""
        return (*((self.current_run,) if self.current_run else ()), *self.past_runs)

    @property
    def stack(self) -> tuple[str, ...]:
        """What the chain holds, in search order."""
        return (*self.runs, *self.inputs)

    @property
    def graph_inputs(self) -> tuple[str, ...]:
        """What a graph is built from: past runs before inputs; a current run is ignored."""
        return (*self.past_runs, *self.inputs)


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """What the campaign knows of its quantum graph.

    Parameters
    ----------
    uri : str or None
        Where it is, relative to the campaign if below it; None if there is none.
    collections : tuple of str or None
        Past runs and inputs that it was built from; None if it was imported.
    pipeline_fingerprint : str or None
        Digest of the pipeline that it was built from; None if it was imported.
    data_query : str
        The expression that its data IDs were chosen by; used again by a rebuild.
    data_id_table : str
        File of the data IDs that it was limited to, relative to the campaign if below it; read again by a rebuild.
    skip_existing_in : tuple of str
        Collections, patterns and categories whose quanta it left out as done; looked at again by a rebuild.
    digests : mapping of str to str
        Of the collections that it was built from, what they held then; see `stage.campaign.staleness`.
    """

    uri: str | None = None
    collections: tuple[str, ...] | None = None
    pipeline_fingerprint: str | None = None
    data_query: str = ""
    data_id_table: str = ""
    skip_existing_in: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignState:
    """The content of a state file.

    Parameters
    ----------
    name : str
        The campaign's name.
    repo : str
        URI of the upstream repository.
    collections : Collections
        Its collections.
    doc : str
        What it is for.
    pipeline : str or None
        URI of the pipeline, relative if it is the campaign's own.
    quantum_graph : GraphEntry
        Its graph.
    run_dirs : bool
        Whether its directory shows the files of its runs; see `stage.campaign.run_dirs`.
    artifacts : str
        How files of inputs are fetched: ``direct``, ``link``, ``symlink`` or ``copy``.
    outputs_in : str or None
        Where outputs go from the start, so that a push moves no file; None for the campaign's own directory.
    cache_size : str
        How large the cache for remote inputs may become, as ``20GB``; empty for the default.
    version : str
        Version of the file's form.
    """

    name: str
    repo: str
    collections: Collections
    doc: str = ""
    pipeline: str | None = None
    quantum_graph: GraphEntry = field(default_factory=GraphEntry)
    run_dirs: bool = False
    artifacts: str = "direct"
    outputs_in: str | None = None
    cache_size: str = ""
    version: str = FORMAT_VERSION

    def with_collections(self, **changes: Any) -> CampaignState:
        """Return a copy with other values among its collections.

        Parameters
        ----------
        **changes
            Fields of `Collections`.

        Returns
        -------
        CampaignState
            The copy.
        """
        return replace(self, collections=replace(self.collections, **changes))

    def to_document(self) -> dict[str, Any]:
        """Return the JSON form; what may be absent and is, is left out.

        Returns
        -------
        dict
            Plain JSON values.
        """
        c, graph = self.collections, self.quantum_graph
        document: dict[str, Any] = {
            "version": self.version,
            "name": self.name,
            "doc": self.doc,
            "repo": self.repo,
            "collections": {
                **({"inputs": list(c.inputs)} if c.inputs else {}),
                "chain": c.chain,
                "current_run": c.current_run,
                "next_run": c.next_run,
                "past_runs": list(c.past_runs),
                "counter": c.counter,
                "created": list(c.created),
            },
        }
        if self.pipeline is not None:
            document["pipeline"] = self.pipeline
        if self.run_dirs:
            document["run_dirs"] = True
        if self.artifacts != "direct":
            document["artifacts"] = self.artifacts
        if self.outputs_in is not None:
            document["outputs_in"] = self.outputs_in
        if self.cache_size:
            document["cache_size"] = self.cache_size
        if graph != GraphEntry():
            document["quantum_graph"] = {
                "uri": graph.uri,
                "collections": None if graph.collections is None else list(graph.collections),
                "pipeline_fingerprint": graph.pipeline_fingerprint,
                "data_query": graph.data_query,
                **({"data_id_table": graph.data_id_table} if graph.data_id_table else {}),
                **({"skip_existing_in": list(graph.skip_existing_in)} if graph.skip_existing_in else {}),
                **({"digests": dict(graph.digests)} if graph.digests else {}),
            }
        return document

    @classmethod
    def from_document(cls, document: Any, where: str = "campaign state") -> CampaignState:
        """Check the JSON form and return the state.

        Parameters
        ----------
        document : object
            What the file holds.
        where : str, optional
            The file's name, for errors.

        Returns
        -------
        CampaignState
            The state.

        Raises
        ------
        IntegrityError
            If a field is missing, unknown or of the wrong form; names it.
        SchemaVersionError
            If the form is of a version that this code does not read.
        """
        top = Fields(document, where, "")
        version = top.take("version", _version)
        c = Fields(top.take("collections", _plain), where, "collections.")
        graph_document = top.take("quantum_graph", _plain, default={})
        graph = Fields({} if graph_document is None else graph_document, where, "quantum_graph.")
        state = cls(
            version=version,
            name=top.take("name", _checked(check_campaign_name)),
            doc=top.take("doc", _text),
            repo=top.take("repo", _nonempty),
            pipeline=top.take("pipeline", _optional(_nonempty), default=None),
            run_dirs=top.take("run_dirs", _yes_or_no, default=False),
            artifacts=top.take("artifacts", _checked(check_artifacts), default="direct"),
            outputs_in=top.take("outputs_in", _optional(_nonempty), default=None),
            cache_size=top.take("cache_size", _checked(check_cache_size), default=""),
            collections=Collections(
                inputs=c.take("inputs", _names, default=()),
                chain=c.take("chain", _optional(_checked(check_collection_name))),
                current_run=c.take("current_run", _optional(_checked(check_collection_name)), default=None),
                next_run=c.take("next_run", _checked(check_pattern)),
                past_runs=c.take("past_runs", _names),
                counter=c.take("counter", _count),
                created=c.take("created", _names),
            ),
            quantum_graph=GraphEntry(
                uri=graph.take("uri", _optional(_nonempty), default=None),
                collections=graph.take("collections", _optional(_names), default=None),
                pipeline_fingerprint=graph.take("pipeline_fingerprint", _optional(_nonempty), default=None),
                data_query=graph.take("data_query", _text, default=""),
                data_id_table=graph.take("data_id_table", _text, default=""),
                skip_existing_in=graph.take("skip_existing_in", _texts, default=()),
                digests=graph.take("digests", _mapping, default={}),
            ),
        )
        for fields in (top, c, graph):
            fields.refuse_unknown()
        return state


def _version(value: Any) -> str:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() for p in parts):
        raise ValueError("expected a version triplet such as '1.0.0'")
    if parts[0] != FORMAT_VERSION.split(".", maxsplit=1)[0]:
        raise SchemaVersionError(
            f"the campaign's form is version {value}; this code reads {FORMAT_VERSION}",
            found=value,
            supported=FORMAT_VERSION,
            hint="Use the version of stage that wrote it, or a later one.",
        )
    return str(value)


def _plain(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, not {json.dumps(value)[:60]}")  # noqa: TRY004 - one kind for all fields
    return value


def _nonempty(value: Any) -> str:
    if not _text(value):
        raise ValueError("expected text that is not empty")
    return str(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a whole number that is not negative, not {json.dumps(value)[:60]}")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {json.dumps(value)[:60]}")  # noqa: TRY004
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of names, not {json.dumps(value)[:60]}")  # noqa: TRY004
    return tuple(_checked(check_collection_name)(v) for v in value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of texts, not {json.dumps(value)[:60]}")  # noqa: TRY004
    return tuple(_nonempty(v) for v in value)


def _mapping(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object, not {json.dumps(value)[:60]}")  # noqa: TRY004
    return {name: _nonempty(text) for name, text in value.items()}


def _checked(check: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: check(_text(value))


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def load_state(path: Path) -> CampaignState:
    """Read and check a state file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    CampaignState
        Its content.

    Raises
    ------
    NotFoundError
        If it is not there.
    IntegrityError
        If it is not JSON, or a field is wrong; names it.
    StorageError
        If it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFoundError(f"no campaign state at {path}", code="not-a-campaign") from exc
    except OSError as exc:
        raise StorageError(f"cannot read {path}: {exc.strerror or exc}") from exc
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise IntegrityError(
            f"{path} is not valid JSON: {exc}",
            code="bad-state",
            hint="Restore the file: 'stage edit' never leaves it half-written.",
        ) from exc
    return CampaignState.from_document(document, str(path))


def save_state(state: CampaignState, path: Path) -> None:
    """Write a state file, whole or not at all.

    Parameters
    ----------
    state : CampaignState
        What to write.
    path : pathlib.Path
        Where; its directory exists.

    Raises
    ------
    StorageError
        If it cannot be written; the old file is as it was.
    """
    text = json.dumps(state.to_document(), indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())
