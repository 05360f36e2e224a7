"""Pruning: what is chosen, what holds it back, what goes, and what always stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError, NotFoundError, StorageError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import new_id
from sync.administration.orphans import execute_orphans, plan_orphans
from sync.administration.prune import PrunePlan, PruneResult, execute_prune, plan_prune
from sync.filesystem.local_files import aside_name
from sync.repo import Repo
from tests.databases import Database
from tests.sync_builders import UNIVERSE, dangling, make_upstream, put_datasets, survey_records, tree


@pytest.fixture
def repo(tmp_path: Path, database: Database) -> Any:
    """Raws in one run and two of logs, on each database."""
    made = Repo.create(tmp_path / "repo", UNIVERSE, registry_url=database.url())
    with made.registry.write() as tx:
        for element, rows in survey_records(3, 2).items():
            tx.insert_records(element, rows)
    put_datasets(made, "raw", "CAM/raw", [("CAM", e, d) for e in (1, 2, 3) for d in (0, 1)])
    put_datasets(made, "bias", "CAM/calib", [("CAM", d) for d in (0, 1)])
    put_datasets(made, "calexp", "u/me/1", [("CAM", 1, 0), ("CAM", 2, 0)])
    put_datasets(made, "calexp_log", "u/me/1", [("CAM", 1, 0), ("CAM", 2, 0)])
    with made.registry.write() as tx:
        tx.set_chain("u/me", ["u/me/1", "CAM/raw"])
    yield made
    made.close()


def n_left(repo: Repo, name: str, *collections: str) -> int:
    with repo.registry.read() as snap:
        return snap.datasets(name, collections).n_rows


def n_files(repo: Repo) -> int:
    return sum(1 for p in Path(repo.datastore.root).rglob("*") if p.is_file())


def test_a_run_is_purged(repo: Repo) -> None:
    """Rows, artifact records, files and empty directories of its datasets go; nothing else does."""
    plan = plan_prune(repo, ["u/me/1"])
    result = execute_prune(plan, repo)

    assert [row[:3] for row in plan.counts] == [("calexp", "u/me/1", 2), ("calexp_log", "u/me/1", 2)]
    assert (plan.n_datasets, len(plan.uris), plan.held_by) == (4, 4, {})
    assert plan.size_bytes == sum(row[3] for row in plan.counts) > 0
    assert result == PruneResult(4, 4)
    assert (n_left(repo, "calexp", "u/me/1"), n_left(repo, "raw", "CAM/raw")) == (0, 6)
    assert n_files(repo) == 8
    assert not (Path(repo.datastore.root) / "u").exists()


def test_unstoring_keeps_the_datasets(repo: Repo) -> None:
    """Only files and their records go; what was made stays on record."""
    result = execute_prune(plan_prune(repo, ["u/me/1"], mode="unstore"), repo)

    assert result == PruneResult(4, 4)
    with repo.registry.read() as snap:
        found = snap.datasets("calexp", ["u/me/1"], artifacts=True)
    assert found["uri"].tolist() == [None, None]
    assert execute_prune(plan_prune(repo, ["u/me/1"], mode="unstore"), repo) == PruneResult(0, 0)


@pytest.mark.parametrize(
    ("collections", "options", "n"),
    [
        (["*"], {"dataset_types": ["calexp*"]}, 4),
        ([], {"dataset_types": ["*_log", "bias"]}, 4),
        (["u/me"], {}, 10),
        (["u/me", "CAM/*"], {"dataset_types": ["raw"], "where": "instrument = 'CAM' AND exposure > 1"}, 4),
        ([], {"where": "instrument = 'CAM' AND detector = 1 AND exposure = cut", "bind": {"cut": 2}}, None),
    ],
)
def test_what_is_chosen(repo: Repo, collections: list[str], options: dict[str, Any], n: int | None) -> None:
    """By collections, chains and patterns of them; by types; by a condition."""
    if n is None:
        options = {**options, "dataset_types": ["raw"]}
    assert plan_prune(repo, collections, **options).n_datasets == (n or 1)


def test_choices_that_are_none(repo: Repo) -> None:
    """Everything at once, and names that are not there, are refused."""
    with pytest.raises(UsageError, match="which datasets"):
        plan_prune(repo)
    with pytest.raises(NotFoundError, match="nothing"):
        plan_prune(repo, ["nothing"])
    with pytest.raises(NotFoundError, match="raws"):
        plan_prune(repo, dataset_types=["raws"])


def test_what_others_hold_stays_unless_told(repo: Repo) -> None:
    """A tagged collection holds a dataset back; told so, it goes from there too."""
    with repo.registry.write() as tx:
        tx.register_collection("best", CollectionType.TAGGED)
        ids = tx.datasets("calexp", ["u/me/1"])["id"].tolist()[:1]
        tx.associate("best", ids)
    plan = plan_prune(repo, ["u/me/1"])
    before = n_files(repo)
    with pytest.raises(ConflictError, match=r"best \(1\)") as caught:
        execute_prune(plan, repo)

    assert (plan.held_by, caught.value.code, before) == ({"best": 1}, "datasets-held", n_files(repo))
    assert plan_prune(repo, ["u/me/1", "best"]).held_by == {}
    assert plan_prune(repo, ["best"]).held_by == {"u/me/1": 1}
    assert execute_prune(plan, repo, even_held=True).datasets == 4
    assert n_left(repo, "calexp", "best") == 0


def test_what_came_to_be_held_since_the_plan_is_seen(repo: Repo) -> None:
    """The check is made again inside the transaction that deletes."""
    plan = plan_prune(repo, ["u/me/1"])
    with repo.registry.write() as tx:
        tx.register_collection("late", CollectionType.TAGGED)
        tx.associate("late", tx.datasets("calexp", ["u/me/1"])["id"].tolist())
    with pytest.raises(ConflictError, match="late"):
        execute_prune(plan, repo)
    assert n_left(repo, "calexp", "u/me/1") == 2


def test_files_elsewhere_and_shared_files_stay(repo: Repo, tmp_path: Path) -> None:
    """A file that was registered where it lies is not touched, nor one that another dataset names."""
    outside = tmp_path / "mine.bin"
    outside.write_bytes(b"mine")
    with repo.registry.write() as tx:
        tx.register_run("extra")
        shared = tx.datasets("raw", ["CAM/raw"], artifacts=True)["uri"].tolist()[0]
        rows = {
            "instrument": ["CAM"] * 2, "exposure": [1, 2], "detector": [0, 0], "id": [new_id(), new_id()],
            "uri": [str(outside), shared], "size": [4, 1], "checksum": ["", ""], "formatter": ["bytes"] * 2,
        }  # fmt: skip
        tx.insert_datasets("raw", "extra", Columns(rows))
    plan = plan_prune(repo, ["extra"])

    assert (plan.n_outside, len(plan.uris)) == (1, 1)
    assert execute_prune(plan, repo) == PruneResult(2, 0, 1)
    assert (outside.read_bytes(), (Path(repo.datastore.root) / shared).exists()) == (b"mine", True)


def test_paths_that_lead_out_are_never_followed(tmp_path: Path) -> None:
    """A row or a symbolic link that points out of the datastore removes nothing there."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("keep")
    with make_upstream(tmp_path / "repo") as repo:
        (tmp_path / "repo/data/way").symlink_to(tmp_path / "precious")
        for uri in ("way/file", "../../precious/file"):
            plan = PrunePlan("purge", [], {}, [new_id()], [uri], 0, frozenset())
            with pytest.raises(StorageError, match="could not be removed"):
                execute_prune(plan, repo)
    assert (tmp_path / "precious/file").read_text() == "keep"


def test_files_go_after_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If files cannot be removed no row names them any more, and a search for orphans finds them."""
    with make_upstream(tmp_path / "repo") as repo:
        plan = plan_prune(repo, ["CAM/raw/all"])
        monkeypatch.setattr(type(repo.datastore), "remove", _fail)
        with pytest.raises(StorageError, match="6 of 6 files could not be removed"):
            execute_prune(plan, repo)
        monkeypatch.undo()

        assert n_left(repo, "raw", "CAM/raw/all") == 0
        assert len(plan_orphans(repo, older_than_s=0).uris) == 6
    assert dangling(tmp_path / "repo") == []


def _fail(*_: object) -> None:
    raise StorageError("refused")


def test_orphans_are_found_and_removed(repo: Repo) -> None:
    """Files that no row names, half-written ones among them; what is named stays, also by its absolute path."""
    root = Path(repo.datastore.root)
    (root / "lost/deep").mkdir(parents=True)
    (root / "lost/deep/file").write_text("12345")
    (root / aside_name()).write_text("x")
    (root / "named").write_text("y")
    with repo.registry.write() as tx:
        tx.register_run("direct")
        rows = {
            "instrument": ["CAM"], "exposure": [1], "detector": [0], "id": [new_id()], "uri": [str(root / "named")],
            "size": [1], "checksum": [""], "formatter": ["bytes"],
        }  # fmt: skip
        tx.insert_datasets("raw", "direct", Columns(rows))
    before = tree(root)
    plan = plan_orphans(repo, older_than_s=0)

    assert before == tree(root)
    assert (len(plan.uris), plan.size_bytes, plan.n_young, "lost/deep/file" in plan.uris) == (2, 6, 0, True)
    assert execute_orphans(plan, repo) == 2
    assert {n for n in before if "lost" not in n and ".part" not in n} == set(tree(root))


def test_young_files_may_be_those_of_a_push(repo: Repo) -> None:
    """By default a file counts as left over after a day; a link just made to an old file is young."""
    root = Path(repo.datastore.root)
    (root / "new").write_text("x")
    (root / "old").write_text("x")
    os.utime(root / "old", (0, 0))
    plan = plan_orphans(repo)

    assert (list(plan.uris), plan.n_young) == ([], 2)


def test_orphans_that_were_named_since_the_plan_stay(repo: Repo) -> None:
    """Rows are read again before files are removed."""
    (Path(repo.datastore.root) / "late").write_text("x")
    plan = plan_orphans(repo, older_than_s=0)
    with repo.registry.write() as tx:
        tx.register_run("late")
        rows = {
            "instrument": ["CAM"], "exposure": [1], "detector": [0], "id": [new_id()], "uri": ["late"], "size": [1],
            "checksum": [""], "formatter": ["bytes"],
        }  # fmt: skip
        tx.insert_datasets("raw", "late", Columns(rows))

    assert execute_orphans(plan, repo) == 0
    assert (Path(repo.datastore.root) / "late").exists()


def test_orphans_in_a_datastore_that_is_no_directory() -> None:
    """Every file system tells names, sizes and times; one in memory too."""
    from sync.filesystem.remote_files import details

    root = f"memory://prune-{new_id().hex()}"
    from sync.filesystem import files

    files.write_bytes(f"{root}/a/b", b"123")
    ((name, size, changed),) = details(root)

    assert (name, size, changed > 1e9) == ("a/b", 3, True)
