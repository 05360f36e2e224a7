"""The reference's own clone and push, in rounds that can alternate with ours.

Of its program only those phases run that make a repository with the files of a run in it (written by hand, not by running
quanta), once; then, each round, those that transfer them. Each phase is a process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from benchmarks import reference

MAKING = ("create", "dims", "datasets", "graph", "fake_outputs")
ROUND = ("transfer_graph", "transfer_repo")
_LIMITS = ("--put-limit", "1", "--direct-limit", "10")
"""What it does besides, to measure other things, as little of it as it allows."""
_DATABASE, _SAVED = "repo/gen3.sqlite3", "saved-gen3.sqlite3"


class ReferenceSync:
    """Its clone and push at one size.

    Parameters
    ----------
    quanta : int
        The size: that many raws, and about that many quanta, of three datasets each.
    rounds : int
        How often each is measured.
    results : pathlib.Path
        Where what was found is kept; what is there is not measured again.
    anew : bool
        Whether it is measured all the same, and then kept in its place.
    """

    def __init__(self, quanta: int, rounds: int, results: Path, *, anew: bool = False) -> None:
        self.quanta, self.kept = quanta, results / f"reference-sync-{quanta}.jsonl"
        self.source = reference.program() if anew or not self.kept.exists() else None
        self._missing = rounds if self.source is not None else 0
        self._root = Path(tempfile.mkdtemp(prefix="bench-reference-"))
        self._found: list[dict[str, Any]] = []
        self._done = 0

    def __enter__(self) -> Self:
        if self._missing:
            print(f"reference: making a repository of {self.quanta:,} quanta, this takes minutes", flush=True)
            if self._all(MAKING):
                shutil.copyfile(self._root / _DATABASE, self._root / _SAVED)
        elif not self.kept.exists():
            print("reference: not measured, there is no $STAGE_SHARED/reference/lsst_bench.py")
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._root)

    def round(self) -> None:
        """Measure once more, if it is still to be done."""
        if not self._missing:
            return
        shutil.copyfile(self._root / _SAVED, self._root / _DATABASE)
        if self._all(ROUND):
            self._missing -= 1
            self._done += 1

    def sections(self) -> list[dict[str, Any]]:
        """Do the rounds that are missing; return all that was found, and keep it."""
        while self._missing:
            self.round()
        if self._done:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            self.kept.write_text("".join(json.dumps(section) + "\n" for section in self._found))
            self._done = 0
        return reference.read(self.kept) if self.kept.exists() else []

    def _all(self, phases: tuple[str, ...]) -> bool:
        """Run phases; return whether all went well."""
        for phase in phases:
            command = [
                reference.python(), str(self.source), "--phase", phase, "--n", str(self.quanta), "--rep", str(self._done),
                "--root", str(self._root), *_LIMITS,
            ]  # fmt: skip
            folder = str(Path(str(self.source)).parent)
            environment = os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"reference: {phase} ended with {done.returncode}: {done.stderr[-400:]}", flush=True)
                self._missing = self._done = 0
                return False
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            self._found += [json.loads(line) for line in lines]
        return True
