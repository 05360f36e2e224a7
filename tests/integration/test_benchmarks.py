"""The benchmarks of clone and push, at sizes at which they take seconds: that they run, and what they compare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_far, bench_sync, reference
from benchmarks.reference_sync import ReferenceSync

N = 60

STANDS_IN = """
import argparse, json, pathlib
p = argparse.ArgumentParser()
for name in ("phase", "n", "rep", "root", "put-limit", "direct-limit"):
    p.add_argument("--" + name)
o = p.parse_args()
database = pathlib.Path(o.root, "repo/gen3.sqlite3")
if o.phase == "create":
    database.parent.mkdir()
    database.write_text("")
before = database.read_text()
database.write_text(before + o.phase + " ")
if o.phase == "{failing}":
    raise SystemExit("no")
if o.phase == "transfer_graph":
    cost = 100.0 * (1 + int(o.rep)) ** 2
    print(json.dumps({"name": "g. transfer-from-graph", "n": 180, "per_item_us_cpu": cost, "rss_mb": 300.0, "found": before}))
"""
"""In place of the reference's program, which is not part of the project: the same phases, in no time."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The stack itself takes minutes; what is tested is which phases run, on what, and what becomes of their figures."""
    program = tmp_path / "shared/reference/lsst_bench.py"
    program.parent.mkdir(parents=True)
    program.write_text(STANDS_IN.replace("{failing}", getattr(request, "param", "")))
    monkeypatch.setenv("STAGE_SHARED", str(tmp_path / "shared"))
    monkeypatch.setattr(reference, "python", lambda: sys.executable)
    return program


def taken(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["id"], row["n"]): row for row in json.loads(path.read_text())}


@pytest.mark.slow
def test_clone_and_push_stand_beside_their_floors_and_the_reference(stand_in: Path, tmp_path: Path) -> None:
    """Each id that is asked for has a figure at each size, the reference's where it was taken."""
    only = ["clone", "push", "push-first", "push-again", "memory-push", "memory-push-growth"]
    words = ["--n", str(N), str(2 * N), "--rounds", "2", "--only", ",".join(only), "--reference", str(N)]
    out = tmp_path / "rows.json"

    assert bench_sync.main([*words, "--results", str(tmp_path), "--json", str(out)]) == 0

    rows = taken(out)
    both = {(name, n) for name in ("clone", "push", "push-again", "memory-push") for n in (N, 2 * N)}
    assert set(rows) == both | {("push-first", N), ("memory-push-growth", 2 * N)}
    assert all(row["ours"] > 0 for key, row in rows.items() if key[0] != "memory-push-growth")
    assert rows["memory-push", N]["ours"] > rows["memory-push", N]["floor"] > 0
    # The median of 100 and 400; nothing where it was not taken.
    assert rows["push", N]["reference"] == rows["push-first", N]["reference"] == 250
    assert rows["memory-push", N]["reference"] == 300
    assert {row["reference"] for (_, n), row in rows.items() if n == 2 * N} == {None}


def test_each_round_of_the_reference_begins_with_the_same_repository(stand_in: Path, tmp_path: Path) -> None:
    with ReferenceSync(N, 2, tmp_path) as beside:
        beside.round()
        sections = beside.sections()
    stand_in.unlink()
    with ReferenceSync(N, 2, tmp_path) as again:
        kept = again.sections()

    made = "create dims datasets graph fake_outputs "
    assert [section["found"] for section in sections] == [made, made]
    assert [section["per_item_us_cpu"] for section in sections] == [100, 400]
    assert kept == sections


@pytest.mark.parametrize("stand_in", ["dims", "transfer_repo"], indirect=True)
def test_a_reference_that_fails_leaves_its_column_empty(
    stand_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReferenceSync(N, 2, tmp_path) as beside:
        beside.round()
        assert beside.sections() == []
    assert "ended with 1" in capsys.readouterr().out
    assert list(tmp_path.glob("*.jsonl")) == []


@pytest.mark.service
@pytest.mark.slow
def test_a_push_to_a_server_that_is_far_away_is_counted(tmp_path: Path) -> None:
    """Round trips, connections and the time of locks, each with what a bare connection needs."""
    out = tmp_path / "rows.json"

    command = [sys.executable, "-m", "benchmarks.bench_far", "--n", str(N), "--json", str(out)]
    subprocess.run(command, cwd=reference.ROOT, check=True, timeout=300)

    rows = taken(out)
    assert {name for name, _ in rows} == set(bench_far.IDS)
    assert {row["ours"] for (name, _), row in rows.items() if name.endswith("-connections")} == {1}
    assert rows["push-far-trips", N]["ours"] > rows["push-far-trips", N]["floor"] > 6
    assert rows["push-far-locked", N]["ours"] > 2
