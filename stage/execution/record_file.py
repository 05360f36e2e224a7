"""Record files: what the quanta of one batch job came to, as the job leaves it for the merge.

Lines of JSON: a header that names the graph, the run and the job; one line a quantum; a trailer with their number and a
checksum of all bytes before it. Written aside and renamed, so a file under its name is whole. With a name that ends
in ``.zst`` all of it is compressed.
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
from sync.filesystem import files

__all__ = ["RecordFile"]

_FORMAT = "stage-records"
_VERSION = 1
_MAX_BYTES = 1 << 31


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
    """

    graph_id: bytes
    run: str
    job: str
    outcomes: tuple[QuantumOutcome, ...]
    host: str = ""
    created_ns: int = 0

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
        header = {
            "format": _FORMAT,
            "version": _VERSION,
            "graph": self.graph_id.hex(),
            "run": self.run,
            "job": self.job,
            "host": self.host or platform.node(),
            "created_ns": self.created_ns or time.time_ns(),
        }
        lines = [_line(header), *(o.to_json() for o in self.outcomes)]
        body = ("\n".join(lines) + "\n").encode()
        data = body + _line({"count": len(self.outcomes), "checksum": digest_bytes(body)}).encode() + b"\n"
        if str(uri).endswith(".zst"):
            import zstandard

            data = zstandard.ZstdCompressor().compress(data)
        files.write_bytes(uri, data, durable=True)

    @classmethod
    def load(cls, uri: files.Uri) -> RecordFile:
        """Read one.

        Parameters
        ----------
        uri : str or path
            Where it is.

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
        body, trailer = _split(_read(uri), uri)
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
        if trailer.get("checksum") != digest_bytes(body) or trailer.get("count") != len(rest):
            raise _refused(uri, "it was cut off or changed after it was written")
        try:
            outcomes = tuple(QuantumOutcome.from_json(line) for line in rest)
            return cls(
                bytes.fromhex(header["graph"]),
                str(header["run"]),
                str(header["job"]),
                outcomes,
                str(header["host"]),
                int(header["created_ns"]),
            )
        except (KeyError, TypeError, ValueError, IntegrityError) as error:
            raise _refused(uri, str(error)) from error


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
    """Take the trailer off; without one the file was cut off, or is another's."""
    start = data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1
    trailer = _document(data[start:].decode(errors="replace"))
    if not data.endswith(b"\n") or "checksum" not in trailer or not start:
        known = data[:200].find(_FORMAT.encode()) >= 0
        raise _refused(uri, "it was cut off" if known else "it is no record file")
    return data[:start], trailer


def _document(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


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
