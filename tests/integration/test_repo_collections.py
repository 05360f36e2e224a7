"""Commands of a repository's keeper about collections, on a repository with files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stage
from cli.exit_codes import ExitCode
from cli.main import run_command
from registry.errors import ConflictError, NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.times import parse_time
from sync.repo import Repo
from tests.databases import Database
from tests.registry_builders import add_camera

RUNS = ("u/me/1", "u/me/2")


@pytest.fixture
def root(tmp_path: Path, database: Database) -> str:
    """A repository with a raw and a bias of two detectors in each of two runs."""
    with Repo.create(tmp_path / "repo", registry_url=database.url()) as repo:
        with repo.registry.write() as tx:
            add_camera(tx)
            for name, calibration in (("raw", False), ("bias", True)):
                group = tx.universe.group(["detector"])
                tx.register_dataset_type(DatasetType(name, group, "Json", calibration))
        for run in RUNS:
            for d in range(2):
                for name in ("raw", "bias"):
                    repo.put({"of": run}, name, {"instrument": "Cam", "detector": d}, run, durable=False)
    return str(tmp_path / "repo")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command of `stage repo` with --json and return what it answers."""
    capsys.readouterr()
    code = run_command(["repo", *words, "--json"])
    out, err = capsys.readouterr()
    assert code == ExitCode.DONE, err
    return json.loads(out)


def files(root: str) -> int:
    """Count the files of the datastore."""
    return sum(p.is_file() for p in (Path(root) / "data").rglob("*"))


def found(root: str, dataset_type: str, *collections: str) -> Columns:
    """Return datasets of a type, found first."""
    with Repo.open(root) as repo, repo.registry.read() as snap:
        return snap.datasets(dataset_type, collections)


def test_collections_are_made_and_chained(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each way to edit a chain, and what it searches then."""
    made = run(capsys, "register-collection", root, "good", "--type", "TAGGED", "--doc", "no clouds")
    assert made == {"name": "good", "type": "TAGGED", "new": True}
    for words, children in (
        (["u/me/1"], ["u/me/1"]),
        (["good", "--mode", "prepend"], ["good", "u/me/1"]),
        (["u/me/2", "--mode", "extend"], ["good", "u/me/1", "u/me/2"]),
        (["u/me/1", "--mode", "remove"], ["good", "u/me/2"]),
        (["--mode", "pop"], ["u/me/2"]),
        (["u/me/2", "good"], ["u/me/2", "good"]),
        ([], []),
    ):
        assert run(capsys, "chain", root, "all", *words) == {"name": "all", "children": children}
    assert run_command(["repo", "chain", root, "all", "all"]) == ExitCode.CONFLICT
    assert run_command(["repo", "chain", root, "all", "u/me/1", "--mode", "pop"]) == ExitCode.USAGE
    with pytest.raises(UsageError, match="'LIST' is no type of collection"):
        stage.register_collection(root, "x", type="list".upper())


def test_datasets_are_tagged_by_question(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a search finds goes into a TAGGED collection, in place of others only if told, and out of it again."""
    stage.register_collection(root, "good", type="TAGGED")
    one = ["associate", root, "good", "-t", "*", "-i", "u/me/1", "--where", "instrument='Cam' AND detector=0"]
    assert run(capsys, *one) == {"collection": "good", "datasets": 2}
    every = ["associate", root, "good", "-t", "raw", "-i", "u/me/2,u/me/1"]
    assert run_command(["repo", *every]) == ExitCode.CONFLICT
    assert run(capsys, *every, "--replace") == {"collection": "good", "datasets": 2}
    assert ["u/me/2"] * 2 == found(root, "raw", "good")["run"].tolist()
    taken = run(
        capsys, "disassociate", root, "good", "-t", "raw", "--where", "instrument='Cam' AND detector=1"
    )
    assert taken == {"collection": "good", "datasets": 1}
    assert found(root, "raw", "good").n_rows == found(root, "bias", "good").n_rows == 1
    with pytest.raises(NotFoundError, match="no dataset type matches 'row'"):
        stage.associate(root, "good", ["row"], ["u/me/1"])


def test_datasets_are_certified_for_a_time(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Times are written as in expressions; what is certified can be taken back in part."""
    certify = ["certify", root, "calib", "-t", "bias"]
    end = "2026-02-01T00:00:00/tai"
    answer = run(capsys, *certify, "-i", "u/me/1", "--end", end)
    assert answer == {
        "collection": "calib", "dataset_type": "bias", "datasets": 2, "begin_ns": None, "end_ns": parse_time(end),
    }  # fmt: skip
    assert run_command(["repo", *certify, "-i", "u/me/2", "--begin", "2026-01-31"]) == ExitCode.CONFLICT
    run(capsys, *certify, "-i", "u/me/2", "--begin", end)
    where = ["--where", "instrument='Cam' AND detector=1", "--yes"]
    lost = run(capsys, "decertify", root, "calib", "-t", "bias", "--begin", "2026-01-01", *where)
    assert lost["ranges"] == 2
    with Repo.open(root) as repo, repo.registry.read() as snap:
        rows = snap.validity_ranges("bias", ["calib"]).select(("detector", "valid_end")).rows()
    assert rows == [(0, parse_time(end)), (0, 2**63 - 1), (1, parse_time("2026-01-01"))]
    assert run_command(["repo", *certify, "-i", "u/me/1", "--begin", "noon"]) == ExitCode.USAGE
    assert run_command(["repo", "certify", root, "calib", "-t", "raw", "-i", "u/me/1"]) == ExitCode.CONFLICT
    with pytest.raises(NotFoundError, match="no bias to certify in calib"):
        stage.certify(root, "new", "bias", ["calib"], where="instrument='Cam' AND detector=3")


def test_collections_go_with_what_they_own(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A run goes with datasets and files once nothing refers to it, or if told what to do about that."""
    stage.register_collection(root, "good", type="TAGGED")
    stage.associate(root, "good", ["raw"], ["u/me/1"])
    stage.edit_chain(root, "all", ["good", "u/me/1", "u/me/2"])
    plan = run(capsys, "remove-collection", root, "u/me/1", "--dry-run")
    assert not plan["done"]
    assert plan["collections"] == [
        {"name": "u/me/1", "type": "RUN", "datasets": 4, "chains": ["all"], "held_by": {"good": 2}}
    ]
    assert (
        run_command(["repo", "remove-collection", root, "u/me/1", "--unlink", "--yes"]) == ExitCode.CONFLICT
    )
    assert files(root) == 8
    with pytest.raises(ConflictError, match="datasets of it are in good"):
        stage.remove_collections(root, stage.plan_removal(root, ["u/me/1"], unlink=True))
    done = run(capsys, "remove-collection", root, "u/me/1", "--unlink", "--purge", "--yes")
    assert done["removed"] == {"collections": ["u/me/1"], "datasets": 4, "files": 4}
    assert files(root) == 4
    rest = run(capsys, "remove-collection", root, "*", "--yes")["removed"]
    assert rest == {"collections": ["all", "good", "u/me/2"], "datasets": 4, "files": 4}
    assert files(root) == 0


def test_nothing_goes_without_a_yes(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can answer, what would destroy something ends before it begins."""
    for words in (
        ["remove-collection", root, "u/me/1"],
        ["remove-dataset-type", root, "raw"],
        ["decertify", root, "calib", "-t", "bias"],
    ):
        assert run_command(["repo", *words]) == ExitCode.USAGE
        assert "--yes" in capsys.readouterr().err
    assert files(root) == 8


def test_dataset_types_go_when_they_are_not_used(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All that are named go, or none; where there are datasets of one, it is said where."""
    assert run_command(["repo", "remove-dataset-type", root, "*", "--yes"]) == ExitCode.CONFLICT
    assert "u/me/1 (2), u/me/2 (2)" in capsys.readouterr().err
    run(capsys, "remove-collection", root, "u/me/*", "--yes")
    assert run(capsys, "remove-dataset-type", root, "*", "--yes") == {"removed": ["bias", "raw"]}
    assert run_command(["repo", "remove-dataset-type", root, "raw", "--yes"]) == ExitCode.NOT_FOUND
