"""Record files: what the quanta of one batch job came to, as the job leaves it for the merge.

Lines of JSON: a header that names the graph, the run and the job; one line a quantum; a trailer with their number and a
checksum of all bytes before it. With a name that ends in ``.zst`` all of it is compressed.

A file that a job has ended is written aside and renamed. While it runs (`stage.execution.record_writer`) each quantum
adds its line and another trailer, so that a job that is killed leaves a record of what it had done; of a line that was cut
off by that nothing counts. A job that was started more than once has a file for each start
(`stage.execution.starts`), and the last one is its record.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from registry.errors import IntegrityError, SchemaVersionError
from registry.model.digest import digest_bytes
from stage.execution.outcome import QuantumOutcome
from stage.execution.starts import STARTED_AGAIN, newest
from sync.filesystem import files

__all__ = ["RecordFile", "load_all", "read_lines", "trailer"]

_FORMAT = "stage-records"
_VERSION = 1
_MAX_BYTES = 1 << 31
_TRAILER = b'{"count":'


@dataclass(frozen=True)
class RecordFile:
    """What one job recorded.

    Parameters
    ----------
    graph_id : bytes
        16 bytes.
    run : str
        The RUN of its outputs.
    job : str
        What the job is called; may be empty.
    outcomes : tuple of QuantumOutcome
        What became of its quanta.
    host : str
        Where it was written.
    created_ns : int
        When; UTC nanoseconds since 1970.
    attempt : int
        How often the job had been tried before, as it was told.
    start : int
        How often it had been started before, as its record files tell.
    """

    graph_id: bytes
    run: str
    job: str
    outcomes: tuple[QuantumOutcome, ...]
    host: str = ""
    created_ns: int = 0
    attempt: int = 0
    start: int = 0

    def head(self) -> bytes:
        """Return the first line.

        Returns
        -------
        bytes
            With its end.
        """
        header = {
            "format": _FORMAT,
            "version": _VERSION,
            "graph": self.graph_id.hex(),
            "run": self.run,
            "job": self.job,
            "host": self.host or platform.node(),
            "created_ns": self.created_ns or time.time_ns(),
            **({"attempt": self.attempt} if self.attempt else {}),
            **({"start": self.start} if self.start else {}),
        }
        return _line(header)

    def body(self) -> bytes:
        """Return all lines but the trailer.

        Returns
        -------
        bytes
            The header and a line a quantum.
        """
        return b"".join([self.head(), *(o.to_json().encode() + b"\n" for o in self.outcomes)])

    def save(self, uri: files.Uri) -> None:
        """Write it, whole or not at all.

        Parameters
        ----------
        uri : str or path
            Where; compressed if it ends in ``.zst``.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        body = self.body()
        data = body + trailer(len(self.outcomes), digest_bytes(body))
        if str(uri).partition(STARTED_AGAIN)[0].endswith(".zst"):
            import zstandard

            data = zstandard.ZstdCompressor().compress(data)
        files.write_bytes(uri, data, durable=True)

    @classmethod
    def load(cls, uri: files.Uri) -> RecordFile:
        """Read the record of a job.

        Parameters
        ----------
        uri : str or path
            Where it is; of a job that was started again, the file of its last start is read.

        Returns
        -------
        RecordFile
            All of it, checked.

        Raises
        ------
        NotFoundError
            If there is no such file.
        IntegrityError
            If it is something else, cut off or damaged.
        SchemaVersionError
            If its version is not known here.
        """
        return cls.parse(uri, *read_lines(newest(uri)[0]))

    @classmethod
    def parse(cls, uri: files.Uri, header: dict[str, Any], lines: list[str]) -> RecordFile:
        """Make one from what `read_lines` gave.

        Parameters
        ----------
        uri : str or path
            Where it was, for messages.
        header : dict
            The first line.
        lines : list of str
            One a quantum.

        Returns
        -------
        RecordFile
            All of it, checked.

        Raises
        ------
        IntegrityError
            If a line is no record of a quantum.
        """
        try:
            outcomes = tuple([QuantumOutcome.from_json(line) for line in lines])
            return cls(
                bytes.fromhex(header["graph"]),
                str(header["run"]),
                str(header["job"]),
                outcomes,
                str(header["host"]),
                int(header["created_ns"]),
                int(header.get("attempt", 0)),
                int(header.get("start", 0)),
            )
        except (KeyError, TypeError, ValueError, IntegrityError) as error:
            raise _refused(uri, str(error)) from error


def read_lines(uri: files.Uri) -> tuple[dict[str, Any], list[str]]:
    """Read a record file, and check that it is as it was written.

    Parameters
    ----------
    uri : str or path
        The very file.

    Returns
    -------
    header : dict
        Its first line.
    lines : list of str
        JSON, one a quantum.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it is something else, cut off or damaged.
    SchemaVersionError
        If its version is not known here.
    """
    body, last = _split(_read(uri), uri)
    first, *rest = body.decode(errors="replace").rstrip("\n").split("\n")
    header = _document(first)
    if header.get("format") != _FORMAT:
        raise _refused(uri, "it is no record file")
    if header.get("version") != _VERSION:
        raise SchemaVersionError(
            f"record file {uri} has version {header.get('version')}",
            found=str(header.get("version")),
            supported=str(_VERSION),
            hint="Merge it with the version of stage that wrote it, or a newer one.",
        )
    # Trailers before the last one are those of a job that had not ended.
    lines = [line for line in rest if line[:1] != "{"]
    if last.get("checksum") != digest_bytes(body) or last.get("count") != len(lines):
        raise _refused(uri, "it was cut off or changed after it was written")
    return header, lines


def trailer(count: int, checksum: str) -> bytes:
    """Return the line that makes all before it a record file.

    Parameters
    ----------
    count : int
        Quanta in it.
    checksum : str
        Of all bytes before.

    Returns
    -------
    bytes
        With its end.
    """
    return _line({"count": count, "checksum": checksum})


def _read(uri: files.Uri) -> bytes:
    data = files.read_bytes(uri)
    if not data.startswith(b"\x28\xb5\x2f\xfd"):
        return data
    import zstandard

    try:
        if zstandard.frame_content_size(data) > _MAX_BYTES:
            raise _refused(uri, "it is too large")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise _refused(uri, f"it cannot be decompressed ({error})") from error


def _split(data: bytes, uri: files.Uri) -> tuple[bytes, dict[str, Any]]:
    """Take the last trailer off, with what a killed job had begun to write after it; without one the file is none."""
    stop = data.rfind(b"\n") + 1
    while stop > 0:
        start = data.rfind(b"\n", 0, stop - 1) + 1
        if data.startswith(_TRAILER, start):
            return data[:start], _document(data[start:stop].decode(errors="replace"))
        if data[start : start + 1] == b"{":
            break
        stop = start
    known = data[:200].find(_FORMAT.encode()) >= 0
    raise _refused(uri, "it was cut off" if known else "it is no record file")


def _document(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _refused(uri: files.Uri, why: str) -> IntegrityError:
    return IntegrityError(
        f"record file {files.redact(uri)} is refused: {why}",
        code="bad-record-file",
        hint="Run its job again.",
    )


def load_all(uris: Iterable[files.Uri]) -> list[tuple[str, RecordFile]]:
    """Read several record files.

    Parameters
    ----------
    uris : iterable of str or path
        Where they are.

    Returns
    -------
    list of (str, RecordFile)
        Each with where it is, in the order given.
    """
    return [(files.redact(uri), RecordFile.load(uri)) for uri in uris]
