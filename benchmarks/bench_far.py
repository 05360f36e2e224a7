"""What a clone and a push ask of a PostgreSQL server that is far away: every round trip takes two milliseconds.

    python -m benchmarks.bench_far [--n 1000 10000 57305] [--only push-far-trips] [--json results.json]

n is a number of quanta of three datasets each, and of raws, as in `benchmarks.bench_sync`; files stay where they are. The server is
one of our own behind a proxy that keeps every request back and counts. Each figure is of a command's whole way: it opens upstream, does
its work and closes it. ``-trips`` are requests that waited for an answer, ``-connections`` those that were opened, ``clone-far`` and
``push-far`` the time on the clock, and ``push-far-locked`` the time for which other writers had to wait. The floor is one bare
connection that reads the rows of the clone, a query a table, or writes those of the run, a ``COPY`` a table, in one transaction; for a
push again, one that asks how many datasets the run has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.bench_postgres import postgres
from benchmarks.far_server import Far, far_server
from benchmarks.parts import TAGS, Figures, run_program, survey
from benchmarks.sync_world import (
    PER_QUANTUM,
    PROVENANCE,
    RUN,
    campaign,
    clone_once,
    make_run,
    of_run,
    opened,
    outputs_upstream,
    push_once,
    raws_of,
)

FEW = 10
CLONED = ("dataset", TAGS, "artifact")


@contextmanager
def world(root: Path, n: int) -> Iterator[Far]:
    """Make an upstream far away, in which a run was pushed already, and a campaign that has fetched nothing but for that."""
    root.joinpath("first").mkdir()
    with postgres() as url, far_server(url) as far:
        with survey(root, n, registry_url=far.url) as upstream:
            with campaign(root / "first", upstream) as staging:
                clone_once(upstream, staging, raws_of(upstream))
                make_run(staging, PER_QUANTUM * min(FEW, n), "u/bench/first")
                push_once(upstream, staging, "link", "u/bench/first")
            campaign(root, upstream, outputs_upstream(root)).close()
        yield far


def counted(far: Far, act: Callable[[], Any]) -> tuple[int, int, float, Any]:
    """Return the round trips and connections of a call, its time on the clock, and what it returned."""
    far.reset()
    began = time.perf_counter()
    found = act()
    return far.round_trips, far.connections, time.perf_counter() - began, found


def bare(far: Far, act: Callable[[Any], None]) -> tuple[int, int, float, None]:
    """Count what one transaction on a bare connection takes."""
    import psycopg

    def whole() -> None:
        with psycopg.connect(far.url) as connection:
            act(connection)

    return counted(far, whole)


def read_rows(connection: Any) -> None:
    tables = of_run("CAM/raw")
    for name in CLONED:
        connection.execute(tables[name]).fetchall()


def write_rows(connection: Any, rows: dict[str, list[Any]]) -> None:
    for name, values in rows.items():
        with connection.cursor().copy(f'COPY "bare_{name}" FROM STDIN') as copy:
            for row in values:
                copy.write_row(row)


def rows_of_run(far: Far) -> dict[str, list[Any]]:
    """Return what upstream has of the run, by table, and make tables as these are, without rows."""
    import psycopg

    tables = of_run(RUN)
    quanta = f"(SELECT id FROM quantum WHERE run_id = (SELECT id FROM collection WHERE name = '{RUN}'))"
    for name in PROVENANCE:
        tables[name] = f"SELECT * FROM {name} WHERE {'id' if name == 'quantum' else 'quantum_id'} IN {quanta}"
    with psycopg.connect(far.url) as connection:
        found = {name: connection.execute(query).fetchall() for name, query in tables.items()}
        for name in found:
            connection.execute(f'CREATE TABLE "bare_{name}" (LIKE "{name}" INCLUDING INDEXES)')
    return found


def measure_far(root: Path, n: int) -> Figures:
    """Clone, push, and push again."""

    def clone() -> None:
        with opened(root, "auto") as (upstream, staging):
            clone_once(upstream, staging, raws_of(upstream))

    def push() -> float:
        with opened(root, "auto") as (upstream, staging):
            return push_once(upstream, staging, "auto").locked_s

    with world(root, n) as far:
        ours, floor = counted(far, clone), bare(far, read_rows)
        yield from _three("clone-far", ours, floor, n)
        with opened(root, "auto") as (_, staging):
            make_run(staging, PER_QUANTUM * n)
        ours = counted(far, push)
        rows = rows_of_run(far)
        if len(rows["dataset"]) != PER_QUANTUM * n or len(rows["quantum"]) != n:
            raise SystemExit("the push did not arrive")
        floor = bare(far, lambda connection: write_rows(connection, rows))
        yield from _three("push-far", ours, floor, PER_QUANTUM * n)
        yield "push-far-locked", ours[3] * 1e3, floor[2] * 1e3, "ms"
        ours = counted(far, push)
        question = "SELECT count(*) FROM dataset JOIN collection c ON c.id = run_id AND c.name = %s"
        floor = bare(far, lambda connection: connection.execute(question, [RUN]))
        yield from _three("push-again-far", ours, floor, PER_QUANTUM * n)


def _three(
    name: str, ours: tuple[int, int, float, Any], floor: tuple[int, int, float, None], n: int
) -> Figures:
    yield f"{name}-trips", ours[0], floor[0], "round trips"
    yield f"{name}-connections", ours[1], floor[1], "connections"
    if "again" in name:
        yield name, ours[2] * 1e3, floor[2] * 1e3, "ms/push"
    else:
        yield name, ours[2] / n * 1e6, floor[2] / n * 1e6, "wall us/dataset"


_VERBS = ("clone-far", "push-far", "push-again-far")
IDS = (*(f"{v}{what}" for v in _VERBS for what in ("", "-trips", "-connections")), "push-far-locked")
MEASURES = {" ".join(IDS): measure_far}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    sizes = ["--n", "1000", "10000", "57305"]
    return run_program(MEASURES, str(__doc__), [*sizes, *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
