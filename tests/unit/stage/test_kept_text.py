"""Text of which a head and a tail are kept: how much, where it is cut, and what is in the file meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stage.execution.kept import KeptText
from stage.execution.logs import OutputCapture, QuantumLog


def lines(first: int, last: int) -> list[str]:
    return [f"line {i:06d}" for i in range(first, last)]


def fill(kept: KeptText, n: int) -> None:
    for line in lines(0, n):
        kept.add(line + "\n")


def test_short_text_is_kept_whole(tmp_path: Path) -> None:
    """Below the limit nothing is left out, in memory and in the file."""
    kept = KeptText(str(tmp_path / "deep" / "log"), 1000)
    fill(kept, 80)
    kept.close()

    assert lines(0, 80) == kept.text.splitlines()
    assert kept.text == (tmp_path / "deep" / "log").read_text()


def test_of_long_text_head_and_tail_are_kept(tmp_path: Path) -> None:
    """A line between them says how many bytes were left out, and none is cut in the middle."""
    kept = KeptText(limit=1000)
    fill(kept, 10_000)
    found = kept.text.splitlines()
    place = next(i for i, line in enumerate(found) if line.startswith("..."))
    (left_out,) = re.findall(r"^\.\.\. (\d+) bytes left out \.\.\.$", found[place])

    assert lines(0, place) == found[:place]
    assert lines(10_000 - len(found) + place + 1, 10_000) == found[place + 1 :]
    assert 900 < len(kept.text) < 1050
    assert 12 * 10_000 == int(left_out) + 12 * (len(found) - 1)


def test_the_file_is_bounded_and_has_the_end(tmp_path: Path) -> None:
    """Whoever watches sees the newest line, and the file never grows beyond one and a half times the limit."""
    path = tmp_path / "log"
    kept = KeptText(str(path), 1000)
    sizes = []
    for line in lines(0, 1000):
        kept.add(line + "\n")
        sizes.append(path.stat().st_size)
        assert path.read_text().endswith(line + "\n")

    assert max(sizes) < 1600


def test_what_another_process_left_is_gone_on_with(tmp_path: Path) -> None:
    """The log of a worker that died is what its file had, cut to the limit."""
    dead = KeptText(str(tmp_path / "log"), 1000)
    fill(dead, 500)
    kept = KeptText(limit=1000)
    kept.resume(str(tmp_path / "log"))
    kept.add("it died\n")

    assert kept.text.startswith("line 000000\n")
    assert kept.text.endswith("line 000499\nit died\n")


def test_no_limit_keeps_all() -> None:
    """With a limit of 0 nothing is ever left out."""
    kept = KeptText(limit=0)
    fill(kept, 1000)

    assert lines(0, 1000) == kept.text.splitlines()


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000 + "\n", "a\n" + "b" * 5000 + "\nc\n"])
def test_lines_longer_than_the_limit_are_cut(text: str) -> None:
    """A single endless line is bounded too, and a letter of several bytes does no harm."""
    kept = KeptText(limit=1000)
    kept.add(text)

    assert len(kept.text) < 1100
    assert "bytes left out" in kept.text


def test_prints_without_an_end_of_line_are_bounded() -> None:
    """A task that prints dots for ever, each by itself, costs no memory and no time beyond the printing."""
    log = QuantumLog(limit=10_000)
    stream = OutputCapture("stdout")
    with OutputCapture.into(log):
        for _ in range(200_000):
            stream.write(".")
        stream.finish()

    assert len(log.text) < 11_000


def test_printed_blocks_are_marked_line_by_line() -> None:
    """However many lines a print has, each is marked as printed, with its stream."""
    log = QuantumLog()
    stream = OutputCapture("stderr")
    with OutputCapture.into(log):
        stream.write("a\nb\n\nc")
        stream.write("d\n")

    assert [line.split("Z ")[1] for line in log.text.splitlines()] == [
        "stderr: a", "stderr: b", "stderr: ", "stderr: cd"
    ]  # fmt: skip
