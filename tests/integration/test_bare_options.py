"""Options that mean something without their value: ``--write-pipeline`` and ``--write-qg``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from stage.campaign.campaign import Campaign
from tests.integration.tiny_campaign import call, make_upstream

FIRST = "description: Limits.\nimports: pipeline.yaml\ntasks: {clean: {config: {limit: 50}}}\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream, and a campaign of a pipeline that imports another one."""
    folder = tmp_path_factory.mktemp("bare")
    make_upstream(folder)
    (folder / "first.yaml").write_text(FIRST)
    call("init", "upstream", "camp", "-p", "first.yaml", "-i", "net/raw", cwd=folder)
    return folder


@pytest.fixture
def camp(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world, tmp_path / "world", symlinks=True)
    return tmp_path / "world" / "camp"


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "--write-pipeline"),
        ("edit", "--write-pipeline", "--campaign-docs", "x"),
        ("edit", "--write-pipeline="),
        ("build", "--no-fetch", "--write-pipeline", "-c", "clean:limit=50"),
        ("run", "-q", "-j0", "--until", "clean", "--write-pipeline"),
    ],
    ids=" ".join,
)
def test_a_pipeline_is_written_whole_into_the_campaign(camp: Path, words: tuple[str, ...]) -> None:
    """pipeline.yaml has all tasks and settings and imports nothing; the campaign uses it, and it is the same pipeline."""
    before = Campaign.load(camp)
    settings = before.settings()
    call(*words, cwd=camp)
    document = yaml.safe_load((camp / "pipeline.yaml").read_text())

    assert json.loads((camp / ".campaign.json").read_text())["pipeline"] == "pipeline.yaml"
    assert "imports" not in document
    assert (list(document["tasks"]), document["tasks"]["clean"]["config"]) == (
        ["clean", "summarise", "total"],
        {"limit": 50},
    )
    (camp.parent / "first.yaml").unlink()
    found = Campaign.load(camp).settings()

    assert {k: [(s.name, s.value) for s in v] for k, v in found.items()} == {
        k: [(s.name, s.value) for s in v] for k, v in settings.items()
    }


def test_again_and_elsewhere(camp: Path) -> None:
    """The same again changes nothing; a later setting goes into the same file; a place that is named takes its part."""
    call("edit", "--write-pipeline", cwd=camp)
    written = (camp / "pipeline.yaml").read_bytes()

    assert "as it was" in call("edit", "--write-pipeline", cwd=camp).stdout
    assert (camp / "pipeline.yaml").read_bytes() == written
    call("edit", "-c", "clean:limit=7", cwd=camp)

    assert yaml.safe_load((camp / "pipeline.yaml").read_text())["tasks"]["clean"]["config"]["limit"] == 7
    call("edit", "--write-pipeline", "other.yaml", cwd=camp)

    assert Campaign.load(camp).state.pipeline == "other.yaml"


def test_without_the_option_a_local_pipeline_is_made_where_it_is_needed(camp: Path) -> None:
    """A setting makes pipeline.yaml in the campaign, which imports the external one; a graph goes to NAME.qg."""
    call("build", "--no-fetch", "-c", "clean:limit=7", "--write-qg", "--write-pipeline", cwd=camp)

    assert Campaign.load(camp).state.quantum_graph.uri == "camp.qg"
    assert (camp / "camp.qg").exists()
    assert Campaign.load(camp).state.pipeline == "pipeline.yaml"
