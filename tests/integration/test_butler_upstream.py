"""An upstream that another system made: cloned from as it stands, run on, and pushed to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync.butler.scope import Scope
from tests.butler_world import PIPELINE, TASKS, files_of, make_field, open_field
from tests.integration.tiny_campaign import call
from tests.stores import Bucket

pytest.importorskip("lsst.daf.butler", reason="lsst-daf-butler is not installed (extra 'rubin')")

QUERY = "instrument = 'Cam'"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a butler repository ``field`` and a campaign ``camp`` on it, whose run is done."""
    root = tmp_path_factory.mktemp("butler")
    make_field(root / "field")
    (root / "field_tasks.py").write_text(TASKS)
    (root / "pipeline.yaml").write_text(PIPELINE)
    env = {"STAGE_CACHE_DIR": str(root / "cache")}
    call(
        "clone", root / "field", root / "camp", "-p", "pipeline.yaml", "-i", "Cam/defaults", "-d", QUERY,
        cwd=root, env=env,
    )  # fmt: skip
    call("run", "-j", "0", "--next-run", "u/me/%n", cwd=root / "camp", env=env)
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same at the same place, as if nothing had been done with it."""
    kept = tmp_path / "kept"
    shutil.copytree(made, kept, symlinks=True)
    monkeypatch.setenv("STAGE_CACHE_DIR", str(made / "cache"))
    yield made
    shutil.rmtree(made)
    shutil.copytree(kept, made, symlinks=True)


def _run_of(world: Path) -> str:
    found = json.loads(call("status", "--json", cwd=world / "camp").stdout)
    return str(found["collections"]["past_runs"][0])


def _told(root: Path, run: str) -> set[tuple[Any, ...]]:
    """Return what a butler tells of the datasets of a run."""
    butler = open_field(root)
    return {
        (ref.datasetType.name, *ref.dataId.required_values, ref.run, ref.id.hex)
        for name in ("clean", "mean")
        for ref in butler.query_datasets(name, run, find_first=False)
    }


def test_calibrations_are_those_that_the_butler_would_have_found(world: Path) -> None:
    """Exposures before the bias was replaced are cleaned with the old one, those after it with the new one."""
    run = _run_of(world)
    butler = open_field(world / "field")
    for exposure in range(4):
        told = butler.find_dataset(
            "bias", instrument="Cam", detector=1, collections="Cam/defaults",
            timespan=butler.query_dimension_records("exposure", instrument="Cam", exposure=exposure)[0].timespan,
        )  # fmt: skip
        level = butler.get(told)["level"]
        words = ("clean", "instrument=Cam", f"exposure={exposure}", "detector=1", "--collections", run)
        found = json.loads(call("get", *words, cwd=world / "camp").stdout)
        assert found == {"counts": 100 * exposure + 1 - level}


def test_nothing_but_push_changes_it(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of the repository is what it was after clone, build, run, status and a dry run."""
    make_field(tmp_path / "field")
    before = files_of(tmp_path / "field")
    shutil.copy(made / "field_tasks.py", tmp_path)
    shutil.copy(made / "pipeline.yaml", tmp_path)
    monkeypatch.setenv("STAGE_CACHE_DIR", str(tmp_path / "cache"))
    words = ("-p", "pipeline.yaml", "-i", "Cam/defaults", "-d", f"{QUERY} AND exposure = 1")
    call("clone", "field", "camp", *words, cwd=tmp_path)
    for command in (
        "run -j 0",
        "status --upstream",
        "build",
        "fetch",
        "push --dry-run --register-dataset-types --on-conflict storage-class-unknown=skip",
    ):
        call(*command.split(), cwd=tmp_path / "camp")
    assert files_of(tmp_path / "field") == before


def test_a_run_is_pushed_and_is_what_the_butler_would_have_stored(world: Path, tmp_path: Path) -> None:
    """Another butler, into which the same objects were put under the same ids, answers the same."""
    from uuid import UUID

    from lsst.daf.butler import DataCoordinate, DatasetRef, DatasetType

    run = _run_of(world)
    told = call(
        "push", "--register-dataset-types", "--chain", "u/me/all", "--dataset-type", "clean", "--dataset-type",
        "mean", cwd=world / "camp",
    ).stdout  # fmt: skip
    assert "pushed" in told
    make_field(tmp_path / "other")
    other, here = open_field(tmp_path / "other", writable=True), open_field(world / "field")
    other.collections.register(run)
    for name, dimensions in (("clean", ["exposure", "detector"]), ("mean", ["exposure"])):
        kind = DatasetType(name, other.dimensions.conform(dimensions), "StructuredDataDict")
        other.registry.registerDatasetType(kind)
        words = ("datasets", name, "--collections", run, "--json")
        for row in json.loads(call("query", *words, cwd=world / "camp").stdout):
            values = tuple(row[d] for d in kind.dimensions.required)
            data_id = other.registry.expandDataId(
                DataCoordinate.from_required_values(kind.dimensions, values)
            )
            ref = DatasetRef(kind, data_id, run=run, id=UUID(row["id"]))
            other.put(here.get(ref), ref)

    assert len(_told(world / "field", run)) == 16
    assert _told(world / "field", run) == _told(tmp_path / "other", run)
    assert here.collections.get_info("u/me/all").children == (run,)


def test_the_push_is_noted_and_a_second_one_has_nothing_to_do(world: Path) -> None:
    """Whoever has the butler alone can read who pushed what, and the provenance; repeating it writes nothing."""
    run = _run_of(world)
    words = ("push", "--register-dataset-types", "--dataset-type", "clean")
    call(*words, cwd=world / "camp")
    butler = open_field(world / "field")
    (place,) = butler.collections.query("stage/pushes/*")
    noted = butler.get("stage_push", collections=place)
    assert (noted["runs"], noted["campaign"]) == ([run], "camp")
    assert butler.get("stage_quanta", collections=place).num_rows == 16
    before = files_of(world / "field")
    assert "nothing to" in call(*words, cwd=world / "camp").stdout
    assert files_of(world / "field") == before


def test_files_that_nothing_there_can_read_are_refused_before_anything_is_written(world: Path) -> None:
    """Logs and settings are text, which a butler has no reader for: the conflict says how to go on, and that works."""
    before = files_of(world / "field")
    told = call("push", "--register-dataset-types", cwd=world / "camp", code=12)
    assert "storage-class-unknown" in told.stderr
    assert "stage push --register-dataset-types --on-conflict storage-class-unknown=skip" in told.stderr
    assert files_of(world / "field") == before
    words = ("push", "--register-dataset-types", "--on-conflict", "storage-class-unknown=skip")
    call(*words, cwd=world / "camp")
    assert len(_told(world / "field", _run_of(world))) == 16
    assert "nothing to" in call(*words, cwd=world / "camp").stdout


@pytest.mark.service
def test_its_files_may_be_in_a_store(
    made: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory is on this disk and its files are not: inputs are read there, outputs are copied and not linked."""
    monkeypatch.setenv("S3_ENDPOINT_URL", bucket.environment["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("STAGE_CACHE_DIR", str(tmp_path / "cache"))
    make_field(tmp_path / "field", bucket.uri("files"))
    for name in ("field_tasks.py", "pipeline.yaml"):
        shutil.copy(made / name, tmp_path)
    words = ("-p", "pipeline.yaml", "-i", "Cam/defaults", "-d", f"{QUERY} AND exposure = 1")
    call("clone", "field", "camp", *words, cwd=tmp_path)
    call("run", "-j", "0", "--next-run", "u/me/%n", cwd=tmp_path / "camp")
    push = ("push", "--register-dataset-types", "--dataset-type", "mean")
    told = call(*push, "--artifacts", "link", cwd=tmp_path / "camp", code=2).stderr
    assert f"to {bucket.uri('files')}/: not one local file system" in told
    assert "u/me/0" not in open_field(tmp_path / "field").collections.query("*")

    call(*push, cwd=tmp_path / "camp")

    butler = open_field(tmp_path / "field")
    (ref,) = butler.query_datasets("mean", "u/me/0")
    assert butler.getURI(ref).geturl().startswith(bucket.uri("files"))
    assert butler.get(ref) == {"mean": 100.0}


def test_outputs_that_it_holds_can_be_dropped_when_their_bytes_were_compared(world: Path) -> None:
    """It keeps no checksums: that is the reason why a file stays, and with --verify it goes."""
    run = _run_of(world)
    call("push", "--register-dataset-types", "--dataset-type", "mean", cwd=world / "camp")
    words = ("drop", run, "--dataset-type", "mean")
    told = call(*words, "--dry-run", cwd=world / "camp").stdout
    assert "stays   4 files: there is no checksum of both to compare; --verify compares the bytes" in told
    call(*words, "--verify", "--yes", cwd=world / "camp")

    assert not list((world / "camp" / "data").rglob("mean_*.json"))
    found = call("get", "mean", "instrument=Cam", "exposure=2", "--collections", run, cwd=world / "camp")
    assert json.loads(found.stdout) == {"mean": 199.0}


def test_a_dataset_that_somebody_else_made_is_a_conflict(world: Path) -> None:
    """The RUN upstream holds another dataset of that type and data ID: refused, with both named."""
    from lsst.daf.butler import DatasetType

    run = _run_of(world)
    butler = open_field(world / "field", writable=True)
    kind = DatasetType("mean", butler.dimensions.conform(["exposure"]), "StructuredDataDict")
    butler.registry.registerDatasetType(kind)
    butler.collections.register(run)
    butler.put({"mean": 0}, kind, instrument="Cam", exposure=2, run=run)
    before = files_of(world / "field")
    told = call("push", "--dataset-type", "mean", cwd=world / "camp", code=12)
    assert "dataset-exists" in told.stderr
    assert files_of(world / "field") == before


def test_what_comes_up_between_plan_and_transaction_is_refused_as_a_whole(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stores a dataset of the run when the plan is made: that system refuses, and nothing of ours is there."""
    from lsst.daf.butler import DatasetType

    from sync.butler import publish

    run, opened = _run_of(world), publish.open_butler

    def after_somebody_else(root: str, *, writable: bool = False) -> Any:
        butler = open_field(world / "field", writable=True)
        kind = DatasetType("mean", butler.dimensions.conform(["exposure"]), "StructuredDataDict")
        butler.registry.registerDatasetType(kind)
        butler.collections.register(run)
        butler.put({"mean": 0}, kind, instrument="Cam", exposure=2, run=run)
        return opened(root, writable=writable)

    monkeypatch.setattr(publish, "open_butler", after_somebody_else)
    told = call("push", "--register-dataset-types", "--dataset-type", "mean", cwd=world / "camp", code=1)
    assert "refuses the push" in told.stderr
    butler = open_field(world / "field")
    (ref,) = butler.query_datasets("mean", run, find_first=False)
    assert butler.get(ref) == {"mean": 0}
    assert not butler.query_datasets("stage_push", "stage/pushes/*", find_first=False, explain=False)


@pytest.mark.parametrize(
    "command", ["fetch", "pull", "status --upstream", "build --dry-run", "diff --upstream"]
)
def test_the_mirror_may_be_deleted(world: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """On another machine, or with an empty cache, each command that asks upstream sees what it saw before."""
    before = call(*command.split(), cwd=world / "camp")
    monkeypatch.setenv("STAGE_CACHE_DIR", str(world / "cache-anew"))
    after = call(*command.split(), cwd=world / "camp")

    assert "gone" not in after.stdout
    assert _words(after.stdout) == _words(before.stdout)


def test_two_that_make_the_mirror_at_once_see_all_they_look_at(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one asks for other datasets just when ours are there: neither is shown less than it asked for."""
    from threading import Thread

    from sync.butler import mirror

    field, folder, make = str(made / "field"), tmp_path / "mirror", mirror._make
    asked = {name: Scope(frozenset({(name, "Cam/defaults")})) for name in ("raw", "bias")}

    def open_other() -> None:
        mirror.open_mirror(field, folder, asked["bias"]).close()

    other = Thread(target=open_other)

    def make_slowly(*args: Any) -> None:
        make(*args)
        if not other.ident:
            other.start()
            other.join(timeout=3)

    monkeypatch.setattr(mirror, "_make", make_slowly)
    shown = []
    with mirror.open_mirror(field, folder, asked["raw"]) as ours, ours.registry.read() as snapshot:
        shown.append(snapshot.datasets("raw", ["Cam/raw/all"]).n_rows)
    other.join()
    with mirror.open_mirror(field, folder, Scope()) as both, both.registry.read() as snapshot:
        shown += [
            sum(snapshot.count_datasets([run])["n"].tolist()) for run in ("Cam/raw/all", "Cam/calib/new")
        ]
    assert shown == [12, 12, 3]


def _words(text: str) -> list[str]:
    """Return what was said, but for times."""
    return [word for word in text.split() if not word.replace(".", "").isdigit()]


def test_it_says_what_it_leaves_out(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror made anew tells, to who wants to see each step, what was converted or left out."""
    from sync.butler import live

    monkeypatch.setenv("STAGE_CACHE_DIR", str(world / "cache-anew"))
    monkeypatch.setattr(live, "convert_dimensions", lambda *_: ["nowhere"])
    told = call("-v", "build", cwd=world / "camp", code=2).stderr
    assert "dataset type 'raw' is left out: no dimension nowhere" in told
