"""Runs the vectors: ``python -m tests.vectors.run --dir FOLDER --only KINDS --db sqlite``.

Names each failing case and ends with the line ``N passed, M failed``; the exit code is 0 only if M is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from registry.errors import StageError, UsageError
from tests.vectors.batch import run_batch
from tests.vectors.compare import differs
from tests.vectors.datasets import run_datasets
from tests.vectors.graphs import run_graphs
from tests.vectors.judging import Hang, lenient, time_limit
from tests.vectors.load import World
from tests.vectors.queries import answer_query
from tests.vectors.split_graphs import run_split_graphs

FILES = {
    "query": "query_vectors.json",
    "fuzz_query": "fuzz_query_vectors.json",
    "dataset": "dataset_vectors.json",
    "qg": "qg_vectors.json",
    "bps": "bps",
}


def judge(case: dict[str, Any], answer: Callable[[], Any]) -> str:
    """Say what is wrong with what is answered to a case; empty if nothing is."""
    expected = case["expected"]
    try:
        with time_limit():
            rows = answer()
    except Hang as exc:
        return str(exc)
    except UsageError as exc:
        if "error" in expected or lenient(case):
            return ""
        return f"refused: {exc.message}"
    except StageError as exc:
        return f"{type(exc).__name__}: {exc.message}"
    except Exception as exc:  # noqa: BLE001  (whatever else comes out is what is looked for here)
        return f"traceback: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"
    if lenient(case):
        return ""
    if "error" in expected:
        return f"answered with {len(rows)} rows, expected a refusal ({expected.get('refusal_kind', expected['error'])})"
    return differs(expected, rows)


def run_queries(path: Path, world: World) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file of queries: id, text, what is wrong."""
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        registry = world.registry(case["dataset"])
        problem = judge(case, lambda case=case, registry=registry: answer_query(registry, case))
        yield case["id"], f"{','.join(case['dimensions'])} | {case['where']}", problem


_DATABASES = ("sqlite", "postgres")
RUNNERS: dict[str, Callable[[Path, World], Iterator[tuple[str, str, str]]]] = {
    "query": run_queries,
    "fuzz_query": run_queries,
    "dataset": run_datasets,
    "qg": run_graphs,
    "bps": run_batch,
}


def run_kind(kind: str, folder: Path, world: World, *, split: bool = False) -> tuple[int, int]:
    """Run one kind of vectors, perhaps of graphs on two registries; return how many passed and failed."""
    passed = failed = 0
    runner = run_split_graphs if split and kind == "qg" else RUNNERS[kind]
    for name, text, problem in runner(folder / FILES[kind], world):
        if problem:
            failed += 1
            print(f"FAILED {kind} {name}: {problem}\n    {text}")
        else:
            passed += 1
    print(f"{kind}: {passed} passed, {failed} failed")
    return passed, failed


def data_beside(folder: Path, shared: Path) -> Path:
    """Return the data sets that the cases of a folder are about: its own if it has some, else the shared ones."""
    own = folder / "data"
    return own if own.is_dir() else shared / "data"


def chosen_kinds(folder: Path, only: str) -> tuple[list[str], list[str]]:
    """Return the kinds to run, and complaints about what was asked for."""
    if not folder.is_dir():
        return [], [f"no folder {folder}"]
    asked = [k.strip() for k in only.split(",") if k.strip()]
    problems = [f"unknown kind '{k}'; there are: {', '.join(FILES)}" for k in asked if k not in FILES]
    known = [k for k in asked if k in FILES]
    problems += [f"{folder} has no {FILES[k]}" for k in known if not (folder / FILES[k]).exists()]
    problems += [f"{k}: not supported yet" for k in known if k not in RUNNERS]
    there = [k for k in FILES if (folder / FILES[k]).exists()]
    if not there:
        problems.append(f"no vectors in {folder}")
    if not asked:
        for kind in there:
            if kind not in RUNNERS:
                print(f"{kind}: not supported yet, left out")
    return [k for k in (known or ([] if asked else there)) if k in RUNNERS and k in there], problems


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    shared = Path(os.environ.get("STAGE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    parser = argparse.ArgumentParser(prog="make vectors")
    parser.add_argument("--dir", default="", help="folder of vectors; by default $STAGE_SHARED/vectors")
    parser.add_argument("--only", default="", help="kinds, separated by commas: " + ", ".join(FILES))
    parser.add_argument("--db", default="sqlite", help="database: " + ", ".join(_DATABASES))
    parser.add_argument(
        "--split", action="store_true", help="deal what graphs are built on to two registries"
    )
    options = parser.parse_args(arguments)
    folder = Path(options.dir) if options.dir else shared / "vectors"
    kinds, problems = chosen_kinds(folder, options.only)
    if options.db not in _DATABASES:
        problems.append(f"unknown database '{options.db}'; there are: {', '.join(_DATABASES)}")
    data = data_beside(folder, shared)
    if not data.is_dir():
        problems.append(f"no data at {data} (set STAGE_SHARED)")
    passed, failed = 0, len(problems)
    for problem in problems:
        print(f"FAILED {problem}")
    if data.is_dir() and options.db in _DATABASES:
        with World(data, options.db) as world:
            for kind in kinds:
                p, f = run_kind(kind, folder, world, split=options.split)
                passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
