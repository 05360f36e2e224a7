"""A clone that was broken off, whichever way, is gone on with by the same command: what has arrived is not fetched again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_campaign
from test_clone_kill import outcome
from tiny_campaign import call, copy_tree, template_folder

from registry.errors import AlreadyExistsError, BusyError
from stage.campaign.campaign import Campaign
from stage.campaign.graph_reports import FetchReport
from stage.campaign.layout import Layout
from stage.campaign.unfinished import clear_for_clone
from sync.errors import TransferError
from sync.faults import At
from sync.fetching.binding import BINDING
from sync.fetching.movers import move_all
from sync.filesystem.local_files import is_aside
from tests import sync_builders as made
from tests.processes_killed import Chance, killed_at, points_of
from tests.stores import Bucket, bucket, requests_sent, s3_server

__all__ = ["bucket", "s3_server"]
LONG = os.environ.get("STAGE_FAULTS") == "long"
N_FILES = 150
N_FAR = 60
POINTS = [
    "noted", "bound", "artifacts-moving", "artifacts-moved", "artifacts-durable", "rows-written", "committed", "left-over-gone",
    "saved",
]  # fmt: skip
TIMES = 60 if LONG else 2


@pytest.fixture(scope="module")
def source() -> Path:
    """An upstream with as many readings as come in three parts, and the pipeline."""
    folder = template_folder("resumed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_campaign, "MONTHS", tuple(range(202601, 202601 + N_FILES // 3)))
        tiny_campaign._make_upstream(folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which one works."""
    copy_tree(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def calm(work: Path) -> Any:
    """What a clone makes that nobody disturbs."""
    assert clone("calm").copied_bytes == bytes_in(work / "calm")
    return outcome(work / "calm")


def clone(
    directory: str = "camp", at: At | None = None, upstream: str = "upstream", **options: Any
) -> FetchReport:
    """Clone, passing fault points on the way."""
    wanted = {
        "pipeline": "pipeline.yaml",
        "input": ["net/raw"],
        "artifacts": "copy",
        "campaign_name": "camp",
        **options,
    }
    with pytest.MonkeyPatch.context() as patch:
        if at is not None:
            patch.setattr("stage.campaign.change.no_fault", at)
        _, report = Campaign.clone(upstream, directory, **wanted)
    assert report is not None
    return report.fetch or FetchReport({}, {}, 0)


def clone_at(at: At) -> FetchReport:
    return clone(at=at)


def arrived(camp: Path) -> list[Path]:
    """Return the files of inputs that are there whole."""
    found = (p for p in (camp / "data").rglob("*") if p.is_file())
    return [p for p in found if p.name != BINDING and not is_aside(str(p))]


def bytes_in(camp: Path) -> int:
    return sum(p.stat().st_size for p in arrived(camp))


def breaking(point: str, error: BaseException, nth: int = 1) -> At:
    """Raise an error at a point, when it is come to for the n-th time."""
    left = [nth]

    def at(name: str) -> None:
        left[0] -= name == point
        if name == point and not left[0]:
            raise error

    return at


def broken_off(camp: Path, nth: int = 1) -> int:
    """Interrupt a clone when some parts have arrived; return their bytes."""
    with pytest.raises(KeyboardInterrupt):
        clone(camp.name, breaking("artifacts-moving", KeyboardInterrupt(), nth))
    return bytes_in(camp)


def test_every_fault_point_of_a_clone_is_known(work: Path) -> None:
    """What the others kill at is all that there is; one that goes on with files passes one more."""
    assert [p for p in POINTS if p != "left-over-gone"] == points_of(clone_at)
    shutil.rmtree(work / "camp")
    broken_off(work / "camp")

    assert points_of(clone_at) == POINTS


@pytest.mark.survives("kills", "clone with copies")
@pytest.mark.parametrize("point", [p for p in POINTS if LONG or p in ("artifacts-moving", "committed")])
def test_killed_at_a_point_it_brings_only_the_rest(work: Path, calm: Any, point: str) -> None:
    """What was whole is not moved again, byte for byte counted; the end is that of a calm clone."""
    camp = work / "camp"
    if point == "left-over-gone":
        broken_off(camp)
    assert killed_at(point, clone_at)
    here = bytes_in(camp)
    assert here > 0 or point in ("noted", "bound")
    if point == "saved":
        call("edit", "--next-run", "%c/x%n", cwd=camp)
        assert not (camp / ".campaign.unfinished.json").exists()
        return

    again = clone()

    assert again.copied_bytes == bytes_in(work / "calm") - here
    assert outcome(camp) == calm
    assert not (camp / ".campaign.unfinished.json").exists()


def test_killed_at_any_moments_it_brings_only_the_rest(
    work: Path, calm: Any, survived: Callable[[str, str, int], None]
) -> None:
    """However often it is killed, each life moves what is not there yet, and nothing else."""
    camp, total, chance, n_killed = work / "camp", bytes_in(work / "calm"), Chance(), 0
    for _ in range(TIMES + 1):
        if (camp / ".campaign.json").exists():
            assert outcome(camp) == calm
            shutil.rmtree(camp)
        n_killed += chance.kills(clone)
        if not (camp / ".campaign.json").exists() and n_killed % 3:  # else it is killed twice
            here = bytes_in(camp)
            assert clone().copied_bytes == total - here
    if not (camp / ".campaign.json").exists():
        clone()

    assert outcome(camp) == calm
    survived("kills", "clone with copies at random moments", n_killed)


def test_interrupted_it_is_told_what_stays(work: Path, calm: Any) -> None:
    """Nothing else takes the directory for a campaign or makes one there; the same command does."""
    camp = work / "camp"
    here = broken_off(camp, 2)

    assert 0 < here < bytes_in(work / "calm")
    assert {p.name for p in camp.iterdir()} == {"data", ".campaign.unfinished.json"}
    for words in (("status",), ("doctor",), ("fsck",)):
        told = call(*words, cwd=camp, code=10).stderr
        assert "'Campaign.clone' was broken off there" in told
        assert "Give the same command again" in told
    call("init", "upstream", "camp", cwd=work, code=12)
    call("edit", "--repo", "upstream", "--campaign-dir", "camp", "-i", "net/raw", cwd=work, code=12)
    assert (here, False) == (bytes_in(camp), (camp / ".campaign.json").exists())
    assert clone().copied_bytes == bytes_in(work / "calm") - here
    assert outcome(camp) == calm


def test_failed_it_brings_what_had_failed(work: Path, calm: Any) -> None:
    """A file that upstream lacks is named; put back, it alone is fetched."""
    camp, total = work / "camp", bytes_in(work / "calm")
    lost = next(p for p in (work / "upstream").rglob("*.json") if p.is_file())
    shutil.move(lost, work / "lost.json")
    with pytest.raises(TransferError) as failed:
        clone()
    assert "the same command again fetches only the rest" in failed.value.hint
    assert len(arrived(camp)) == N_FILES - 1
    shutil.move(work / "lost.json", lost)

    assert clone().copied_bytes == lost.stat().st_size
    assert (total, calm) == (bytes_in(camp), outcome(camp))


def test_nothing_stays_of_one_to_which_nothing_came(work: Path) -> None:
    """Interrupted before the first file, or failed in its graph, or without files to bring: the directory is gone."""
    for at in (breaking("noted", KeyboardInterrupt()), breaking("bound", KeyboardInterrupt())):
        with pytest.raises(KeyboardInterrupt):
            clone(at=at)
        assert not (work / "camp").exists()
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "no/such",
        "--artifacts",
        "copy",
        cwd=work,
        code=10,
    )
    assert not (work / "camp").exists()
    with pytest.raises(KeyboardInterrupt):
        clone(at=breaking("rows-written", KeyboardInterrupt()), artifacts="direct")

    assert not (work / "camp").exists()


def test_the_first_build_of_a_campaign_keeps_them_too(work: Path, calm: Any) -> None:
    """A campaign that was only defined, whose first build is interrupted: the next one fetches the rest."""
    call("init", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--artifacts", "copy", cwd=work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stage.campaign.change.no_fault", breaking("artifacts-moving", KeyboardInterrupt(), 2))
        with pytest.raises(KeyboardInterrupt):
            Campaign.load("camp").build()
    here = bytes_in(work / "camp")

    report = Campaign.load("camp").build()

    assert here > 0
    assert report.fetch is not None
    assert report.fetch.copied_bytes == bytes_in(work / "calm") - here
    assert {p.name for p in arrived(work / "calm")} == {p.name for p in arrived(work / "camp")}


@pytest.mark.parametrize(
    ("options", "n_files", "brings"),
    [
        ({"data_query": "station = 'aar'"}, N_FILES // 3, None),
        ({"artifacts": "symlink"}, N_FILES, 0),
        ({"artifacts": "direct"}, 0, 0),
        ({"fetch": False}, 0, 0),
        ({"pipeline": None}, 0, 0),
    ],
    ids=["query", "symlink", "direct", "no-fetch", "no-graph"],
)
def test_with_other_arguments_it_has_what_these_ask_for(
    work: Path, options: dict[str, Any], n_files: int, brings: int | None
) -> None:
    """Of what is there it keeps what it would have fetched itself; the rest, and what was half written, goes."""
    camp = work / "camp"
    broken_off(camp, 2)
    (arrived(camp)[0].parent / ".stage-0123-0.part").write_text("half")
    if options.get("pipeline", "") is None:
        call("clone", "upstream", "camp", cwd=work)
        call("clone", "upstream", "fresh", "--campaign-name", "camp", cwd=work)
    else:
        report = clone(**options)
        clone("fresh", **options)
        assert brings is None or report.copied_bytes == brings

    assert len(arrived(camp)) == n_files
    for root, folders, names in os.walk(camp / "data"):
        assert folders or names or root == str(camp / "data"), "no empty directory is left"
        assert not any(map(is_aside, names))
    links = {p.name: p.is_symlink() for p in arrived(camp)}
    assert links == {p.name: p.is_symlink() for p in arrived(work / "fresh")}
    assert outcome(camp)[0] == outcome(work / "fresh")[0]


def test_by_another_name_it_goes_on_too(work: Path) -> None:
    """A clone that was killed before its graph was in its place is given again for a campaign of another name."""
    camp = work / "camp"
    assert killed_at("artifacts-moved", clone_at)
    assert list(camp.glob(".camp.new-*.qg"))
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--artifacts",
        "copy",
        "--campaign-name",
        "b",
        cwd=work,
    )

    assert {p.name for p in camp.glob("*.qg")} == {"b.qg"}
    assert not list(camp.glob(".*.new-*"))
    assert len(arrived(camp)) == N_FILES


def test_of_another_upstream_nothing_is_taken(work: Path, source: Path, calm: Any) -> None:
    """Files of the same names and sizes go when the clone is of another repository; what is damaged is fetched again."""
    camp = work / "camp"
    here = broken_off(camp, 2)
    shutil.move(work / "upstream", work / "first")
    copy_tree(source, work / "second")  # a copy with an identity of its own
    shutil.move(work / "second" / "upstream", work / "upstream")

    assert clone().copied_bytes == bytes_in(work / "calm") > here
    shutil.rmtree(camp)
    broken_off(camp, 2)
    damaged = arrived(camp)[0]
    data = bytearray(damaged.read_bytes())
    data[0] ^= 1
    damaged.write_bytes(data)
    missing = bytes_in(work / "calm") - bytes_in(camp)

    assert clone().copied_bytes == missing + len(data)
    assert made.tree(camp / "data").keys() == made.tree(work / "calm" / "data").keys()
    found = {p.relative_to(camp): p.read_bytes() for p in arrived(camp)}
    assert found == {p.relative_to(work / "calm"): p.read_bytes() for p in arrived(work / "calm")}


@pytest.mark.survives("races", "clones into one directory", 2)
def test_two_at_once_make_one_campaign(work: Path, calm: Any) -> None:
    """One goes on with what is there, the other is told who does, or that it is a campaign by now."""
    broken_off(work / "camp", 2)
    held, goes_on = threading.Event(), threading.Event()
    refused: list[Exception] = []

    def wait(name: str) -> None:
        if name == "artifacts-moving":
            held.set()
            goes_on.wait(60)

    first = threading.Thread(target=partial(clone, at=wait))
    first.start()
    assert held.wait(60)
    try:
        clone()
    except (BusyError, AlreadyExistsError) as error:
        refused.append(error)
    goes_on.set()
    first.join()

    assert [type(error) for error in refused] == [BusyError]
    assert outcome(work / "camp") == calm
    with pytest.raises(AlreadyExistsError, match="is a campaign already"):
        clone()


def test_one_that_comes_when_another_has_just_ended_removes_nothing(work: Path, calm: Any) -> None:
    """It has seen a clone at work, waited for the lock, and finds a campaign."""
    clone()

    with pytest.raises(AlreadyExistsError, match="is a campaign already"):
        clear_for_clone(Layout(work / "camp"), "camp")
    assert outcome(work / "camp") == calm


def test_what_has_no_checksum_is_fetched_again(tmp_path: Path) -> None:
    """Of a local file from a store only a checksum tells that all its bytes are durable; its size does not."""
    (tmp_path / "far").write_text("right")
    (tmp_path / "here").write_text("wrong")
    task = ("here", f"file://{tmp_path}/far", str(tmp_path / "here"), 5, "")
    (moved,) = move_all([task], "copy", is_remote=True)

    assert (["here"], []) == (moved.moved, moved.same)
    assert (tmp_path / "here").read_text() == "right"


# -- with a store -----------------------------------------------------------------------------------------------


@pytest.fixture
def far(source: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with an upstream whose files are in a store."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(tiny_campaign, "MONTHS", tuple(range(202601, 202601 + N_FAR // 3)))
    monkeypatch.setattr(
        "sync.fetching.movers._WORKERS", 2
    )  # who is killed is not to have all of it in flight
    tiny_campaign._make_upstream(tmp_path, "--datastore", bucket.uri("up"))
    monkeypatch.chdir(tmp_path)
    del source
    return tmp_path


@pytest.mark.service
def test_of_a_store_only_the_rest_is_asked_for(far: Path, bucket: Bucket) -> None:
    """Objects that a failing store did not give, and those that were not come to, are fetched; the others not."""
    import s3fs

    store, camp = s3fs.S3FileSystem(), far / "camp"
    lost = next(name for name in store.find(f"{bucket.name}/up") if name.endswith(".json"))
    data = store.cat(lost)
    store.rm(lost)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--artifacts",
        "copy",
        cwd=far,
        code=1,
    )
    assert len(arrived(camp)) == N_FAR - 1
    store.pipe(lost, data)
    with requests_sent() as seen:
        report = clone()

    assert (len(data), 1) == (report.copied_bytes, seen.methods.count("GET"))
    shutil.rmtree(camp)
    assert killed_at("artifacts-moving", clone_at, nth=2)
    here = len(arrived(camp))
    assert 8 <= here < N_FAR
    with requests_sent() as seen:
        clone()
    assert seen.methods.count("GET") == N_FAR - here
    call("fsck", "--full", cwd=camp)


@pytest.mark.service
def test_of_a_campaign_at_a_uri_only_the_rest_is_sent(
    far: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine that began goes on with its own; another, which cannot tell whose the objects are, refuses to build on them."""
    import s3fs

    uri, store = bucket.uri("people/camp"), s3fs.S3FileSystem()
    assert killed_at("artifacts-moving", partial(clone, uri), nth=2)
    store.invalidate_cache()
    here = store.find(uri + "/data", detail=True).values()
    sent = sum(o["size"] for o in here if not o["name"].endswith(BINDING))
    monkeypatch.setenv("STAGE_STATE_DIR", str(far / "elsewhere"))
    with pytest.raises(AlreadyExistsError, match="nothing tells whose they are"):
        clone(uri)
    monkeypatch.setenv("STAGE_STATE_DIR", str(far / "state"))

    report = clone(uri)

    assert sent > 0
    assert 0 < report.copied_bytes == clone("other").copied_bytes - sent
    call("fsck", "--full", cwd=far, env={"STAGE_CAMPAIGN_DIR": uri})
