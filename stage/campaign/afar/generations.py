"""`Generations`: a campaign as it is kept at a URI, in numbered listings and in pieces that never change.

```
URI/.campaign/generations/00000017.json    a listing; each is written once, by whoever comes first
URI/.campaign/pieces/ab/abcd….zst           pieces of files, by checksum
URI/.campaign/lock.json                     who is changing it
```

To save is to send the pieces that are not there, then to make the next listing *if there is none of its number*: that one
request decides. So what is read is always one whole generation, and of two who save at a time one is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import zstandard

from registry.errors import AlreadyExistsError, ConflictError, IntegrityError
from registry.model.digest import digest_bytes
from stage.campaign.afar.listing import PIECE_BYTES, Listing, pieces_in
from sync.filesystem import files
from sync.filesystem.creating import create

__all__ = ["Generations"]

_KEPT = 5
"""So many generations stay, for those who still read one."""
_AT_ONCE = 8


class Generations:
    """What is kept of a campaign at a URI.

    Parameters
    ----------
    uri : str
        The campaign's directory.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._root = files.join(self.uri, ".campaign")

    @property
    def lock(self) -> str:
        """Where it is noted who is changing it."""
        return files.join(self._root, "lock.json")

    def latest(self) -> int:
        """Return the number of the newest generation; 0 if there is none.

        Returns
        -------
        int
            From 1.
        """
        return max(self._numbers(), default=0)

    def load(self, number: int) -> Listing:
        """Read one generation's listing.

        Parameters
        ----------
        number : int
            Which; 0 is the empty one.

        Returns
        -------
        Listing
            Its files.
        """
        if not number:
            return Listing()
        where = self._place(number)
        return Listing.from_json(files.read_bytes(where), files.redact(where))

    @contextmanager
    def sending(self) -> Iterator[Callable[[str, bytes], object]]:
        """Send pieces, several at a time; all of them are there when this ends.

        Yields
        ------
        callable
            Takes checksum and bytes of a piece; waits where many are on their way.

        Raises
        ------
        StorageError
            If one cannot be written.
        """
        room = threading.Semaphore(2 * _AT_ONCE)
        sent: list[Future[None]] = []

        def send(piece: str, data: bytes) -> None:
            room.acquire()
            sent.append(pool.submit(self._send, piece, data))
            sent[-1].add_done_callback(lambda _: room.release())

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield send
        for one in sent:
            one.result()

    def add(self, listing: Listing) -> None:
        """Save a generation.

        Parameters
        ----------
        listing : Listing
            With the number after the newest; its pieces are there.

        Raises
        ------
        ConflictError
            If somebody else has saved one of that number meanwhile; theirs is as it was.
        StorageError
            If it cannot be written; then there is no new generation.
        """
        try:
            create(self._place(listing.number), (listing.to_json(),))
        except AlreadyExistsError as error:
            other = self.load(listing.number)
            raise ConflictError(
                f"{files.redact(self.uri)} was changed meanwhile by {other.by}",
                code="campaign-moved-on",
                hint="What was changed here is in this machine's copy only: the next command says where.",
            ) from error
        self._tidy(listing)

    def read(self, pieces: Iterable[str]) -> Iterator[bytes]:
        """Read pieces, several at a time.

        Parameters
        ----------
        pieces : iterable of str
            Their checksums.

        Yields
        ------
        bytes
            In the same order.

        Raises
        ------
        IntegrityError
            If one is not what it was.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(self._read, pieces)

    def _read(self, piece: str) -> bytes:
        where = self._piece(piece)
        try:
            data = zstandard.ZstdDecompressor().decompress(
                files.read_bytes(where), max_output_size=PIECE_BYTES
            )
        except zstandard.ZstdError as error:
            raise _damaged(where) from error
        if digest_bytes(data) != piece:
            raise _damaged(where)
        return data

    def _send(self, piece: str, data: bytes) -> None:
        try:
            create(self._piece(piece), (zstandard.ZstdCompressor(level=1).compress(data),))
        except AlreadyExistsError:
            return  # the same content, from an earlier generation or from a save that was killed

    def _tidy(self, newest: Listing) -> None:
        """Remove generations of long ago, and what only they need."""
        numbers = sorted(self._numbers())
        old, kept = numbers[:-_KEPT], numbers[-_KEPT:]
        if not old:
            return
        needed = pieces_in([newest, *(self.load(n) for n in kept if n != newest.number)])
        gone = pieces_in(self.load(n) for n in old) - needed
        for number in old:
            files.remove(self._place(number), missing_ok=True)
        for piece in gone:
            files.remove(self._piece(piece), missing_ok=True)

    def _numbers(self) -> list[int]:
        names = files.list_files(files.join(self._root, "generations"))
        return [int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal()]

    def _place(self, number: int) -> str:
        return files.join(self._root, f"generations/{number:08d}.json")

    def _piece(self, piece: str) -> str:
        name = piece.rpartition(":")[2]
        return files.join(self._root, f"pieces/{name[:2]}/{name}.zst")


def _damaged(where: str) -> IntegrityError:
    return IntegrityError(
        f"{files.redact(where)} is not what was written there",
        code="bad-piece",
        hint="The store has damaged it; an earlier generation may not need it.",
    )
