"""Graph files that were damaged or forged, and a reader that tries everything with them.

A *damaged* file has other bytes than were written. A *forged* one has right checksums all the way down, and nonsense under
them: somebody took it apart and sealed it again.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard

from registry.errors import StageError
from stage.graph.file import form
from stage.graph.file.reader import GraphFile

__all__ = ["DAMAGES", "FORGERIES", "Parts", "exercise"]

NUMBERS = (0, 1, -1, 2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**31), -(2**63))
ODD_VALUES: tuple[Any, ...] = (
    *NUMBERS,
    None,
    True,
    "",
    "x",
    "../..",
    "\ud800",
    [],
    {},
    [[]],
    1.5,
    float("inf"),
    "0" * 5000,
)


class Parts:
    """A graph file taken apart, to be put together again with right checksums.

    Parameters
    ----------
    data : bytes
        The file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        trailer = form.read_trailer("parts", data[:16], data[-form.TRAILER_BYTES :], len(data))
        found = {name: getattr(trailer, name) for name in form.SECTIONS}
        self.sections = {
            name: form.unpack_json(data[s.offset : s.offset + s.length]) for name, s in found.items()
        }
        self.raw: dict[str, bytes] = {}
        """Sections to be written as these bytes, whatever the document says."""
        self.blocks: list[list[bytes]] = []
        self.rows: list[list[int]] = []
        self.words: dict[int, int] = {}
        """Numbers of the indexes, counted through, to be written otherwise."""
        for entry in self.stored:
            index = data[entry["index"][0] :][: entry["index"][1]]
            n = (len(index) - 16) // 32
            words = struct.unpack_from(f"<{2 * (n + 1)}q", index)
            self.rows.append(list(words[: n + 1]))
            places = words[n + 1 :]
            self.blocks.append([data[a:b] for a, b in pairwise(places)])

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Entries of tables that have rows of their own."""
        return [t for t in self.sections["directory"]["tables"] if "index" in t]

    def sealed(self) -> bytes:
        """Return the file with all checksums right."""
        body = bytearray(form.HEAD)
        indexes, count = [], 0
        for rows, blocks in zip(self.rows, self.blocks, strict=True):
            places = [len(body)]
            for block in blocks:
                body += block
                places.append(len(body))
            words = [*rows, *places]
            for i in range(len(words)):
                words[i] = self.words.get(count, words[i])
                count += 1
            indexes.append(struct.pack(f"<{len(words)}q", *words) + b"".join(map(form.checksum, blocks)))
        for entry, index in zip(self.stored, indexes, strict=False):
            entry["index"] = [len(body), len(index), form.checksum(index).hex()]
            body += index
        sections = {n: self.raw.get(n) or form.pack_json(self.sections[n]) for n in form.SECTIONS}
        for name in form.SECTIONS:
            body += sections[name]
        return bytes(body) + form.write_trailer(len(body), sections)


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(p for k, v in items for p in paths_of(v, (*at, k)))]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 9))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _drop(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 8, 100, 1000))]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 8, 100, 3000)))


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    more = rng.choice((b"\0" * 64, b"\xff" * 16, struct.pack("<q", rng.choice(NUMBERS)), rng.randbytes(32)))
    data[at : at + len(more)] = more[: len(data) - at]


def _swap(data: bytearray, rng: random.Random) -> None:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    a, b, c, d = cuts
    data[a:d] = data[c:d] + data[b:c] + data[a:b]


def _lengths(data: bytearray, rng: random.Random) -> None:
    """Write lengths and sizes of somebody's choice into the trailer, and its checksum over them."""
    start = len(data) - form.TRAILER_BYTES
    at = start + rng.choice((8, 16, 40, 64))
    data[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS) % 2**64)
    stop = len(data) - form.DIGEST_BYTES - len(form.MAGIC)
    data[stop : stop + form.DIGEST_BYTES] = form.checksum(bytes(data[start:stop]))


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _cut, _drop, _insert, _overwrite, _swap, _lengths,
)  # fmt: skip
"""Each changes the bytes of a file in place."""


def _document(parts: Parts, rng: random.Random) -> None:
    """Put another value somewhere into one of the documents."""
    name = rng.choice(form.SECTIONS)
    document = parts.sections[name] = copy.deepcopy(parts.sections[name])
    for _ in range(rng.choice((1, 1, 3))):
        places = paths_of(document)[1:]
        if not places:
            return
        *parents, last = rng.choice(places)
        inside: Any = document
        for key in parents:
            inside = inside[key]
        if rng.random() < 0.2:
            del inside[last]
        else:
            inside[last] = copy.deepcopy(rng.choice(ODD_VALUES))


def _section(parts: Parts, rng: random.Random) -> None:
    """Put a valid frame of anything in the place of a document."""
    content = rng.choice((
        b"", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b'"' + b"x" * 10**6 + b'"', b"9" * 10**5, b"NaN",
        b" " * (form.MAX_JSON_BYTES + 1), b"[" + b"{}," * 10**5 + b"{}]",
    ))  # fmt: skip
    frame = zstandard.ZstdCompressor(level=1).compress(content)
    if rng.random() < 0.3:  # a frame that lies about its size: the field of 8 bytes after the descriptor
        frame = frame[:4] + bytes([0xE0]) + struct.pack("<Q", rng.choice(NUMBERS) % 2**64) + frame[6:]
    parts.raw[rng.choice(form.SECTIONS)] = frame


def _content(parts: Parts, rng: random.Random) -> None:
    """Change what a block holds, and compress it again."""
    table = rng.choice([i for i, blocks in enumerate(parts.blocks) if blocks])
    number = rng.randrange(len(parts.blocks[table]))
    data = bytearray(zstandard.ZstdDecompressor().decompress(parts.blocks[table][number]) or b"\0")
    for _ in range(rng.choice((1, 2, 5))):
        rng.choice((_flip, _cut, _insert, _overwrite, _heads))(data, rng)
        if not data:
            break
    parts.blocks[table][number] = zstandard.ZstdCompressor(level=1).compress(bytes(data))


def _heads(data: bytearray, rng: random.Random) -> None:
    """Put a head of integers somewhere: constants and progressions of any values, without bytes of their own."""
    at = rng.choice((0, 8, 24, 32, 48, 56, rng.randrange(len(data))))
    head = struct.pack(
        "<BBHIqq",
        rng.randrange(3),
        rng.choice((0, 0, 1, 8, 3)),
        0,
        0,
        rng.choice(NUMBERS),
        rng.choice(NUMBERS),
    )
    data[at : at + 24] = rng.choice((head, struct.pack("<q", rng.choice(NUMBERS)) + head))


def _bomb(parts: Parts, rng: random.Random) -> None:
    """Put a frame in the place of a block that becomes very large, or says so."""
    table = rng.choice([i for i, blocks in enumerate(parts.blocks) if blocks])
    size = rng.choice((10**6, form.MAX_BLOCK_BYTES, form.MAX_BLOCK_BYTES + 1))
    parts.blocks[table][0] = zstandard.ZstdCompressor(level=1).compress(bytes(size))


def _index(parts: Parts, rng: random.Random) -> None:
    """Put other numbers into the indexes: rows and offsets of blocks."""
    total = sum(len(rows) + len(blocks) + 1 for rows, blocks in zip(parts.rows, parts.blocks, strict=True))
    for _ in range(rng.choice((1, 2, 6))):
        parts.words[rng.randrange(total)] = rng.choice((*NUMBERS, 16, 17, 100))


def _exchange(parts: Parts, rng: random.Random) -> None:
    """Exchange the blocks of two tables."""
    a, b = (rng.randrange(len(parts.blocks)) for _ in range(2))
    parts.blocks[a], parts.blocks[b] = parts.blocks[b], parts.blocks[a]
    if rng.random() < 0.5:
        parts.rows[a], parts.rows[b] = parts.rows[b], parts.rows[a]


def _rows(parts: Parts, rng: random.Random) -> None:
    """Promise many rows, in the directory, the layout and the index alike, of constants that take no bytes."""
    many = rng.choice((2**16, 2**17, 2**31, 2**40))
    directory = parts.sections["directory"] = copy.deepcopy(parts.sections["directory"])
    head = struct.pack("<BBHIqq", 0, 0, 0, 0, 0, 0)
    for i, entry in enumerate(parts.stored):
        entry["rows"] = many
        lists = [c["kind"] == "list" for c in entry["columns"]]
        content = b"".join(
            struct.pack("<q", rng.choice((0, many, 2**26))) + 2 * head if one else head for one in lists
        )
        parts.blocks[i] = [zstandard.ZstdCompressor().compress(content)] * rng.choice((1, 1, 40))
        n = len(parts.blocks[i])
        parts.rows[i] = [k * many // n for k in range(n + 1)]
    for kind in directory["layout"]["tasks"] + directory["layout"]["types"]:
        kind[3 if isinstance(kind[2], list) else 4] = many


FORGERIES: tuple[Callable[[Parts, random.Random], None], ...] = (
    _document, _document, _section, _content, _content, _bomb, _index, _exchange, _rows,
)  # fmt: skip
"""Each changes parts of a file in place, before it is sealed."""


def exercise(path: Path) -> int:
    """Read a file in every way; return how many of these were refused by an error of ours, and let any other error through."""
    refused = 0
    try:
        file = GraphFile.open(path)
    except StageError:
        return 1
    n = file.n_quanta

    def each_task(ask: Callable[[str], object]) -> None:
        for task in file.layout.tasks:
            ask(task.label)

    ways: list[Callable[[], object]] = [
        lambda: repr(file),
        lambda: file.universe,
        lambda: file.tasks,
        lambda: file.quantum(0),
        lambda: file.quantum(n - 1),
        lambda: file.quantum(n // 2).records,
        lambda: list(file.quanta(range(0, n, max(1, n // 5)))),
        lambda: file.packages,
        lambda: each_task(file.init_outputs),
        lambda: each_task(file.init_inputs),
        lambda: each_task(file.node),
        lambda: [file.records(name) for name in file.universe.elements],
        lambda: file.load().dependencies(),
        lambda: list(file.load().quanta(range(min(3, n)))),
        file.verify,
    ]
    for way in ways:
        try:
            way()
        except StageError:
            refused += 1
    file.close()
    return refused
