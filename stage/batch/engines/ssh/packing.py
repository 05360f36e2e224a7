"""`send_packages` and `send_code`: our own packages and a user's modules on a far machine, each version of them once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from registry.errors import IntegrityError, NotFoundError, UsageError
from registry.model.digest import digest_json
from stage.batch.engines.ssh.connection import Connection, FarFile
from stage.campaign.layout import STATE_FILE
from sync.filesystem import files
from sync.repo_file import REPO_FILE

__all__ = ["send_code", "send_packages"]

_PACKAGES = ("registry", "sync", "stage", "cli")
_CODE = "code"
_COMPLETE = ".complete"
_MB = 1_000_000
_LARGEST, _MOST = 10 * _MB, 200 * _MB
_CACHES = frozenset({"__pycache__", "node_modules", "site-packages"})
_OF_CAMPAIGN = frozenset(
    {"data", "logs", "submit", "staging.sqlite3", "staging.sqlite3-wal", "staging.sqlite3-shm"}
)
"""What a campaign has besides modules that somebody keeps in it."""
_NOT_CODE = (STATE_FILE, REPO_FILE, "butler.yaml", "pyvenv.cfg")
"""A directory that has one of these is a campaign, a repository, or an environment with packages of others."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that goes along."""

    path: str
    size: int
    checksum: str


_Tree = Mapping[str, _Source]
"""Files by their names in a directory."""


def send_packages(connection: Connection) -> str:
    """See that this version of our packages is there.

    Parameters
    ----------
    connection : Connection
        Open or not.

    Returns
    -------
    str
        The directory there, for ``PYTHONPATH``: absolute.
    """
    try:
        return _send_tree(connection, _packages())
    except (IntegrityError, NotFoundError):
        _packages.cache_clear()  # another version was installed since they were looked at
        return _send_tree(connection, _packages())


def send_code(connection: Connection, directories: Sequence[str | Path], extra: Sequence[str]) -> list[str]:
    """See that a user's modules are there, as they are now.

    Hidden files, caches, environments, campaigns, repositories, and files of more than 10 MB do not go along, unless
    they are named.

    Parameters
    ----------
    connection : Connection
        Open or not.
    directories : sequence of path
        Where modules are found here.
    extra : sequence of str
        Further files or directories. What lies in one of `directories`, or is named relative to it, goes to its place
        there; others to a directory of their own.

    Returns
    -------
    list of str
        Absolute directories there, in the same order; then those of extras that have one of their own.

    Raises
    ------
    UsageError
        If there is too much, or something that is named does not exist.
    """
    folders = [Path(d).absolute() for d in directories]
    trees: list[dict[str, _Source]] = [dict(_code_of(folder)) for folder in folders]
    for named in extra:
        path = _found(named, folders)
        place = next((i for i, folder in enumerate(folders) if path.is_relative_to(folder)), None)
        top = path.parent if place is None else folders[place]
        found = {str(p.relative_to(top)): _source(p) for p in _all_of(path)}
        if place is None:
            trees.append(found)
        else:
            trees[place].update(found)
    _refuse_much(trees)
    return [_send_tree(connection, tree) for tree in trees]


def _send_tree(connection: Connection, tree: _Tree) -> str:
    digest = digest_json(sorted((name, source.checksum) for name, source in tree.items()))
    folder = f"{_CODE}/{digest}"
    hello = connection.open()
    mark = f"{folder}/{_COMPLETE}-{hello.boot}"
    if connection.stat([mark]) == [None]:
        wanted = [FarFile(f"{folder}/{name}", s.size, s.checksum) for name, s in tree.items()]
        sources = [source.path for source in tree.values()]
        connection.send((wanted[i], sources[i]) for i in connection.lacking(wanted))
        connection.put(mark, b"")
    return f"{hello.base}/{folder}"


@lru_cache(maxsize=1)
def _packages() -> _Tree:
    found: dict[str, _Source] = {}
    for package in _PACKAGES:
        spec = find_spec(package)
        for top in (spec.submodule_search_locations or ()) if spec else ():
            for path in _files_below(Path(top)):
                found[f"{package}/{path.relative_to(top)}"] = _source(path)
    return found


def _code_of(folder: Path) -> Iterator[tuple[str, _Source]]:
    for path in _files_below(folder):
        if path.stat().st_size <= _LARGEST:
            yield str(path.relative_to(folder)), _source(path)


def _files_below(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        is_top = folder == str(top)
        if not is_top and any(name in names for name in _NOT_CODE):
            folders.clear()
            continue
        left_out = _CACHES | _OF_CAMPAIGN if is_top and STATE_FILE in names else _CACHES
        folders[:] = sorted(d for d in folders if not d.startswith(".") and d not in left_out)
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and name not in left_out and path.is_file():
                yield path


def _all_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (p for p in sorted(path.rglob("*")) if p.is_file())
    else:
        yield path


def _found(named: str, folders: Sequence[Path]) -> Path:
    path = Path(named).expanduser()
    places = [folder / path for folder in folders] + [path.absolute()]
    for place in places:
        if place.exists():
            return place
    raise UsageError(
        f"'{named}' is to be sent, and is not there",
        code="bad-site",
        hint="Paths in 'send' are absolute, or relative to a directory of user code.",
    )


def _source(path: Path) -> _Source:
    size, checksum = files.checksum(path)
    return _Source(str(path), size, checksum)


def _refuse_much(trees: Sequence[_Tree]) -> None:
    sources = sorted((s for tree in trees for s in tree.values()), key=lambda s: -s.size)
    total = sum(s.size for s in sources)
    if total > _MOST:
        shown = ", ".join(f"{s.path} ({s.size / _MB:,.1f} MB)" for s in sources[:3])
        raise UsageError(
            f"user code is {total / _MB:,.0f} MB in {len(sources):,} files; {_MOST // _MB} are the most. "
            f"The largest are {shown}",
            code="much-code",
            hint="Keep the modules of a pipeline in a directory of their own, and give large tables as inputs.",
        )
