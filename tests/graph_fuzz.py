"""Damage and forge graph files without end: ``python -m tests.graph_fuzz --rounds 20000 [--seed 1]``.

Every file is made from its number alone, so a finding can be made again. A finding is any error that is not one of ours, more
memory than `MEMORY_BYTES` beyond what the program has at its beginning, or more than `SECONDS` for one file.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from tests.graph_helpers import chain_graph
from tests.graph_mutations import DAMAGES, FORGERIES, Parts, exercise

MEMORY_BYTES = 1 << 30
SECONDS = 20


def make(whole: bytes, number: int) -> tuple[str, bytes]:
    """Return one bad file, and what was done to it."""
    rng = random.Random(number)
    if rng.random() < 0.4:
        data = bytearray(whole)
        damage = rng.choice(DAMAGES)
        damage(data, rng)
        return damage.__name__, bytes(data)
    while True:
        parts, forgery = Parts(whole), rng.choice(FORGERIES)
        forgery(parts, rng)
        try:
            return forgery.__name__, parts.sealed()
        except (TypeError, ValueError):
            continue  # what cannot be written as a file is none


def _late(number: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first file")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGALRM, _late)
    seen: Counter[str] = Counter()
    findings = 0
    with tempfile.TemporaryDirectory(prefix="graph-fuzz-") as folder:
        path = Path(folder) / "some.qg"
        chain_graph(n_shots=4, n_chips=3, run="out/1").save(path)
        whole = path.read_bytes()
        exercise(path)  # what is imported on the way is not the file's doing
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, most))
        for number in range(options.seed, options.seed + options.rounds):
            name, data = make(whole, number)
            path.write_bytes(data)
            signal.alarm(SECONDS)
            try:
                seen[f"{name}: {'refused' if exercise(path) else 'taken'}"] += 1
            except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                findings += 1
                print(f"file {number} ({name}):\n{traceback.format_exc()}", flush=True)
            finally:
                signal.alarm(0)
    for what, count in sorted(seen.items()):
        print(f"{count:7} {what}")
    print(f"{findings} findings in {options.rounds} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
