"""The engine of a submission, by what its file says: `stage.batch.submission.engines`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from registry.errors import UsageError
from stage.batch.config.settings import Settings
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import engine_sites, load_engine, save_engine
from stage.batch.engines.local import LocalEngine
from stage.batch.engines.sites import SitesEngine
from stage.batch.submission.engines import engine_name, find_for, memory_limits
from tests.batch_world import make_workflow, submit_dir

YAML = """
computeSite: near
payload: {butlerConfig: none}
environment: {A: "1"}
executeMachinesPattern: all
pipetask:
  a: {computeSite: far}
cluster:
  c: {pipetasks: "b, d", computeSite: local}
site:
  near: {wmsServiceClass: "tests.sites_world:Moody", mood: none, has: 4000}
  far: {wmsServiceClass: "tests.sites_world:Moody", mood: none, has: 9000}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(YAML)
    return tmp_path / "s.yaml"


def test_one_engine_for_each_site_that_is_named(file: Path) -> None:
    """By tasks and by clusters; each with the options of its own section; a site called as an engine needs none."""
    engine = find_for(Settings.read(file), "near", "tests.sites_world:Moody", "run")
    assert isinstance(engine, SitesEngine)

    assert ["near", "far", "local"] == list(engine.sites)
    assert isinstance(engine.sites["local"], LocalEngine)
    assert [4000, 9000, None] == [e.settings.options.get("has") for e in engine.sites.values()]
    assert {("run", "1")} == {
        (e.settings.run_name, e.settings.environment["A"]) for e in engine.sites.values()
    }


def test_jobs_say_for_which_sites_they_are(file: Path) -> None:
    """Once there are jobs, only their sites count: one of them alone is no engine of several."""
    settings, workflow = Settings.read(file), make_workflow(["true", "true"])
    (kind,) = workflow.settings
    far = replace(workflow, settings=(replace(kind, compute_site="far"),))

    only = find_for(settings, "near", "tests.sites_world:Moody", workflow=far)
    assert isinstance(only, SitesEngine)
    assert ["far"] == list(only.sites)
    one = find_for(settings, "near", "local", workflow=workflow)
    assert (LocalEngine, "local") == (type(one), engine_name(one, "local"))
    assert "mine:Own" == engine_name(one, "mine:Own")


def test_the_command_line_makes_it_one_site(file: Path) -> None:
    """What is said there counts before what tasks say."""
    settings = Settings.read(file, command_line={"compute_site": "local"})

    assert isinstance(find_for(settings, "local", "local"), LocalEngine)


def test_each_site_has_its_own_memory_limit(file: Path) -> None:
    """Where the file says one for a site, that one is not asked; of one site alone it is the same."""
    file.write_text(YAML.replace("has: 4000", "has: 4000, memoryLimit: 500"))
    settings = Settings.read(file)
    engine = find_for(settings, "near", "tests.sites_world:Moody")

    assert {"far": 9000} == {k: v for k, v in memory_limits(settings, engine, "near").items() if k != "local"}
    alone = find_for(settings, "far", "tests.sites_world:Moody", workflow=make_workflow(["true"]))
    assert {"far": 9000} == memory_limits(settings, alone, "far")


def test_a_head_finds_all_sites_again(file: Path, tmp_path: Path) -> None:
    """What was kept with the submission makes the same engine; reports read the sites without loading any."""
    where = submit_dir(tmp_path / "run")
    assert {} == engine_sites(where)
    engine = find_for(Settings.read(file), "near", "tests.sites_world:Moody", "run")
    save_engine(where, engine_name(engine, "tests.sites_world:Moody"), engine.settings)

    again = load_engine(where)
    assert isinstance(again, SitesEngine)
    assert {k: e.settings for k, e in engine.sites.items()} == {k: e.settings for k, e in again.sites.items()}  # type: ignore[attr-defined]
    assert {
        "near": "tests.sites_world:Moody",
        "far": "tests.sites_world:Moody",
        "local": "local",
    } == engine_sites(where)
    save_engine(where, "local", EngineSettings("near"))
    assert {} == engine_sites(where)


def test_a_site_that_is_nowhere_is_refused_by_name(file: Path) -> None:
    """The error names the section that it lacks, and the nearest that there is."""
    file.write_text(YAML.replace("computeSite: far", "computeSite: afr"))

    with pytest.raises(UsageError, match=r"no section 'site\.afr'") as caught:
        find_for(Settings.read(file), "near", "local")
    assert "Did you mean 'far'?" in (caught.value.hint or "")
