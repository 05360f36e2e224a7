"""Pushing to stores that are not local: those that fail and lie, S3 with what it can do, memory; and adopting what lies there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError
from registry.model.columns import Columns
from registry.model.digest import digest_bytes
from registry.model.refs import new_id
from sync.errors import TransferError
from sync.filesystem import files
from sync.filesystem.creating import create
from sync.fsspec_store import FsspecDatastore
from sync.outputs import OUTPUTS_CLAIM, OUTPUTS_IN, Claim, claim, read_claim
from sync.patience import Patience
from sync.push import PushResult, execute_push, plan_push
from sync.repo import Repo
from sync.repo_file import RepoFile
from sync.transfer import transfer
from tests.databases import Database, ask
from tests.faulty_store import Faults, FaultyStore, faulty
from tests.stores import Bucket, requests_sent
from tests.sync_builders import CAMPAIGN, copy_world, make_run, open_staging

__all__ = ["faulty"]
RUN = "u/me/run1"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long between tries."""
    monkeypatch.setattr("sync.transfer.Patience", lambda: Patience(first_s=0.001))


class World:
    """An upstream whose files go to a store, and a campaign that has a run."""

    def __init__(self, folder: Path, store: str, database: Database | None = None, outputs: str = "") -> None:
        copy_world(folder, database)
        old = RepoFile.load(str(folder / "up"))
        RepoFile(old.registry, store).save(str(folder / "up"))
        self.folder, self.store, self.outputs = folder, store, outputs
        with self.staging() as staging:
            if outputs:
                self._adopt(staging)
        with self.staging() as staging:
            self.ids = make_run(staging, RUN).dataset_ids

    def _adopt(self, staging: Repo) -> None:
        held = Claim(new_id().hex(), "trial", str(self.folder))
        claim(self.outputs, held)
        rows = [(OUTPUTS_IN, self.outputs), (OUTPUTS_CLAIM, held.id)]
        with staging.registry.write() as tx:
            tx.insert_rows("repository", Columns.from_rows(("key", "value"), rows), on_existing="replace")

    def upstream(self) -> Repo:
        return Repo.open(self.folder / "up", writable=True)

    def staging(self) -> Repo:
        found = open_staging(self.folder / "campaign")
        if self.outputs:
            found.datastore = FsspecDatastore(self.outputs)
        return found

    def push(self, **options: Any) -> PushResult:
        with self.staging() as staging, self.upstream() as upstream:
            plan = plan_push(
                staging, upstream, [RUN], campaign=CAMPAIGN, register_dataset_types=True,
                mode=options.get("mode", "auto"),
            )  # fmt: skip
            return execute_push(plan, staging, upstream, **options)

    def held(self) -> int:
        """How many of our datasets upstream has."""
        with self.upstream() as upstream, upstream.registry.read() as snapshot:
            return len(snapshot.existing_ids(self.ids))

    def check_bytes(self) -> list[str]:
        """See that every artifact row of our run leads to its bytes; return the URIs."""
        with self.upstream() as upstream:
            rows = ask(upstream.registry, "SELECT id, uri, size, checksum FROM artifact")
            ours = [row[1:] for row in rows if bytes(row[0]) in set(self.ids)]
            for uri, size, checksum in ours:
                assert files.checksum(upstream.datastore.locate(uri)) == (size, checksum)
        assert len(ours) == len(self.ids)
        return sorted(uri for uri, *_ in ours)


# -- a store that fails ----------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path, faulty: type[FaultyStore]) -> World:
    """A world whose upstream keeps its files in a store that can fail."""
    return World(tmp_path, "faulty://up/data")


@pytest.mark.survives("storage", "lost or cut")
@pytest.mark.parametrize(("kind", "code"), [("refuse", "storage"), ("break", "storage"), ("cut", "not-stored"), ("lie", "not-stored")])  # fmt: skip
def test_what_a_store_loses_is_found_before_a_row_names_it(broken: World, kind: str, code: str) -> None:
    """Refused, cut short or acknowledged and forgotten: the error names the file and the place, and no row is there; the same push again completes."""
    FaultyStore.faults.append(Faults("calexp_CAM_1", kind, times=9))

    with pytest.raises(TransferError) as caught:
        broken.push()
    said = str(caught.value)
    assert "artifacts did not arrive at faulty://up/data" in said
    assert code in said
    assert "calexp_CAM_1" in said
    assert broken.held() == 0

    FaultyStore.faults.clear()
    result = broken.push()
    assert result.moved >= 1
    assert broken.held() == len(broken.ids)
    broken.check_bytes()


@pytest.mark.survives("storage", "failed for a moment")
@pytest.mark.parametrize("kind", ["refuse", "break"])
def test_what_fails_for_a_moment_is_tried_again(broken: World, kind: str) -> None:
    """Two refusals of each file cost waits, and nothing else."""
    FaultyStore.faults.append(Faults(RUN, kind, times=2))

    result = broken.push()

    assert result.moved == len(broken.ids)
    assert set(FaultyStore.faults[0].seen.values()) == {2}
    broken.check_bytes()


def test_a_slow_store_is_asked_for_several_at_once(broken: World) -> None:
    """Files wait side by side, and not more than there are threads."""
    with broken.staging() as staging:
        broken.ids += make_run(staging, "u/me/more").dataset_ids
    FaultyStore.faults.append(Faults("data", "delay"))

    with broken.staging() as staging, broken.upstream() as upstream:
        plan = plan_push(
            staging, upstream, [RUN, "u/me/more"], campaign=CAMPAIGN, register_dataset_types=True
        )
        execute_push(plan, staging, upstream)

    assert 2 <= FaultyStore.most_at_once <= 8
    broken.check_bytes()


@pytest.mark.survives("storage", "dead")
def test_a_dead_store_is_given_up_soon(broken: World, tmp_path: Path) -> None:
    """After many failures in a row the rest is not tried, and is counted."""
    uris = [f"r/{i}" for i in range(400)]
    for uri in uris:
        (tmp_path / "s" / uri).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / uri).write_bytes(b"x")
    FaultyStore.faults.append(Faults("r/", "break", times=99))
    rows = Columns.from_rows(("uri", "size", "checksum"), [(uri, 1, "") for uri in uris])

    result = transfer(rows, str(tmp_path / "s"), broken.store, patience=Patience(first_s=0.001, total_s=0.1))

    assert not result.moved
    assert 16 <= len(result.failed) <= 16 + 8
    assert len(result.failed) + result.untried == 400


def test_a_refused_push_takes_its_files_back_from_a_store(broken: World) -> None:
    """A file of another's under an artifact's name refuses the push; what had been put there goes, the other's stays."""
    with broken.staging() as staging:
        rows = ask(staging.registry, "SELECT uri FROM artifact WHERE uri LIKE '%calexp_CAM_1%'")

    def meddle(step: str) -> None:
        if step == "journal-begun":
            files.write_bytes(files.join(broken.store, rows[0][0]), b"another's")

    with pytest.raises(ConflictError, match="artifact-differs"):
        broken.push(at=meddle)
    assert files.list_files(broken.store) == [rows[0][0]]
    assert broken.held() == 0


# -- memory and S3 ---------------------------------------------------------------------------------------------


def test_memory_is_a_store(tmp_path: Path) -> None:
    """From local files to memory and back again, byte for byte."""
    world = World(tmp_path, f"memory://up-{tmp_path.name}")

    assert world.push().moved == len(world.ids)
    world.check_bytes()


def test_local_files_go_to_s3(tmp_path: Path, bucket: Bucket, database: Database) -> None:
    """Whatever database upstream's registry is in: all arrives, and the second push asks the store nothing."""
    world = World(tmp_path, bucket.uri("up/data"), database)

    world.push()
    uris = world.check_bytes()
    with requests_sent() as seen:
        again = world.push()

    assert again.push_id is None
    assert {uri.startswith(RUN) for uri in uris} == {True}
    assert seen.methods == []


def test_one_store_copies_itself(tmp_path: Path, bucket: Bucket) -> None:
    """From S3 to the same S3 no artifact's bytes come here; sizes and tags are compared, and nothing is replaced."""
    world = World(tmp_path, bucket.uri("up/data"), outputs=bucket.uri("out"))

    with requests_sent() as seen:
        world.push(mode="copy")

    assert seen.n_bytes < 30_000  # lists
    assert "POST" not in seen.methods
    assert {uri.startswith(RUN) for uri in world.check_bytes()} == {True}


def test_what_lies_in_s3_is_adopted(tmp_path: Path, bucket: Bucket) -> None:
    """Outputs below upstream's root are registered there by relative paths, beside it by whole ones; nothing is copied."""
    for outputs, begin in (
        ("up/data/.campaigns/c", ".campaigns/c/u/me"),
        ("beside", bucket.uri("beside/u/me")),
    ):
        world = World(
            tmp_path / outputs.partition("/")[0], bucket.uri("up/data"), outputs=bucket.uri(outputs)
        )
        before = files.list_files(bucket.uri(""))
        with requests_sent() as seen:
            result = world.push()

        assert result.adopted
        assert result.moved == len(world.ids)
        assert {uri.startswith(begin) for uri in world.check_bytes()} == {True}
        assert files.list_files(bucket.uri("")) == before
        assert len([m for m in seen.methods if m == "PUT"]) == 1  # that they are upstream's by now


def test_what_is_gone_or_cut_in_s3_is_not_adopted(tmp_path: Path, bucket: Bucket) -> None:
    """One list of the run shows what is missing and what has another size; upstream is as it was."""
    world = World(tmp_path, bucket.uri("up/data"), outputs=bucket.uri("up/data/.campaigns/c"))
    names = [n for n in files.list_files(world.outputs) if "calexp_CAM_1" in n]
    good = files.read_bytes(files.join(world.outputs, names[0]))

    files.write_bytes(files.join(world.outputs, names[0]), good[:-1])
    with pytest.raises(IntegrityError, match="1 changed"):
        world.push()
    files.remove(files.join(world.outputs, names[0]))
    with pytest.raises(NotFoundError, match="1 missing"):
        world.push()
    assert world.held() == 0
    files.write_bytes(files.join(world.outputs, names[0]), good)
    world.push()


def test_of_two_writers_of_an_object_one_is_told(bucket: Bucket) -> None:
    """Both found nothing there and both write: the server keeps the first object and refuses the second."""
    where, gate = bucket.uri("up/one"), threading.Barrier(4)
    wrote: list[bytes] = []

    def write(data: bytes) -> None:
        def parts() -> Iterator[bytes]:
            gate.wait()
            yield data

        try:
            create(where, parts())
            wrote.append(data)
        except AlreadyExistsError:
            pass

    threads = [threading.Thread(target=write, args=(bytes([n]) * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(wrote) == 1
    assert files.read_bytes(where) == wrote[0]


def test_a_server_without_conditions_is_looked_at_first(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers that it does not know the condition gets the object without it, unless one is there."""
    import s3fs

    plain = s3fs.S3FileSystem._pipe_file
    asked: list[str] = []

    async def pipe(self: Any, path: str, data: bytes, mode: str = "overwrite", **options: Any) -> Any:
        asked.append(mode)
        if mode == "create":
            raise OSError(38, "A header you provided implies functionality that is not implemented")
        return await plain(self, path, data, mode=mode, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", pipe)
    monkeypatch.setattr("sync.filesystem.remote_access.CONDITIONAL._refused", set())
    s3fs.S3FileSystem.clear_instance_cache()

    create(bucket.uri("a"), [b"one"])
    create(bucket.uri("b"), [b"two"])
    with pytest.raises(AlreadyExistsError):
        create(bucket.uri("b"), [b"three"])

    assert asked == ["create", "overwrite", "overwrite"]
    assert files.read_bytes(bucket.uri("b")) == b"two"


def test_a_large_object_goes_in_parts(tmp_path: Path, bucket: Bucket) -> None:
    """Twenty megabytes are sent in several requests and verified; damaged ones leave nothing under the name."""
    data = bytes(range(256)) * 80_000
    (tmp_path / "s/r").mkdir(parents=True)
    (tmp_path / "s/r/big").write_bytes(data)

    def rows(checksum: str) -> Columns:
        return Columns.from_rows(("uri", "size", "checksum"), [("r/big", len(data), checksum)])

    bad = transfer(rows(digest_bytes(b"other")), str(tmp_path / "s"), bucket.uri("up"))
    assert [f.code for f in bad.failed] == ["artifact-changed"]
    assert files.list_files(bucket.uri("up")) == []
    with requests_sent() as seen:
        good = transfer(rows(digest_bytes(data)), str(tmp_path / "s"), bucket.uri("up"))

    assert good.moved == ("r/big",)
    assert seen.methods.count("PUT") == 3
    assert files.checksum(bucket.uri("up/r/big")) == (len(data), digest_bytes(data))
    again = transfer(rows(digest_bytes(data)), str(tmp_path / "s"), bucket.uri("up"))
    assert again.same == ("r/big",)


# -- adoption at its fault points ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", ["journal-begun", "artifacts-moved", "journal-moved", "rows-written", "committed"]
)
def test_a_push_that_adopts_is_broken_off_and_repeated(tmp_path: Path, point: str) -> None:
    """Wherever it dies the files stay the campaign's where they are, and the same push again completes."""
    world = World(tmp_path, str(tmp_path / "up/data"), outputs=str(tmp_path / "up/data/.campaigns/c"))
    before = files.list_files(world.outputs)

    def die(step: str) -> None:
        if step == point:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.push(at=die)
    assert world.held() == (len(world.ids) if point == "committed" else 0)
    assert files.list_files(world.outputs) == before
    world.push()

    world.check_bytes()
    assert files.list_files(world.outputs) == before


def test_an_adopted_push_that_is_refused_gives_the_files_back(tmp_path: Path) -> None:
    """A conflict inside the transaction removes no file, and the run is the campaign's own again."""
    world = World(tmp_path, str(tmp_path / "up/data"), outputs=str(tmp_path / "up/data/.campaigns/c"))
    before = files.list_files(world.outputs)

    def meddle(step: str) -> None:
        if step == "journal-moved":
            holder = read_claim(world.outputs)
            assert holder is not None
            assert holder.given == (RUN,)
            with world.upstream() as other, other.registry.write() as tx:
                tx.set_chain(RUN, [])

    with pytest.raises(ConflictError):
        world.push(at=meddle)

    holder = read_claim(world.outputs)
    assert holder is not None
    assert holder.given == ()
    assert files.list_files(world.outputs) == before


def test_a_claim_that_is_another_campaigns_refuses_the_push(tmp_path: Path) -> None:
    """Whose claim the prefix has is looked at before anything is named."""
    world = World(tmp_path, str(tmp_path / "up/data"), outputs=str(tmp_path / "up/data/.campaigns/c"))
    files.remove(files.join(world.outputs, ".campaign-outputs.json"))
    claim(world.outputs, Claim("other", "theirs", "/elsewhere"))

    with pytest.raises(ConflictError, match="campaign 'theirs' in /elsewhere"):
        world.push()

    assert world.held() == 0
