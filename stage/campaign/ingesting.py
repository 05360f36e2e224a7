"""Taking files in as datasets of a shared repository: which dataset each is, and what it tells of dimensions."""

from __future__ import annotations

import glob
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, StageError, UsageError
from registry.model.columns import Columns
from registry.model.data_id import parse_assignments
from stage.campaign.layout import absolute_uri
from stage.campaign.path_pattern import rows_from_paths

if TYPE_CHECKING:
    from sync.datastore import TransferMode

__all__ = ["ingest_files"]


def ingest_files(
    repo: str,
    dataset_type: str,
    files: Sequence[str] = (),
    *,
    run: str,
    table: str | Path | None = None,
    describe: str | Callable[[str], Mapping[str, Any]] | None = None,
    data_id: Sequence[str] = (),
    data_id_from: str | None = None,
    mode: TransferMode = "copy",
    formatter: str | None = None,
    checksum: bool | None = None,
) -> int:
    """Take files in as datasets, all or none.

    Parameters
    ----------
    repo : str
        Root of the repository.
    dataset_type : str
        A registered dataset type.
    files : sequence of str, optional
        The files, or patterns of them (``raw/**/*.fits``), with `describe`, `data_id_from` or `data_id`.
    run : str
        RUN that will hold them.
    table : str or path, optional
        CSV, TSV or Parquet file with a column a dimension, and ``path``.
    describe : str or callable, optional
        A function (or ``module:function``) that is given a file's path and returns its ``data_id`` and, by element,
        the dimension ``records`` that it tells of.
    data_id : sequence of str, optional
        ``dimension=value`` words that hold for all files.
    data_id_from : str, optional
        What the ends of the files' paths tell, as ``{instrument}/{exposure}_{detector}.fits``.
    mode : {"copy", "link", "symlink", "move", "direct"}, optional
        How the files get in.
    formatter : str, optional
        What reads them.
    checksum : bool, optional
        Whether checksums are taken; by default they are, but for ``"direct"``.

    Returns
    -------
    int
        Number of datasets.

    Raises
    ------
    StageError
        If something is missing, wrong or there already; then no dataset is taken in.
    """
    from sync.administration import ingest
    from sync.exports import jsonl
    from sync.repo import Repo

    if (table is None) == (not files):
        raise UsageError("give files, or a table of them with --table", code="bad-ingest")
    if data_id_from is not None and (describe is not None or table is not None):
        raise UsageError("--data-id-from goes without --describe and --table", code="bad-ingest")
    common = parse_assignments(list(data_id))
    records: dict[str, list[Mapping[str, Any]]] = {}
    if table is not None:
        rows = _read_table(Path(table), common)
    elif data_id_from is None:
        rows, records = _describe(_expanded(files), describe, common)
    with Repo.open(repo, writable=True) as opened:
        if data_id_from is not None:
            rows = rows_from_paths(opened.registry.universe, data_id_from, _expanded(files), common)
        if records:
            with tempfile.TemporaryDirectory(prefix="stage-ingest-") as folder:
                _write_records(Path(folder), records)
                jsonl.import_records(opened, folder)
        return ingest.ingest(
            opened, dataset_type, run, rows, mode=mode, formatter=formatter, checksum=checksum
        )


def _read_table(path: Path, common: Mapping[str, Any]) -> Columns:
    from sync.tables.read import read_table

    found = read_table(absolute_uri(str(path)))
    if "path" not in found.columns:
        raise UsageError(f"table {path} has no column 'path'; it has {', '.join(found.columns) or 'none'}")
    folder = path.absolute().parent
    where = [str(p) if "://" in str(p) else str(folder / str(p)) for p in found.columns["path"]]
    constant = {name: [value] * found.n_rows for name, value in common.items()}
    return Columns({**found.columns, **constant, "path": where})


def _expanded(files: Sequence[str]) -> list[str]:
    """Replace patterns by the files that they match; a file that is called like a pattern is itself."""
    out: list[str] = []
    for word in files:
        if not set("*?[") & set(word) or "://" in word or Path(word).exists():
            out.append(word)
            continue
        found = sorted(name for name in glob.glob(word, recursive=True) if Path(name).is_file())  # noqa: PTH207 - takes absolute patterns too
        if not found:
            raise NotFoundError(f"no file matches '{word}'", code="no-such-file")
        out += found
    return out


def _describe(
    files: Sequence[str], describe: str | Callable[[str], Mapping[str, Any]] | None, common: Mapping[str, Any]
) -> tuple[Columns, dict[str, list[Mapping[str, Any]]]]:
    """Ask each file which dataset it is; gather the distinct dimension records that they tell of."""
    function = _import_function(describe) if isinstance(describe, str) else describe
    records: dict[str, dict[str, Mapping[str, Any]]] = {}
    data_ids: list[dict[str, Any]] = []
    paths = [absolute_uri(f) for f in files]
    for path in paths:
        told = _call(function, path) if function is not None else {}
        data_ids.append({**told.get("data_id", {}), **common})
        for element, lines in told.get("records", {}).items():
            known = records.setdefault(element, {})
            known.update({json.dumps(line, sort_keys=True, default=str): line for line in lines})
    names = list(data_ids[0])
    odd = next((p for p, d in zip(paths, data_ids, strict=True) if set(d) != set(names)), None)
    if odd is not None:
        raise UsageError(
            f"the data ID of {odd} has other dimensions than that of {paths[0]}", code="bad-describe"
        )
    columns: dict[str, Any] = {name: [d[name] for d in data_ids] for name in names}
    return Columns({**columns, "path": paths}), {e: list(r.values()) for e, r in records.items()}


def _call(function: Callable[[str], Mapping[str, Any]], path: str) -> Mapping[str, Any]:
    try:
        told = function(path)
    except StageError:
        raise
    except Exception as exc:
        raise UsageError(
            f"{path} cannot be described: {type(exc).__name__}: {exc}", code="bad-describe"
        ) from exc
    parts = (
        [told, *(told.get(k, {}) for k in ("data_id", "records"))] if isinstance(told, Mapping) else [told]
    )
    if not all(isinstance(part, Mapping) for part in parts):
        raise UsageError(
            f"{path} cannot be described: the function returned {told!r:.60}",
            code="bad-describe",
            hint="It returns a mapping with 'data_id' and, if it likes, 'records', both mappings.",
        )
    return told


def _import_function(target: str) -> Callable[[str], Mapping[str, Any]]:
    """Import ``module:function``; the working directory comes after everything that is installed."""
    module, _, name = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Callable[[str], Mapping[str, Any]] = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as exc:  # a user's module may raise anything when imported
        raise UsageError(
            f"cannot import '{target}': {type(exc).__name__}: {exc}",
            code="bad-describe",
            hint="Write --describe MODULE:FUNCTION.",
        ) from exc
    if not callable(found):
        raise UsageError(f"'{target}' is no function", code="bad-describe")
    return found


def _write_records(folder: Path, records: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for element, lines in records.items():
        if not element.isidentifier():
            raise UsageError(f"'{element}' is not a dimension element", code="bad-describe")
        try:
            text = "".join(json.dumps(line, default=_as_json) + "\n" for line in lines)
        except TypeError as exc:
            raise UsageError(f"a record of '{element}' cannot be told: {exc}", code="bad-describe") from exc
        (folder / f"{element}.jsonl").write_text(text, encoding="utf-8")


def _as_json(value: Any) -> Any:
    """Return NumPy's numbers as Python's: headers are full of them."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r:.60} is no JSON value")
