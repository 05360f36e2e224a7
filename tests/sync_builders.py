"""Repositories to fetch from and to push to: a small camera survey, and a campaign's runs on it."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_bytes
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from sync.clone import execute_fetch, plan_fetch
from sync.filesystem.local_files import is_aside
from sync.paths import artifact_stem
from sync.plan import CampaignInfo, Wanted
from sync.repo import Repo
from sync.repo_file import RepoFile, is_database_url
from tests.databases import Database, ask

UNIVERSE = default_universe()
CAMPAIGN = CampaignInfo(bytes(range(16)), "trial", "a trial", json.dumps({"name": "trial"}))
RAW, BIAS, CALEXP = "raw", "bias", "calexp"
TYPES = {
    RAW: ("instrument", "exposure", "detector"),
    BIAS: ("instrument", "detector"),
    CALEXP: ("instrument", "visit", "detector"),
    "calexp_log": ("instrument", "visit", "detector"),
    "packages": (),
    "source": ("instrument", "visit", "detector"),
    "summary": ("instrument",),
}


def dataset_type(
    name: str, storage_class: str = "Bytes", universe: DimensionUniverse = UNIVERSE
) -> DatasetType:
    return DatasetType(name, universe.group(TYPES[name]), storage_class)


def survey_records(n_exposures: int, n_detectors: int) -> dict[str, Columns]:
    """Dimension records in order of reference: every exposure is a visit of the same number."""
    one = range(1, n_exposures + 1)

    def rows(names: str, values: Sequence[Sequence[object]]) -> Columns:
        return Columns.from_rows(names.split(), values)

    return {
        "instrument": rows("instrument detector_max", [("CAM", n_detectors)]),
        "skymap": rows("skymap hash tract_max", [("rings", b"\x01\x02", 9)]),
        "physical_filter": rows(
            "instrument physical_filter band", [("CAM", "r-1", "r"), ("CAM", "i-1", "i")]
        ),
        "detector": rows("instrument detector full_name", [("CAM", d, f"S{d}") for d in range(n_detectors)]),
        "day_obs": rows("instrument day_obs", [("CAM", 20260101)]),
        "group": rows("instrument group", [("CAM", f"g{e}") for e in one]),
        "visit_system": rows("instrument visit_system name", [("CAM", 0, "one-to-one")]),
        "exposure": rows(
            "instrument exposure day_obs group physical_filter obs_id exposure_time",
            [("CAM", e, 20260101, f"g{e}", "r-1" if e % 2 else "i-1", f"obs{e}", 30.0) for e in one],
        ),
        "visit": rows(
            "instrument visit day_obs physical_filter name exposure_time",
            [("CAM", e, 20260101, "r-1" if e % 2 else "i-1", f"v{e}", 30.0) for e in one],
        ),
        "tract": rows("skymap tract", [("rings", 1)]),
        "patch": rows("skymap tract patch cell_x cell_y", [("rings", 1, p, p, 0) for p in range(2)]),
        "visit_definition": rows("instrument exposure visit", [("CAM", e, e) for e in one]),
        "visit_system_membership": rows("instrument visit_system visit", [("CAM", 0, e) for e in one]),
    }


def put_datasets(
    repo: Repo, name: str, run: str, values: Sequence[tuple[object, ...]], *, ids: Sequence[bytes] | None = None,
    content: str = "",
) -> list[bytes]:  # fmt: skip
    """Write files and rows of datasets of one type."""
    dims = TYPES[name]
    chosen = list(ids) if ids is not None else new_ids(len(values))
    rows = []
    for data_id, value in zip(chosen, values, strict=True):
        data = f"{name} {value} {content}".encode()
        artifact = repo.datastore.put_bytes(data, artifact_stem(run, name, dims, value, data_id), "bytes")
        rows.append((*value, data_id, *artifact))
    with repo.registry.write() as tx:
        tx.register_dataset_type(dataset_type(name))
        tx.register_run(run, f"holds {run}")
        tx.insert_datasets(
            name, run, Columns.from_rows((*dims, "id", "uri", "size", "checksum", "formatter"), rows)
        )
    return chosen


def make_upstream(
    root: Path, *, n_exposures: int = 3, n_detectors: int = 2, registry_url: str | None = None
) -> Repo:
    """A survey with raws in one RUN, biases in two, a calibration chain and a chain of everything."""
    repo = Repo.create(root, UNIVERSE, registry_url=registry_url)
    with repo.registry.write() as tx:
        for element, rows in survey_records(n_exposures, n_detectors).items():
            tx.insert_records(element, rows)
        tx.register_run("CAM/raw/none", "an empty run")
    put_datasets(
        repo, RAW, "CAM/raw/all", list(product(["CAM"], range(1, n_exposures + 1), range(n_detectors)))
    )
    put_datasets(repo, BIAS, "CAM/calib/old", [("CAM", d) for d in range(n_detectors)], content="old")
    put_datasets(repo, BIAS, "CAM/calib/new", [("CAM", 0)], content="new")
    with repo.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/new", "CAM/calib/old"])
        tx.set_chain("CAM/defaults", ["CAM/raw/none", "CAM/raw/all", "CAM/calib"])
        tx.register_collection("CAM/best", CollectionType.TAGGED)
    return repo


def make_staging(folder: Path, universe: DimensionUniverse = UNIVERSE) -> Repo:
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder}/staging.sqlite3"
    Registry.create(url, universe, wal=True).close()
    return open_staging(folder)


def open_staging(folder: Path) -> Repo:
    return Repo.attach(f"sqlite:///{folder}/staging.sqlite3", folder / "data", writable=True)


def wanted(
    upstream: Repo, collections: Sequence[str] = ("CAM/defaults",), *, visits: Sequence[int] = (1, 2)
) -> Wanted:
    """What a graph over some visits and all detectors would want."""
    with upstream.registry.read() as snap:
        raws = snap.datasets(RAW, ["CAM/raw/all"], artifacts=False)
        biases = snap.datasets(BIAS, snap.search_path(collections))
        detectors = snap.records("detector").select(("instrument", "detector"))
    chosen = [i for i, e in zip(raws["id"].tolist(), raws["exposure"].tolist(), strict=True) if e in visits]
    return Wanted(
        [*chosen, *biases["id"].tolist()],
        {
            "visit": Columns.from_rows(("instrument", "visit"), [("CAM", v) for v in visits]),
            "detector": detectors,
        },
        [dataset_type(name) for name in (RAW, BIAS, CALEXP)],
        collections,
    )


@dataclass
class Run:
    """What `make_run` made."""

    name: str
    quantum_ids: list[bytes]
    dataset_ids: list[bytes]


def make_run(
    staging: Repo, name: str, visits: Sequence[int] = (1, 2), detectors: Sequence[int] = (0, 1), *,
    inputs: Sequence[bytes] = (), failed: int = 0, content: str = "",
) -> Run:  # fmt: skip
    """A run of one task: each quantum made a calexp and a log; the last `failed` ones made a log only."""
    values = list(product(["CAM"], visits, detectors))
    quantum_ids, graph = new_ids(len(values)), new_id()
    good = len(values) - failed
    calexps = put_datasets(staging, CALEXP, name, values[:good], content=content)
    logs = put_datasets(staging, "calexp_log", name, values, content=content)
    quanta = [
        (q, name, "calibrate", json.dumps(dict(zip(TYPES[CALEXP], v, strict=True))), "succeeded" if i < good else "failed",
         0, 10 + i, 20 + i, 5, 1000, "here", "", graph)
        for i, (q, v) in enumerate(zip(quantum_ids, values, strict=True))
    ]  # fmt: skip
    made = [(q, i, "image") for q, i in zip(quantum_ids, calexps, strict=False)]
    made += [(q, i, "log") for q, i in zip(quantum_ids, logs, strict=True)]
    read = [(q, i, "raw", True) for q in quantum_ids for i in inputs]
    with staging.registry.write() as tx:
        tx.insert_quanta(Columns.from_rows(QUANTUM, quanta))
        tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, made))
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, read))
    return Run(name, quantum_ids, [*calexps, *logs])


def tree(root: Path) -> dict[str, str]:
    """Every file and directory below a root, with digests of the files: equal trees are byte-identical."""
    return {
        str(p.relative_to(root)): digest_bytes(p.read_bytes()) if p.is_file() else "directory"
        for p in sorted(root.rglob("*"))
    }


def dump(root: Path, *, masked: Sequence[str] = ()) -> list[str]:
    """The rows of a repository's database as SQL, but for tables that hold times and names of this moment."""
    url = RepoFile.load(str(root)).registry
    if is_database_url(url):
        return _dump_schema(url, masked)
    with sqlite3.connect(root / url) as database:
        lines = list(database.iterdump())
    database.close()
    skipped = tuple(f'INSERT INTO "{name}"' for name in masked)
    return sorted(line for line in lines if not (skipped and line.startswith(skipped)))


def _dump_schema(url: str, masked: Sequence[str]) -> list[str]:
    lines = []
    with Registry.open(url) as registry:
        tables = ask(
            registry, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        )
        for (name,) in tables:
            if name not in masked:
                lines += [f"{name} {row}" for row in ask(registry, f'SELECT * FROM "{name}"')]
    return sorted(lines)


def state(root: Path) -> str:
    """One digest of all that a repository is."""
    return hashlib.sha256(repr((tree(root), dump(root))).encode()).hexdigest()


def outcome(root: Path) -> tuple[dict[str, str], list[str]]:
    """What a push left: the files (not what was being written when it died), and the rows but for its moment."""
    files = {
        name: digest
        for name, digest in tree(root).items()
        if not name.startswith("registry.sqlite3") and not is_aside(name)
    }
    return files, dump(root, masked=["push_ledger", "campaign", "repository"])


@cache
def _template(url: str | None = None) -> Path:
    root = Path(tempfile.mkdtemp(prefix="sync-template-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    with make_upstream(root / "up", registry_url=url) as upstream, make_staging(root / "campaign") as staging:
        execute_fetch(plan_fetch(upstream, staging, wanted(upstream)), staging)
    return root


_TEMPLATES: dict[str, str] = {}


def copy_world(folder: Path, database: Database | None = None) -> None:
    """Put an upstream (``up``) and a campaign that has fetched from it (``campaign``) into a folder."""
    url = None
    if database is not None and database.name == "postgres":
        if database.server not in _TEMPLATES:
            _TEMPLATES[database.server] = Database("postgres", folder, database.server).copy(database.server)
        url = _TEMPLATES[database.server]
    for name in ("up", "campaign"):
        shutil.copytree(_template(url) / name, folder / name)
    if url is not None and database is not None:
        RepoFile(database.copy(url), "data").save(str(folder / "up"))


def change(root: Path, statement: str) -> None:
    """Change a repository's database behind its back."""
    with Repo.open(root, writable=True) as repo:
        ask(repo.registry, statement)


def dangling(root: Path) -> list[str]:
    """Artifact rows of a repository whose file is not there with the recorded size and checksum."""
    with Repo.open(root) as repo:
        rows = ask(repo.registry, "SELECT uri, size, checksum FROM artifact")
    out = []
    for uri, size, checksum in rows:
        path = root / "data" / uri
        if not path.is_file() or path.stat().st_size != size or digest_bytes(path.read_bytes()) != checksum:
            out.append(uri)
    return out
