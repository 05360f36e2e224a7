"""Starts of a job: who may still act for it, where nobody can be asked who lives.

A scheduler may start a job again while the process of an earlier start is only cut off, or stopped. Each start claims the
next number by making a record file that nobody else can make: ``<record>`` for the first, ``<record>.start-1`` for the
one after it. Only its maker writes a record file, so that none overwrites another's, and the one of the highest number
counts. That it exists is what tells all earlier starts to leave things alone. See ``docs/design/jobs.md``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from registry.errors import AlreadyExistsError
from stage.errors import SupersededError
from sync.filesystem import files

__all__ = ["STARTED_AGAIN", "Fence", "claim", "newest", "newest_of", "start_uri"]

STARTED_AGAIN = ".start-"
"""What follows the name of a job's record file in those of its later starts."""


class Fence:
    """Tells whether a start of a job may still write.

    Parameters
    ----------
    uri : str
        The record file of the start that would come next.
    """

    __slots__ = ("uri",)

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @property
    def is_down(self) -> bool:
        """Whether a later start has begun; one look at one name."""
        return files.exists(self.uri)

    def check(self) -> None:
        """Refuse to go on for a job that has been started again.

        Raises
        ------
        SupersededError
            If a later start has begun.
        """
        if self.is_down:
            raise SupersededError(
                f"this job has been started again: there is {files.redact(self.uri)}",
                hint="Nothing is to be done: what the later start records is what counts.",
                context={"uri": self.uri},
            )


def start_uri(record: files.Uri, number: int) -> str:
    """Return the record file of one start of a job.

    Parameters
    ----------
    record : str or path
        The job's.
    number : int
        How many starts were before.

    Returns
    -------
    str
        Where that start records.
    """
    return f"{os.fspath(record)}{STARTED_AGAIN}{number}" if number else os.fspath(record)


def newest(record: files.Uri) -> tuple[str, int]:
    """Find the last start of a job.

    Parameters
    ----------
    record : str or path
        The job's record file.

    Returns
    -------
    uri : str
        The record file of that start; the job's own, which need not be there, where it was started no more than once.
    number : int
        How many starts were before it.
    """
    number = 0
    while files.exists(start_uri(record, number + 1)):
        number += 1
    return start_uri(record, number), number


def newest_of(names: Iterable[str]) -> list[str]:
    """Choose from a list of record files those of the last start of each job.

    Parameters
    ----------
    names : iterable of str
        All there are.

    Returns
    -------
    list of str
        One a job, sorted.
    """
    last: dict[str, int] = {}
    for name in names:
        stem, mark, number = name.rpartition(STARTED_AGAIN)
        later = bool(mark) and number.isdigit()
        job = stem if later else name
        last[job] = max(last.get(job, 0), int(number) if later else 0)
    return [start_uri(job, last[job]) for job in sorted(last)]


def claim(record: files.Uri, number: int, content: bytes) -> bool:
    """Try to be one start of a job.

    Parameters
    ----------
    record : str or path
        The job's record file.
    number : int
        Which start.
    content : bytes
        A record file that has nothing yet.

    Returns
    -------
    bool
        False if somebody else is that start.
    """
    from sync.filesystem.creating import create

    try:
        create(start_uri(record, number), (content,))
    except AlreadyExistsError:
        return False
    return True
