"""Kill a command before steps on disk, some of them in turn: the next one finds the campaign as it was, or as it is to be.

``python kill_rollback.py TEMPLATE WORK KILLS COMMAND...`` copies TEMPLATE (a folder with the campaign ``camp``) to WORK for
each life and runs in its campaign. It prints how many lives were killed, how many of these left it done, and how many
steps the command has; what went wrong stands on standard error.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from kill_rounds import _answer, _count_steps, _differences, _fresh
from kill_steps import life

from cli.main import run_command
from sync.repo import Repo


def _facts(camp: Path) -> dict[str, Any]:
    """Return all that going back changes, and what it must not change."""
    entries = _answer("history")
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        collections = {c.name: list(c.children) for c in snapshot.collections()}
        counts = sorted(snapshot.count_datasets().rows())
    pipeline = camp / "pipeline.yaml"
    return {
        "state": json.loads((camp / ".campaign.json").read_text()),
        "pipeline": pipeline.read_text() if pipeline.exists() else "",
        "graph": _answer("qg", "show")["tasks"],  # its ids are other ones each time it is built
        "history": [(e["position"], e["command"], e["change"], e["kept"], e["diff"]) for e in entries],
        "collections": collections,
        "datasets": counts,
        "outputs": sorted(str(p.relative_to(camp)) for p in (camp / "data").rglob("*") if p.is_file()),
        "aside": sorted(p.name for p in camp.iterdir() if "new-" in p.name or "undo" in p.name),
    }


def main(template: str, folder: str, kills: str, *words: str) -> None:
    """Kill, let the next command see to it, compare."""
    sys.stdout = io.StringIO()  # the commands' own words
    work, source = Path(folder), Path(template)
    _fresh(source, work)
    before = _facts(work / "camp")
    n = _count_steps(list(words), str(work))
    after = _facts(work / "camp")
    every = max(1, n // int(kills))
    done = finished = 0
    for step in range(1, n + 1, every):
        _fresh(source, work)
        if life(list(words), str(work), step) >= 0:
            break  # it came to its end in fewer steps
        done += 1
        for next_words in (["status"], ["edit", "--campaign-docs", ""]):
            if code := run_command(next_words):
                sys.exit(f"killed before step {step} of {n}; then {next_words[0]} gave {code}")
        found = _facts(work / "camp")
        if found not in (before, after):
            sys.exit(
                f"killed before step {step} of {n}, it is neither as it was: {_differences(before, found)}; "
                f"nor as it is to be: {_differences(after, found)}"
            )
        finished += found == after
    os.chdir(source)
    shutil.rmtree(work, ignore_errors=True)
    sys.__stdout__.write(f"{done} {finished} {n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
