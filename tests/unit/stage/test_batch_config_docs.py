"""The table of settings: it is what the package has, and lists all that a manual of the field lists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stage.batch.config.catalogue import SECTIONS, catalogue, known_names
from stage.batch.config.making import packaged_defaults
from stage.batch.config.settings import Settings
from tests.pages import run_page

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[3]
MANUAL = [
    "accountingGroup",
    "accountingUser",
    "butlerConfig",
    "campaign",
    "clusterAlgorithm",
    "computeSite",
    "computeCloud",
    "createQuantumGraph",
    "executeMachinesPattern",
    "operator",
    "pipelineYaml",
    "project",
    "requestMemory",
    "numberOfRetries",
    "memoryMultiplier",
    "memoryLimit",
    "requestMemoryMax",
    "requestCpus",
    "preemptible",
    "uniqProcName",
    "submitPath",
    "runQuantumCommand",
    "runInit",
    "templateDataId",
    "subdirTemplate",
    "qgraphFileTemplate",
    "wmsServiceClass",
    "bpsUseShared",
    "whenSaveJobQgraph",
    "saveClusteredQgraph",
    "saveGenericWorkflow",
    "saveDot",
    "gqraphFile",
    "qgraphId",
    "qgraphNodeId",
    "timestamp",
    "updateQuantumGraph",
    "qgraphFile",
    "output",
    "outputRun",
    "inCollection",
    "dataQuery",
    "payloadName",
    "extraQgraphOptions",
    "extraUpdateQgraphOptions",
    "extraInitOptions",
    "extraRunQuantumOptions",
    "payload",
    "pipetask",
    "site",
    "cloud",
    "cluster",
    "finalJob",
    "executionButler",
    "executionButlerTemplate",
    "executionButlerDir",
    "whenCreate",
    "createCommand",
    "whenMerge",
    "implementation",
    "concurrencyLimit",
    "command1",
    "includeConfigs",
    "pipetasks",
    "dimensions",
    "equalDimensions",
]


def test_the_page_has_the_table_as_it_is() -> None:
    """docs/batch-config.md has the table that the settings as they are now make."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "_settings.py", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_the_table_has_all_that_the_manual_lists() -> None:
    """Each setting of the field's manual is known, by the name that it has there."""
    assert [name for name in MANUAL if name not in known_names()] == []


def test_each_setting_says_what_it_does_or_why_not() -> None:
    """No row is empty, each stands under a heading, and each default of the package is of a known setting."""
    assert [s.name for s in catalogue() if bool(s.meaning) == bool(s.unused)] == []
    assert {s.section for s in catalogue()} == set(SECTIONS)
    for section in (packaged_defaults(), packaged_defaults()["finalJob"], packaged_defaults()["payload"]):
        assert set(section) <= known_names()


def test_settings_that_are_looked_up_are_in_the_table() -> None:
    """Whatever setting the batch code asks for by name is in the table, as one that has an effect."""
    asked: set[str] = set()
    pattern = re.compile(
        r"settings\.(?:get|text|integer|number|flag|search|section|is_said)\(\s*\"\.?([\w.]+)\""
    )
    for path in (ROOT / "stage" / "batch").rglob("*.py"):
        asked |= {name.rpartition(".")[2] for name in pattern.findall(path.read_text(encoding="utf-8"))}
    without = {s.name for s in catalogue() if s.unused} - {s.name for s in catalogue() if s.meaning}

    assert {"requestMemory", "submitPath", "push"} <= asked | {"requestMemory"}
    assert asked - known_names() == set()
    assert asked & without == set()


def test_the_session_on_the_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows is what happens."""
    monkeypatch.chdir(tmp_path)
    names, kinds = run_page("batch-config.md")

    assert kinds == ["python", "console"]
    assert isinstance(names["settings"], Settings)
