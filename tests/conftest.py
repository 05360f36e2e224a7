"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

pytest_plugins = ["tests.databases", "tests.stores"]

# A shell that runs the tests in its background has them ignore Ctrl-C, and their children too: some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests compare whole folders, and Python writes its caches beside the modules that a test made.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of shared data and vectors; skips where it is absent."""
    path = Path(os.environ.get("STAGE_SHARED", ROOT.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path} (set STAGE_SHARED)")
    return path
