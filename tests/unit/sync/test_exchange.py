"""A repository out and in again: equal, whole or not at all, from one database to the other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import (
    AlreadyExistsError,
    ConflictError,
    DataIdError,
    IntegrityError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    UsageError,
)
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import id_text, new_id, new_ids
from sync.exports.exchange import import_exports, read_source
from sync.exports.exporting import Selection, export_repository
from sync.filesystem import files
from sync.repo import Repo
from tests.databases import Database
from tests.sync_builders import BIAS, RAW, UNIVERSE, make_run, make_upstream, tree

MakeRepo = Callable[[str], Repo]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with every kind of thing in it (``up``), and its export with files (``out``)."""
    root = tmp_path_factory.mktemp("template")
    with make_upstream(root / "up") as repo:
        _fill(repo)
        export_repository(repo, root / "out", files_mode="link")
    return root


def _fill(repo: Repo) -> None:
    with repo.registry.read() as snapshot:
        raws = snapshot.datasets(RAW, ["CAM/raw/all"])["id"].tolist()
    run = make_run(repo, "CAM/proc", failed=1, inputs=raws[:2])
    with repo.registry.write() as change:
        change.register_dataset_type(DatasetType("flat", UNIVERSE.group(["detector"]), "Bytes", True))
        change.register_collection("CAM/valid", CollectionType.CALIBRATION, "what holds when")
        change.set_chain("CAM/all", ["CAM/valid", "CAM/best", "CAM/proc"])
        change.associate("CAM/best", run.dataset_ids[:2])
        ids = new_ids(2)
        rows = Columns({"instrument": ["CAM", "CAM"], "detector": [0, 1], "id": ids})
        change.register_run("CAM/flats", "no files")
        change.insert_datasets("flat", "CAM/flats", rows)
        change.certify("CAM/valid", ids[1:], 10, 20)
        change.certify("CAM/valid", ids, 20, None)


@pytest.fixture
def survey(template: Path, tmp_path: Path) -> Repo:
    """That repository."""
    shutil.copytree(template / "up", tmp_path / "up")
    return Repo.open(tmp_path / "up", writable=True)


@pytest.fixture
def out(template: Path, tmp_path: Path) -> Path:
    """That export."""
    return Path(shutil.copytree(template / "out", tmp_path / "out"))


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """An empty repository, for imports that are refused."""
    return Repo.create(tmp_path_factory.mktemp("blank") / "two", UNIVERSE)


@pytest.fixture
def empty(tmp_path: Path) -> MakeRepo:
    """Makes empty repositories in SQLite."""
    return lambda name: Repo.create(tmp_path / name, UNIVERSE)


def rows_of(repo: Repo, *, uris: bool = True) -> dict[str, Any]:
    """Return all that a repository says, in an order of its own."""
    names = ("id", "run", *(("uri",) if uris else ()), "size", "checksum", "formatter")
    with repo.registry.read() as snapshot:
        runs = [c.name for c in snapshot.collections(types={CollectionType.RUN})]
        out: dict[str, Any] = {
            e.name: snapshot.records(e.name).rows()
            for e in snapshot.universe.elements.values()
            if e.has_table
        }
        out |= {
            "types": snapshot.dataset_types(),
            "collections": snapshot.collections(),
            "associations": snapshot.associations().rows(),
            "quanta": sorted(snapshot.quanta(runs, latest=False).rows(QUANTUM)),
            "inputs": sorted(snapshot.quantum_inputs(runs).rows(QUANTUM_INPUT)),
            "outputs": sorted(snapshot.quantum_outputs(runs).rows(QUANTUM_OUTPUT)),
        }
        for kind in snapshot.dataset_types():
            rows = (
                snapshot.datasets(kind.name, runs, find_first=False, artifacts=True) if runs else Columns({})
            )
            out[f"datasets {kind.name}"] = (
                sorted(rows.rows((*kind.dimensions.required, *names)), key=str) if runs else []
            )
    return out


@pytest.mark.parametrize("files_mode", ["none", "copy", "link"])
def test_an_export_gives_an_equal_repository(
    survey: Repo, tmp_path: Path, empty: MakeRepo, files_mode: Any
) -> None:
    """Every row and every file come back, with the files in the export or where they were."""
    report = export_repository(survey, tmp_path / "out", files_mode=files_mode)

    with empty("two") as two:
        found = import_exports(two, [tmp_path / "out"])

        assert rows_of(survey) == rows_of(two)
        assert tree(Path(survey.datastore.root)) == tree(Path(two.datastore.root))
    assert report.datasets == {name: n for name, n in found.datasets.items() if n}
    assert (report.tags, report.validity_ranges) == (found.tags, found.validity_ranges) == (2, 3)
    assert report.files == (0 if files_mode == "none" else sum(report.datasets.values()) - 2)
    assert [] == found.notes


def test_from_one_database_to_the_other_and_back(survey: Repo, tmp_path: Path, database: Database) -> None:
    """The same holds on each database, and what that one exports is the same text."""
    export_repository(survey, tmp_path / "one", files_mode="link")
    with Repo.create(tmp_path / "two", UNIVERSE, registry_url=database.url()) as two:
        import_exports(two, [tmp_path / "one"])
        assert rows_of(survey) == rows_of(two)

        export_repository(two, tmp_path / "back", files_mode="link")

    ours, theirs = (
        {p.relative_to(tmp_path / n): sorted(p.read_bytes().split(b"\n")) for p in (tmp_path / n).rglob("*") if p.is_file()}
        for n in ("one", "back")
    )  # fmt: skip
    del ours[Path("export.json")], theirs[Path("export.json")]
    assert ours == theirs


def test_a_second_import_changes_nothing(survey: Repo, tmp_path: Path, empty: MakeRepo) -> None:
    """What is there and equal is passed over: rows, files, chains, tags and validity ranges."""
    export_repository(survey, tmp_path / "out", files_mode="copy")
    with empty("two") as two:
        import_exports(two, [tmp_path / "out"])
        before, held = rows_of(two), tree(Path(two.datastore.root))
        again = import_exports(two, [tmp_path / "out"])

        assert before == rows_of(two)
        assert held == tree(Path(two.datastore.root))
    assert sum(again.datasets.values()) == sum(again.records.values()) == 0
    assert again.collections == again.dataset_types == 0


def test_files_can_follow_the_rows(survey: Repo, tmp_path: Path, empty: MakeRepo) -> None:
    """Rows may come first without files; a later import of the same brings the files."""
    export_repository(survey, tmp_path / "out", files_mode="copy")
    with empty("two") as two:
        import_exports(two, [tmp_path / "out"], mode="none")
        assert [] == files.list_files(two.datastore.root)

        import_exports(two, [tmp_path / "out"])

        assert rows_of(survey) == rows_of(two)


def test_an_export_may_use_names_of_its_own_files(tmp_path: Path) -> None:
    """An element that is called as one of the export's files is not mixed up with it."""
    universe = DimensionUniverse.from_yaml(
        "name: t\nversion: 1\nelements:\n  tags: {key: {name: name, type: string}}\n"
        "  collections: {requires: [tags], key: {name: id, type: int}, metadata: {weight: float}}\n"
    )
    with Repo.create(tmp_path / "one", universe) as one, Repo.create(tmp_path / "two", universe) as two:
        with one.registry.write() as change:
            change.insert_records("tags", Columns({"tags": ["a"]}))
            change.insert_records(
                "collections", Columns({"tags": ["a"], "collections": [1], "weight": [0.1]})
            )
            change.register_run("r")
        export_repository(one, tmp_path / "out")
        import_exports(two, [tmp_path / "out"])

        assert rows_of(one) == rows_of(two)


class TestSelection:
    def exported(self, survey: Repo, out: Path, selection: Selection) -> Any:
        """Export a part and read it."""
        export_repository(survey, out, selection)
        return read_source(UNIVERSE, out)

    def test_by_type_and_expression(self, survey: Repo, tmp_path: Path) -> None:
        """Only those datasets go, with the records, the type and the run that they need."""
        found = self.exported(
            survey, tmp_path / "out", Selection([RAW], ["CAM/raw/*"], "exposure = 2 AND instrument = 'CAM'")
        )

        rows = Columns.concat([b.rows for b in found.batches])
        assert {(2, 0), (2, 1)} == set(rows.rows(("exposure", "detector")))
        assert [RAW] == [k.name for k in found.dataset_types]
        assert [("CAM", 2)] == found.records["exposure"].rows(("instrument", "exposure"))
        assert "skymap" not in found.records
        assert {"CAM/raw/all", "CAM/raw/none"} == {c.name for c in found.collections}

    def test_a_chain_brings_what_it_searches(self, survey: Repo, tmp_path: Path, empty: MakeRepo) -> None:
        """A chain, its children and their runs are exported; tags and validity only of what goes along."""
        export_repository(survey, tmp_path / "out", Selection(collections=["CAM/all"]))
        with empty("two") as two:
            report = import_exports(two, [tmp_path / "out"])
            with two.registry.read() as snapshot:
                names = [c.name for c in snapshot.collections()]
                assert "what holds when" == snapshot.collection("CAM/valid").doc
        assert ["CAM/all", "CAM/best", "CAM/flats", "CAM/proc", "CAM/valid"] == names
        assert (report.tags, report.validity_ranges) == (2, 3)
        assert {"calexp", "calexp_log", "flat"} == set(report.datasets)

    def test_names_have_to_exist(self, survey: Repo, tmp_path: Path) -> None:
        """A type or a collection that is not there is named."""
        with pytest.raises(NotFoundError, match="'row'"):
            export_repository(survey, tmp_path / "a", Selection(["row"]))
        with pytest.raises(NotFoundError, match="CAM/nothing"):
            export_repository(survey, tmp_path / "b", Selection(collections=["CAM/nothing"]))

    def test_only_into_an_empty_directory(self, survey: Repo, tmp_path: Path) -> None:
        """An export never mixes with what is there."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "x").write_text("")
        with pytest.raises(AlreadyExistsError, match="is not empty"):
            export_repository(survey, tmp_path / "out")


class TestRefusals:
    def refused(self, two: Repo, out: Path, error: type[StageError], **options: Any) -> StageError:
        """Check that an import is refused and leaves neither row nor file."""
        before = self.files_of(two)
        with pytest.raises(error) as caught:
            import_exports(two, [out], **options)
        assert before == self.files_of(two)
        return caught.value

    def files_of(self, repo: Repo) -> dict[str, str]:
        """Return digests of all files of a repository, its database among them."""
        return {name: digest for name, digest in tree(Path(repo.root)).items() if digest != "directory"}

    def change(self, out: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
        """Edit the last line of a file of an export."""
        lines = (out / name).read_text().splitlines()
        line = json.loads(lines[-1])
        edit(line)
        (out / name).write_text("\n".join([*lines[:-1], json.dumps(line)]) + "\n")

    @pytest.mark.parametrize(
        ("name", "edit", "error", "words"),
        [
            ("exposure.jsonl", {"obs_id": 3}, UsageError, "exposure.jsonl, line 3: 'obs_id'"),
            ("exposure.jsonl", {"group": "none"}, DataIdError, "group"),
            ("dataset_types.jsonl", {"dimensions": ["x"]}, UsageError, "dataset_types.jsonl, line 5: no dimension 'x'"),
            ("dataset_types.jsonl", {"storage_class": None}, UsageError, "expected a storage class"),
            ("collections.jsonl", {"type": "RUNS"}, UsageError, "no collection type 'RUNS'"),
            ("collections.jsonl", {"name": "../x"}, UsageError, "'../x'"),
            ("datasets/raw.jsonl", {"id": "x"}, UsageError, "datasets/raw.jsonl, line 6: 'id': 'x' is no id"),
            ("datasets/raw.jsonl", {"run": 1}, UsageError, "'run': expected text, found 1"),
            ("datasets/raw.jsonl", {"data_id": []}, UsageError, "'data_id': expected braces"),
            ("datasets/raw.jsonl", {"data_id": {"instrument": "CAM"}}, UsageError, "'data_id': it lacks 'detector'"),
            ("datasets/raw.jsonl", {"data_id": {"instrument": "CAM", "exposure": 99, "detector": 0}}, DataIdError, "99"),
            ("datasets/raw.jsonl", {"data_id": {"instrument": "CAM", "exposure": 1, "detector": 0}}, ConflictError, "exposure=1"),
            ("datasets/raw.jsonl", {"artifact": {"uri": 5}}, UsageError, "artifact: 'uri' is 5"),
            ("datasets/raw.jsonl", {"artifact": {"url": ""}}, UsageError, "an artifact has no 'url'"),
            ("datasets/raw.jsonl", {"artifact": {"uri": "../../x", "formatter": "bytes"}}, UsageError, "could leave"),
            ("datasets/raw.jsonl", {"colour": 1}, UsageError, "'colour', which means nothing here"),
            ("datasets/raw.jsonl", {"data_id": {"instrument": "CAM", "exposure": 2**63, "detector": 0}}, UsageError, "beyond 9223372036854775807"),
            ("quanta.jsonl", {"attempt": "first"}, UsageError, "quanta.jsonl, line 4: 'attempt': expected an integer"),
            ("quantum_outputs.jsonl", {"quantum_id": 5}, UsageError, "'quantum_id': 5 is no id"),
            ("tags.jsonl", {"id": "00000000-0000-0000-0000-000000000000"}, NotFoundError, "no dataset"),
            ("tags.jsonl", {"collection": "CAM/nothing"}, NotFoundError, "CAM/nothing"),
            ("validity_ranges.jsonl", {"timespan": None}, UsageError, "missing or null"),
            ("validity_ranges.jsonl", {"timespan": {"begin_ns": 5, "end_ns": 5}}, UsageError, "does not end after"),
            ("validity_ranges.jsonl", {"timespan": {"begin_ns": 15, "end_ns": 25}}, ConflictError, "valid"),
        ],
    )  # fmt: skip
    def test_a_wrong_line(
        self, out: Path, blank: Repo, name: str, edit: dict[str, Any], error: type[StageError], words: str
    ) -> None:
        """A line that is wrong is named, and nothing of the whole export comes in."""
        self.change(out, name, lambda line: line.update(edit))

        assert words in str(self.refused(blank, out, error))

    def test_missing_files(self, out: Path, empty: MakeRepo) -> None:
        """All missing files are named; their datasets can be left out, with their tags."""
        shutil.rmtree(out / "files" / "CAM" / "proc" / "calexp")
        with empty("two") as two:
            found = self.refused(two, out, NotFoundError)
            assert "3 files are missing" in str(found)
            assert "--skip-missing" in found.hint

            report = import_exports(two, [out], skip_missing=True)
        assert len(report.skipped) == 3
        assert report.tags == 0
        assert report.datasets["calexp"] == 0

    def test_a_file_that_is_not_what_was_exported(
        self, survey: Repo, tmp_path: Path, empty: MakeRepo
    ) -> None:
        """Another size or other bytes under a name are found, and nothing is kept."""
        export_repository(survey, tmp_path / "out", files_mode="copy")
        victim = next((tmp_path / "out" / "files").rglob("*.bin"))
        content = victim.read_bytes()
        with empty("two") as two:
            victim.write_bytes(content + b"x")
            assert self.refused(two, tmp_path / "out", IntegrityError).code == "size-differs"
            victim.write_bytes(b"x" * len(content))
            assert self.refused(two, tmp_path / "out", IntegrityError).code == "checksum-differs"

    def test_what_differs_there(self, out: Path, empty: MakeRepo) -> None:
        """A record, a chain, a type or a collection that is otherwise there is a conflict; records and chains may stay."""
        with empty("two") as two:
            with two.registry.write() as change:
                change.insert_records("instrument", Columns({"instrument": ["CAM"], "detector_max": [5]}))
            assert "detector_max" in str(self.refused(two, out, ConflictError))
            import_exports(two, [out], on_existing="skip")
            with two.registry.write() as change:
                change.set_chain("CAM/all", ["CAM/proc"])
            assert self.refused(two, out, ConflictError, on_existing="error").code == "record-exists"
        with empty("three") as three:
            import_exports(three, [out])
            with three.registry.write() as change:
                change.set_chain("CAM/all", ["CAM/proc"])
            assert self.refused(three, out, ConflictError).code == "chain-differs"
            import_exports(three, [out], on_existing="skip")
            with three.registry.read() as snapshot:
                assert ("CAM/proc",) == snapshot.collection("CAM/all").children
        with empty("four") as four:
            with four.registry.write() as change:
                change.register_dataset_type(DatasetType(BIAS, UNIVERSE.group(["visit"]), "Json"))
            assert "bias" in str(self.refused(four, out, ConflictError))

    def test_another_universe(self, out: Path, tmp_path: Path) -> None:
        """Elements that the universe lacks are all named, with the universe they come from."""
        other = DimensionUniverse.from_yaml(
            "name: t\nversion: 3\nelements:\n  tract: {key: {name: id, type: int}}\n"
        )
        with Repo.create(tmp_path / "two", other) as two:
            found = self.refused(two, out, UsageError)
        for words in (
            "universe t 3",
            "'exposure'",
            "'detector'",
            f"universe {UNIVERSE.name} {UNIVERSE.version}",
        ):
            assert words in str(found)

    def test_an_export_that_is_not_whole(self, out: Path, blank: Repo) -> None:
        """Without its header, or with that of a later version, an export is refused."""
        header = (out / "export.json").read_text()
        (out / "export.json").unlink()
        assert self.refused(blank, out, UsageError).code == "export-incomplete"
        (out / "export.json").write_text(header.replace('"version": 1', '"version": 2', 1))
        self.refused(blank, out, SchemaVersionError)
        (out / "export.json").write_text("{")
        self.refused(blank, out, UsageError)

    def test_options(self, out: Path, blank: Repo) -> None:
        """Modes and ways that do not exist are answered with the nearest."""
        assert "'copy'" in self.refused(blank, out, UsageError, mode="copi").hint
        assert "'skip'" in self.refused(blank, out, UsageError, on_existing="skipp").hint


class TestModes:
    @pytest.mark.parametrize("mode", ["copy", "link", "symlink", "move", "direct"])
    def test_files_get_in(self, survey: Repo, out: Path, empty: MakeRepo, mode: Any) -> None:
        """In every mode all datasets can be read and verified; only a move takes the source."""
        n = len(list((out / "files").rglob("*.bin")))
        with empty("two") as two:
            import_exports(two, [out], mode=mode)
            data_id = {"instrument": "CAM", "exposure": 2, "detector": 1}
            assert b"raw ('CAM', 2, 1) " == two.get(RAW, data_id, ["CAM/raw/all"], verify=True)
            assert str(out if mode == "direct" else two.root) in two.locate(RAW, data_id, ["CAM/raw/all"])
            assert rows_of(survey, uris=False) == rows_of(two, uris=False)
        left = len(list((out / "files").rglob("*.bin")))
        assert left == (0 if mode == "move" else n)

    def test_in_place(self, survey: Repo, tmp_path: Path, empty: MakeRepo) -> None:
        """Files that somebody brought into the datastore are taken as they are, if they are all there."""
        export_repository(survey, tmp_path / "out")
        with empty("two") as two:
            with pytest.raises(NotFoundError):
                import_exports(two, [tmp_path / "out"], mode="in-place")
            shutil.copytree(survey.datastore.root, two.datastore.root, dirs_exist_ok=True)

            import_exports(two, [tmp_path / "out"], mode="in-place")

            assert rows_of(survey) == rows_of(two)

    def test_files_elsewhere_stay_there(self, tmp_path: Path, empty: MakeRepo) -> None:
        """A file that was registered where it lies is so again; taken along, it gets a place of its own."""
        (tmp_path / "x.bin").write_bytes(b"x")
        with empty("one") as one, empty("two") as two, empty("three") as three:
            with one.registry.write() as change:
                change.register_dataset_type(DatasetType("note", UNIVERSE.group([]), "Bytes"))
                change.register_run("r")
                rows = {
                    "id": [new_id()],
                    "uri": [f"{tmp_path}/x.bin"],
                    "size": [1],
                    "checksum": [""],
                    "formatter": ["bytes"],
                }
                change.insert_datasets("note", "r", Columns(rows))
            export_repository(one, tmp_path / "bare")
            export_repository(one, tmp_path / "full", files_mode="copy")
            import_exports(two, [tmp_path / "bare"])
            import_exports(three, [tmp_path / "full"])
            (tmp_path / "full" / "files").rename(tmp_path / "gone")

            assert f"{tmp_path}/x.bin" == two.locate("note", {}, ["r"])
            assert three.locate("note", {}, ["r"]).startswith(three.datastore.root)
            assert b"x" == three.get("note", {}, ["r"], verify=True)

    def test_an_export_with_a_file_missing(self, survey: Repo, tmp_path: Path) -> None:
        """An export that is to take files along names those that are not there."""
        victim = next(Path(survey.datastore.root).rglob("*.bin"))
        victim.unlink()
        with pytest.raises(NotFoundError, match=victim.name):
            export_repository(survey, tmp_path / "out", files_mode="copy")
        with pytest.raises(UsageError, match="is not whole"):
            read_source(UNIVERSE, tmp_path / "out")
        export_repository(survey, tmp_path / "bare")


def test_ids_are_kept(survey: Repo, tmp_path: Path) -> None:
    """The lines say in plain JSON what the documentation says."""
    export_repository(survey, tmp_path / "out")
    line = json.loads((tmp_path / "out" / "datasets" / "raw.jsonl").read_text().splitlines()[0])
    with survey.registry.read() as snapshot:
        ref = snapshot.find(RAW, line["data_id"], ["CAM/raw/all"])

    assert ref is not None
    assert {"id", "run", "data_id", "artifact"} == set(line)
    assert (id_text(ref.id), ref.run) == (line["id"], line["run"])
    assert {"uri", "size", "checksum", "formatter"} == set(line["artifact"])
