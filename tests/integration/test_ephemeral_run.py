"""Ephemeral intermediates in whole campaigns: what a disk holds at most, and what commands say of what is gone."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

from stage.execution.run import run_graph
from stage.pipeline.pipeline import Pipeline
from tests.execution_lab import make_lab

N, PADDING = 80, 100_000


def peak_of(root: Path, ephemeral: tuple[str, ...]) -> int:
    """Return the most bytes that the files of a run had at any time; each intermediate has 100 kB."""
    pipeline = Pipeline.of(
        double=("tests.execution_tasks.StepTask", {"padding": PADDING, "sleep": 0.01}),
        shift=("tests.execution_tasks.UnitTask", {"sleep": 0.01}),
    )
    lab = make_lab(root, pipeline, samples=N)
    peak, is_over = [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            size = 0
            for path in (root / "data" / "u").rglob("*.json"):
                try:
                    size += path.stat().st_size
                except FileNotFoundError:
                    continue
            peak[0] = max(peak[0], size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert run_graph(lab.staging, lab.graph_uri, processes=1, ephemeral=ephemeral).is_complete
    finally:
        is_over.set()
        watcher.join()
    assert len(lab.datasets()["shifted"]) == N
    return peak[0]


def test_the_disk_never_holds_them_all(tmp_path: Path) -> None:
    """Half of what the same run holds without: intermediates go while others are being made."""
    plain = peak_of(tmp_path / "plain", ())
    small = peak_of(tmp_path / "small", ("doubled",))

    assert plain > N * PADDING
    assert small < plain / 2, f"{small:,} of {plain:,} bytes"


@pytest.fixture
def camp(tmp_path: Path) -> Path:
    """A campaign whose pipeline says that what is cleaned is ephemeral."""
    make_upstream(tmp_path)
    (tmp_path / "short.yaml").write_text(
        "imports: pipeline.yaml\ntasks:\n  clean: {ephemeral: clean}\n  total: {ephemeral: total}\n"
    )
    call("clone", "upstream", "camp", "-p", "short.yaml", "-i", "net/raw", cwd=tmp_path)
    return tmp_path / "camp"


def test_commands_tell_what_is_gone(camp: Path) -> None:
    """A run says how much went and what stays nevertheless; get, push and why speak of datasets without files."""
    report = json.loads(call("run", "-q", "-j0", "--json", cwd=camp).stdout)
    (run,) = json.loads(call("status", "--json", cwd=camp).stdout)["runs"]
    one = call("get", "clean", "station=aar", "month=202601", cwd=camp, code=10).stderr
    pushed = call("push", "--dry-run", "--register-dataset-types", cwd=camp).stdout

    assert (report["removed"], report["removed_bytes"]) == (6, 96)
    assert "'total' is not removed although a task says so: it is an overall output" in report["notes"][0]
    assert run["tasks"]["clean"] == {"succeeded": 6}
    assert not [*(camp / "data").rglob("clean_aar*.json")]
    assert "its file was removed" in one
    assert "warning file-removed: the files of 6 clean were removed here" in pushed
    why = call("why", "clean", "station=aar", "month=202601", cwd=camp).stdout
    assert "succeeded" in why
    assert "file      gone: it was ephemeral" in why
    assert "gone" not in call("why", "summary", "station=aar", "--up", cwd=camp).stdout
    call("push", "--register-dataset-types", cwd=camp)
    assert "nothing to push" in call("push", cwd=camp).stdout


def test_what_jobs_made_goes_when_they_are_merged(camp: Path) -> None:
    """Jobs remove nothing: a merge does, once all that read a file is recorded; a second merge has nothing to do."""
    call("prep", cwd=camp)
    (run,) = {json.loads(call("status", "--json", cwd=camp).stdout)["runs"][0]["name"]}
    graph = camp / "submit" / run / "graph.qg"
    for number, quanta in enumerate(("clean", "summarise", "total")):
        words = ("--quantum", quanta, "--record", f"{number}.zst", "-q")
        call("exec", graph, *words, cwd=camp)

    assert len([*(camp / "data").rglob("clean/*/*.json")]) == 6
    first = json.loads(call("merge", "0.zst", "--json", cwd=camp, code=3).stdout)
    rest = json.loads(call("merge", "0.zst", "1.zst", "2.zst", "--json", cwd=camp).stdout)

    assert (first["removed"], rest["removed"], rest["removed_bytes"]) == (0, 6, 96)
    assert "'total' is not removed" in rest["notes"][0]
    assert not [*(camp / "data").rglob("clean/*/*.json")]
    assert json.loads(call("merge", "2.zst", "--json", cwd=camp).stdout)["removed"] == 0


def test_a_person_keeps_or_gives_up_more(camp: Path) -> None:
    """--keep and --ephemeral count for one command, and what has to stay is refused before anything is begun."""
    before = (camp / ".campaign.json").read_bytes()
    refused = call("run", "-q", "-j0", "--ephemeral", "total", cwd=camp, code=2).stderr
    assert "'total' cannot be ephemeral: it is an overall output" in refused
    assert before == (camp / ".campaign.json").read_bytes()
    said = call("run", "-j0", "--keep", "clean", "--ephemeral", "summ*", cwd=camp).stdout

    assert "removed 3 ephemeral files" in said
    assert len([*(camp / "data").rglob("clean/*/*.json")]) == 6


def test_skipping_what_is_done_needs_no_file(camp: Path) -> None:
    """A new run that skips what is done elsewhere has nothing to do, though intermediates are gone."""
    call("run", "-q", "-j0", cwd=camp)
    said = call("run", "-q", "-j0", "--new-run", "--skip-existing-in", "CAMPAIGN", cwd=camp).stdout

    assert "there is nothing left to run" in said
