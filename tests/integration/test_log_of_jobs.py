"""What jobs of a submission have recorded is found in the campaign at once: their logs, and how many have ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, make_upstream

from stage.campaign.campaign import Campaign

YAML = """
pipelineYaml: pipeline.yaml
operator: ada
computeSite: here
payload: {payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: ""}
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
finalJob: {whenRun: NEVER}
site:
  here: {wmsServiceClass: local, cores: 2}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submission whose jobs have ended, some of them without success, and that nobody has merged."""
    folder = tmp_path_factory.mktemp("jobs")
    make_upstream(folder)
    (folder / "weather.yaml").write_text(YAML)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("STAGE_STATE_DIR", str(folder / "state"))
        call(
            "clone",
            "upstream",
            "weather",
            "-p",
            "pipeline.yaml",
            "-i",
            "net/raw",
            "-c",
            "clean:fail_on=bex",
            cwd=folder,
        )
        call("batch", "submit", "weather.yaml", "--wait", cwd=folder, code=3)
    return folder


def _logs(camp: Path, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(call("log", *words, "--json", cwd=camp).stdout))


def _run(camp: Path) -> dict[str, Any]:
    return dict(json.loads(call("status", "--json", cwd=camp).stdout)["runs"][0])


def test_logs_of_what_failed_are_found_before_anybody_merges(ended: Path) -> None:
    """By task, data ID and expression, as of any run; and they are the same when they are merged."""
    camp = ended / "weather"
    failed = _logs(camp, "--failed")

    assert [(e["task"], e["data_id"]["station"], e["status"]) for e in failed] == [
        ("clean", "bex", "failed")
    ] * 2
    assert "out of order" in failed[0]["text"]
    assert failed[0]["message"].startswith("ValueError: station bex is out of order")
    assert _logs(camp, "clean", "--failed", "-d", "month = 202602") == failed[1:]
    assert _logs(camp, "clean", "station=bex") == failed
    assert [e["status"] for e in _logs(camp, "clean", "station=aar", "--tail", "1")] == ["succeeded"] * 2
    assert _logs(camp, "total") == [], "it waits for what failed: that is no error"
    assert "no-such-task" not in call("log", "none", cwd=camp, code=10).stdout
    before = _logs(camp)
    merged = ended / "merged"
    shutil.copytree(camp, merged, symlinks=True)
    call("merge", "--run", _run(camp)["name"], cwd=merged, code=3)

    assert _logs(merged) == before


def test_status_counts_what_is_recorded_and_says_that_it_is_not_merged(ended: Path) -> None:
    """The table is that of the merged run; what is to be pushed is not there yet, and the next command is the merge."""
    camp = ended / "weather"
    told, run = call("status", cwd=camp).stdout, _run(camp)

    assert run["tasks"]["clean"] == {"succeeded": 4, "failed": 2}
    assert run["tasks"]["summarise"] == {"succeeded": 2, "blocked": 1}
    assert run["tasks"]["total"] == {"missing": 1}
    assert (run["n_failures"], run["unmerged"], run["driven"]) == (2, 9, "")
    assert run["push"] == "nothing done"
    assert "jobs    9 quanta as jobs have recorded them, not merged into staging yet\n" in told
    assert f"  stage merge --run {run['name']}\n" in told
    assert "ValueError: station bex is out of order" in told
    reread = shutil.copytree(camp, ended / "counted", symlinks=True)
    call("merge", "--run", run["name"], cwd=reread, code=3)

    after = _run(reread)
    assert (after["tasks"], after["failures"], after["unmerged"]) == (run["tasks"], run["failures"], 0)


def test_a_later_attempt_stands_above_what_is_merged(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged as failed and run again by jobs: it is told as what it has become, and the earlier attempt on demand."""
    folder = shutil.copytree(ended, ended.parent / "again", symlinks=True)
    camp = folder / "weather"
    run = _run(camp)["name"]
    call("merge", "--run", run, cwd=camp, code=3)
    monkeypatch.setenv("STAGE_TEST_HEALED", "1")
    where = next(camp.glob("submit/**/batch.json")).parent
    record = where / "records" / "0" / "9.jsonl"
    call(
        "exec",
        where / "graph.qg",
        "--quanta",
        "all",
        "--attempt",
        "1",
        "--record",
        record,
        "-q",
        "-j0",
        cwd=camp,
    )

    assert _logs(camp, "--failed") == []
    assert [e["attempt"] for e in _logs(camp, "clean", "station=bex")] == [1, 1]
    assert [e["status"] for e in _logs(camp, "clean", "station=bex", "--attempts")] == [
        "failed",
        "succeeded",
    ] * 2
    tasks = _run(camp)["tasks"]
    assert tasks == {"clean": {"succeeded": 6}, "summarise": {"succeeded": 3}, "total": {"succeeded": 1}}
    assert not Campaign.load(camp).log(failed=True)
    call("merge", "--run", run, cwd=camp)
    assert _run(camp)["tasks"] == tasks
