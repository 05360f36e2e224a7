"""One dataset and logs of a repository, a campaign's staging or any other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, StageError, UsageError, nearest
from registry.model.data_id import parse_assignments, typed_assignments
from registry.model.records import Artifact, QuantumStatus
from registry.model.refs import parse_id
from stage.campaign.edit import split_names
from stage.campaign.files import write_atomically
from stage.campaign.log_choice import chosen_by_query
from stage.campaign.outcomes import by_data_id
from stage.campaign.reports import DatasetContent, LogEntry
from stage.pipeline.node import LOG

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["get_dataset", "is_id", "log_text", "read_logs"]

_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z")


def is_id(text: str) -> bool:
    """Tell whether a word is the id of something, and no name.

    Parameters
    ----------
    text : str
        The word.

    Returns
    -------
    bool
        Whether it has the form of one.
    """
    return bool(_ID.match(text))


def get_dataset(
    repo: Repo,
    dataset: str,
    *data_id: str,
    collections: Sequence[str] = (),
    output: str | Path | None = None,
    is_named: bool = False,
) -> DatasetContent:
    """Get one dataset's file or content.

    Parameters
    ----------
    repo : Repo
        Open.
    dataset : str
        A dataset type, or an id.
    *data_id : str
        ``dimension=value`` words.
    collections : sequence of str, optional
        Where to search, in order; by default everywhere, for the newest.
    output : str or path, optional
        A local file that gets the artifact as it is stored.
    is_named : bool, optional
        Whether a person has named the repository, and has to for other commands too.

    Returns
    -------
    DatasetContent
        Text for storage classes whose objects are JSON-like or text, else the artifact's bytes.

    Raises
    ------
    NotFoundError
        If there is no such dataset, or its file is gone.
    StorageError
        If `output` cannot be written.
    """
    from sync.filesystem.files import read_bytes

    with repo.registry.read() as snapshot:
        if is_id(dataset) and not data_id:
            ref = snapshot.dataset(parse_id(dataset))
        else:
            path = split_names(collections) or _newest_run_of(snapshot, dataset, data_id)
            found = snapshot.find(dataset, typed_assignments(snapshot.universe, list(data_id)), path)
            if found is None:
                where = ", ".join(path[:5]) + (", …" if len(path) > 5 else "")
                raise NotFoundError(
                    f"no {dataset} with {', '.join(data_id) or 'an empty data ID'} in {where or 'any run'}",
                    code="no-such-dataset",
                    hint=f"List them: stage query datasets {dataset}{f' --repo {repo.root}' if is_named else ''}",
                )
            ref = found
        artifact = snapshot.artifact(ref.id)
    if artifact is None:
        raise NotFoundError(
            f"{ref} is known, and its file was removed",
            code="no-artifact",
            hint="It was ephemeral, or its run was unstored: run again what makes it, with --keep.",
        )
    if output is not None:
        write_atomically(Path(output), read_bytes(repo.datastore.locate(artifact.uri)))
        content: str | bytes = b""
    else:
        content = _content(repo, ref.dataset_type.storage_class, artifact)
    return DatasetContent(ref, content, partial(repo.datastore.get, artifact, ref.dataset_type.storage_class))


def _newest_run_of(snapshot: Snapshot, dataset_type: str, data_id: Sequence[str]) -> list[str]:
    """Return the RUN with the newest dataset of a type and data ID: ids grow with time."""
    rows = snapshot.datasets(dataset_type, ("*",), find_first=False, data_id=parse_assignments(list(data_id)))
    return [max(rows.rows(("id", "run")))[1]] if rows.n_rows else []


def _content(repo: Repo, storage_class: str, artifact: Any) -> str | bytes:
    import json

    from sync.filesystem.files import read_bytes

    if artifact.formatter.startswith(("json", "yaml", "text")):
        value = repo.datastore.get(artifact, storage_class)
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return read_bytes(repo.datastore.locate(artifact.uri))


def read_logs(
    repo: Repo,
    run: str,
    *words: str,
    failed: bool = False,
    tail: int | None = None,
    attempts: bool = False,
    data_query: str = "",
) -> list[LogEntry]:
    """Read the logs of a run's quanta.

    Parameters
    ----------
    repo : Repo
        Open.
    run : str
        The RUN.
    *words : str
        A task's label, and ``dimension=value`` words; all quanta without any.
    failed : bool, optional
        Only quanta that failed.
    tail : int, optional
        Only the last lines of each, so many.
    attempts : bool, optional
        Earlier attempts too, each before the next.
    data_query : str, optional
        Expression that their data IDs fulfil.

    Returns
    -------
    list of LogEntry
        By task and data ID.

    Raises
    ------
    NotFoundError
        If there is no such run or task.
    UsageError
        If there is no such dimension.
    QueryError
        If the expression is not understood.
    """
    labels = [w for w in words if "=" not in w]
    if len(labels) > 1:
        raise UsageError(f"expected one task's label, got {', '.join(labels)}")
    chosen = parse_assignments([w for w in words if "=" in w])
    with repo.registry.read() as snapshot:
        snapshot.collection(run)
        asked: dict[str, Any] = {"task": labels[0] if labels else None, "data_id": chosen}
        quanta = snapshot.quanta([run], status=[QuantumStatus.FAILED] if failed else None, **asked)
        if labels and not quanta.n_rows:
            _check_label(snapshot, run, labels[0])
        _check_dimensions(chosen, snapshot.universe.dimension_names)
        if data_query.strip():
            quanta = chosen_by_query(snapshot, quanta, data_query)
        logs = snapshot.artifacts_of_quanta(quanta["id"].tolist(), LOG)
        log_of = {row[0]: Artifact(*row[1:]) for row in logs.rows()}
        every = snapshot.quanta([run], latest=False, **asked) if attempts else quanta
        tried = _by_quantum(every.rows(("id", "attempt", "status", "message")))
        entries = []
        for row in sorted(quanta.rows(("task", "data_id", "status", "id", "attempt")), key=by_data_id):
            task, data_id, last, quantum, attempt = row
            if _matches(data_id, chosen):
                artifact = log_of.get(quantum)
                for number, status, message in tried[quantum]:
                    found = _log_of_attempt(artifact, (last, attempt), (status, number))
                    entries.append((task, data_id, status, message or "", found, number))
    return [LogEntry(t, d, s, m, log_text(repo, a, tail), n) for t, d, s, m, a, n in entries]


def _by_quantum(rows: Iterable[tuple[Any, ...]]) -> dict[bytes, list[tuple[int, str, str]]]:
    out: dict[bytes, list[tuple[int, str, str]]] = {}
    for quantum, attempt, status, message in rows:
        out.setdefault(quantum, []).append((attempt, status, message))
    return {quantum: sorted(tries) for quantum, tries in out.items()}


def _log_of_attempt(last: Artifact | None, of: tuple[str, int], wanted: tuple[str, int]) -> Artifact | None:
    """Return the log of an attempt: the last one's is recorded, those before it lie beside it."""
    if last is None or of == wanted:
        return last
    if wanted[0] != QuantumStatus.FAILED:
        return None  # one that was blocked has none, and that of a complete one was replaced
    from stage.execution.trial import attempt_suffix
    from sync.storage import formatter

    ending = formatter(last.formatter).extension
    stem = last.uri.removesuffix(ending).removesuffix(attempt_suffix(*of))
    return last._replace(uri=stem + attempt_suffix(*wanted) + ending)


def _check_label(snapshot: Snapshot, run: str, label: str) -> None:
    known = set(snapshot.count_outcomes(run)["task"].tolist())
    if label not in known:
        raise NotFoundError(
            f"run '{run}' has no quanta of a task '{label}'", code="no-such-task", hint=nearest(label, known)
        )


def _check_dimensions(chosen: Iterable[str], known: Collection[str]) -> None:
    for name in chosen:
        if name not in known:
            raise UsageError(
                f"there is no dimension '{name}'", code="no-such-dimension", hint=nearest(name, known)
            )


def _matches(data_id: str, chosen: Mapping[str, str]) -> bool:
    import json

    values = json.loads(data_id)
    return all(str(values.get(name)) == value for name, value in chosen.items())


def log_text(repo: Repo, artifact: Artifact | None, tail: int | None) -> str:
    """Read a log.

    Parameters
    ----------
    repo : Repo
        In whose datastore it is.
    artifact : Artifact or None
        The log; None if there is none.
    tail : int or None
        Only its last lines, so many.

    Returns
    -------
    str
        The text; of one that cannot be read, why.
    """
    if artifact is None:
        return ""
    try:
        text = str(repo.datastore.get(artifact, "Text"))
    except StageError as exc:
        return f"(its log cannot be read: {exc})"
    if tail is None:
        return text
    return "\n".join(text.rstrip("\n").split("\n")[-tail:]) if tail else ""
