"""``repo.yaml``: the file at a repository's root that names its database and its datastore."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError, UsageError, nearest
from sync.filesystem import files
from sync.filesystem.uris import has_password

__all__ = ["REPO_FILE", "RepoFile", "is_database_url", "place_of", "refuse_password"]

REPO_FILE = "repo.yaml"
FORMAT = 1
_KEYS = ("format", "registry", "datastore")
_DATABASE = re.compile(r"(sqlite|postgres(ql)?)(\+[a-z0-9]+)?://")


def is_database_url(text: str) -> bool:
    """Tell whether a URI names a database.

    Parameters
    ----------
    text : str
        Any URI.

    Returns
    -------
    bool
        True for ``sqlite://``, ``postgresql://`` and ``postgres://``, with or without a driver's name.
    """
    return _DATABASE.match(text) is not None


def refuse_password(uri: str, what: str) -> None:
    """Refuse a URI that holds a password where it would be written into a file.

    Parameters
    ----------
    uri : str
        Any URI.
    what : str
        Which one, for the error.

    Raises
    ------
    UsageError
        If it holds one.
    """
    if has_password(uri):
        raise UsageError(
            f"the {what} {files.redact(uri)} holds a password, which would be written into a file",
            code="password-in-uri",
            hint="Leave it out, and put it in ~/.pgpass or in the environment (PGPASSWORD).",
        )


def place_of(root: files.Uri) -> str:
    """Return what a person calls a repository as an absolute URI.

    Parameters
    ----------
    root : str or path
        Its root, its ``repo.yaml``, which stands for it, or its database's URL.

    Returns
    -------
    str
        The root, or the database's URL as it is.
    """
    text = str(root)
    if is_database_url(text):
        return text
    text = files.absolute(text)
    return text.removesuffix(f"/{REPO_FILE}") or "/"


@dataclass(frozen=True, slots=True)
class RepoFile:
    """The content of a ``repo.yaml``.

    Parameters
    ----------
    registry : str
        A database URL, or the path of an SQLite file relative to the root.
    datastore : str
        The datastore's root: a URI, or a path relative to the root.
    """

    registry: str
    datastore: str

    @classmethod
    def load(cls, root: str) -> RepoFile:
        """Read it.

        Parameters
        ----------
        root : str
            The repository's root.

        Returns
        -------
        RepoFile
            Its content, paths as they are written.

        Raises
        ------
        NotFoundError
            If there is none: `root` is not a repository.
        IntegrityError
            If it is malformed.
        SchemaVersionError
            If it is of a format that this code does not read.
        """
        where = files.join(root, REPO_FILE)
        try:
            data = files.read_bytes(where)
        except NotFoundError as exc:
            raise NotFoundError(
                f"not a repository: {files.redact(root)} (no {REPO_FILE} there)",
                code="not-a-repository",
                hint="Check the path, or make one: stage repo create.",
            ) from exc
        return cls._parse(data, files.redact(where))

    @classmethod
    def _parse(cls, data: bytes, where: str) -> RepoFile:
        import yaml  # looking at a campaign reads no such file

        try:
            document = yaml.safe_load(data)
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            mark = getattr(exc, "problem_mark", None)
            why = getattr(exc, "problem", None) or str(exc).splitlines()[0]
            raise _malformed(where, f"not YAML ({why}{f' in line {mark.line + 1}' if mark else ''})") from exc
        if not isinstance(document, Mapping):
            raise _malformed(where, f"expected a mapping with {', '.join(_KEYS)}")
        found = document.get("format")
        if found != FORMAT:
            raise SchemaVersionError(
                f"{where} is of format {found!r}; this version reads {FORMAT}",
                code="repo-format",
                found=str(found),
                supported=str(FORMAT),
                hint="Use a version of stage that knows it." if isinstance(found, int) else "Check the file.",
            )
        return cls(**cls._fields(document, where))

    @staticmethod
    def _fields(document: Mapping[Any, Any], where: str) -> dict[str, str]:
        for key in document:
            if key not in _KEYS:
                raise _malformed(where, f"unknown key '{key}'", nearest(str(key), _KEYS))
        fields: dict[str, str] = {}
        for key in _KEYS[1:]:
            value = document.get(key)
            if not isinstance(value, str) or not value:
                raise _malformed(where, f"'{key}' must be text, found {value!r}")
            fields[key] = value
        return fields

    def save(self, root: str) -> None:
        """Write it, durably.

        Parameters
        ----------
        root : str
            The repository's root.
        """
        import yaml

        document = {"format": FORMAT, "registry": self.registry, "datastore": self.datastore}
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        files.write_bytes(files.join(root, REPO_FILE), text.encode(), durable=True)


def _malformed(where: str, why: str, hint: str = "") -> IntegrityError:
    return IntegrityError(
        f"{where} is malformed: {why}",
        code="bad-repo-file",
        hint=hint or "It has three lines: format, registry and datastore.",
    )
