"""Fixtures that every test may use."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

pytest_plugins = ["tests.clusters", "tests.databases", "tests.promises", "tests.stores"]

# A shell that runs the tests in its background has them ignore Ctrl-C, and their children too: some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests compare whole folders, and Python writes its caches beside the modules that a test made.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("registry", "sync", "stage", "cli")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the program once: the many commands that tests start write no caches, and each would do it again."""
    if not hasattr(config, "workerinput"):
        for name in PACKAGES:
            compileall.compile_dir(ROOT / name, quiet=2)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of all looking for garbage: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of shared data and vectors; skips where it is absent."""
    path = Path(os.environ.get("STAGE_SHARED", ROOT.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path} (set STAGE_SHARED)")
    return path
