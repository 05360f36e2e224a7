"""A push does what its plan said, whatever state the two sides are in."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import ConflictError
from sync.plan import PushPlan
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

RUN = "u/me/1"
PLACES = st.sets(st.tuples(st.integers(1, 2), st.integers(0, 1)), max_size=4)


@contextmanager
def world() -> Iterator[tuple[Path, Repo, Repo]]:
    folder = Path(tempfile.mkdtemp(prefix="push-plan-"))
    try:
        made.copy_world(folder)
        with (
            Repo.open(folder / "up", writable=True) as upstream,
            made.open_staging(folder / "campaign") as staging,
        ):
            yield folder, upstream, staging
    finally:
        shutil.rmtree(folder)


def refusal(plan: PushPlan, staging: Repo, upstream: Repo) -> ConflictError | None:
    try:
        execute_push(plan, staging, upstream)
    except ConflictError as error:
        return error
    return None


@settings(max_examples=15, deadline=None)
@given(other=PLACES, before=PLACES, changed=st.booleans(), chain=st.sampled_from([None, "u/c", "CAM/best"]))
def test_the_dry_run_tells_what_the_push_does(
    other: set[tuple[int, int]],
    before: set[tuple[int, int]],
    changed: bool,
    chain: str | None,
) -> None:
    """The conflicts planned are those raised, with nothing written; without any, all that was new is there after."""
    with world() as (folder, upstream, staging):
        run = made.make_run(staging, RUN)
        places = [(v, d) for v in (1, 2) for d in (0, 1)]
        options = {"campaign": made.CAMPAIGN, "register_dataset_types": True, "chain": chain}
        if before:  # some of the run is upstream already, by an earlier push
            execute_push(
                plan_push(staging, upstream, [RUN], campaign=made.CAMPAIGN, register_dataset_types=True),
                staging,
                upstream,
            )
            gone = [i for place, i in zip(places, run.dataset_ids, strict=False) if place not in before]
            with upstream.registry.write() as tx:
                tx.delete_datasets(gone)
        taken = {p for p in other if not before or p not in before}
        made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", *p) for p in sorted(taken)])
        if changed:
            with sqlite3.connect(folder / "campaign/staging.sqlite3") as database:
                database.execute("UPDATE dim_visit SET exposure_time = 31 WHERE visit = 1")
            database.close()

        plan = plan_push(staging, upstream, [RUN], **options)  # type: ignore[arg-type]
        state = made.state(folder / "up")
        error = refusal(plan, staging, upstream)
        assert plan.conflicts == (error.conflicts if error else ())
        if error:
            assert state == made.state(folder / "up")
            codes = [c.code for c in plan.conflicts]
            assert set(codes) <= {"dataset-exists", "record-differs", "collection-type-differs"}
            assert len(taken) == codes.count("dataset-exists")
            return
        assert not taken
        with upstream.registry.read() as theirs:
            assert set(run.dataset_ids) == theirs.existing_ids(run.dataset_ids)
        assert plan_push(staging, upstream, [RUN], **options).is_empty  # type: ignore[arg-type]
        assert made.dangling(folder / "up") == []
