"""``python -m cli``: the ``stage`` command without its script."""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts the working directory first for -m; a user's own registry.py or sync.py there must not be met.
if Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from cli.main import run

run()
