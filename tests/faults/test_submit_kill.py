"""``stage batch submit`` killed between any two of its steps, or at any moment: given again, it is one submission."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.errors import BusyError, ConflictError, NotFoundError
from registry.model.records import Artifact
from stage.batch.driving import starting
from stage.batch.driving.locking import living_head
from stage.batch.facade import Batch
from stage.batch.layout import SubmitDir
from stage.batch.submission.identity import SubmitStage, load_identity
from stage.batch.submission.index import all_entries
from stage.batch.submission.making import submit_to
from stage.campaign import change
from stage.campaign.campaign import Campaign
from stage.campaign.lock import read_holder
from sync.repo import Repo
from tests.processes_killed import Chance, killed_at, points_of

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from tiny_campaign import call, make_upstream

LONG = os.environ.get("STAGE_FAULTS") == "long"
TIMES = 100
YAML = """
pipelineYaml: "pipeline.yaml#clean,summarise"
operator: ada
computeSite: here
payload: {{payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: "station = 'aar'"{names}}}
clusterAlgorithm: dimension
cluster:
  byStation: {{pipetasks: "clean, summarise", dimensions: station}}
site:
  here: {{wmsServiceClass: local, cores: 2}}
"""
AT_ANOTHER_TIME = ', outputRun: "u/ada/{timestamp}", uniqProcName: "run_{timestamp}"'
"""Names that the same file gives otherwise when it is read again."""


@dataclass(frozen=True)
class Submitted:
    """All that has to be the same however often the command was killed."""

    numbers: list[int]
    runs: list[tuple[str, dict[str, dict[str, int]]]]
    directories: int
    attempts: dict[str, int]
    quanta: list[tuple[str, ...]]
    datasets: list[tuple[str, ...]]
    collections: int
    holder: object
    damage: list[str]


class World:
    """A directory with an upstream and a submission's file; the index is its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, names: str = "") -> None:
        root.mkdir()
        make_upstream(root)
        (root / "weather.yaml").write_text(YAML.format(names=names))
        for name, value in (("STAGE_STATE_DIR", root / "state"), ("PWD", root)):
            monkeypatch.setenv(name, str(value))
        monkeypatch.chdir(root)
        self.root, self.camp = root, root / "weather"

    def directories(self) -> list[Path]:
        """Return those of submissions whose first stage is done."""
        return [path.parent for path in self.camp.glob("submit/**/batch.json")]

    def given(self, *, by_directory: bool) -> str:
        """Return what to give to the command: its file, or where there is one the directory that it made."""
        found = self.directories() if by_directory else []
        return str(found[0]) if found else "weather.yaml"

    def submit(self, at: Callable[[str], None], *, by_directory: bool = False) -> None:
        """Submit, as the command does."""
        submit_to("submit", self.given(by_directory=by_directory), None, {}, at=at)

    def again(self, *, by_directory: bool) -> None:
        """Give the command again; it may refuse only what was handed over to its end."""
        try:
            Batch().submit(self.given(by_directory=by_directory))
        except ConflictError:
            assert [load_identity(SubmitDir(d)).has_done(SubmitStage.SUBMIT) for d in self.directories()] == [
                True
            ]

    def look(self) -> None:
        """Ask as a person would who does not know what has become of the command."""
        begun = [d for d in self.directories() if living_head(SubmitDir(d)) is not None]
        told = Batch().report()
        if not all_entries():
            assert told.runs == []
            with pytest.raises(NotFoundError, match="no submission is called '1'"):
                Batch().status(id="1")
            return
        state = Batch().status(id="1")
        if begun:
            assert state.state != "UNREADY"
        elif state.state == "UNREADY":
            assert f"stage batch submit {self.directories()[0]}" in state.note
            with pytest.raises(NotFoundError, match="is not handed over yet"):
                Batch().cancel(id="1")

    def facts(self) -> Submitted:
        """Wait for the end, and return what there is."""
        until = time.monotonic() + 120
        while (state := Batch().status(id="1")).state != "SUCCEEDED" or living_head(
            SubmitDir(self.directories()[0])
        ):
            assert time.monotonic() < until, state
            time.sleep(0.05)
        status = json.loads(call("status", "--json", cwd=self.camp).stdout)
        detail = Batch().report(id="1").detail
        assert detail is not None
        with Repo.attach(f"sqlite:///{self.camp}/staging.sqlite3", self.camp / "data") as staging:
            datasets = _datasets(staging)
            with staging.registry.read() as snapshot:
                rows = snapshot.quanta([run["name"] for run in status["runs"]], latest=False)
                collections = len(snapshot.collections())
        return Submitted(
            numbers=[entry.id for entry in all_entries()],
            runs=[(run["place"], run["tasks"]) for run in status["runs"]],
            directories=len(list(self.camp.glob("submit/**/graph.qg"))),
            attempts={counts.label: counts.attempts for counts in detail.labels},
            quanta=sorted(rows.rows(("task", "data_id", "status"))),
            datasets=datasets,
            collections=collections,
            holder=read_holder(Campaign.load(self.camp).layout.lock),
            damage=[f["code"] for f in json.loads(call("fsck", "--full", "--json", cwd=self.camp).stdout)["findings"]],
        )  # fmt: skip


def _datasets(repo: Repo) -> list[tuple[str, ...]]:
    """Return all datasets; of those that differ from life to life (logs, metadata) not the bytes."""
    out: list[tuple[str, ...]] = []
    with repo.registry.read() as snapshot:
        for kind in snapshot.dataset_types():
            rows = snapshot.datasets(kind.name, ("*",), find_first=False, artifacts=True)
            varies = kind.name.endswith(("_log", "_metadata"))
            for *key, size, checksum, uri, formatter in rows.rows(
                (*kind.dimensions.required, "size", "checksum", "uri", "formatter")
            ):
                if "://" not in uri and not uri.startswith("/"):
                    repo.datastore.verify(Artifact(uri, size, checksum, formatter))
                out.append((kind.name, *map(str, key), "" if varies else checksum))
    return sorted(out)


def _differences(calm: Submitted, found: Submitted) -> dict[str, Any]:
    other = asdict(found)
    return {name: (value, other[name]) for name, value in asdict(calm).items() if value != other[name]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Submitted, list[str]]:
    """What a submission that nobody kills comes to, and the steps between which it can be killed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(tmp_path_factory.mktemp("calm") / "world", monkeypatch)
        points = points_of(world.submit)
        return world.facts(), points


@pytest.mark.parametrize("by_directory", [False, True], ids=["file", "directory"])
def test_killed_between_any_two_steps_and_given_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[Submitted, list[str]],
    by_directory: bool,
    survived: Callable[[str, str, int], None],
) -> None:
    """Killed after each step in turn: one run, one number, each job run once; and whoever asks meanwhile is told."""
    calm, points = undisturbed
    world = World(tmp_path / "world", monkeypatch, "" if by_directory else AT_ANOTHER_TIME)
    killed = []
    chosen = points if by_directory else points[: -1 if LONG else -2 : 1 if LONG else 3]
    for point in chosen:
        if killed_at(point, lambda at: world.submit(at, by_directory=by_directory)):
            killed.append(point)
        world.look()
    world.again(by_directory=by_directory)

    assert _differences(calm, world.facts()) == {}
    assert killed == list(chosen)
    assert points[-4:] == ["numbered", "about-to-begin", "begun", "handed-over"]
    survived(
        "kills", f"batch submit between its steps, {'directory' if by_directory else 'file'}", len(killed)
    )


@pytest.mark.skipif(not LONG, reason="moments between the steps are the short form (STAGE_FAULTS=long)")
def test_killed_at_any_moment_and_given_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[Submitted, list[str]],
    survived: Callable[[str, str, int], None],
) -> None:
    """Wherever the command died, the same one, with its file or its directory, ends as if nothing had been."""
    calm, _ = undisturbed
    chance, n_killed = Chance(), 0
    for n in range(TIMES + 1):
        world = World(tmp_path / f"world{n}", monkeypatch, AT_ANOTHER_TIME if n % 4 < 2 else "")
        is_killed = chance.kills(lambda: world.submit(lambda _name: None))  # noqa: B023 - done at once
        n_killed += is_killed
        world.look()
        if is_killed:
            world.again(by_directory=bool(n % 2))
        assert _differences(calm, world.facts()) == {}, n
    survived("kills", "batch submit at random moments", n_killed)


def test_jobs_that_have_begun_can_be_ended_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the command was killed before it had noted them: they are there for whoever asks, and nobody else's file is written."""
    world = World(tmp_path / "world", monkeypatch)
    with (world.root / "weather.yaml").open("a") as file:
        file.write('runQuantumCommand: "sleep 60"\nfinalJob: {whenRun: NEVER}\n')
    assert killed_at("begun", world.submit)
    where = world.given(by_directory=True)
    before = {
        p.name: p.stat().st_mtime_ns for p in Path(where).iterdir() if p.suffix in {".qg", ".jobs", ".yaml"}
    }

    for words in (
        ["transform", where],
        ["submit", where, "--compute-site", "local"],
        ["acquire", "weather.yaml"],
    ):
        assert "report --id 1" in call("batch", *words, cwd=world.root, code=12).stderr
    with monkeypatch.context() as blind:
        # As one that was started a moment ago, and does not have the lock yet.
        blind.setattr(starting, "living_head", lambda _where: None)
        with pytest.raises(BusyError, match="is driven by another head: 'stage batch: head'"):
            starting.start_head(SubmitDir(Path(where)))
    Batch().cancel(id="1")
    report = Batch().submit("weather.yaml")

    assert "had begun" in report.notes[0]
    after = {p.name: p.stat().st_mtime_ns for p in Path(where).iterdir() if p.name in before}
    assert before == after
    until = time.monotonic() + 60
    while Batch().status(id="1").state != "DELETED":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_was_laid_out_for_a_campaign_that_did_not_come_to_be_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when all its files were in place and its state was not: the next one begins anew, and its run is the only one."""
    world = World(tmp_path / "world", monkeypatch, AT_ANOTHER_TIME)

    def submit(at: Callable[[str], None]) -> None:
        change.save_state = lambda *_: at("state")  # type: ignore[assignment]
        world.submit(at)

    assert killed_at("state", submit)
    assert len(list(world.camp.glob("submit/**/graph.qg"))) == 1
    assert not (world.camp / ".campaign.json").exists()
    where = Path(Batch().acquire("weather.yaml").submit_dir)

    assert list(world.camp.glob("submit/**/graph.qg")) == [where / "graph.qg"]
    assert not (world.camp / ".campaign.undo").exists()
