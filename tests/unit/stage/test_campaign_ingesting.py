"""Which dataset each file is: tables, patterns of paths, and functions that describe files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from stage.campaign.administration import register_dataset_type
from stage.campaign.ingesting import ingest_files
from sync.repo import Repo

LAB = DimensionUniverse.from_yaml(
    """
name: test/lab
version: 1
elements:
  sample: {key: {name: name, type: string}}
  shot: {requires: [sample], key: {name: number, type: int}}
"""
)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository with two samples of three shots, and their files: ``in/<sample>/shot_<number>.json``."""
    monkeypatch.chdir(tmp_path)
    with Repo.create(tmp_path / "repo", LAB) as made, made.registry.write() as change:
        change.insert_records("sample", Columns({"sample": ["a", "b"]}))
        change.insert_records("shot", Columns({"sample": ["a"] * 3 + ["b"] * 3, "shot": [1, 2, 3] * 2}))
    register_dataset_type(str(tmp_path / "repo"), "raw", storage_class="Json", dimensions=["shot"])
    for sample in "ab":
        (tmp_path / "in" / sample).mkdir(parents=True)
        for shot in range(1, 4):
            (tmp_path / "in" / sample / f"shot_{shot:03}.json").write_text(f'"{sample}{shot}"')
    return str(tmp_path / "repo")


def content(repo: str, run: str) -> dict[tuple[Any, ...], object]:
    """Return what the datasets of a run hold, by data ID."""
    with Repo.open(repo) as opened:
        with opened.registry.read() as snapshot:
            rows = snapshot.datasets("raw", [run]).rows(("sample", "shot"))
        return {
            row: opened.get("raw", dict(zip(("sample", "shot"), row, strict=True)), [run]) for row in rows
        }


WHOLE = {(s, n): f"{s}{n}" for s in "ab" for n in (1, 2, 3)}


class TestPaths:
    def test_paths_tell_data_ids(self, repo: str) -> None:
        """A pattern in quotes names the files, and the ends of their paths say which dataset each is."""
        n = ingest_files(repo, "raw", ["in/**/*.json"], run="r", data_id_from="{sample}/shot_{shot}.json")

        assert n == 6
        assert WHOLE == content(repo, "r")

    def test_a_part_may_be_said_for_all(self, repo: str) -> None:
        """What --data-id says goes before what a path says; ``*`` stands for anything within a part."""
        ingest_files(
            repo, "raw", ["in/a/shot_001.json"], run="r", data_id_from="*ot_{shot}.json", data_id=["sample=b"]
        )

        assert {("b", 1): "a1"} == content(repo, "r")

    @pytest.mark.parametrize(
        ("pattern", "words"),
        [
            (
                "{sample}/x_{shot}.json",
                "shot_001.json does not end as '{sample}/x_{shot}.json', nor do 5 more",
            ),
            ("{simple}/shot_{shot}.json", "no dimension 'simple'"),
            ("shot.json", "names no dimension"),
            ("{sample/{shot}.json", "without its partner"),
            ("{sample}/{sample}_{shot}.json", "does not end as"),
        ],
    )
    def test_what_does_not_fit(self, repo: str, pattern: str, words: str) -> None:
        """A pattern that is wrong, or that a path does not fulfil, is named, and nothing is taken in."""
        with pytest.raises(UsageError) as caught:
            ingest_files(repo, "raw", ["in/*/*.json"], run="r", data_id_from=pattern)
        assert words in str(caught.value)
        with Repo.open(repo) as opened, opened.registry.read() as snapshot:
            assert [] == snapshot.collections()

    def test_no_files(self, repo: str) -> None:
        """A pattern that matches nothing is told."""
        with pytest.raises(NotFoundError, match=r"no file matches 'in/\*\.fits'"):
            ingest_files(repo, "raw", ["in/*.fits"], run="r", data_id_from="{sample}_{shot}.fits")

    def test_a_file_that_is_called_like_a_pattern(self, repo: str, tmp_path: Path) -> None:
        """A file whose name has brackets is itself."""
        (tmp_path / "in" / "a[1].json").write_text("1")
        ingest_files(repo, "raw", ["in/a[1].json"], run="r", data_id=["sample=a", "shot=1"])

        assert {("a", 1): 1} == content(repo, "r")


class TestTables:
    def test_csv_and_parquet_say_the_same(self, repo: str, tmp_path: Path) -> None:
        """A table in either form, with paths relative to it, brings the same datasets."""
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        rows = [(s, n, f"{s}/shot_{n:03}.json") for s in "ab" for n in (1, 2, 3)]
        text = "".join(f"{s},{n},{p}\n" for s, n, p in rows)
        (tmp_path / "in" / "t.csv").write_text("sample,shot,path\n" + text)
        columns = dict(zip(("sample", "shot", "path"), map(list, zip(*rows, strict=True)), strict=True))
        parquet.write_table(arrow.table(columns), tmp_path / "in" / "t.parquet")

        for form in ("csv", "parquet"):
            assert ingest_files(repo, "raw", run=form, table=f"in/t.{form}", mode="direct") == 6
            assert WHOLE == content(repo, form)

    def test_one_way_at_a_time(self, repo: str) -> None:
        """Files and a table, or a table and a pattern, are one too many."""
        with pytest.raises(UsageError):
            ingest_files(repo, "raw", ["in/a/shot_001.json"], run="r", table="t.csv")
        with pytest.raises(UsageError):
            ingest_files(repo, "raw", run="r", table="t.csv", data_id_from="{sample}.json")


@pytest.mark.parametrize(
    ("mode", "checksum", "taken"),
    [("direct", None, False), ("direct", True, True), ("copy", None, True), ("symlink", False, False)],
)
def test_checksums(repo: str, mode: Any, checksum: bool | None, taken: bool) -> None:
    """Checksums are taken unless files stay where they are; either can be asked for."""
    data_id = ["sample=a", "shot=1"]
    ingest_files(repo, "raw", ["in/a/shot_001.json"], run="r", data_id=data_id, mode=mode, checksum=checksum)

    with Repo.open(repo) as opened, opened.registry.read() as snapshot:
        (found,) = snapshot.datasets("raw", ["r"], artifacts=True)["checksum"].tolist()
    assert bool(found) == taken
