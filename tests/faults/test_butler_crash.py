"""A push to another system's repository, killed between its steps there: the next one completes it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.butler_world import PIPELINE, TASKS, make_field, open_field
from tests.integration.tiny_campaign import ROOT, call

pytest.importorskip("lsst.daf.butler", reason="lsst-daf-butler is not installed (extra 'rubin')")

WORDS = (
    "push",
    "--register-dataset-types",
    "--chain",
    "u/me/all",
    "--dataset-type",
    "clean",
    "--dataset-type",
    "mean",
)
KILLED = """
import os, signal, sys
from functools import partial
import sync.push
from cli.main import run_command

def at(name, point=sys.argv[1]):
    if name == point:
        os.kill(os.getpid(), signal.SIGKILL)

sync.push.execute_push = partial(sync.push.execute_push, at=at)
sys.exit(run_command(sys.argv[2:]))
"""

LONG = os.environ.get("STAGE_FAULTS") == "long"
POINTS = ("journal-begun", "defined", "committed", "chained")
"""In the short form those before and after the rows are there."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a butler repository ``field`` and a campaign ``camp`` on it, whose run is done."""
    root = tmp_path_factory.mktemp("butler-crash")
    make_field(root / "field")
    (root / "field_tasks.py").write_text(TASKS)
    (root / "pipeline.yaml").write_text(PIPELINE)
    env = {"STAGE_CACHE_DIR": str(root / "cache")}
    query = "instrument = 'Cam' AND exposure IN (1, 2)"
    call(
        "clone", "field", "camp", "-p", "pipeline.yaml", "-i", "Cam/defaults", "-d", query, cwd=root, env=env
    )
    call("run", "-j", "0", "--next-run", "u/me/%n", cwd=root / "camp", env=env)
    return root


@pytest.mark.parametrize("point", POINTS if LONG else POINTS[2:3])
def test_a_killed_push_is_completed_by_the_next(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    survived: Callable[[str, str, int], None],
) -> None:
    """No dataset or all of them are there after the kill; the same push again ends with all, once, and noted once."""
    shutil.copytree(made, tmp_path / "kept")
    monkeypatch.setenv("STAGE_CACHE_DIR", str(tmp_path / "cache"))
    try:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, point, *WORDS],
            cwd=made / "camp",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        there = _datasets(made)
        assert there == (8 if point in ("committed", "chained") else 0)
        call(*WORDS, cwd=made / "camp")
        assert _datasets(made) == 8
        butler = open_field(made / "field")
        assert butler.collections.get_info("u/me/all").children == ("u/me/0",)
        assert len(butler.query_datasets("stage_push", "stage/pushes/*", find_first=False)) == 1
        assert "nothing to" in call(*WORDS, cwd=made / "camp").stdout
        survived("kills", "pushes to a butler repository", 1)
    finally:
        shutil.rmtree(made)
        shutil.copytree(tmp_path / "kept", made)


def _datasets(made: Path) -> int:
    butler = open_field(made / "field")
    if "u/me/0" not in butler.collections.query("*"):
        return 0
    return sum(
        len(butler.query_datasets(name, "u/me/0", find_first=False, explain=False))
        for name in ("clean", "mean")
        if any(butler.registry.queryDatasetTypes(name))
    )
