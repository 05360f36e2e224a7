"""Jobs against the answers that the field's batch service gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vectors.batch_clustering import run_clustering
from tests.vectors.batch_memory import run_memory
from tests.vectors.batch_workflow import run_workflow

Runner = Callable[[Path], Iterator[tuple[str, str, str]]]


@pytest.mark.parametrize(
    ("name", "run"), [("clustering", run_clustering), ("workflow", run_workflow), ("memory", run_memory)]
)
def test_jobs_are_what_the_field_makes_of_them(name: str, run: Runner, shared: Path) -> None:
    """Every case of clusters, workflows and memory has the reference's answer, or its refusal."""
    judged = list(run(shared / "vectors" / "bps" / f"{name}.json"))
    assert judged
    assert not [(case, problem) for case, _, problem in judged if problem]


def test_another_answer_is_named(shared: Path, tmp_path: Path) -> None:
    """A case that expects something else fails, and says what was found."""
    text = (shared / "vectors" / "bps" / "memory.json").read_text(encoding="utf-8")
    (tmp_path / "memory.json").write_text(text.replace("12288", "12289"))
    problems = [problem for _, _, problem in run_memory(tmp_path / "memory.json") if problem]
    assert problems
    assert "12288" in problems[0]
