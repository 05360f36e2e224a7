"""Directories that a group shares: what is made in them the group may write, whatever the umask of who makes it.

A directory is shared if it has the set-group-ID bit and its group may write. The system then gives its group to what is
made in it; the rights are given here, since a umask takes them away. Files come from elsewhere by a link too, and keep
owner, group and rights: these are changed, or the file is copied where that is not allowed.
"""
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH112, PTH116, PTH120
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from registry.errors import NotFoundError, StorageError, UsageError
from sync.filesystem.names import aside_name
from sync.filesystem.uris import Uri, local_text, redact

__all__ = [
    "adopt_file",
    "adopt_link",
    "is_shared",
    "make_folders",
    "share_file",
    "share_folder",
    "sharing",
]

_SHARED = stat.S_ISGID | stat.S_IWGRP
_FILE_BITS = 0o666


def is_shared(mode: int) -> bool:
    """Tell from a directory's mode whether a group shares it.

    Parameters
    ----------
    mode : int
        As the system tells it.

    Returns
    -------
    bool
        Whether new things in it belong to its group, which may write.
    """
    return mode & _SHARED == _SHARED


def share_file(file: str | int, folder: str) -> None:
    """Give a new file the rights that its directory gives.

    Parameters
    ----------
    file : str or int
        The file, or a descriptor of it; made by this process.
    folder : str
        Its directory; one that nobody shares changes nothing.
    """
    mode = os.stat(folder or ".").st_mode
    if is_shared(mode):
        os.chmod(file, mode & _FILE_BITS)


def make_folders(folder: str) -> list[str]:
    """Make a directory and those above it; below one that a group shares they are shared too.

    Parameters
    ----------
    folder : str
        The directory.

    Returns
    -------
    list of str
        Those that were made, the uppermost first.

    Notes
    -----
    In a shared directory a new one is made aside and renamed: another user who finds it may write in it at once.
    """
    missing = []
    above = folder or "."
    while not os.path.isdir(above):
        missing.append(above)
        parent = os.path.dirname(above)
        if parent == above:
            break
        above = parent or "."
    for path in reversed(missing):
        mode = os.stat(os.path.dirname(path) or ".").st_mode
        if is_shared(mode):
            _make_shared(path, stat.S_IMODE(mode))
        else:
            with suppress(FileExistsError):
                os.mkdir(path)
    return missing[::-1]


def _make_shared(path: str, mode: int) -> None:
    aside = f"{os.path.dirname(path) or '.'}/{aside_name()}"
    os.mkdir(aside)
    try:
        os.chmod(aside, mode)
        os.rename(aside, path)  # in place of an empty one, which somebody has just made alike
    except OSError:
        with suppress(OSError):
            os.rmdir(aside)
        if not os.path.isdir(path):
            raise


def adopt_file(path: str, folder: str) -> None:
    """Give a file that is linked into a directory the group and the rights that this gives.

    Parameters
    ----------
    path : str
        The file, under whatever name.
    folder : str
        The directory; one that nobody shares changes nothing.

    Raises
    ------
    PermissionError
        If the file is somebody else's, or its owner is not in the directory's group: a copy would be right.

    Notes
    -----
    All names of a file have one owner, one group and one set of rights: so have staging's.
    """
    told = os.stat(folder or ".")
    if not is_shared(told.st_mode):
        return
    found = os.stat(path)
    wanted = told.st_mode & _FILE_BITS
    if found.st_gid != told.st_gid:
        os.chown(path, -1, told.st_gid)
    if found.st_mode & wanted != wanted:
        os.chmod(path, stat.S_IMODE(found.st_mode) | wanted)


def adopt_link(uri: Uri) -> None:
    """Give a file that was just linked into a directory what this gives, or take the link back.

    Parameters
    ----------
    uri : str or path
        The new name.

    Raises
    ------
    StorageError
        If it is somebody else's file. The name is gone again.
    """
    path = local_text(uri)
    if path is None:
        return
    try:
        adopt_file(path, os.path.dirname(path))
    except PermissionError as exc:
        os.unlink(path)
        raise StorageError(
            f"{path} cannot be a link: the file is another user's, and a group shares the repository",
            code="not-permitted",
            hint="Copy it: --mode copy.",
        ) from exc


@contextmanager
def sharing(places: Iterable[Uri], group: str | None) -> Iterator[None]:
    """Let a group share directories, unless what is then made in them fails.

    Parameters
    ----------
    places : iterable of str or path
        The directories, made if need be.
    group : str or None
        The group; that of each directory if empty, and nobody if None.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    UsageError
        If one is not local.
    NotFoundError, StorageError
        As for `share_folder`.
    """
    made: list[str] = []
    try:
        for place in places if group is not None else ():
            made += share_folder(_local(place), group or "")
        yield
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                os.rmdir(path)
        raise


def _local(place: Uri) -> str:
    path = local_text(place)
    if path is None:
        raise UsageError(
            f"{redact(place)} is not local: its store says who may write there",
            code="not-local",
            hint="Leave --shared out.",
        )
    return path


def share_folder(folder: str, group: str = "") -> list[str]:
    """Make a directory, unless it is there, and let a group share what will be made in it.

    Parameters
    ----------
    folder : str
        The directory.
    group : str, optional
        The group, by name or number; that of the directory by default.

    Returns
    -------
    list of str
        Directories that were made, the uppermost first.

    Raises
    ------
    NotFoundError
        If there is no such group.
    StorageError
        If this user may not do that. A directory that was not there is not there again.
    """
    made = make_folders(folder)
    try:
        if group:
            shutil.chown(folder, group=int(group) if group.isdigit() else group)
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        os.chmod(folder, mode | stat.S_ISGID | stat.S_IRWXG)  # noqa: S103 - that is what was asked for
        if not is_shared(
            os.stat(folder).st_mode
        ):  # the system drops the bit where the group is not one's own
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), folder)
    except (OSError, LookupError) as exc:
        for path in reversed(made):
            with suppress(OSError):
                os.rmdir(path)
        if isinstance(exc, LookupError):
            raise NotFoundError(
                f"there is no group '{group}' on this machine",
                code="no-such-group",
                hint="Name one of yours: see 'id'.",
            ) from exc
        raise StorageError(
            f"{folder} cannot be shared with the group {group or 'of the directory'}: {exc.strerror}",
            code="cannot-share",
            hint="Name a group that you are in (see 'id'), or let the directory's owner do it.",
        ) from exc
    return made
