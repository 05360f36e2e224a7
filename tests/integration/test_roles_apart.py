"""Three roles apart: who writes an algorithm, who puts a workflow together, who runs it; none needs the others' tools."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from tiny_campaign import ROOT, call, make_upstream

ALGORITHM = """
from stage import Input, Output, task


@task(
    dimensions=("station", "month"),
    inputs={"values": Input("numbers", "Json")},
    outputs={"good": Output("good_numbers", "Json")},
)
def cut(values, limit: float = 50.0):
    return [v for v in values["values"] if v <= limit]
"""
WORKFLOW = """
search_path: [../algorithms]
parameters: {limit: 500}
tasks:
  cut:
    function: cutting.cut
    config: {limit: parameters.limit, connections.values: reading, connections.good: kept}
"""
BY_HAND = "from cutting import cut; print(cut(values={'values': [1, 20, 300]}, limit=30))"


def _digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def test_algorithm_workflow_and_operation_are_apart(tmp_path: Path) -> None:
    """An algorithm is called without a repository, a workflow is checked without one, and an operator edits neither."""
    algorithms, workflows = tmp_path / "algorithms", tmp_path / "workflows"
    for folder, name, text in ((algorithms, "cutting.py", ALGORITHM), (workflows, "survey.yaml", WORKFLOW)):
        folder.mkdir()
        (folder / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{algorithms}"}
    words = [sys.executable, "-B", "-c", BY_HAND]
    alone = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert alone.stdout == "[1, 20]\n"

    shown = call("describe", "cut", "--pipeline", "survey.yaml", "--json", cwd=workflows).stdout
    (described,) = json.loads(shown)
    assert {c["dataset_type"] for c in described["connections"]} >= {"reading", "kept"}

    make_upstream(tmp_path)
    before = _digest(algorithms), _digest(workflows)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "workflows/survey.yaml",
        "-i",
        "net/raw",
        "-d",
        "station = 'bex'",
        cwd=tmp_path,
    )
    call("run", "-q", "-j", "2", "-c", "cut:limit=1.5", "--use-task-configs", cwd=tmp_path / "camp")
    got = call("get", "kept", "station=bex", "month=202602", cwd=tmp_path / "camp").stdout
    assert json.loads(got) == [1]
    assert (_digest(algorithms), _digest(workflows)) == before
