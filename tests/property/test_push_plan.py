"""A push does what its plan said, whatever state two campaigns and their upstream are in, under whatever policies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import ConflictError
from registry.model.refs import parse_id
from sync.plan import PushPlan
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.push_worlds import sql

RUN, OTHER = "u/me/1", "u/me/2"
TERMS: dict[str, Any] = {"campaign": made.CAMPAIGN, "register_dataset_types": True}
EXAMPLES = 300 if os.environ.get("STAGE_FAULTS") == "long" else 6
PLACES = st.sets(st.tuples(st.integers(1, 2), st.integers(0, 1)), max_size=4)
ALL = [(v, d) for v in (1, 2) for d in (0, 1)]
SKIPPED = (
    "dataset-exists",
    "record-differs",
    "dataset-type-unknown",
    "artifact-differs",
    "dataset-differs",
    "all",
)


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


@dataclass(frozen=True)
class Scene:
    """What differs between the two sides: data IDs taken by another campaign, pushed before, and in the way of files."""

    taken: set[tuple[int, int]]
    before: set[tuple[int, int]]
    in_the_way: set[tuple[int, int]]
    changed: bool
    other_content: bool
    chain: str | None
    beside: bool


SCENES = st.builds(
    Scene, PLACES, PLACES, PLACES, st.booleans(), st.booleans(), st.sampled_from([None, "u/c", "CAM/best"]),
    st.booleans(),
)  # fmt: skip
OPTIONS = st.fixed_dictionaries({
    "on_conflict": st.sets(st.sampled_from(SKIPPED), max_size=4).map(lambda c: [f"{code}=skip" for code in sorted(c)]),
    "where": st.sampled_from(["", "", "instrument = 'CAM' AND visit = 1"]),
    "register_dataset_types": st.sampled_from([True, True, False]),
    "strict_inputs": st.booleans(),
})  # fmt: skip


def play(scene: Scene, folder: Path, upstream: Repo, staging: Repo) -> made.Run:
    """Let another campaign and a keeper come between a run and its push."""
    run = made.make_run(staging, RUN, inputs=made.wanted(upstream).dataset_ids[:1])
    if scene.before:  # some of the run is upstream already, by an earlier push
        execute_push(plan_push(staging, upstream, [RUN], **TERMS), staging, upstream)
        gone = [i for place, i in zip(ALL, run.dataset_ids, strict=False) if place not in scene.before]
        with upstream.registry.write() as tx:
            tx.delete_datasets(gone)
        if scene.other_content:
            sql(folder / "campaign/staging.sqlite3", "UPDATE artifact SET checksum = 'blake3:0' WHERE id = ?",
                run.dataset_ids[ALL.index(min(scene.before))])  # fmt: skip
            sql(folder / "campaign/staging.sqlite3", "UPDATE quantum SET finished_ns = finished_ns + 1")
    taken = sorted(scene.taken - scene.before)
    if taken:
        shutil.copytree(folder / "campaign", folder / "second")
        with made.open_staging(folder / "second") as second:
            with second.registry.write() as tx:
                tx.delete_datasets(run.dataset_ids)
            made.put_datasets(second, made.CALEXP, RUN, [("CAM", *p) for p in taken])
            only: dict[str, Any] = {**TERMS, "dataset_types": [made.CALEXP]}
            execute_push(plan_push(second, upstream, [RUN], **only), second, upstream)
    if scene.changed:
        sql(folder / "campaign/staging.sqlite3", "UPDATE dim_visit SET exposure_time = 31 WHERE visit = 1")
    for visit, detector in scene.in_the_way - scene.before:
        ours = next((folder / "campaign/data" / RUN).rglob(f"calexp_CAM_{visit}_{detector}_*"))
        there = folder / "up/data" / ours.relative_to(folder / "campaign/data")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.unlink(missing_ok=True)
        there.write_bytes(b"something else")
    return run


def chosen(run: made.Run, where: str) -> set[bytes]:
    places = [*ALL, *ALL]
    return {i for place, i in zip(places, run.dataset_ids, strict=True) if not where or place[0] == 1}


@settings(max_examples=EXAMPLES, deadline=None)
@given(scene=SCENES, options=OPTIONS)
def test_the_dry_run_tells_what_the_push_does(scene: Scene, options: dict[str, Any]) -> None:
    """Conflicts, counts and what is left out are those of the push; nothing else arrives, and without conflicts all of it."""
    with world() as (folder, upstream, staging):
        run = play(scene, folder, upstream, staging)
        options = {"campaign": made.CAMPAIGN, "chain": scene.chain, **options}
        with upstream.registry.read() as theirs:
            before = theirs.existing_ids(run.dataset_ids)
        state = made.state(folder / "up")
        plan = plan_push(staging, upstream, [RUN], **options)
        assert state == made.state(folder / "up"), "a plan writes nothing"

        if plan.conflicts:
            error = refusal(plan, staging, upstream)
            assert error is not None
            assert plan.conflicts == error.conflicts
            assert state == made.state(folder / "up")
            skips = {text.partition("=")[0] for text in options["on_conflict"]}
            safe = {c.code for c in plan.conflicts} - {"collection-type-differs"}
            assert not safe & skips
            assert "all" not in skips or not safe
            return
        if scene.beside and plan.new_datasets:  # another push comes between the plan and the commit
            made.make_run(staging, OTHER, visits=(1,), detectors=(0,))
            beside = {**TERMS, "chain": scene.chain, "on_conflict": ["all=skip"]}
            execute_push(plan_push(staging, upstream, [OTHER], **beside), staging, upstream)
        result = execute_push(plan, staging, upstream)

        done = result.plan or plan
        assert (done.conflicts, done.skipped, done.left_out) == ((), plan.skipped, plan.left_out)
        assert {k: c for k, c in plan.counts.items() if k != "dataset-type"} == {
            k: c for k, c in result.counts.items() if k != "dataset-type"
        } or scene.beside
        skipped = {parse_id(c.about["id"]) for c in plan.skipped if c.kind == "dataset"}
        assert skipped <= plan.left_out
        with upstream.registry.read() as theirs:
            assert theirs.existing_ids(run.dataset_ids) == before | (
                chosen(run, options["where"]) - plan.left_out
            )
            if scene.chain is not None:
                ours = [c for c in theirs.collection(scene.chain).children if c in {RUN, OTHER}]
                assert RUN in ours
        assert plan_push(staging, upstream, [RUN], **options).is_empty
        assert made.dangling(folder / "up") == []
