"""Thousands of damaged and forged graph files: none makes a reader crash, hang, or take the machine's memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import StageError
from stage.graph.file.reader import GraphFile
from tests.graph_helpers import chain_graph

LONG = os.environ.get("STAGE_FAULTS") == "long"
ROOT = Path(__file__).resolve().parents[2]


def test_no_bad_file_harms_its_reader():
    """In a process that may have a gigabyte more, twenty seconds for each file."""
    rounds = 6_000 if LONG else 200
    done = subprocess.run(
        [sys.executable, "-m", "tests.graph_fuzz", "--rounds", str(rounds)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"0 findings in {rounds} files" in done.stdout


def test_every_byte_of_a_small_file_matters(tmp_path):
    """Whichever is changed, loading the graph refuses the file (each eleventh in the short form)."""
    path = tmp_path / "small.qg"
    chain_graph(n_shots=1, n_chips=1, length=1, run="out/1").save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 1 if LONG else 23):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        with pytest.raises(StageError, match=r"small\.qg"):
            GraphFile.open(path).load()


def test_random_bytes_of_a_large_file_matter(tmp_path):
    """Wherever they are among a hundred thousand quanta."""
    path = tmp_path / "large.qg"
    chain_graph(n_shots=400, n_chips=100, length=2, run="out/1").save(path)
    whole = path.read_bytes()
    rng = random.Random(7)
    for _ in range(300 if LONG else 25):
        at = rng.randrange(len(whole))
        with path.open("r+b") as stream:
            stream.seek(at)
            stream.write(bytes([whole[at] ^ (1 << rng.randrange(8))]))
        with pytest.raises(StageError, match=r"large\.qg"):
            GraphFile.open(path).verify()
        with path.open("r+b") as stream:
            stream.seek(at)
            stream.write(whole[at : at + 1])
    GraphFile.open(path).verify()
