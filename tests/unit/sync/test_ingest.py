"""Ingest: many files at a time, all or none."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import (
    ConflictError,
    DataIdError,
    IntegrityError,
    NotFoundError,
    StageError,
    StorageError,
    UsageError,
)
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_bytes
from registry.model.dimensions import DimensionUniverse
from sync.administration.ingest import ingest
from sync.filesystem import files
from sync.repo import Repo
from tests.databases import Database

LAB = DimensionUniverse.from_yaml(
    """
name: test/lab
version: 1
elements:
  sample: {key: {name: name, type: string}}
  shot: {requires: [sample], key: {name: number, type: int}}
"""
)
N_SHOTS = 200


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with 200 shots of a sample."""
    made = Repo.create(tmp_path / "repo", LAB)
    with made.registry.write() as change:
        change.insert_records("sample", Columns({"sample": ["s"]}))
        change.insert_records("shot", Columns({"sample": ["s"] * N_SHOTS, "shot": np.arange(N_SHOTS)}))
        for name, kind in (("raw", "Json"), ("frame", "FitsImage"), ("blob", "File")):
            change.register_dataset_type(DatasetType(name, LAB.group(["shot"]), kind))
        change.register_dataset_type(DatasetType("notes", LAB.group([]), "Text"))
    return made


def table(folder: Path, n: int, suffix: str = ".json") -> Columns:
    """Write `n` files and return the table that ingest takes."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}{suffix}" for i in range(n)]
    for i, path in enumerate(paths):
        path.write_text(str(i))
    return Columns({"sample": ["s"] * n, "shot": np.arange(n), "path": [str(p) for p in paths]})


def everything(repo: Repo) -> tuple[list[str], Any]:
    """Return all files of a repository's datastore and the number of its datasets and collections."""
    with repo.registry.read() as snapshot:
        counts = sum(snapshot.count_datasets()["n"].tolist())
        return files.list_files(repo.datastore.root), (counts, [c.name for c in snapshot.collections()])


@pytest.mark.parametrize("mode", ["copy", "link", "symlink", "move", "direct"])
def test_files_become_datasets(repo: Repo, tmp_path: Path, mode: Any) -> None:
    """In every mode all files can be read as datasets and have sizes and checksums; only `move` takes the source."""
    rows = table(tmp_path / "in", N_SHOTS)

    assert ingest(repo, "raw", "in/raw", rows, mode=mode, checksum=True) == N_SHOTS

    assert repo.get("raw", {"sample": "s", "shot": 17}, ["in/raw"], verify=True) == 17
    with repo.registry.read() as snapshot:
        found = snapshot.datasets("raw", ["in/raw"], artifacts=True, order_by=["shot"])
    assert [digest_bytes(str(i).encode()) for i in range(N_SHOTS)] == found["checksum"].tolist()
    assert [len(str(i)) for i in range(N_SHOTS)] == found["size"].tolist()
    assert set(found["formatter"].tolist()) == {"json"}
    assert (tmp_path / "in" / "3.json").exists() == (mode != "move")
    assert len(files.list_files(repo.datastore.root)) == (0 if mode == "direct" else N_SHOTS)
    absolute = [uri.startswith("/") for uri in found["uri"].tolist()]
    assert absolute == [mode == "direct"] * N_SHOTS


def test_without_checksums(repo: Repo, tmp_path: Path) -> None:
    """Files that stay where they are are not read unless that is asked for; their sizes are recorded."""
    ingest(repo, "raw", "r", table(tmp_path / "in", 3), mode="direct")

    with repo.registry.read() as snapshot:
        found = snapshot.datasets("raw", ["r"], artifacts=True)
    assert found["checksum"].tolist() == [""] * 3
    assert found["size"].tolist() == [1] * 3


def test_relative_paths_and_text_numbers(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table read from text works: digits for numbers, paths from the working directory."""
    table(tmp_path / "in", 2)
    monkeypatch.chdir(tmp_path / "in")

    ingest(repo, "raw", "r", Columns({"sample": ["s"], "shot": ["1"], "path": ["1.json"]}), mode="direct")
    os.chdir("/")

    assert repo.get("raw", {"sample": "s", "shot": 1}, ["r"]) == 1


def test_no_dimensions(repo: Repo, tmp_path: Path) -> None:
    """A dataset type without dimensions takes one file a run."""
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    ingest(repo, "notes", "r", Columns({"path": [path]}))

    assert repo.get("notes", {}, ["r"]) == "hello"
    with pytest.raises(ConflictError):
        ingest(repo, "notes", "r", Columns({"path": [path]}))
    with pytest.raises(ConflictError):
        ingest(repo, "notes", "r2", Columns({"path": [path, path]}))


def test_extensions_and_formatters(repo: Repo, tmp_path: Path) -> None:
    """A file keeps its own extensions; one that is named .zst is read as compressed."""
    import zstandard

    packed = tmp_path / "1.json.zst"
    packed.write_bytes(zstandard.compress(b"[1]"))
    strange = tmp_path / "2.dat"
    strange.write_text("[2]")
    rows = Columns({"sample": ["s", "s"], "shot": [1, 2], "path": [str(packed), str(strange)]})

    ingest(repo, "raw", "r", rows)

    assert [repo.get("raw", {"sample": "s", "shot": i}, ["r"]) for i in (1, 2)] == [[1], [2]]
    assert repo.locate("raw", {"sample": "s", "shot": 1}, ["r"]).endswith(".json.zst")
    assert repo.locate("raw", {"sample": "s", "shot": 2}, ["r"]).endswith(".dat")


def test_chosen_formatter(repo: Repo, tmp_path: Path) -> None:
    """The caller may say who reads the files; one that does not exist is refused first."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1")
    rows = Columns({"sample": ["s"], "shot": [1], "path": [str(path)]})

    with pytest.raises(NotFoundError, match="no formatter 'yml'"):
        ingest(repo, "raw", "r", rows, formatter="yml")
    ingest(repo, "raw", "r", rows, formatter="yaml")

    assert repo.get("raw", {"sample": "s", "shot": 1}, ["r"]) == {"a": 1}


def test_packed_raw_frames(repo: Repo, tmp_path: Path) -> None:
    """A frame that is packed with gzip stays so, and is read as an image, also where it lies."""
    from sync.formatters.fits import Image
    from sync.storage import formatter

    path = tmp_path / "HAT-P-32.20171220.FITS.gz"
    path.write_bytes(gzip.compress(formatter("fits").encode(Image(np.eye(3), {"A": 1}))))
    rows = Columns({"sample": ["s"], "shot": [1], "path": [str(path)]})

    for run, mode in (("direct", "direct"), ("copied", "copy")):
        ingest(repo, "frame", run, rows, mode=mode)  # type: ignore[arg-type]
        image: Any = repo.get("frame", {"sample": "s", "shot": 1}, [run], verify=True)
        assert image.header["A"] == 1
    assert repo.locate("frame", {"sample": "s", "shot": 1}, ["copied"]).endswith(".FITS.gz")


def test_real_frames(repo: Repo, shared: Path) -> None:
    """A night of real frames is registered where it lies, without a byte written beside it."""
    frames = sorted((shared / "data" / "real-images" / "microobs-hatp32").glob("*.FITS.gz"))
    n = len(frames)
    rows = Columns({"sample": ["s"] * n, "shot": np.arange(n), "path": [str(p) for p in frames]})

    assert ingest(repo, "frame", "night", rows, mode="direct") == n == 48

    image: Any = repo.get("frame", {"sample": "s", "shot": 47}, ["night"], verify=True)
    assert image.data.ndim == 2


class TestRefusals:
    def refused(self, repo: Repo, error: type[StageError], *args: Any, **kwargs: Any) -> StageError:
        """Check that an ingest is refused and changes nothing."""
        before = everything(repo)
        with pytest.raises(error) as caught:
            ingest(repo, *args, **kwargs)
        assert before == everything(repo)
        return caught.value

    @pytest.mark.parametrize("mode", ["copy", "move", "link", "symlink", "direct"])
    def test_missing_files_are_listed(self, repo: Repo, tmp_path: Path, mode: str) -> None:
        """All missing files are counted, the first ones named, and the others stay where they are."""
        rows = table(tmp_path / "in", N_SHOTS)
        for i in range(50, 62):
            (tmp_path / "in" / f"{i}.json").unlink()

        found = self.refused(repo, NotFoundError, "raw", "r", rows, mode=mode)

        assert found.code == "missing-files"
        assert "50.json" in str(found)
        assert "and 2 more" in str(found)
        assert len(found.context["paths"]) == 12
        assert len(list((tmp_path / "in").iterdir())) == N_SHOTS - 12

    def test_missing_records(self, repo: Repo, tmp_path: Path) -> None:
        """Data IDs that the registry does not know are named by dimension before any file moves."""
        rows = table(tmp_path / "in", 3).with_column("shot", [1, 1000, 1001])

        found = self.refused(repo, DataIdError, "raw", "r", rows, mode="move")

        assert found.code == "missing-records"
        assert "no shot record for sample=s, shot=1000; sample=s, shot=1001" in str(found)
        assert (tmp_path / "in" / "0.json").exists()
        found = self.refused(repo, DataIdError, "raw", "r", rows.with_column("sample", ["s", "t", "t"]))
        assert "no sample record for sample=t" in str(found)

    def test_the_same_again(self, repo: Repo, tmp_path: Path) -> None:
        """A second ingest of the same is a conflict that says how many; into another run it is not."""
        rows = table(tmp_path / "in", 5)
        ingest(repo, "raw", "r", rows)

        found = self.refused(repo, ConflictError, "raw", "r", rows)
        assert found.code == "dataset-exists"
        assert "5 of these 5" in str(found)
        found = self.refused(repo, ConflictError, "raw", "r", rows.take(np.array([3])))
        assert "raw {sample=s, shot=3}" in str(found)
        ingest(repo, "raw", "r2", rows)

    def test_one_dataset_twice(self, repo: Repo, tmp_path: Path) -> None:
        """Two files for one dataset are both named."""
        rows = table(tmp_path / "in", 3).with_column("shot", [1, 2, 1])

        found = self.refused(repo, ConflictError, "raw", "r", rows)

        assert "0.json" in str(found)
        assert "2.json" in str(found)

    def test_bad_tables(self, repo: Repo, tmp_path: Path) -> None:
        """Columns that are missing, unknown or of the wrong type are named."""
        rows = table(tmp_path / "in", 2)

        assert "path" in str(self.refused(repo, DataIdError, "raw", "r", rows.select(["sample", "shot"])))
        assert "shot" in str(self.refused(repo, DataIdError, "raw", "r", rows.select(["sample", "path"])))
        found = self.refused(repo, DataIdError, "raw", "r", rows.with_column("simple", ["s", "s"]))
        assert "'sample'" in found.hint
        assert "shot='x'" in str(
            self.refused(repo, DataIdError, "raw", "r", rows.with_column("shot", ["x", "y"]))
        )
        self.refused(repo, NotFoundError, "row", "r", rows)
        self.refused(repo, UsageError, "raw", "../r", rows)
        assert "'move'" in self.refused(repo, UsageError, "raw", "r", rows, mode="mov").hint

    def test_collection_of_another_type(self, repo: Repo, tmp_path: Path) -> None:
        """A name that is a chain is refused before any file moves."""
        with repo.registry.write() as change:
            change.set_chain("chain", [])

        found = self.refused(repo, ConflictError, "raw", "chain", table(tmp_path / "in", 2), mode="move")

        assert found.code == "collection-type-differs"
        assert len(list((tmp_path / "in").iterdir())) == 2

    def test_failure_in_the_middle(self, repo: Repo, tmp_path: Path) -> None:
        """If one file of many cannot be copied, those that were are removed."""
        rows = table(tmp_path / "in", N_SHOTS)
        (tmp_path / "in" / "150.json").unlink()
        (tmp_path / "in" / "150.json").mkdir()

        self.refused(repo, StorageError, "raw", "r", rows)

        assert list(Path(repo.datastore.root).iterdir()) == []

    @pytest.mark.parametrize("mode", ["copy", "move", "link"])
    def test_failure_of_the_transaction(
        self, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
    ) -> None:
        """If the rows cannot be written, the files are removed and a move has taken nothing."""
        from registry.registry import Change

        def fail(*args: object, **kwargs: object) -> None:
            raise KeyboardInterrupt

        rows = table(tmp_path / "in", 5)
        monkeypatch.setattr(Change, "insert_datasets", fail)
        before = everything(repo)

        with pytest.raises(KeyboardInterrupt):
            ingest(repo, "raw", "r", rows, mode=mode)  # type: ignore[arg-type]

        assert before == everything(repo)
        assert len(list((tmp_path / "in").iterdir())) == 5

    def test_interruption_after_the_commit(
        self, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If the interruption comes when the rows are written already, their files stay."""
        from contextlib import contextmanager

        from registry.registry import Registry

        write = Registry.write

        @contextmanager
        def late(self: Registry) -> Any:
            with write(self) as change:
                yield change
            raise KeyboardInterrupt

        monkeypatch.setattr(Registry, "write", late)
        with pytest.raises(KeyboardInterrupt):
            ingest(repo, "raw", "r", table(tmp_path / "in", 5))
        with pytest.raises(KeyboardInterrupt):
            repo.put([0], "raw", {"sample": "s", "shot": 9}, "r")

        assert repo.get("raw", {"sample": "s", "shot": 4}, ["r"], verify=True) == 4
        assert repo.get("raw", {"sample": "s", "shot": 9}, ["r"], verify=True) == [0]

    def test_remote_files_cannot_be_linked(self, repo: Repo) -> None:
        """A link to a remote file is refused; a copy and a reference are not."""
        files.write_bytes("memory://ingest/1.json", b"[1]")
        rows = Columns({"sample": ["s"], "shot": [1], "path": ["memory://ingest/1.json"]})

        self.refused(repo, UsageError, "raw", "r", rows, mode="link")
        ingest(repo, "raw", "copied", rows)
        ingest(repo, "raw", "direct", rows, mode="direct")

        for run in ("copied", "direct"):
            assert repo.get("raw", {"sample": "s", "shot": 1}, [run], verify=True) == [1]

    def test_changed_source_of_direct_is_found(self, repo: Repo, tmp_path: Path) -> None:
        """A file that changes after it was registered where it lies fails verification."""
        ingest(repo, "raw", "r", table(tmp_path / "in", 2), mode="direct", checksum=True)
        (tmp_path / "in" / "0.json").write_text("1")

        with pytest.raises(IntegrityError):
            repo.get("raw", {"sample": "s", "shot": 0}, ["r"], verify=True)

    def test_links_do_not_leave_their_file_system(self, repo: Repo, tmp_path: Path) -> None:
        """A link to a file on another file system is refused by name, and what was linked before is gone."""
        other = Path("/dev/shm")
        if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second file system")
        far = other / f"stage-{os.getpid()}.json"
        far.write_text("5")
        rows = table(tmp_path / "in", 6)
        rows = rows.with_column("path", [*rows["path"].tolist()[:5], str(far)])
        try:
            found = self.refused(repo, StorageError, "raw", "r", rows, mode="link")
        finally:
            far.unlink()
        assert found.code == "cross-device"
        assert far.name in str(found)
        assert "Copy instead" in found.hint

    @pytest.mark.parametrize("mode", ["direct", "copy"])
    def test_what_is_refused_is_told_alike(self, repo: Repo, tmp_path: Path, mode: str) -> None:
        """Whether it is asked before or found while writing, all that is missing or there already is counted."""
        rows = table(tmp_path / "in", 4)
        ingest(repo, "raw", "r", rows.take(np.array([1, 2])), mode="direct")

        found = self.refused(repo, ConflictError, "raw", "r", rows, mode=mode)
        assert "2 of these 4" in str(found)
        found = self.refused(
            repo, DataIdError, "raw", "s", rows.with_column("shot", [1, 900, 901, 902]), mode=mode
        )
        assert found.context["count"] == 3


def test_on_each_database(tmp_path: Path, database: Database) -> None:
    """Files become datasets, and are refused the second time, on each database."""
    with Repo.create(tmp_path / "repo", LAB, registry_url=database.url()) as repo:
        with repo.registry.write() as change:
            change.insert_records("sample", Columns({"sample": ["s"]}))
            change.insert_records("shot", Columns({"sample": ["s"] * 3, "shot": np.arange(3)}))
            change.register_dataset_type(DatasetType("raw", LAB.group(["shot"]), "Json"))
        for mode, run in (("direct", "a"), ("copy", "b")):
            rows = table(tmp_path / "in", 3)
            assert ingest(repo, "raw", run, rows, mode=mode) == 3  # type: ignore[arg-type]
            with pytest.raises(ConflictError, match="3 of these 3"):
                ingest(repo, "raw", run, rows, mode=mode)  # type: ignore[arg-type]
            with pytest.raises(DataIdError, match="shot=9"):
                ingest(repo, "raw", "c", rows.with_column("shot", [0, 1, 9]), mode=mode)  # type: ignore[arg-type]
        assert repo.get("raw", {"sample": "s", "shot": 2}, ["b"], verify=True) == 2


def test_killed_ingest_leaves_only_orphans(repo: Repo, tmp_path: Path) -> None:
    """After kill -9 at any moment there are all rows or none, every row has its file, and the same call then works."""
    rows = table(tmp_path / "in", N_SHOTS)
    code = (
        "import sys, numpy as np\n"
        "from registry.model.columns import Columns\n"
        "from sync.administration.ingest import ingest\n"
        "from sync.repo import Repo\n"
        f"repo = Repo.open({repo.root!r}, writable=True)\n"
        f"n, folder = {N_SHOTS}, {str(tmp_path / 'in')!r}\n"
        "rows = Columns({'sample': ['s'] * n, 'shot': np.arange(n), 'path': [f'{folder}/{i}.json' for i in range(n)]})\n"
        "print('go', flush=True)\n"
        "ingest(repo, 'raw', sys.argv[1], rows)\n"
    )
    for k, delay in enumerate((0.005, 0.02, 0.04)):
        with subprocess.Popen([sys.executable, "-c", code, f"r{k}"], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        with Repo.open(repo.root, writable=True) as again:
            with again.registry.read() as snapshot:
                known = [c.name for c in snapshot.collections()]
                found = (
                    snapshot.datasets("raw", [f"r{k}"], artifacts=True) if f"r{k}" in known else Columns({})
                )
            assert found.n_rows in {0, N_SHOTS}
            assert all(again.datastore.exists(uri) for uri in (found["uri"].tolist() if found.n_rows else []))
            if not found.n_rows:
                assert ingest(again, "raw", f"r{k}", rows) == N_SHOTS
