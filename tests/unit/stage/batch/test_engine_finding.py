"""Engines by name: `stage.batch.engines.finding`."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from registry.errors import IntegrityError, NotFoundError, UsageError
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import engine_names, find_engine, load_engine, save_engine, short_name
from stage.batch.engines.local import LocalEngine
from stage.batch.layout import SubmitDir

HERE = EngineSettings("here")


def test_short_name_finds_ours() -> None:
    """The engine of this machine is there by its short name, in any checkout."""
    assert isinstance(find_engine("local", HERE), LocalEngine)
    assert {"htcondor", "local", "parsl", "slurm"} <= set(engine_names())


def test_module_and_class_find_any() -> None:
    """An engine of one's own needs no entry point."""
    assert isinstance(find_engine("stage.batch.engines.local:LocalEngine", HERE), LocalEngine)


def test_installed_packages_bring_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group is an engine by its name, before ours of the same one."""
    from importlib import metadata

    point = EntryPoint("mine", "stage.batch.engines.local:LocalEngine", "stage.engines")
    monkeypatch.setattr(metadata, "entry_points", lambda group: EntryPoints([point]).select(group=group))

    assert isinstance(find_engine("mine", HERE), LocalEngine)
    assert "mine" in engine_names()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lsst.ctrl.bps.htcondor.HTCondorService", "htcondor"),
        ("lsst.ctrl.bps.htcondor.htcondor_service.HTCondorService", "htcondor"),
        ("lsst.ctrl.bps.parsl.ParslService", "parsl"),
        ("lsst.ctrl.bps.panda.PanDAService", "lsst.ctrl.bps.panda.PanDAService"),
        ("local", "local"),
    ],
)
def test_names_of_the_field(name: str, expected: str) -> None:
    """What the field's own service calls an engine that we have too is that one."""
    assert expected == short_name(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("slrum", "Did you mean 'slurm'?"),
        ("lsst.ctrl.bps.panda.PanDAService", "There are: "),
        ("no.such.module:Engine", "no.such.module"),
        ("stage.batch.engines.local:Nothing", "Nothing"),
        ("stage.batch.layout:SubmitDir", "is no engine"),
    ],
)
def test_engine_that_is_not_there_is_named_with_those_that_are(name: str, said: str) -> None:
    """A name that means nothing is an error that says what there is."""
    with pytest.raises(UsageError) as caught:
        find_engine(name, HERE)
    assert "no-engine" == caught.value.code
    assert said in f"{caught.value} {caught.value.hint}"


def test_engine_is_kept_with_its_submission(tmp_path: Path) -> None:
    """A head that is started later makes the engine that was prepared for, with all its settings."""
    where = SubmitDir(tmp_path)
    settings = EngineSettings("here", {"cores": 3}, "u/me/run", {"A": "b"})
    save_engine(where, "local", settings)

    assert settings == load_engine(where).settings


def test_submission_that_was_not_prepared_is_told(tmp_path: Path) -> None:
    """Without the file nothing was prepared; a damaged one is refused."""
    where = SubmitDir(tmp_path)
    with pytest.raises(NotFoundError, match="was not prepared"):
        load_engine(where)
    save_engine(where, "local", HERE)
    path = where.engine / "engine.json"
    for text in ("{", "[]", json.dumps({"engine": "local", "sight": 1})):
        path.write_text(text)
        with pytest.raises(IntegrityError) as caught:
            load_engine(where)
        assert "bad-engine-file" == caught.value.code
