"""Kill a command of the stack before steps on disk, some of them in turn, look, and go on: each life begins anew.

``python kill_stack.py TEMPLATE WORK KILLS COMMAND...`` copies TEMPLATE (a folder with the campaign ``camp``) to WORK for
each life and runs in its campaign. It prints how many lives were killed; what went wrong stands on standard error.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path

from kill_rounds import _answer, _count_steps, _fresh
from kill_steps import life

from cli.main import run_command
from sync.repo import Repo


def _problem(camp: Path) -> str:
    """Return what is not as it always has to be; empty if nothing is."""
    c = json.loads((camp / ".campaign.json").read_text())["collections"]
    stack = [*([c["current_run"]] if c["current_run"] else []), *c["past_runs"]]
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        found = {x.name: list(x.children) for x in snapshot.collections()}
        missing = [
            uri
            for kind in snapshot.dataset_types()
            for uri in snapshot.datasets(kind.name, stack, find_first=False, artifacts=True)["uri"].tolist()
            if stack and uri and not (camp / "data" / uri).exists()
        ]
    if found.get("camp") != [*stack, *c["inputs"]]:
        return f"the chain is {found.get('camp')}, the stack {stack}"
    if left := [run for run in stack if run not in found]:
        return f"{left} are in the stack and not in staging"
    if missing:
        return f"{missing[:3]} are on record and not there"
    strange = [n for n in found if n.startswith("camp/") and n not in c["created"]]
    return f"{strange} are in staging and nobody made them" if strange else ""


def _left_over(camp: Path) -> list[str]:
    """Return the runs of which something is left after a cleaning."""
    c = json.loads((camp / ".campaign.json").read_text())["collections"]
    stack = [*([c["current_run"]] if c["current_run"] else []), *c["past_runs"]]
    known = [
        f"camp/{root}/{run}"
        for root in ("data", "submit", "logs")
        for run in ("r0", "r1")
        if (camp / root / "camp" / run).exists()
    ]
    made = [name for name in c["created"] if name not in (*stack, "camp")]
    return [*made, *(name for name in known if f"camp/{name[-2:]}" not in stack)]


def main(template: str, folder: str, kills: str, *words: str) -> None:
    """Kill, look, repair by the next command, look again."""
    sys.stdout = io.StringIO()  # the commands' own words
    work, source = Path(folder), Path(template)
    _fresh(source, work)
    n = _count_steps(list(words), str(work))
    every = max(1, n // int(kills))
    done = 0
    for step in range(1, n + 1, every):
        _fresh(source, work)
        if life(list(words), str(work), step) >= 0:
            break  # it came to its end in fewer steps
        done += 1
        for next_words in (["status"], ["edit", "--campaign-docs", "killed"]):
            if code := run_command(next_words):
                sys.exit(f"killed before step {step} of {n}; then {next_words[0]} gave {code}")
        if problem := _problem(work / "camp"):
            sys.exit(f"killed before step {step} of {n}: {problem}")
        if code := run_command(["clean", "--purge", "--yes"]):
            sys.exit(f"killed before step {step} of {n}; then clean gave {code}")
        if left := _left_over(work / "camp"):
            sys.exit(f"killed before step {step} of {n}; clean left {left}")
        if _answer("clean", "--purge", "--dry-run")["purged"]:
            sys.exit(f"killed before step {step} of {n}; clean did not do all")
    os.chdir(source)
    shutil.rmtree(work, ignore_errors=True)
    sys.__stdout__.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
