"""Clone or push what lies in a directory, as the first that a process does.

    python -m benchmarks.sync_alone push DIRECTORY

Prints as JSON the seconds of CPU from opening both sides on, and the peak of resident memory in MB: ``base`` when both
are open, ``peak`` at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.parts import timed
from benchmarks.sync_world import clone_once, opened, push_once, raws_of

ROOT = Path(__file__).resolve().parents[1]


def alone(verb: str, root: Path) -> dict[str, float]:
    """Do it in a process of its own; return what that found."""
    command = [sys.executable, "-m", "benchmarks.sync_alone", verb, str(root)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def peak_mb() -> float:
    """Return the peak of this very process: what ``getrusage`` tells begins with that of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says."""
    verb, root = sys.argv[1:] if arguments is None else arguments
    base = 0.0

    def act() -> None:
        nonlocal base
        with opened(Path(root), "auto" if verb == "push" else "link") as (upstream, staging):
            base = peak_mb()
            if verb == "push":
                push_once(upstream, staging, "auto")
            else:
                clone_once(upstream, staging, raws_of(upstream))

    seconds, _ = timed(act)
    print(json.dumps({"cpu_s": seconds, "base": base, "peak": peak_mb()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
