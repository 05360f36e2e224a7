"""Tasks that cut books into chunks which nobody knows beforehand; the cuts are found out by a task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from stage import DimensionRecords, Input, Output, Struct, Task, task
from stage.pipeline.connections import Connections

BOOK, CHUNK = ("book",), ("book", "chunk")


@task(
    dimensions=BOOK,
    inputs={"text": Input("text", "Text")},
    outputs={"parts": Output("parts", "Json"), "chunks": DimensionRecords("found_chunks", records="chunk")},
)
def cut(text: str, size: int = 2, label: str = "c", odd: str = "") -> dict[str, Any]:
    """Cut a text into chunks of so many words."""
    words = text.split()
    if "broken" in words:
        raise ValueError("a broken book")
    parts = [words[i : i + size] for i in range(0, len(words), size)]
    records = [{"chunk": i, "words": len(p), "label": f"{label}{i}"} for i, p in enumerate(parts)]
    if odd:
        records.append({"chunk": 99, "colour": odd})
    return {"parts": {str(i): p for i, p in enumerate(parts)}, "chunks": records}


@task(
    dimensions=CHUNK,
    inputs={"parts": Input("parts", "Json", dimensions=BOOK)},
    outputs={"upper": Output("upper", "Json")},
)
def shout(parts: dict[str, list[str]], data_id: dict[str, Any], fail: int = -1) -> str:
    """Put one chunk into capitals."""
    if os.environ.get("STAGE_TEST_DIE"):
        os._exit(9)
    if data_id["chunk"] == fail:
        raise ValueError("will not shout")
    return " ".join(parts[str(data_id["chunk"])]).upper()


class GatherConnections(Connections, dimensions=BOOK):
    """All chunks of a book."""

    uppers = Input("upper", "Json", dimensions=CHUNK, multiple=True, deferred=True)
    whole = Output("whole", "Text")


class Gather(Task):
    """Puts the chunks together again."""

    ConnectionsClass = GatherConnections

    def run(self, uppers: list[Any]) -> Struct:
        """Join them in order."""
        ordered = sorted(uppers, key=lambda d: d.data_id["chunk"])
        return Struct(whole=" ".join(d.get() for d in ordered))


@task(
    dimensions=BOOK,
    inputs={"files": Input("files", "FileSet")},
    outputs={"spelt": Output("spelt", "FileSet")},
)
def spell(files: Any, spelt: Path) -> None:
    """Spell each word, a file a word, into the directory that is given."""
    for name in files:
        word = files.text(name).strip()
        (spelt / word).write_text(" ".join(word))


class GreedyConnections(Connections, dimensions=BOOK):
    """A number that was found out before."""

    n = Input("n_words", "Json", type=int)
    twice = Output("twice", "Json", type=int)


class Greedy(Task):
    """Needs as much memory as the number says."""

    ConnectionsClass = GreedyConnections

    def resources(self, data_id: dict[str, Any], inputs: Any) -> dict[str, int]:
        """Look at the number, and at how large its file is."""
        if data_id["book"] == "void":
            raise ValueError("nobody knows")
        assert inputs.count("n") == 1
        assert 0 < inputs.size("n") < 1
        return {"memory_mb": 200 + inputs.value("n"), "cpus": 2}

    def run(self, n: int) -> Struct:
        """Double it."""
        return Struct(twice=2 * n)
