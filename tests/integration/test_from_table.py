"""From a table of samples to pushed results, by commands alone: what somebody of another science does first."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from tiny_campaign import call, tree_digest

ROOT = Path(__file__).resolve().parents[2]
TABLE = """\
sample,lane,tissue,taken,flowcell,reads
A,1,liver,2024-05-01,FC1,reads/A_1.fq
A,2,liver,2024-05-01,FC1,reads/A_2.fq
B,1,brain,2024-05-02,FC1,reads/B_1.fq
B,2,brain,2024-05-02,FC2,reads/B_2.fq
"""
PIPELINE = """\
description: Reads counted by lane, then by sample.
tasks:
  count:
    dimensions: [sample, lane]
    inputs: {reads: {dataset_type: reads}}
    outputs: {n: {dataset_type: n_reads, storage_class: Json}}
    shell: grep -c '^@' "$reads" > "$n"
  total:
    dimensions: [sample]
    inputs: {each: {dataset_type: n_reads, storage_class: Json, dimensions: [sample, lane], multiple: true}}
    outputs: {sum: {dataset_type: n_total, storage_class: Json}}
    shell: while read -r f; do cat "$f"; echo; done <<< "$each" | awk '{s += $1} END {print s}' > "$sum"
"""
MAKE = ("repo", "create", "lab", "--from-table", "samples.csv", "--key", "sample,lane", "--file", "reads")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Folder with a table of samples, its files, and a pipeline of two scripts."""
    (tmp_path / "samples.csv").write_text(TABLE)
    (tmp_path / "count.yaml").write_text(PIPELINE)
    (tmp_path / "reads").mkdir()
    for i, name in enumerate(("A_1", "A_2", "B_1", "B_2"), 1):
        (tmp_path / f"reads/{name}.fq").write_text("@read\nACGT\n" * i)
    return tmp_path


def test_from_a_table_to_pushed_results(work: Path) -> None:
    """One line makes the repository; clone, run and push then work as with any other."""
    shown = call(*MAKE, cwd=work).stdout
    call(
        "clone",
        "lab",
        "mine",
        "-p",
        "count.yaml",
        "-i",
        "raw",
        "-d",
        "sample.tissue = 'liver' AND sample = 'A'",
        cwd=work,
    )
    call("run", "-j0", "-q", cwd=work / "mine")
    call("push", "--register-dataset-types", "--chain", "counts", cwd=work / "mine")
    totals = json.loads(
        call(
            "repo", "query", "lab", "datasets", "n_total", "--collections", "counts", "--json", cwd=work
        ).stdout
    )

    assert "requires: [sample]" in shown
    assert "holds 4 datasets of type reads (File; sample, lane) in raw" in shown
    assert [d["sample"] for d in totals] == ["A"]
    assert call("get", "n_total", "sample=A", cwd=work / "mine").stdout.strip() == "3"


def test_a_dry_run_shows_and_makes_nothing(work: Path) -> None:
    """The universe is shown as YAML that can be edited and given back; no file appears."""
    before = tree_digest(work)
    shown = call(*MAKE, "--dry-run", cwd=work).stdout
    told = json.loads(call(*MAKE, "-n", "--json", cwd=work).stdout)

    assert before == tree_digest(work)
    assert "would hold 2 records of sample" in shown
    assert (told["made"], told["records"], told["dataset_types"][0]["datasets"]) == (
        False,
        {"sample": 2, "lane": 4},
        4,
    )
    assert told["yaml"] in shown + "\n"


def test_the_universe_is_written_edited_and_used(work: Path) -> None:
    """``--universe-out`` writes it once; what was changed in it is what the repository has."""
    call(*MAKE, "--dry-run", "--universe-out", "lab.yaml", cwd=work)
    text = (work / "lab.yaml").read_text()
    (work / "lab.yaml").write_text(
        text.replace("name: samples", "name: our/lab").replace("tissue: {", "organ: {")
    )
    call(*MAKE, "--dry-run", "--universe-out", "lab.yaml", cwd=work, code=12)
    (work / "samples.csv").write_text(TABLE.replace("tissue", "organ"))
    call(*MAKE, "--universe", "lab.yaml", cwd=work)
    info = json.loads(call("repo", "info", "lab", "--json", cwd=work).stdout)

    assert (info["universe"], info["records"]) == ("our/lab", {"sample": 2, "lane": 4})


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            ("B,2,", "B,1,"),
            2,
            "samples.csv, line 5, column sample, lane: the key {sample=B, lane=1} is that of line 4",
        ),
        (("B,2,", "B,second,"), 2, "samples.csv, line 5, column lane: expected an integer, found 'second'"),
        (("reads/B_2.fq", "reads/B_9.fq"), 10, "samples.csv, line 5, column reads: no such file"),
        (("brain,2024-05-02,FC2,", "brain,"), 2, "samples.csv, line 5, column flowcell: there is none"),
    ],
)
def test_a_bad_table_leaves_nothing(work: Path, change: tuple[str, str], code: int, message: str) -> None:
    """The place of the mistake is told, the exit code says its kind, and there is no repository."""
    (work / "samples.csv").write_text(TABLE.replace(*change))
    said = call(*MAKE, cwd=work, code=code).stderr

    assert message in said
    assert not (work / "lab").exists()


def test_the_guide_holds(tmp_path: Path) -> None:
    """What the administration guide shows of a table can be typed as it stands, and shows that."""
    page = (ROOT / "docs/administration.md").read_text()
    part = page.partition("## A repository from a table")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"```\{code-block\} \w+\n:caption: ([^\n]+)\n\n(.*?)```", part, re.DOTALL))
    for name in ("samples.csv", "count.yaml"):
        (tmp_path / name).write_text(blocks[name])
    (tmp_path / "reads").mkdir()
    for name in re.findall(r"reads/\w+\.fq", blocks["samples.csv"]):
        (tmp_path / name).write_text("@read\nACGT\n")
    commands = [shlex.split(line)[1:] for line in re.findall(r"^\$ (stage .*)$", part, re.MULTILINE)]
    shown = [call(*words, cwd=tmp_path).stdout for words in commands]

    assert blocks["what it shows"] in shown[0]
    assert len(commands) == 7
    assert "n_reads" in shown[-1] or "sample" in shown[-1]


def test_options_about_a_table_need_one(work: Path) -> None:
    """Without a table there is nothing that they could be about."""
    assert "--key is about a table" in call("repo", "create", "x", "--key", "a", cwd=work, code=2).stderr
    assert "only PostgreSQL has roles" in call("repo", "create", "x", "--roles", cwd=work, code=2).stderr
    assert "COLUMN=TYPE" in call(*MAKE, "--type", "lane", cwd=work, code=2).stderr
    assert not (work / "x").exists()
