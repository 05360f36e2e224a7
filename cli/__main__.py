"""``python -m cli``: the ``stage`` command without its script."""

from __future__ import annotations

import os
import sys

# Python puts the working directory first for -m; a user's own registry.py or sync.py there must not be met.
# (pathlib would take as long to load as all else before Ctrl-C is answered.)
if os.path.realpath(sys.path[0] or ".") != os.path.realpath(f"{__file__}/../.."):
    del sys.path[0]

from cli.entry import run

run()
