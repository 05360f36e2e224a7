"""`Fetcher`: brings home what ended jobs have left: what they made, their logs, and then their records."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import IntegrityError, NotFoundError, StorageError
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.home import Home
from stage.batch.engines.ssh.inputs import newest_artifacts
from stage.batch.engines.ssh.translating import FarRun
from stage.execution.starts import start_uri
from sync.filesystem import files
from sync.filesystem.tally import Tally

if TYPE_CHECKING:
    from stage.execution.outcome import StoredArtifact

__all__ = ["Ended", "Fetcher"]

_log = logging.getLogger(__name__)
_STARTS_AT_ONCE = 3
_COMING = "coming"
_ABSENT = "far-absent"


class NotRecordedError(IntegrityError):
    """What has come is whole, and is not what its job recorded."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended there.

    Parameters
    ----------
    number, attempt : int
        Which.
    log : str
        Its log, relative to the submission's directory.
    """

    number: int
    attempt: int
    log: str


@dataclass
class _Coming:
    """What is to come of some jobs: by name there the place here, and what it must be."""

    places: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)


class Fetcher:
    """Fetches what jobs leave.

    Parameters
    ----------
    run : FarRun
        Where it is.
    home : Home
        Where it goes.
    """

    def __init__(self, run: FarRun, home: Home) -> None:
        self._run, self._home = run, home

    def fetch(self, connection: Connection, ended: Sequence[Ended]) -> dict[int, str]:
        """Bring home what some jobs have left, each file whole or not at all.

        Parameters
        ----------
        connection : Connection
            This thread's.
        ended : sequence of Ended
            The jobs.

        Returns
        -------
        dict of int to str
            Of jobs of which something did not come as it was recorded, what.

        Raises
        ------
        StorageError
            If the line breaks, or home's disk does not take it. What has come stays, and need not come again.
        """
        records = self._fetch_records(connection, ended)
        coming, of_job, wrong = _Coming(), {}, {}
        for job in ended:
            for artifact in newest_artifacts(records[job.number][-1]) if job.number in records else ():
                if not _is_inside(artifact.uri):
                    wrong[job.number] = (
                        f"its record names {artifact.uri}, which is no name below the datastore"
                    )
                elif not self._has(artifact):
                    name = f"{self._run.data}/{artifact.uri}"
                    coming.places[name] = files.join(self._home.data, artifact.uri)
                    coming.artifacts[name] = artifact
                    of_job[name] = job.number
        bad = self._fetch_into(connection, coming)
        self._fetch_logs(connection, ended)
        for number, paths in records.items():
            self._name_records(number, paths)
        return wrong | {of_job[name]: why for name, why in bad.items()}

    def close(self) -> None:
        """Remove the directory of what is on its way, if nothing is."""
        with contextlib.suppress(OSError):
            (self._home.where.engine / _COMING).rmdir()

    def _fetch_records(self, connection: Connection, ended: Sequence[Ended]) -> dict[int, list[str]]:
        """Bring the record files of jobs that home lacks, and the last of each, under names that no reader looks at."""
        with_quanta = [job.number for job in ended if len(self._home.quanta_of(job.number))]
        there = self._record_names(connection, with_quanta)
        coming, found = _Coming(), {}
        folder = self._home.where.engine / _COMING
        for number, names in there.items():
            found[number] = [str(folder / Path(name).name) for name in names]
            for name, path in zip(names, found[number], strict=True):
                coming.places[f"{self._run.submit}/{name}"] = path
        self._fetch_into(connection, coming)
        return {
            number: kept
            for number, paths in found.items()
            if (kept := [p for p in paths if Path(p).exists()])
        }

    def _record_names(self, connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        left, first = list(numbers), 0
        while left:
            asked = {n: self._starts_of(n, first) for n in left}
            sizes = iter(
                connection.stat([f"{self._run.submit}/{s}" for names in asked.values() for s in names])
            )
            there = {n: [s for s in names if next(sizes) is not None] for n, names in asked.items()}
            for number, names in there.items():
                if names:
                    found[number] = [*found.get(number, []), *names]
            left = [n for n in left if len(there[n]) == _STARTS_AT_ONCE]
            first += _STARTS_AT_ONCE
        return {n: [s for s in names if s == names[-1] or not self._at_home(s)] for n, names in found.items()}

    def _starts_of(self, number: int, first: int) -> list[str]:
        record = self._home.where.record(number).relative_to(self._home.where.root)
        return [start_uri(record, start) for start in range(first, first + _STARTS_AT_ONCE)]

    def _at_home(self, name: str) -> bool:
        return (self._home.where.root / name).exists()

    def _name_records(self, number: int, paths: Sequence[str]) -> None:
        folder = self._home.where.record(number).parent
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            _give_name(path, folder / Path(path).name)

    def _fetch_logs(self, connection: Connection, ended: Sequence[Ended]) -> None:
        coming = _Coming()
        for job in ended:
            if job.log:
                coming.places[f"{self._run.submit}/{job.log}"] = str(self._home.where.root / job.log)
        self._fetch_into(connection, coming)

    def _has(self, artifact: StoredArtifact) -> bool:
        place = files.join(self._home.data, artifact.uri)
        try:
            return files.size(place) == artifact.size and files.checksum(place)[1] == artifact.checksum
        except NotFoundError:
            return False

    def _fetch_into(self, connection: Connection, coming: _Coming) -> dict[str, str]:
        """Fetch files to their places; return what is wrong with those that were not as they are recorded."""
        if not coming.places:
            return {}
        bad: dict[str, str] = {}

        def take(name: str, chunks: Iterator[bytes]) -> None:
            artifact = coming.artifacts.get(name)
            try:
                files.write_stream(coming.places[name], _checked(chunks, artifact) if artifact else chunks)
            except NotRecordedError as error:
                bad[name] = error.message
            except NotFoundError as error:
                # A file is in the way of a directory: that is said of what is to be read.
                raise StorageError(
                    f"cannot write {coming.places[name]}: {error}",
                    code="not-permitted",
                    hint="See what is in its way.",
                ) from error

        try:
            connection.fetch(list(coming.places), take)
        except NotFoundError as error:
            if error.code != _ABSENT:
                raise
            # A job that was ended before it began has no log; of one that was killed the record lists all that is there.
            _log.debug("%s", error)
        for why in bad.values():
            _log.warning("%s", why)
        return bad


def _give_name(source: str, target: Path) -> None:
    """Give a file that has come its name.

    Parameters
    ----------
    source : str
        Where it is.
    target : pathlib.Path
        Where it goes, on the same file system unless somebody has linked one of the two elsewhere.
    """
    try:
        Path(source).replace(target)
    except OSError:
        shutil.copyfile(source, aside := target.with_name(f".{target.name}.part"))
        aside.replace(target)
        Path(source).unlink()


def _is_inside(uri: str) -> bool:
    """Tell whether a name stays below the datastore: what comes from another machine writes nowhere else."""
    return not files.is_absolute(uri) and not {"", ".", ".."} & set(uri.split("/"))


def _checked(chunks: Iterator[bytes], artifact: StoredArtifact) -> Iterator[bytes]:
    """Let the bytes of a file pass, and refuse it at its end if it is not what the record says."""
    tally = Tally()
    for chunk in chunks:
        tally.take(chunk)
        yield chunk
    if (tally.size, tally.checksum) != (artifact.size, artifact.checksum):
        raise NotRecordedError(
            f"{artifact.uri} has come home with {tally.size:,} bytes, {tally.checksum}; "
            f"its job recorded {artifact.size:,} bytes, {artifact.checksum}",
            code="not-as-recorded",
        )
