"""Repositories: made whole or not at all, opened to read without a trace, one registry and one datastore."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from registry.errors import (
    AlreadyExistsError,
    ConflictError,
    DataIdError,
    IntegrityError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    StorageError,
    UsageError,
)
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import id_text, new_id
from registry.registry import Registry
from sync.filesystem import files
from sync.repo import Repo

WEATHER = DimensionUniverse.from_yaml(
    """
name: test/weather
version: 1
elements:
  station: {key: {name: name, type: string}}
  day: {requires: [station], key: {name: number, type: int}, metadata: {rain: float}}
"""
)


def fill(repo: Repo) -> None:
    """Give a repository stations, days and dataset types."""
    universe = repo.registry.universe
    with repo.registry.write() as change:
        change.insert_records("station", Columns({"station": ["a", "b"]}))
        change.insert_records(
            "day", Columns({"station": ["a", "a", "b"], "day": [1, 2, 1], "rain": [0.5, None, 2.0]})
        )
        for name, names, kind in (
            ("wind", ["station", "day"], "Json"),
            ("note", ["station"], "Text"),
            ("all", [], "Json"),
        ):
            change.register_dataset_type(DatasetType(name, universe.group(names), kind))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with records and dataset types, open to write."""
    made = Repo.create(tmp_path / "repo", WEATHER)
    fill(made)
    return made


def snapshot_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return size, modification time and content of every file below a directory."""
    return {
        str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns, p.read_bytes())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


class TestCreate:
    def test_what_is_made(self, tmp_path: Path) -> None:
        """A new repository is three lines of YAML and a database, nothing else, and names no path of its own."""
        Repo.create(tmp_path / "deep" / "repo", WEATHER).close()

        root = tmp_path / "deep" / "repo"
        assert sorted(p.name for p in root.iterdir()) == ["registry.sqlite3", "repo.yaml"]
        assert yaml.safe_load((root / "repo.yaml").read_text()) == {
            "format": 1,
            "registry": "registry.sqlite3",
            "datastore": "data",
        }

    def test_it_is_open_to_write_and_keeps_its_universe(self, tmp_path: Path) -> None:
        """A new repository can be used at once, and later by others."""
        with Repo.create(tmp_path / "r", WEATHER) as made:
            fill(made)
            ref = made.put({"x": 1}, "wind", {"station": "a", "day": 1}, "r1")

        with Repo.open(tmp_path / "r") as found:
            assert found.registry.universe == WEATHER
            assert found.get(ref) == {"x": 1}

    def test_default_universe(self, tmp_path: Path) -> None:
        """Without a universe of one's own it is the sky's."""
        with Repo.create(tmp_path / "r") as made:
            assert "visit" in made.registry.universe.elements

    def test_existing_directory_is_used(self, tmp_path: Path) -> None:
        """A directory that is there, with other files, may become a root."""
        (tmp_path / "other").write_text("mine")

        Repo.create(tmp_path, WEATHER).close()

        assert (tmp_path / "other").read_text() == "mine"

    def test_twice_is_refused(self, repo: Repo) -> None:
        """An existing repository is never made anew; it stays as it was."""
        repo.close()
        before = snapshot_of(Path(repo.root))

        for place in (repo.root, f"{repo.root}/", f"{repo.root}/repo.yaml", Path(repo.root).as_uri()):
            with pytest.raises(AlreadyExistsError) as caught:
                Repo.create(place, WEATHER)
            assert caught.value.code == "repository-exists"

        assert before == snapshot_of(Path(repo.root))

    def test_foreign_database_is_refused(self, tmp_path: Path) -> None:
        """A database of that name that is not ours, or holds something, is not adopted."""
        (tmp_path / "registry.sqlite3").write_bytes(b"something")

        with pytest.raises(AlreadyExistsError) as caught:
            Repo.create(tmp_path, WEATHER)

        assert caught.value.code == "database-exists"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["registry.sqlite3"]

    def test_used_database_is_refused(self, repo: Repo) -> None:
        """A registry with content whose repo.yaml was lost is not taken for an empty one."""
        repo.close()
        Path(repo.root, "repo.yaml").unlink()

        with pytest.raises(AlreadyExistsError):
            Repo.create(repo.root, WEATHER)

    def test_killed_before_the_last_step_goes_on(self, tmp_path: Path) -> None:
        """The same command after a kill before repo.yaml was written finishes the work."""
        Repo.create(tmp_path / "r", WEATHER).close()
        (tmp_path / "r" / "repo.yaml").unlink()

        with Repo.create(tmp_path / "r", WEATHER) as made:
            assert made.registry.writable

    def test_killed_at_any_moment(self, tmp_path: Path) -> None:
        """However a creation is killed, there is no repository or a whole one, and the same call ends well."""
        code = f"from sync.repo import Repo\nprint('go', flush=True)\nRepo.create({str(tmp_path / 'r')!r})\n"
        for delay in (0.02, 0.08):
            with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(delay)
                process.kill()
            if not (tmp_path / "r" / "repo.yaml").exists():
                with pytest.raises(NotFoundError):
                    Repo.open(tmp_path / "r")
                Repo.create(tmp_path / "r").close()
            Repo.open(tmp_path / "r").close()
            shutil.rmtree(tmp_path / "r")

    def test_where_no_directory_can_be_made(self, tmp_path: Path) -> None:
        """A place that cannot hold a repository is named, and nothing is left above it."""
        (tmp_path / "file").write_text("in the way")

        with pytest.raises(StorageError, match=r"cannot make a repository at .*/file/sub/r: Not a directory"):
            Repo.create(str(tmp_path / "file" / "sub" / "r"))
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    def test_failure_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the database cannot be made, the directories that were made for it go too."""

        def fail(*args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Registry, "create", fail)

        with pytest.raises(StorageError, match="No space"):
            Repo.create(tmp_path / "a" / "r", WEATHER)

        assert list(tmp_path.iterdir()) == []

    def test_datastore_elsewhere(self, tmp_path: Path) -> None:
        """A datastore root that the user names is kept as an absolute path."""
        with Repo.create(tmp_path / "r", WEATHER, datastore_root=tmp_path / "files") as made:
            fill(made)
            ref = made.put("hello", "note", {"station": "a"}, "r1")
            where = made.locate(ref)

        assert where.startswith(str(tmp_path / "files"))
        assert yaml.safe_load((tmp_path / "r" / "repo.yaml").read_text())["datastore"] == str(
            tmp_path / "files"
        )

    def test_database_elsewhere(self, tmp_path: Path) -> None:
        """A database that the user names is used, and tells where the files are."""
        url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
        with Repo.create(tmp_path / "r", WEATHER, registry_url=url) as made:
            fill(made)
            ref = made.put("hello", "note", {"station": "a"}, "r1")

        for place in (tmp_path / "r", url):
            with Repo.open(place) as found:
                assert found.get(ref) == "hello"

    def test_remote_root_needs_a_database_server(self) -> None:
        """SQLite cannot live in an object store, and the error says so."""
        with pytest.raises(UsageError) as caught:
            Repo.create("memory://bucket/repo", WEATHER)
        assert caught.value.code == "remote-sqlite"

    def test_database_alone_needs_a_datastore(self) -> None:
        """A repository named by its database has to be told where its files go."""
        with pytest.raises(UsageError) as caught:
            Repo.create("postgresql://host/db", WEATHER)
        assert caught.value.code == "no-datastore-root"


class TestOpen:
    @pytest.mark.parametrize("form", ["{}", "{}/", "{}/repo.yaml", "file://{}"])
    def test_forms_of_its_name(self, repo: Repo, form: str) -> None:
        """Root, repo.yaml and file URI all name the repository."""
        with Repo.open(form.format(repo.root)) as found:
            assert found.root == repo.root
            assert found.registry.repo_id == repo.registry.repo_id

    def test_relative_path(self, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path is taken from the working directory, once."""
        monkeypatch.chdir(Path(repo.root).parent)
        with Repo.open("repo") as found:
            os.chdir("/")
            assert found.root == repo.root

    def test_by_its_database(self, repo: Repo) -> None:
        """The database alone names the whole repository."""
        ref = repo.put("hello", "note", {"station": "a"}, "r1")
        with Repo.open(f"sqlite:///{repo.root}/registry.sqlite3") as found:
            assert found.get(ref) == "hello"

    def test_attach(self, repo: Repo) -> None:
        """Registry and datastore can be named one by one."""
        ref = repo.put("hello", "note", {"station": "a"}, "r1")
        with Repo.attach(
            f"sqlite:///{repo.root}/registry.sqlite3", f"{repo.root}/data", writable=True
        ) as found:
            assert found.get(ref) == "hello"
            found.put("again", "note", {"station": "b"}, "r1")

    def test_moved_repository(self, repo: Repo, tmp_path: Path) -> None:
        """A repository can be moved as a directory."""
        ref = repo.put("hello", "note", {"station": "a"}, "r1")
        repo.close()
        shutil.move(repo.root, tmp_path / "elsewhere")

        with Repo.open(tmp_path / "elsewhere") as found:
            assert found.get(ref) == "hello"

    def test_reading_writes_not_one_byte(self, repo: Repo) -> None:
        """Opening to read and reading leave every file as it was, times included, and refuse to write."""
        ref = repo.put({"x": 1}, "wind", {"station": "a", "day": 1}, "r1")
        repo.close()
        root = Path(repo.root)
        before = snapshot_of(root)

        with Repo.open(root) as found:
            assert found.get(ref, verify=True) == {"x": 1}
            with pytest.raises(StageError):
                found.put({"x": 2}, "wind", {"station": "a", "day": 2}, "r1")

        assert before == snapshot_of(root)

    def test_what_is_no_repository(self, tmp_path: Path) -> None:
        """A directory without repo.yaml, a missing one and a file are not repositories; the error says what to do."""
        (tmp_path / "file").write_text("x")
        for place in (tmp_path, tmp_path / "missing", tmp_path / "file", "memory://nothing-here"):
            with pytest.raises(NotFoundError, match="not a repository") as caught:
                Repo.open(place)
            assert caught.value.code == "not-a-repository"
            assert "stage repo create" in caught.value.hint

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: [", "not YAML"),
            ("", "expected a mapping"),
            ("- 1", "expected a mapping"),
            ("format: 1\nregistry: r", "'datastore' must be text, found None"),
            ("format: 1\nregistry: 3\ndatastore: d", "'registry' must be text, found 3"),
            ("format: 1\nregistry: r\ndatastor: d", "unknown key 'datastor'"),
            ("\x00", "not YAML"),
        ],
    )
    def test_malformed_file(self, tmp_path: Path, text: str, message: str) -> None:
        """A damaged repo.yaml is named with what is wrong in it."""
        (tmp_path / "repo.yaml").write_text(text)
        with pytest.raises(IntegrityError, match=message) as caught:
            Repo.open(tmp_path)
        assert caught.value.code == "bad-repo-file"
        assert str(tmp_path / "repo.yaml") in str(caught.value)

    @pytest.mark.parametrize("found", ["2", "null", "'1'"])
    def test_unknown_format(self, tmp_path: Path, found: str) -> None:
        """A format of another version is refused by number."""
        (tmp_path / "repo.yaml").write_text(f"format: {found}\nregistry: r\ndatastore: d")
        with pytest.raises(SchemaVersionError) as caught:
            Repo.open(tmp_path)
        assert caught.value.code == "repo-format"
        assert caught.value.supported == "1"

    def test_missing_database(self, repo: Repo) -> None:
        """A repository whose database is gone says which file is missing."""
        repo.close()
        Path(repo.root, "registry.sqlite3").unlink()
        with pytest.raises(NotFoundError, match=r"registry\.sqlite3"):
            Repo.open(repo.root)

    def test_credentials_are_not_shown(self) -> None:
        """Neither the name of a repository nor the error of one that is not there shows a password."""
        url = "postgresql://me:secret@127.0.0.1:1/db"
        with pytest.raises(StageError) as caught:
            Repo.open(url)
        assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.context}"


class TestPutAndGet:
    def test_the_ways_to_name_a_dataset(self, repo: Repo) -> None:
        """A reference, an id, its text, and a type with a data ID lead to the same dataset."""
        ref = repo.put({"x": 1}, "wind", {"station": "a", "day": 1}, "r1")

        assert repo.get(ref) == repo.get(ref.id) == repo.get(id_text(ref.id)) == {"x": 1}
        assert repo.get("wind", {"station": "a", "day": 1}, ["r1"]) == {"x": 1}
        assert files.read_bytes(repo.locate("wind", {"station": "a", "day": 1}, ["r1"])) == b'{"x":1}'

    def test_search_goes_in_order(self, repo: Repo) -> None:
        """Of several runs the first that has it counts."""
        repo.put("old", "note", {"station": "a"}, "r1")
        repo.put("new", "note", {"station": "a"}, "r2")

        assert repo.get("note", {"station": "a"}, ["r2", "r1"]) == "new"
        assert repo.get("note", {"station": "a"}, ["r1", "r2"]) == "old"

    def test_no_dimensions(self, repo: Repo) -> None:
        """A dataset type may have no dimensions, and then one dataset a run."""
        ref = repo.put([1], "all", {}, "r1")

        assert repo.get("all", {}, ["r1"]) == [1]
        assert repo.locate(ref).startswith(f"{repo.root}/data/r1/all/all_")
        with pytest.raises(ConflictError):
            repo.put([2], "all", {}, "r1")

    def test_another_class_in_memory(self, repo: Repo) -> None:
        """A dataset can be had as another storage class than its type's."""
        ref = repo.put({"x": 1}, "wind", {"station": "a", "day": 1}, "r1")

        assert repo.get(ref, storage_class="JsonZst") == {"x": 1}

    def test_refusals_leave_nothing(self, repo: Repo) -> None:
        """What is refused leaves no row and no file."""
        repo.put("x", "note", {"station": "a"}, "r1")
        before = files.list_files(repo.root)
        refused: list[tuple[type[StageError], object, str, dict[str, object], str]] = [
            (ConflictError, "y", "note", {"station": "a"}, "r1"),
            (DataIdError, "y", "note", {"station": "nowhere"}, "r1"),
            (DataIdError, "y", "note", {}, "r1"),
            (DataIdError, "y", "note", {"stations": "a"}, "r1"),
            (NotFoundError, "y", "notes", {"station": "a"}, "r1"),
            (UsageError, {1}, "note", {"station": "b"}, "r1"),
            (UsageError, "y", "note", {"station": "b"}, "../r1"),
        ]

        for error, obj, kind, data_id, run in refused:
            with pytest.raises(error):
                repo.put(obj, kind, data_id, run)

        assert before == files.list_files(repo.root)
        with repo.registry.read() as snapshot:
            assert snapshot.count_datasets()["n"].tolist() == [1]

    def test_missing_things_are_named(self, repo: Repo) -> None:
        """Each kind of not being there has an error that says which."""
        ref = repo.put("x", "note", {"station": "a"}, "r1")
        with pytest.raises(NotFoundError, match=r"note.*station.*b.*r1"):
            repo.get("note", {"station": "b"}, ["r1"])
        with pytest.raises(NotFoundError):
            repo.get(new_id())
        with pytest.raises(UsageError, match="not the id"):
            repo.get("note")
        Path(repo.locate(ref)).unlink()
        with pytest.raises(NotFoundError, match="no such file"):
            repo.get(ref)

    def test_dataset_without_a_file(self, repo: Repo) -> None:
        """A dataset that has a row and no artifact says so."""
        with repo.registry.write() as change:
            change.register_run("r1")
            change.insert_datasets("note", "r1", Columns({"station": ["a"], "id": [new_id()]}))
        with pytest.raises(NotFoundError) as caught:
            repo.get("note", {"station": "a"}, ["r1"])
        assert caught.value.code == "no-artifact"
