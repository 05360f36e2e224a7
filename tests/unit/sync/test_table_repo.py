"""A repository from a table: the universe it tells, the records and datasets, what is refused, and where."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from registry.errors import AlreadyExistsError, NotFoundError, StageError, UsageError
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from sync.administration import ingest
from sync.repo import Repo
from sync.tables.repository import TablePlan, create_from_table, plan_table
from tests.databases import Database
from tests.sync_builders import tree

HEAD = ("sample", "lane", "tissue", "taken", "flowcell", "yield", "good", "reads")
ROWS = [
    ("A", "1", "liver", "2024-05-01", "FC1", "1.5", "true", "reads/A_1.fq"),
    ("A", "2", "liver", "2024-05-01", "FC1", "2.5", "true", "reads/A_2.fq"),
    ("B", "1", "brain", "2024-05-02", "FC1", "", "false", "reads/B_1.fq"),
    ("B", "2", "brain", "2024-05-02", "FC2", "3", "true", "reads/B_2.fq"),
]


def write(
    folder: Path, rows: Sequence[Sequence[str]] = ROWS, head: Sequence[str] = HEAD, name: str = "samples.csv"
) -> Path:
    """Write a table and the files that its last column names."""
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    for row in rows:
        if "/" in row[-1]:
            path = folder / row[-1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"@{row[-1]}\n")
    return folder / name


def plan(
    folder: Path, rows: Sequence[Sequence[str]] = ROWS, head: Sequence[str] = HEAD, **options: Any
) -> TablePlan:
    options = {"key": ["sample,lane"], "file": ["reads"], **options}
    return plan_table(write(folder, rows, head), **options)


def elements(found: TablePlan) -> Mapping[str, Any]:
    return {
        name: {k: v for k, v in body.items() if k not in ("doc", "key", "metadata")} | {
            "metadata": {n: c["type"] for n, c in body.get("metadata", {}).items()}
        }
        for name, body in found.universe.source["elements"].items()
    }  # fmt: skip


def test_keys_that_repeat_belong_to_the_key_before(tmp_path: Path) -> None:
    """Lane numbers are the same in every sample, so a lane requires its sample; types come from the values."""
    found = plan(tmp_path)
    body = found.universe.source["elements"]

    assert elements(found) == {
        "sample": {"timespan": True, "metadata": {"tissue": "string", "taken": "string"}},
        "lane": {
            "requires": ["sample"],
            "metadata": {"flowcell": "string", "yield": "float", "good": "bool"},
        },
    }
    assert (body["sample"]["key"], body["lane"]["key"]) == (
        {"name": "name", "type": "string"},
        {"name": "id", "type": "int"},
    )


def test_records_and_datasets_come_from_the_rows(tmp_path: Path) -> None:
    """One record a distinct key, nulls where cells are empty, a day as its timespan; one dataset a file."""
    found = plan(tmp_path)

    assert found.records["sample"].rows(("sample", "tissue")) == [("A", "liver"), ("B", "brain")]
    assert found.records["lane"].rows(("sample", "lane", "yield", "good"))[2] == ("B", 1, None, False)
    begin, end = found.records["sample"].rows(("timespan_begin", "timespan_end"))[0]
    assert end - begin == 86_400 * 10**9
    (reads,) = found.datasets
    assert (reads.type.name, reads.type.dimensions.required, reads.type.storage_class) == (
        "reads", ("sample", "lane"), "File",
    )  # fmt: skip
    assert reads.rows["path"].tolist()[0] == str(tmp_path / "reads/A_1.fq")


def test_keys_that_tell_the_key_before_imply_it(tmp_path: Path) -> None:
    """Where each tube is of one batch only, its number alone is its key."""
    rows = [("b1", "1"), ("b1", "2"), ("b2", "3"), ("b2", "4")]

    assert elements(plan(tmp_path, rows, ("batch", "tube"), key=["batch,tube"], file=[]))["tube"] == {
        "implies": ["batch"], "metadata": {},
    }  # fmt: skip


def test_dates_are_the_same_for_all(tmp_path: Path) -> None:
    """A day requires no station; what was measured there that day belongs to both together."""
    rows = [
        (s, d, str(i)) for i, (s, d) in enumerate((s, d) for s in "ab" for d in ("2024-01-01", "2024-01-02"))
    ]
    found = plan(tmp_path, rows, ("station", "day", "rain"), key=["station", "day"], file=[])

    assert elements(found)["day"] == {"timespan": True, "metadata": {}}
    assert elements(found)["station_day"] == {"requires": ["station", "day"], "metadata": {"rain": "int"}}
    assert found.records["station_day"].n_rows == 4
    assert found.records["day"].rows(("day",)) == [("2024-01-01",), ("2024-01-02",)]


def test_three_keys_nest_one_in_another(tmp_path: Path) -> None:
    """Each belongs to the one before, and a column to the smallest key that determines it."""
    rows = [
        (p, w, c, f"plate {p}", f"{p}{w}", str(i))
        for i, (p, w, c) in enumerate((p, w, c) for p in "12" for w in "AB" for c in "12")
    ]
    head = ("plate", "well", "cycle", "coating", "drug", "counts")
    found = elements(plan(tmp_path, rows, head, key=["plate,well,cycle"], file=[]))

    assert [(n, b.get("requires"), list(b["metadata"])) for n, b in found.items()] == [
        ("plate", None, ["coating"]),
        ("well", ["plate"], ["drug"]),
        ("cycle", ["well"], ["counts"]),
    ]


def test_begin_and_end_are_a_timespan(tmp_path: Path) -> None:
    """Two times that are named so are the ends of a span, which expressions can ask about."""
    rows = [
        ("r1", "2024-01-01T10:00:00Z", "2024-01-01 11:00"),
        ("r2", "2024-01-02T10:00:00", "2024-01-02T11:30:00.5"),
    ]
    found = plan(tmp_path, rows, ("shot", "start_time", "end_time"), key=["shot"], file=[])
    with create_from_table(tmp_path / "repo", found) as repo, repo.registry.read() as snap:
        where = "shot.timespan OVERLAPS (T'2024-01-02', T'2024-01-03')"

        assert snap.records("shot", where=where).rows(("shot",)) == [("r2",)]


def test_names_are_made_usable(tmp_path: Path) -> None:
    """Capitals, blanks, dots, reserved words and clashes; columns can be given other names."""
    rows = [("x", "1", "2", "3", "4", "f/a.json")]
    head = ("Sample ID", "run", "PM2.5", "pm2 5", "2nd", "File")
    found = plan(tmp_path, rows, head, key=["Sample ID,n=run"], file=["table=File"])

    assert list(found.universe.source["elements"]) == ["sample_id", "n"]
    assert list(elements(found)["sample_id"]["metadata"]) == ["PM2_5", "pm2_5_2", "c_2nd"]
    assert [(d.type.name, d.type.storage_class) for d in found.datasets] == [("table", "Json")]
    assert list(plan(tmp_path, rows, head, key=["run"], file=[]).universe.source["elements"]) == ["run_id"]


def test_a_file_that_rows_share_is_a_dataset_of_what_they_share(tmp_path: Path) -> None:
    """A sheet for each sample is one dataset a sample; a protocol for all is one dataset."""
    head = (*HEAD[:2], "protocol", "sheet", "reads")
    rows = [(*r[:2], "f/all.txt", f"f/{r[0]}.yaml", r[-1]) for r in ROWS]
    write(tmp_path, [("f/all.txt",), ("f/A.yaml",), ("f/B.yaml",)], ("x",), "others.csv")
    found = plan(tmp_path, rows, head, file=["protocol,sheet,reads"])

    assert [(d.type.name, d.type.dimensions.required, d.type.storage_class, d.rows.n_rows) for d in found.datasets] == [
        ("protocol", (), "Text", 1), ("sheet", ("sample",), "Yaml", 2), ("reads", ("sample", "lane"), "File", 4),
    ]  # fmt: skip


def test_rows_without_a_file_have_no_dataset(tmp_path: Path) -> None:
    """An empty cell is a thing that is known and not there yet."""
    rows = [*ROWS[:3], (*ROWS[3][:-1], "")]

    assert plan(tmp_path, rows).datasets[0].rows.n_rows == 3


def test_missing_values_and_names_that_look_like_them(tmp_path: Path) -> None:
    """NA is a missing number, and a key like any other; 007 is not 7."""
    found = plan(
        tmp_path, [("NA", "NA", "007"), ("x", "5", "012")], ("sample", "n", "badge"), key=["sample"], file=[]
    )

    assert found.records["sample"].rows() == [("NA", None, "007"), ("x", 5, "012")]


@pytest.mark.parametrize("name", ["t.tsv", "t.csv.gz", "t.csv"])
def test_forms_of_text(tmp_path: Path, name: str) -> None:
    """Tabs, packed text, and semicolons with a mark of the byte order at the front."""
    text = "sample\tn\nA\t1\n" if name == "t.tsv" else '\ufeffsample;n\r\n"A";1\r\n'
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)

    assert plan_table(tmp_path / name, key=["sample"]).records["sample"].rows() == [("A", 1)]


def test_parquet_tells_types(tmp_path: Path) -> None:
    """Columns of Arrow keep their types; numbers with gaps are numbers still."""
    pa = pytest.importorskip("pyarrow")
    import datetime as dt

    import pyarrow.parquet as pq

    columns = {
        "sample": pa.array(["A", "B"]).dictionary_encode(), "n": [1.0, None], "when": [dt.date(2024, 5, 1)] * 2,
        "ok": [True, False],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = plan_table(tmp_path / "t.parquet", key=["sample"])

    assert elements(found)["sample"]["metadata"] == {"n": "float", "when": "string", "ok": "bool"}
    assert found.records["sample"].rows(("sample", "n", "ok")) == [("A", 1.0, True), ("B", None, False)]


def test_json_tells_types(tmp_path: Path) -> None:
    """JSON lines keep their types: text that looks like a number is text, and nothing may stand for no value."""
    lines = [
        '{"sample": "A", "n": 1, "code": "07", "ok": null}',
        '{"sample": "B", "n": 2.5, "code": "8", "ok": true}',
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    found = plan_table(tmp_path / "t.jsonl", key=["sample"])

    assert elements(found)["sample"]["metadata"] == {"n": "float", "code": "string", "ok": "bool"}
    assert found.records["sample"].rows(("sample", "n", "code", "ok")) == [
        ("A", 1.0, "07", None),
        ("B", 2.5, "8", True),
    ]


def test_json_of_mixed_values_is_refused(tmp_path: Path) -> None:
    """A column of numbers and lists is told with its line."""
    (tmp_path / "t.jsonl").write_text('{"sample": "A", "n": 1}\n{"sample": "B", "n": [1]}\n')

    with pytest.raises(UsageError, match=r"t.jsonl, line 2, column n: \[1\] is no number"):
        plan_table(tmp_path / "t.jsonl", key=["sample"])


CHANGED = {
    "ragged": (["A,1,liver", "B,2"], "line 3, column reads: there is none"),
    "too long": (["A,1,x,y"], "line 2, column 4: 'y' has no name"),
    "twice": (["A,1,x", "B,1,x", "A,1,x"], r"line 4, column sample, lane: the key \{sample=A, lane=1\} is that of line 2"),
    "mixed": (["A,1,x", "B,2,x", "C,two,x"], "line 4, column lane: expected an integer, found 'two'"),
    "no key": (["A,1,x", ",2,x"], "line 3, column sample: a key has no value"),
    "after a value of two lines": (['A,1,"x', 'y"', "B,2"], "line 4, column reads"),
    "open quotes": (['A,1,"x'], "line 2: unexpected end"),
    "empty": ([], "has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_bad_tables_are_refused_by_file_line_and_column(tmp_path: Path, what: str) -> None:
    """Each mistake is told with its place."""
    lines, message = CHANGED[what]
    (tmp_path / "bad.csv").write_text("\n".join(["sample,lane,reads", *lines, ""]))
    with pytest.raises(UsageError, match=f"bad.csv.*{message}"):
        plan_table(tmp_path / "bad.csv", key=["sample,lane"])


def test_mixed_metadata_is_refused_unless_it_is_said_to_be_text(tmp_path: Path) -> None:
    """Among numbers a word is a mistake, until the user says what the column is."""
    rows = [("A", "1.5"), ("B", "2.5"), ("C", "high")]
    with pytest.raises(UsageError, match="line 4, column mass: expected a number, found 'high'") as caught:
        plan(tmp_path, rows, ("sample", "mass"), key=["sample"], file=[])
    found = plan(tmp_path, rows, ("sample", "mass"), key=["sample"], file=[], types={"mass": "string"})

    assert "--type" in caught.value.hint
    assert found.records["sample"]["mass"].tolist() == ["1.5", "2.5", "high"]


def test_missing_files_are_told_with_their_line(tmp_path: Path) -> None:
    """The first is named, the others are counted, and nothing is made."""
    table = write(tmp_path / "in")
    (tmp_path / "in/reads/A_2.fq").unlink()
    (tmp_path / "in/reads/B_2.fq").unlink()
    with pytest.raises(
        NotFoundError, match=r"samples.csv, line 3, column reads: no such file.*A_2.fq \(and 1 more of 4\)"
    ):
        plan_table(table, key=["sample,lane"], file=["reads"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"key": []}, "no column says"),
        ({"key": ["nothing"]}, "no column 'nothing'"),
        ({"key": ["sample,sample"]}, "named twice"),
        ({"file": ["read"]}, "no column 'read'"),
        ({"file": ["reads,taken"], "dataset_type": "x"}, "2 columns of files"),
        ({"types": {"lane": "number"}}, "no type 'number'"),
        ({"types": {"lanes": "int"}}, "no column 'lanes'"),
        ({"storage_class": "Nothing"}, "no storage class"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    """What is named has to be there; the nearest name is offered."""
    with pytest.raises(StageError, match=match):
        plan(tmp_path, **options)


def test_an_edited_universe_is_used(tmp_path: Path) -> None:
    """What a person changes in the YAML counts: types, which columns there are, and to whom they belong."""
    first = plan(tmp_path)
    text = first.yaml.replace("      flowcell: {type: string}\n", "").replace(
        "{name: id, type: int}", "{name: number, type: string}"
    )
    edited = DimensionUniverse.from_yaml(
        text.replace("good: {type: bool}", "good: {type: bool, nullable: false}")
    )
    found = plan(tmp_path, universe=edited)

    assert found.universe is edited
    assert found.records["lane"].names == ("sample", "lane", "yield", "good")
    assert found.records["lane"]["lane"].tolist() == ["1", "2", "1", "2"]
    assert first.records["sample"].rows() == found.records["sample"].rows()


def test_an_edited_universe_that_the_table_contradicts(tmp_path: Path) -> None:
    """Rows that disagree about what the universe says is one thing are named; so is a key that is no dimension."""
    text = plan(tmp_path).yaml
    smaller = text.replace("      tissue:", "      yield: {type: float}\n      tissue:").replace(
        "      yield: {type: float}\n      good", "      good"
    )
    with pytest.raises(UsageError, match=r"line 3, column yield: 2.5 for \{sample=A\}, but line 2 has 1.5"):
        plan(tmp_path, universe=DimensionUniverse.from_yaml(smaller))
    with pytest.raises(UsageError, match="no dimension 'lane'"):
        plan(
            tmp_path,
            universe=DimensionUniverse.from_yaml("{name: x, version: 1, elements: {sample: {key: {}}}}"),
        )
    needs = text.replace("tissue: {type: string}", "age: {type: int, nullable: false}")
    with pytest.raises(UsageError, match=r"no column for sample\.age"):
        plan(tmp_path, universe=DimensionUniverse.from_yaml(needs))


def test_a_repository_is_made_on_each_database(tmp_path: Path, database: Database) -> None:
    """Records, datasets with their files, and expressions about the metadata."""
    with create_from_table(
        tmp_path / "repo", plan(tmp_path), run="lab/raw", registry_url=database.url()
    ) as repo:
        with repo.registry.read() as snap:
            where = "sample = 'A' AND lane.yield > 2 AND sample.tissue = 'liver'"
            found = snap.datasets("reads", ["lab/raw"], where=where)

        assert found.rows(("sample", "lane", "run")) == [("A", 2, "lab/raw")]
        assert repo.get("reads", {"sample": "A", "lane": 2}, ["lab/raw"]) == b"@reads/A_2.fq\n"


@pytest.mark.parametrize("mode", ["copy", "move", "link", "direct"])
def test_modes_of_taking_files_in(tmp_path: Path, mode: Any) -> None:
    """Files are copied, moved, linked or left where they are."""
    with create_from_table(tmp_path / "repo", plan(tmp_path / "in"), mode=mode) as repo:
        where = repo.locate("reads", {"sample": "A", "lane": 1}, ["raw"])

    assert Path(where).read_text() == "@reads/A_1.fq\n"
    assert (tmp_path / "in/reads/A_1.fq").exists() == (mode != "move")
    assert where.startswith(str(tmp_path / "repo")) == (mode != "direct")


def test_on_failure_nothing_is_left(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something that breaks while files come in takes the whole repository back, and no source is touched."""
    found = plan(tmp_path / "in", file=["reads", "again=taken"][:1])
    before, url = tree(tmp_path), database.url()
    original = ingest.ingest

    def broken(repo: Repo, *args: Any, **options: Any) -> int:
        original(repo, *args, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ingest, "ingest", broken)
    with pytest.raises(OSError, match="No space"):
        create_from_table(tmp_path / "deep/repo", found, mode="move", registry_url=url)

    assert before == tree(tmp_path)
    with pytest.raises(NotFoundError):
        Registry.open(url)
    with pytest.raises(OSError, match="No space"):
        create_from_table(tmp_path / "deep/repo", found)
    assert before == tree(tmp_path)


def test_a_repository_that_is_there_stays(tmp_path: Path) -> None:
    """Making one in its place is refused, and takes nothing of it back."""
    found = plan(tmp_path / "in")
    create_from_table(tmp_path / "repo", found).close()
    before = tree(tmp_path)
    with pytest.raises(AlreadyExistsError):
        create_from_table(tmp_path / "repo", found)

    assert before == tree(tmp_path)


def test_hourly_readings_of_a_real_station(shared: Path) -> None:
    """35,064 rows of air quality: hours nest in days, months and years, and eleven sensors belong to the hour."""
    source = shared / "data/real-tables/beijing-air/PRSA_Data_Dongsi_20130301-20170228.csv.gz"
    found = plan_table(source, key=["station,year,month,day,hour"])
    hours = elements(found)["hour"]

    assert {n: r.n_rows for n, r in found.records.items()} == {
        "station": 1, "year": 5, "month": 48, "day": 1461, "hour": 35064,
    }  # fmt: skip
    assert hours["requires"] == ["day"]
    assert (hours["metadata"]["PM2_5"], hours["metadata"]["wd"], len(hours["metadata"])) == (
        "float",
        "string",
        13,
    )
