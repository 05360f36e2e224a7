"""The query commands: of a campaign, of its upstream, of any repository; and graphs limited to a table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import MONTHS, STATIONS, call, make_upstream


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream and a campaign of it that was run."""
    folder = tmp_path_factory.mktemp("query")
    make_upstream(folder)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        cwd=folder,
    )
    call("run", "-j0", "-q", cwd=folder / "camp")
    return folder


def answer(*words: str | Path, cwd: Path, code: int = 0) -> Any:
    """Return a command's answer in JSON."""
    return json.loads(call(*words, "--json", cwd=cwd, code=code).stdout)


def test_upstream_is_asked_by_name_or_as_the_campaigns(work: Path) -> None:
    """The same rows by ``repo query``, ``--repo`` and from the campaign by ``--upstream``; staging has its own."""
    question = ("data-ids", "station", "month", "--order-by", "-month", "--limit", "3")
    expected = [{"station": s, "month": max(MONTHS)} for s in STATIONS]

    assert expected == answer("repo", "query", "upstream", *question, cwd=work)
    assert expected == answer("query", *question, "--repo", "upstream", cwd=work)
    assert expected == answer("query", *question, "--upstream", cwd=work / "camp")
    assert ["net/raw"] == [c["name"] for c in answer("query", "collections", "--upstream", cwd=work / "camp")]
    assert len(answer("query", "collections", cwd=work / "camp")) > 1
    call("query", *question, "--upstream", "--repo", "x", cwd=work / "camp", code=2)


def test_count_any_and_explain_tell_only_that(work: Path) -> None:
    """A number; yes or no, also as exit code; and why nothing is found."""
    nothing = ("query", "datasets", "reading", "--repo", "upstream", "--where", "station = 'are'")

    assert "6\n" == call("query", "datasets", "reading", "--repo", "upstream", "--count", cwd=work).stdout
    assert {"count": 6} == answer("query", "datasets", "reading", "--repo", "upstream", "--count", cwd=work)
    assert "yes\n" == call("query", "data-ids", "station", "--repo", "upstream", "--any", cwd=work).stdout
    assert "no\n" == call(*nothing, "--any", cwd=work, code=10).stdout
    assert {"any": False} == answer(*nothing, "--any", cwd=work, code=10)
    assert (
        "Nothing is found: none of the datasets 'reading' fulfils `station = 'are'`."
        in call(*nothing, "--explain", cwd=work).stdout
    )
    assert answer(*nothing, "--explain", cwd=work)["steps"][0]["together"] == 6
    assert "(none)" in call(*nothing, cwd=work).stdout
    assert "--count and --any" in call(*nothing, "--count", "--any", cwd=work, code=2).stderr


def test_first_is_found_only_along_a_path(work: Path) -> None:
    """Without -i every run's datasets are listed, with it the first; and the other way round by option."""
    camp = work / "camp"
    path = ("-i", "camp/r0,net/raw")

    assert 6 == len(answer("query", "datasets", "clean", cwd=camp))
    assert 6 == len(answer("query", "datasets", "clean", *path, cwd=camp))
    assert 6 == len(answer("query", "datasets", "clean", *path, "--all", cwd=camp))
    assert (
        "depends on a search path"
        in call("query", "datasets", "clean", "--find-first", cwd=camp, code=2).stderr
    )


def test_values_of_every_type_are_given_beside_the_query(work: Path) -> None:
    """Integers, floats and text; times in the form in which expressions have them."""
    for bind, where, n in (
        ("h=50.5", "station.height > :h", 2),
        ("h=100", "station.height >= :h", 2),
        ("s=aar", "station = :s", 1),
        ("s='aar'", "station = :s", 1),
    ):
        words = ("query", "records", "station", "--repo", "upstream", "--where", where, "--bind", bind)

        assert n == len(answer(*words, cwd=work)), bind
    time = call(
        "query", "records", "station", "--repo", "upstream", "--where", "station.height > :t",
        "--bind", "t=T'2024-01-31'", cwd=work, code=2,
    )  # fmt: skip
    assert "with a time" in time.stderr


def test_a_table_of_data_ids_limits_the_answer(work: Path) -> None:
    """What one query writes another reads, in each form; a wrong table is refused by line and column."""
    for form in ("--csv", "--json"):
        listed = call(
            "query",
            "data-ids",
            "station",
            "month",
            "--repo",
            "upstream",
            "--where",
            "station != 'bex'",
            form,
            cwd=work,
        )
        (work / "table").write_text(listed.stdout)
        found = answer(
            "query", "datasets", "reading", "--repo", "upstream", "--data-id-table", "table", cwd=work
        )

        assert {"aar", "chur"} == {r["station"] for r in found}
        assert 4 == len(found)
    (work / "wrong.csv").write_text("station,month\naar,soon\n")
    error = call(
        "query", "data-ids", "month", "--repo", "upstream", "--data-id-table", "wrong.csv", cwd=work, code=2
    ).stderr
    assert "wrong.csv, line 2, column 'month': month='soon': expected an integer" in error


def test_datasets_of_several_types_have_data_ids_of_their_own(work: Path) -> None:
    """JSON has each data ID as an object with what the type has; CSV and tables have it as text."""
    camp = work / "camp"
    rows = answer("query", "datasets", "clean,total", cwd=camp)
    text = list(
        csv.DictReader(io.StringIO(call("query", "datasets", "clean,total", "--csv", cwd=camp).stdout))
    )

    assert {"station": "aar", "month": 202601} in [r["data_id"] for r in rows]
    assert {} == rows[-1]["data_id"]
    assert "station=aar,month=202601" in [r["data_id"] for r in text]
    assert "station=aar, month=202601" in call("query", "datasets", "clean,total", cwd=camp).stdout


def test_records_and_data_ids_with_datasets(work: Path) -> None:
    """Only stations for which a dataset exists in the collections named."""
    words = ("--with-dataset", "reading", "-i", "net/raw", "--repo", "upstream", "--count")

    assert "3\n" == call("query", "records", "station", *words, cwd=work).stdout
    assert "3\n" == call("query", "data-ids", "station", *words, cwd=work).stdout
    error = call(
        "query", "records", "station", "--with-dataset", "raeding", "--repo", "upstream", cwd=work, code=10
    )
    assert "Did you mean 'reading'?" in error.stderr


def test_a_graph_is_limited_to_a_table(work: Path) -> None:
    """C-91, D-12: a table of data IDs decides what is run; a rebuild reads it again, and the state remembers it."""
    table = work / "chosen.csv"
    table.write_text("station,month\naar,202601\nchur,202602\n")
    call(
        "clone", "upstream", "limited", "-p", "pipeline.yaml", "-i", "net/raw", "--data-id-table", "chosen.csv",
        cwd=work,
    )  # fmt: skip
    limited = work / "limited"

    def tasks() -> dict[str, int]:
        found: dict[str, int] = answer("qg", "show", cwd=limited)["tasks"]
        return found

    assert {"clean": 2, "summarise": 2, "total": 1} == tasks()
    assert (
        str(table) == json.loads((limited / ".campaign.json").read_text())["quantum_graph"]["data_id_table"]
    )
    table.write_text("station,month\naar,202601\n")
    call("build", cwd=limited)
    assert 1 == tasks()["clean"]
    (limited / "own.jsonl").write_text('{"station": "bex"}\n')
    call("build", "--data-id-table", "own.jsonl", cwd=limited)
    assert 2 == tasks()["clean"]
    assert (
        "own.jsonl" == json.loads((limited / ".campaign.json").read_text())["quantum_graph"]["data_id_table"]
    )
    call("build", "--data-id-table", "", cwd=limited)
    assert 6 == tasks()["clean"]
    assert "data_id_table" not in json.loads((limited / ".campaign.json").read_text())["quantum_graph"]
    (limited / "own.jsonl").write_text('{"station": "nowhere"}\n')
    error = call("build", "--data-id-table", "own.jsonl", cwd=limited, code=2).stderr
    assert "no data ID of {station, month} is among the 1 of the table" in error
