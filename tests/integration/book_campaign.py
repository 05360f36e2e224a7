"""Books whose chunks nobody knows beforehand: an upstream with texts, and a campaign with three steps on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from stage.campaign.campaign import Campaign
from stage.campaign.steps import run_graphs
from stage.graph.file.reader import GraphFile
from sync.repo import Repo
from tests.integration.tiny_campaign import call, copy_tree, template_folder

UNIVERSE = """
name: test/books
version: 1
elements:
  book:
    key: {name: title, type: string, length: 32}
  chunk:
    key: {name: id, type: int}
    requires: [book]
    metadata:
      words: {type: int}
      label: {type: string, length: 16}
"""
TEXTS = {"ants": "one two three four five", "bees": "six seven"}

PIPELINE = """
tasks:
  cut: steps_tasks.cut
  shout: steps_tasks.shout
  gather: steps_tasks.Gather
  length:
    dimensions: [book]
    inputs: {whole: {dataset_type: whole, storage_class: Text}}
    outputs: {n: {dataset_type: length, storage_class: Text}}
    shell: wc -w < "$whole" > "$n"
steps:
  - {label: split, tasks: [cut], description: Finds the chunks.}
  - {label: work, tasks: [shout], dimensions: [book]}
  - {label: end, tasks: [gather, length]}
"""


def write_pipeline(folder: Path, pipeline: str = PIPELINE, name: str = "p.yaml") -> str:
    """Write a pipeline of this page's tasks, and return its file."""
    file = folder / name
    file.write_text(f"search_path: {Path(__file__).parent}\n{pipeline}")
    return str(file)


def make_campaign(
    folder: Path,
    texts: dict[str, str] = TEXTS,
    pipeline: str = PIPELINE,
    *,
    upstream: str = "up",
    name: str = "c",
    next_run: str = "%c/%t",
) -> Campaign:
    """Make an upstream with texts and a campaign on it."""
    copy_tree(_upstream_made(upstream, tuple(texts.items())), folder)
    campaign, _ = Campaign.clone(
        str(folder / upstream),
        folder / name,
        pipeline=write_pipeline(folder, pipeline),
        input=["texts"],
        next_run=next_run,
    )
    return campaign


@cache
def _upstream_made(upstream: str, texts: tuple[tuple[str, str], ...]) -> Path:
    """Make it once in a process, for others to be copies of: nothing in it says where it is."""
    folder = template_folder("books")
    (folder / "universe.yaml").write_text(UNIVERSE)
    (folder / "records").mkdir()
    (folder / "records/book.jsonl").write_text("".join(f'{{"book": "{b}"}}\n' for b, _ in texts))
    for title, text in texts:
        (folder / f"{title}.txt").write_text(text)
    table = ["book,path", *(f"{title},{title}.txt" for title, _ in texts)]
    (folder / "table.csv").write_text("\n".join(table) + "\n")
    call("repo", "create", upstream, "--universe", "universe.yaml", cwd=folder)
    call("repo", "import", upstream, "records", cwd=folder)
    call("repo", "register-dataset-type", upstream, "text", "Text", "book", cwd=folder)
    call("repo", "ingest", upstream, "text", "--table", "table.csv", "--run", "texts", cwd=folder)
    return folder


def steps_of(campaign: Campaign, run: str) -> list[dict[str, int]]:
    """Return the numbers of quanta that each step of a run was planned with."""
    return [
        {t.label: t.n_quanta for t in GraphFile.open(str(path)).layout.tasks}
        for path in run_graphs(campaign.layout, run)
    ]


def counts(report: Any) -> dict[str, dict[str, int]]:
    """Return the counts of a report as plain dicts."""
    return {label: dict(found) for label, found in report.tasks.items()}


def chunks(root: Path) -> list[tuple[Any, ...]]:
    """Return the records of chunks that a repository or a campaign's staging has."""
    staging = root / "staging.sqlite3"
    repo = (
        Repo.attach(f"sqlite:///{staging}", str(root / "data")) if staging.exists() else Repo.open(str(root))
    )
    with repo, repo.registry.read() as snapshot:
        return sorted(snapshot.records("chunk").rows(("book", "chunk", "words", "label")))
