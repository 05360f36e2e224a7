"""``--run-dirs``: the campaign directory is the common prefix of its runs' directories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from registry.errors import ConflictError, StageError
from stage.campaign.campaign import Campaign
from tests.integration.tiny_campaign import call, make_upstream

OPTIONS = ("-p", "pipeline.yaml", "-i", "net/raw")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream, and a campaign with two runs and such directories."""
    folder = tmp_path_factory.mktemp("run-dirs")
    make_upstream(folder)
    call("init", "upstream", "camp", *OPTIONS, "--run-dirs", "--next-run", "%c/r%n", cwd=folder)
    call("run", "-q", "-j0", cwd=folder / "camp")
    call("run", "-q", "-j0", "--new-run", cwd=folder / "camp")
    return folder


@pytest.fixture
def folder(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "world", symlinks=True))


def _links(camp: Path) -> set[str]:
    return {str(p.relative_to(camp)) for p in camp.rglob("*") if p.is_symlink()}


def _files(root: Path) -> set[str]:
    """Return the files below a directory, which may be a link."""
    return {str(p.relative_to(root.resolve())) for p in root.resolve().rglob("*") if p.is_file()}


def test_files_of_a_run_are_below_the_campaign(folder: Path) -> None:
    """Those of camp/r1 are at r1/, all and no others; also after the campaign was moved; the datastore has no links."""
    camp = folder / "camp"

    assert _links(camp) == {"r0", "r1"}
    assert any(name.startswith("total/") for name in _files(camp / "r1"))
    assert _files(camp / "r1") == _files(camp / "data/camp/r1")
    moved = camp.rename(folder / "moved")

    assert _files(moved / "r0") == _files(moved / "data/camp/r0") != set()
    assert (moved / "r0").readlink() == Path("data/camp/r0")


def test_links_go_with_their_runs(folder: Path) -> None:
    """A run that was dropped is shown no more; a new one is; a rollback shows what is in the stack again."""
    camp = folder / "camp"
    call("pop", "1", cwd=camp)

    assert _links(camp) == {"r0"}
    call("run", "-q", "-j0", "--replace", "--purge", "--rebuild", cwd=camp)

    assert _links(camp) == {"r2"}
    entry = json.loads(call("history", "--json", cwd=camp).stdout)[-3]
    call("rollback", str(entry["position"]), "--without-lost", "--yes", cwd=camp)

    assert _links(camp) == {"r1"}


def test_the_option_acts_at_any_time(folder: Path) -> None:
    """Without it the links go and nothing else; with it they are made for the runs that there are, and again is nothing."""
    camp = folder / "camp"
    before = _files(camp / "data")
    call("edit", "--no-run-dirs", cwd=camp)

    assert (_links(camp), _files(camp / "data")) == (set(), before)
    assert "run_dirs" not in json.loads((camp / ".campaign.json").read_text())
    assert "run_dirs" in call("edit", "--run-dirs", cwd=camp).stdout

    assert _links(camp) == {"r0", "r1"}
    assert "as it was" in call("edit", "--run-dirs", cwd=camp).stdout


def test_runs_of_any_name_have_their_place(folder: Path) -> None:
    """What follows the campaign's name is the place; a name without it is the place itself; directories go when empty."""
    camp = folder / "camp"
    call("run", "-q", "-j0", "--new-run", "--next-run", "u/ann/camp/deep/r1", cwd=camp)
    call("run", "-q", "-j0", "--new-run", "--next-run", "u/ann/other", cwd=camp)

    assert _links(camp) == {"r0", "r1", "deep/r1", "u/ann/other"}
    assert _files(camp / "deep/r1") == _files(camp / "data/u/ann/camp/deep/r1")
    call("pop", "2", cwd=camp)

    assert _links(camp) == {"r0", "r1"}
    assert not (camp / "deep").exists()
    assert not (camp / "u").exists()


@pytest.mark.parametrize("name", ["camp/data", "camp/notes", "camp/.campaign.json", "camp/notes/r1"])
def test_what_is_there_is_never_replaced(folder: Path, name: str) -> None:
    """A run that would be shown in the place of something else is refused, and nothing was begun."""
    camp = folder / "camp"
    (camp / "notes").write_text("mine")
    state = (camp / ".campaign.json").read_bytes()
    with pytest.raises(ConflictError) as caught:
        Campaign.load(camp).run(processes=0, new_run=True, next_run=name)

    assert caught.value.code == "run-dir-taken"
    assert "--no-run-dirs" in caught.value.hint
    assert (camp / ".campaign.json").read_bytes() == state
    assert (camp / "notes").read_text() == "mine"
    assert not (camp / "data" / name).exists()


def test_nothing_else_takes_notice(folder: Path) -> None:
    """Cleaning, pushing and jobs do as without: the links are no files of the datastore."""
    camp = folder / "camp"
    call("push", "camp/r0", "--register-dataset-types", cwd=camp)
    call("pop", "0", cwd=camp, code=2)
    call("pop", "1", cwd=camp)
    call("clean", "--yes", cwd=camp)

    assert _links(camp) == {"r0"}
    assert not (camp / "data/camp/r1").exists()
    assert _files(camp / "r0") == _files(camp / "data/camp/r0") != set()
    with pytest.raises(StageError):
        Campaign.init(str(folder / "upstream"), camp, run_dirs=True)
