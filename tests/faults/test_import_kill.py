"""Imports that are killed: all rows with all their files, or none."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from sync.administration.ingest import ingest
from sync.exports.exchange import import_exports
from sync.exports.exporting import export_repository
from sync.filesystem import files
from sync.repo import Repo

LAB = DimensionUniverse.from_yaml(
    "name: lab\nversion: 1\nelements:\n  shot: {key: {name: number, type: int}, metadata: {note: string}}\n"
)
N_SHOTS = 300
CODE = """
import sys
from sync.exports.exchange import import_exports
from sync.repo import Repo
repo = Repo.open(sys.argv[1], writable=True)
print("go", flush=True)
import_exports(repo, [sys.argv[2]], mode=sys.argv[3])
print("done", flush=True)
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of 300 datasets with their files."""
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "in" / f"{i}.json" for i in range(N_SHOTS)]
    for i, path in enumerate(paths):
        path.write_text(str(i))
    with Repo.create(tmp_path / "one", LAB) as one:
        with one.registry.write() as change:
            change.insert_records("shot", Columns({"shot": list(range(N_SHOTS))}))
            change.register_dataset_type(DatasetType("raw", LAB.group(["shot"]), "Json"))
        ingest(one, "raw", "r", Columns({"shot": list(range(N_SHOTS)), "path": [str(p) for p in paths]}))
        export_repository(one, tmp_path / "out", files_mode="copy")
    return tmp_path / "out"


@pytest.mark.survives("kills", "import")
@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_killed_import_is_whole_or_nothing(export: Path, tmp_path: Path, mode: str) -> None:
    """After kill -9 at any moment each row has its file, no source is lost without a copy, and the same call completes."""
    for k, delay in enumerate((0.02, 0.1, 0.2, 0.4)):
        root = tmp_path / f"two{k}"
        Repo.create(root, LAB).close()
        words = [sys.executable, "-c", CODE, str(root), str(export), mode]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        with Repo.open(root, writable=True) as two:
            with two.registry.read() as snapshot:
                known = [c.name for c in snapshot.collections()]
                rows = snapshot.datasets("raw", ["r"], artifacts=True) if known else Columns({})
            assert rows.n_rows in {0, N_SHOTS}
            if rows.n_rows:
                assert all(two.datastore.exists(uri) for uri in rows["uri"].tolist())
            else:
                assert N_SHOTS == len(files.list_files(export / "files"))
            import_exports(two, [export], mode="copy" if not rows.n_rows else "none")
            assert two.get("raw", {"shot": 17}, ["r"], verify=True) == 17
            if mode == "move" and rows.n_rows:
                return
