"""An upstream that changes at random under a campaign that has fetched from it: chains, tags, validity ranges."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from registry.errors import ConflictError, StageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, QUANTUM_INPUT
from registry.model.refs import new_id, new_ids
from registry.registry import Change, Snapshot
from sync.clone import execute_fetch, plan_fetch
from sync.plan import Wanted
from sync.pull import execute_pull, plan_pull
from sync.pulling.plan import PullPlan
from sync.repo import Repo
from sync.repo_file import RepoFile
from tests import sync_builders as made
from tests.databases import Database

DAY = 86_400 * 10**9
EXPOSURES, DETECTORS = tuple(range(11, 17)), (0, 1, 2)
BIAS, DARK = "bias", "dark"
RUNS = tuple(f"CAM/run/{i}" for i in range(4))
TAGS, CALIBS, CHAINS = ("CAM/tag",), ("CAM/calib/a", "CAM/calib/b"), ("CAM/inner", "CAM/in")
INPUTS = ("CAM/in",)


def fill(upstream: Repo) -> None:
    """Insert timed exposures and detectors, collections of every kind, and a dark that is valid for ever."""
    n = len(EXPOSURES)
    begin = [e * DAY for e in EXPOSURES]
    exposures: dict[str, Any] = {
        "instrument": ["CAM"] * n, "exposure": list(EXPOSURES), "day_obs": [20260101] * n, "group": ["g1"] * n,
        "physical_filter": ["r-1"] * n, "obs_id": [f"timed{e}" for e in EXPOSURES],
        "timespan_begin": begin, "timespan_end": [b + DAY // 24 for b in begin],
    }  # fmt: skip
    with upstream.registry.write() as tx:
        for element, rows in made.survey_records(1, len(DETECTORS)).items():
            tx.insert_records(element, rows)
        tx.insert_records("exposure", Columns(exposures))
        group = tx.universe.group(["detector"])
        tx.register_dataset_type(DatasetType(BIAS, group, "Bytes"))
        tx.register_dataset_type(DatasetType(DARK, group, "Bytes", is_calibration=True))
        for run in RUNS:
            tx.register_run(run)
        for name in TAGS:
            tx.register_collection(name, CollectionType.TAGGED)
        for name in CALIBS:
            tx.register_collection(name, CollectionType.CALIBRATION)
        tx.set_chain("CAM/inner", [CALIBS[0], RUNS[0]])
        tx.set_chain("CAM/in", [*TAGS, "CAM/inner", CALIBS[1], RUNS[1]])
        for d in DETECTORS:
            put(tx, BIAS, RUNS[1], d)
            tx.certify(CALIBS[1], [put(tx, DARK, RUNS[1], d)])
            # In no RUN that is searched: where its tag is forgotten, a lookup finds another.
            tx.associate(TAGS[0], [put(tx, BIAS, RUNS[2], d)])


def put(tx: Change, kind: str, run: str, detector: int) -> bytes:
    """Put a dataset into a run."""
    data_id = new_id()
    rows: dict[str, Any] = {
        "instrument": ["CAM"], "detector": [detector], "id": [data_id], "uri": [f"{kind}/{data_id.hex()}"], "size": [9],
        "checksum": [data_id.hex()], "formatter": ["bytes"],
    }  # fmt: skip
    tx.insert_datasets(kind, run, Columns(rows))
    return data_id


@cache
def _template(url: str | None = None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pull-world-"))
    with Repo.create(folder / "up", made.UNIVERSE, registry_url=url) as upstream:
        fill(upstream)
    made.make_staging(folder / "campaign").close()
    return folder


@contextmanager
def world(database: Database | None = None) -> Iterator[tuple[Repo, Repo]]:
    """An upstream and an empty staging."""
    folder = Path(tempfile.mkdtemp(prefix="pull-case-"))
    try:
        if database is None or database.name == "sqlite":
            shutil.copytree(_template(), folder, dirs_exist_ok=True)
        else:
            with Repo.create(folder / "up", made.UNIVERSE, registry_url=database.url()) as made_now:
                fill(made_now)
            RepoFile.load(str(folder / "up"))
            shutil.copytree(_template() / "campaign", folder / "campaign")
        with (
            Repo.open(folder / "up", writable=True) as upstream,
            made.open_staging(folder / "campaign") as staging,
        ):
            yield upstream, staging
    finally:
        shutil.rmtree(folder)


def disturb(upstream: Repo, chance: random.Random, n: int) -> list[str]:
    """Do some things upstream that its people do; return what was done."""
    done = []
    acts = [_put, _delete, _replace, _tag, _untag, _untag, _certify, _certify, _decertify, _order]
    for _ in range(n):
        act = chance.choice(acts)
        try:
            with upstream.registry.write() as tx:
                act(tx, chance)
            done.append(act.__name__.lstrip("_"))
        except ConflictError:  # that data ID or time is taken: nothing was done
            continue
    return done


def _some(tx: Snapshot, chance: random.Random, kind: str) -> list[bytes]:
    # By their places, which are those of the seed; ids are not.
    held = [row for run in RUNS for row in sorted(tx.datasets(kind, [run]).rows(("detector", "id")))]
    return [i for _, i in chance.sample(held, min(1, len(held)))]


def _put(tx: Change, chance: random.Random) -> None:
    put(tx, chance.choice((BIAS, DARK)), chance.choice(RUNS), chance.choice(DETECTORS))


def _delete(tx: Change, chance: random.Random) -> None:
    tx.delete_datasets(_some(tx, chance, chance.choice((BIAS, DARK))))


def _replace(tx: Change, chance: random.Random) -> None:
    for i in _some(tx, chance, BIAS):
        row = (i, f"again/{i.hex()}", 10, new_id().hex(), "bytes")
        tx.insert_artifacts(Columns.from_rows(("id", "uri", "size", "checksum", "formatter"), [row]))


def _tag(tx: Change, chance: random.Random) -> None:
    tx.associate(TAGS[0], _some(tx, chance, BIAS), replace=True)


def _untag(tx: Change, chance: random.Random) -> None:
    held = sorted(tx.datasets(BIAS, TAGS).rows(("detector", "id")))
    tx.disassociate(TAGS[0], [i for _, i in chance.sample(held, min(1, len(held)))])


def _certify(tx: Change, chance: random.Random) -> None:
    begin, end = sorted(chance.sample(range(10, 19), 2))
    tx.certify(chance.choice(CALIBS), _some(tx, chance, DARK), begin * DAY, end * DAY)


def _decertify(tx: Change, chance: random.Random) -> None:
    begin, end = sorted(chance.sample(range(10, 19), 2))
    tx.decertify(chance.choice(CALIBS), DARK, begin * DAY, end * DAY)


def _order(tx: Change, chance: random.Random) -> None:
    inner = [*CALIBS, *RUNS]
    name = chance.choice(CHAINS)
    among = [*inner, *TAGS, *(["CAM/inner"] if name == "CAM/in" else [])]
    tx.set_chain(name, chance.sample(among, chance.randrange(2, len(among) + 1)))


def wanted(upstream: Repo, exposures: Sequence[int], detectors: Sequence[int]) -> Wanted:
    """What a graph over some exposures and detectors, built now, would want."""
    with upstream.registry.read() as snap:
        found = answers(snap, exposures, detectors)
        kinds = snap.dataset_types((BIAS, DARK))
    records = {
        "exposure": Columns.from_rows(("instrument", "exposure"), [("CAM", e) for e in exposures]),
        "detector": Columns.from_rows(("instrument", "detector"), [("CAM", d) for d in detectors]),
    }
    ids = dict.fromkeys(found[key] for key in sorted(found) if isinstance(found[key], bytes))
    return Wanted(list(ids), records, kinds, INPUTS)


def answers(snap: Snapshot, exposures: Sequence[int], detectors: Sequence[int]) -> dict[tuple[Any, ...], Any]:
    """What every lookup of a graph finds: a bias of each detector, a dark of each exposure and detector."""
    out: dict[tuple[Any, ...], Any] = {}
    rows = snap.datasets(BIAS, snap.search_path(INPUTS))
    out |= {(BIAS, d): i for d, i in rows.rows(("detector", "id")) if d in detectors}
    for e in exposures:
        for d in detectors:
            data_id = {"instrument": "CAM", "exposure": e, "detector": d}
            try:
                found = snap.find(DARK, data_id, INPUTS)
            except StageError as error:
                out[DARK, e, d] = error.code
            else:
                if found is not None:
                    out[DARK, e, d] = found.id
    return out


def fetch(upstream: Repo, staging: Repo, what: Wanted) -> None:
    """Fetch as the command does."""
    execute_fetch(plan_fetch(upstream, staging, what), staging)


def pull(upstream: Repo, staging: Repo, what: Wanted, *, policies: Sequence[str] = ()) -> PullPlan:
    """Pull as the command does; return the plan."""
    plan = plan_pull(upstream, staging, what, policies=policies)
    execute_pull(plan, staging)
    return plan


def read(staging: Repo, ids: Sequence[bytes]) -> None:
    """Record a quantum of a run of the campaign that has read datasets."""
    quantum, graph = new_ids(2)
    row = (quantum, "u/me/1", "calibrate", "{}", "succeeded", 0, 10, 20, 5, 1000, "here", "", graph)
    with staging.registry.write() as tx:
        tx.register_run("u/me/1")
        tx.insert_quanta(Columns.from_rows(QUANTUM, [row]))
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, [(quantum, i, "bias", True) for i in ids]))
