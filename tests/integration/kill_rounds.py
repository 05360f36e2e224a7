"""Kill a command before steps on disk, some of them in turn, and repeat it: each life begins from the same place.

``python kill_rounds.py TEMPLATE WORK KILLS COMMAND...`` copies TEMPLATE (a folder with ``upstream`` and the campaign
``camp``) to WORK for each life and runs in its campaign. It prints how many lives were killed; what went wrong stands
on standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

from kill_steps import is_step, life

from cli.main import run_command
from registry.errors import StageError
from registry.model.records import Artifact
from sync.repo import Repo


def _answer(*words: str) -> Any:
    """Return what a command answers in JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run_command([*words, "--json"])
    if code:
        sys.exit(f"{' '.join(words)} gave {code}")
    return json.loads(out.getvalue())


def _datasets(repo: Repo) -> list[tuple[Any, ...]]:
    """Return all datasets of a repository; of those that differ from life to life (logs, metadata) not the bytes."""
    out = []
    with repo.registry.read() as snapshot:
        for kind in snapshot.dataset_types():
            rows = snapshot.datasets(kind.name, ("*",), find_first=False, artifacts=True)
            varies = kind.name.endswith(("_log", "_metadata"))
            for *key, size, checksum, uri, formatter in rows.rows(
                (*kind.dimensions.required, "run", "size", "checksum", "uri", "formatter")
            ):
                repo.datastore.verify(Artifact(uri, size, checksum, formatter))
                out.append((kind.name, *map(str, key), "" if varies else checksum))
    return sorted(out)


def _upstream(work: Path) -> dict[str, Any]:
    """Return what upstream holds."""
    with Repo.open(work / "upstream") as repo:
        datasets = _datasets(repo)
        with repo.registry.read() as snapshot:
            collections = {c.name: list(c.children) for c in snapshot.collections()}
            runs = [name for name, children in collections.items() if not children]
            quanta = sorted(snapshot.quanta(runs, latest=False).rows(("task", "data_id", "status")))
    return {"datasets": datasets, "collections": collections, "quanta": quanta}


def facts(work: Path) -> dict[str, Any]:
    """Return all that has to be the same after however many lives."""
    camp = work / "camp"
    status = _answer("status")
    with Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging:
        datasets = _datasets(staging)
        with staging.registry.read() as snapshot:
            rows = snapshot.quanta([run["name"] for run in status["runs"]])
            quanta = sorted(rows.rows(("task", "data_id", "status")))
    left = [p.name for p in camp.iterdir() if p.name.startswith(".") and "new-" in p.name]
    return {
        "runs": [{k: run[k] for k in ("name", "place", "tasks", "push")} for run in status["runs"]],
        "state": json.loads((camp / ".campaign.json").read_text()),
        "datasets": datasets,
        "quanta": quanta,
        "upstream": _upstream(work),
        "aside": left,
    }


def _fresh(template: Path, work: Path) -> None:
    os.chdir(template)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work, symlinks=True)
    os.chdir(work / "camp")


def _count_steps(words: list[str], root: str) -> int:
    """Run the command undisturbed in this process, and count its steps on disk."""
    n = 0
    counting = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal n
        if counting and is_step(event, args, root):
            n += 1

    sys.addaudithook(watch)
    code = run_command(words)
    counting = False
    if code:
        sys.exit(f"undisturbed, the command gave {code}")
    return n


def _differences(a: dict[str, Any], b: dict[str, Any]) -> str:
    return "; ".join(
        f"{key}: {str(a[key])[:400]} is now {str(b[key])[:400]}" for key in a if a[key] != b[key]
    )


def main(template: str, folder: str, kills: str, *words: str) -> None:
    """Kill, look, repeat, compare."""
    sys.stdout = io.StringIO()  # the commands' own words
    work, source = Path(folder), Path(template)
    _fresh(source, work)
    before = _upstream(work)
    n = _count_steps(list(words), str(work))
    undisturbed = facts(work)
    every = max(1, n // int(kills))
    done = 0
    for step in range(1, n + 1, every):
        _fresh(source, work)
        if (code := life(list(words), str(work), step)) >= 0:
            break  # it came to its end in fewer steps
        done += 1
        if code := life(["status"], str(work), None):
            sys.exit(f"killed before step {step} of {n}; then status gave {code}")
        if _upstream(work) not in (before, undisturbed["upstream"]):
            sys.exit(f"killed before step {step} of {n}, upstream had a part of it")
        is_done = False
        with contextlib.suppress(StageError, sqlite3.Error, SystemExit):
            is_done = facts(work) == undisturbed
        if is_done:
            continue  # it was done, but for what it leaves behind: given again, the command would do another one
        if code := life(list(words), str(work), None):
            sys.exit(f"killed before step {step} of {n}; then the command gave {code}")
        try:
            found = facts(work)
        except (StageError, sqlite3.Error) as error:
            sys.exit(f"killed before step {step} of {n} and repeated: {error}")
        if found != undisturbed:
            sys.exit(f"killed before step {step} of {n} and repeated: {_differences(undisturbed, found)}")
    sys.__stdout__.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
