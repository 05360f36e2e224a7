"""Memory and cores that follow from what tasks before have made, with real workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.book_campaign import counts, make_campaign
from tests.integration.tiny_campaign import call

if TYPE_CHECKING:
    import pytest

PIPELINE = """
tasks:
  count:
    dimensions: [book]
    inputs: {text: {dataset_type: text, storage_class: Text}}
    outputs: {n: {dataset_type: n_words, type: int}}
    shell: n=$(wc -w < "$text")
  expressed:
    dimensions: [book]
    inputs: {n: {dataset_type: n_words, type: int}, text: {dataset_type: text, storage_class: Text}}
    outputs: {out: {dataset_type: expressed, type: int}}
    resources: {memory_mb: '200 + 10 * value(n) + size(text)'}
    shell: out=$n
  greedy: steps_tasks.Greedy
"""


def metadata(folder: Path, task: str, book: str) -> Any:
    """Return the metadata of a quantum of the newest run."""
    return json.loads(call("get", f"{task}_metadata", f"book={book}", cwd=folder / "c").stdout)


def test_memory_follows_from_values_and_sizes(tmp_path: Path) -> None:
    """Each quantum is held to what its own inputs say, just before it runs, and its metadata say to what."""
    campaign = make_campaign(tmp_path, pipeline=PIPELINE)
    report = campaign.run(processes=2)

    assert report.complete, report.failures
    assert [metadata(tmp_path, "expressed", b)["memory_mb"] for b in ("ants", "bees")] == [251, 221]
    assert [metadata(tmp_path, "greedy", b)["memory_mb"] for b in ("ants", "bees")] == [205, 202]
    assert {metadata(tmp_path, "greedy", b)["cpus"] for b in ("ants", "bees")} == {2}


def test_a_hook_that_fails_leaves_what_is_declared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The quantum runs with what its task declares for all, and a warning says why."""
    campaign = make_campaign(tmp_path, {"void": "one"}, PIPELINE)
    report = campaign.run(processes=1)

    assert counts(report)["greedy"] == {"succeeded": 1}
    assert "memory_mb" not in metadata(tmp_path, "greedy", "void")
    assert "ValueError: nobody knows; it gets what is declared for all of its task" in caplog.text


def test_no_quantum_gets_more_than_there_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What follows from inputs and is too much is cut to what there is, with a warning, and does not stop the run."""
    campaign = make_campaign(tmp_path, pipeline=PIPELINE.replace("200 + 10", "2 TB + 10"))
    report = campaign.run(processes=1, memory=400)

    assert report.complete
    assert metadata(tmp_path, "expressed", "ants")["memory_mb"] == 400
    assert "asks for 1 cores and 2000051 MB by its inputs" in caplog.text


def test_jobs_reckon_alike(tmp_path: Path) -> None:
    """A job without a database finds the same inputs, and gives its quanta the same memory."""
    campaign = make_campaign(tmp_path, pipeline=PIPELINE)
    folder = campaign.layout.submit(campaign.prep())
    call(
        "exec",
        folder / "graph.qg",
        "--quanta",
        "all",
        "--record",
        folder / "a.jsonl",
        "-j",
        "2",
        cwd=tmp_path,
    )
    assert campaign.merge(str(folder / "a.jsonl")).complete

    assert metadata(tmp_path, "expressed", "bees")["memory_mb"] == 221
    assert metadata(tmp_path, "greedy", "bees")["memory_mb"] == 202
