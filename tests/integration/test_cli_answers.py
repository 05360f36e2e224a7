"""What commands answer: JSON with stable shapes, text for people, by one campaign in which a station fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, make_upstream


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream and a campaign of it in which two of six quanta of the first task failed."""
    folder = tmp_path_factory.mktemp("answers")
    make_upstream(folder)
    options = ["-p", "pipeline.yaml", "-i", "net/raw", "-c", "clean:fail_on=bex", "--next-run", "%c/r%n"]
    call("clone", "upstream", "camp", *options, cwd=folder)
    call("run", "-j0", "-q", cwd=folder / "camp", code=3)
    return folder


def answer(*words: str, cwd: Path) -> Any:
    """Return a command's answer, which is valid JSON and nothing else."""
    return json.loads(call(*words, "--json", cwd=cwd).stdout)


def test_lists_are_lists_in_json(work: Path) -> None:
    """Children of chains and dimensions of dataset types are JSON lists, and joined by commas elsewhere."""
    camp = work / "camp"

    assert answer("query", "collections", "camp", cwd=camp) == [
        {"name": "camp", "type": "CHAINED", "children": ["camp/r0", "net/raw"], "doc": ""}
    ]
    assert answer("query", "dataset-types", "clean", cwd=camp) == [
        {
            "name": "clean",
            "dimensions": ["station", "month"],
            "storage_class": "Json",
            "is_calibration": False,
        }
    ]
    assert "CHAINED  camp/r0, net/raw" in call("query", "collections", cwd=camp).stdout
    assert '"camp/r0,net/raw"' in call("query", "collections", "--csv", cwd=camp).stdout
    assert answer("query", "collections", "none*", cwd=camp) == []


def test_data_ids_are_objects_in_json(work: Path) -> None:
    """Whichever command tells of a quantum, its data ID is a JSON object."""
    camp = work / "camp"
    expected = [{"station": "bex", "month": m} for m in (202601, 202602)]

    assert [e["data_id"] for e in answer("log", "--failed", cwd=camp)] == expected
    assert [e["data_id"] for e in answer("status", cwd=camp)["runs"][0]["failures"]] == expected
    assert [e["data_id"] for e in answer("report", cwd=camp)["failures"][:2]] == expected
    run = json.loads(call("run", "-j0", "--json", cwd=camp, code=3).stdout)
    assert [e["data_id"] for e in run["failures"]] == expected


def test_what_a_repository_holds_is_told_by_objects(work: Path) -> None:
    """``repo info --json`` names the facts of each row, and its id is written as elsewhere."""
    found = answer("repo", "info", "upstream", cwd=work)

    assert found["datasets"] == [{"dataset_type": "reading", "run": "net/raw", "n": 6}]
    assert len(found["id"].split("-")) == 5


def test_a_job_tells_its_failures(work: Path) -> None:
    """``exec --json`` holds nothing that tasks print, and names the quanta that failed."""
    done = call(
        "exec", "submit/camp/r0/graph.qg", "--quanta", "0-5", "--record", "../job.jsonl", "-j0", "--json",
        "--datastore", str(work / "elsewhere"), cwd=work / "camp", code=3,
    )  # fmt: skip
    found = json.loads(done.stdout)

    assert [f["quantum"] for f in found["failures"]] == [
        f"clean@{{station=bex, month={m}}}" for m in (202601, 202602)
    ]
    assert found["interrupted"] is False
    assert "cleaning" in done.stderr


def test_records_are_ordered_by_columns_under_either_name(work: Path) -> None:
    """A column may be named alone or with its element, as in an expression."""
    for name in ("-height", "-station.height"):
        rows = answer("query", "records", "station", "--order-by", name, cwd=work / "camp")

        assert [r["station"] for r in rows] == ["chur", "bex", "aar"]


def test_values_for_names_in_a_query(work: Path) -> None:
    """Numbers are numbers, quoted digits and words like 'nan' are text, and commas belong to the value."""
    camp = work / "camp"
    for bind, where, n in (
        ("m=202601", "month = m", 1),
        ("s=aar", "station = s", 1),
        ("s='007'", "station = s", 0),
        ("s=nan", "station = s", 0),
        ("s=a,b", "station = s", 0),
    ):
        dimension = where.split()[0]
        rows = answer("query", "data-ids", dimension, "--where", where, "--bind", bind, cwd=camp)

        assert len(rows) == n, bind
    error = call("query", "data-ids", "month", "--bind", "foo", cwd=camp, code=2).stderr

    assert "--bind 'foo' is not of the form NAME=VALUE" in error


def test_log_says_that_nothing_failed(work: Path) -> None:
    """No failure is not the same as no quantum."""
    camp = work / "camp"

    assert call("log", "total", "--failed", cwd=camp).stdout == "no such quantum failed\n"
    assert call("log", "clean", "station=nowhere", cwd=camp).stdout == "no such quanta\n"
    assert "Did you mean 'station'" in call("log", "clean", "sttion=aar", cwd=camp, code=2).stderr


def test_the_newest_dataset_of_a_repository_is_got(tmp_path: Path) -> None:
    """Without a search path a repository gives its newest dataset, whatever the names of the runs."""
    make_upstream(tmp_path)
    reading = tmp_path / "new.json"
    reading.write_text('{"station": "aar", "values": [7]}')
    words = ["--run", "a/first-by-name", "--data-id", "station=aar,month=202601"]
    call("repo", "ingest", "upstream", "reading", reading, *words, cwd=tmp_path)
    found = call("get", "reading", "station=aar", "month=202601", "--repo", "upstream", cwd=tmp_path)

    assert json.loads(found.stdout)["values"] == [7]


def test_a_refused_push_tells_its_conflicts_in_json(tmp_path: Path) -> None:
    """With --json the conflicts of a push that is refused are on standard output, each with its way on."""
    make_upstream(tmp_path)
    for name in ("one", "two"):
        options = [
            "-p",
            "pipeline.yaml#clean",
            "-i",
            "net/raw",
            "--campaign-name",
            "same",
            "--next-run",
            "%c/r%n",
        ]
        call("clone", "upstream", name, *options, cwd=tmp_path)
        call("run", "-j0", "-q", cwd=tmp_path / name)
    call("push", "--register-dataset-types", cwd=tmp_path / "one")
    refused = call("push", "--json", cwd=tmp_path / "two", code=12)
    found = json.loads(refused.stdout)

    assert found["pushed"] is False
    assert {c["code"] for c in found["conflicts"]} == {"dataset-exists"}
    assert all(c["hint"] and c["ours"] != c["upstream"] for c in found["conflicts"])
    assert refused.stderr.startswith(f"stage: push refused: {len(found['conflicts'])} conflicts\n")
