"""What `plan` says, `run` does: any sequence of runs, failures, edits and options, on a campaign of four tasks' quanta."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from stage.campaign.campaign import Campaign
from stage.campaign.plan_report import Plan
from stage.campaign.repositories import open_staging
from tests.integration.tiny_campaign import call, campaign_digest, make_upstream

EXAMPLES = 150 if os.environ.get("STAGE_FAULTS") == "long" else 4
Quantum = tuple[str, str]
STACK: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"new_run": True},
    {"continue_run": True},
    {"replace": True},
    {"restart": True, "purge": True},
)
SETTINGS: tuple[dict[str, Any], ...] = ({}, {}, {"use_qg_configs": True}, {"use_task_configs": True})
SKIP: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"skip_existing_in": "RUN"},
    {"skip_existing_in": "CAMPAIGN"},
    {"skip_existing_in": "INPUTS"},
)
STEPS = st.one_of(
    st.tuples(
        st.just("run"),
        st.tuples(*map(st.sampled_from, (STACK, SETTINGS, SKIP))).map(lambda parts: {**parts[0], **parts[1], **parts[2]}),
        st.booleans(),
    ),
    st.tuples(st.just("edit"), st.sampled_from(["clean:fail_on=nobody", "clean:fail_on=aar", "clean:limit=50"])),
    st.tuples(st.just("build"), st.sampled_from(["", "station = 'bex'", "month = 202601"])),
    st.just(("way",)),
)  # fmt: skip


@cache
def _template() -> Path:
    """Make an upstream and a campaign whose graph is built, once."""
    folder = Path(tempfile.mkdtemp(prefix="plan-"))
    make_upstream(folder)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        "-c",
        "clean:fail_on=bex",
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module", autouse=True)
def _removed() -> Iterator[None]:
    yield
    if _template.cache_info().currsize:
        shutil.rmtree(_template())


@dataclass
class World:
    """A campaign, and whether what fails is healed now."""

    campaign: Campaign
    seen: set[str] = field(default_factory=set)

    def attempts(self) -> dict[tuple[str, Quantum], tuple[int, str]]:
        """Return by run and quantum how often it was really tried, and how that ended last."""
        out: dict[tuple[str, Quantum], tuple[int, str]] = {}
        with open_staging(self.campaign.layout) as staging, staging.registry.read() as snapshot:
            rows = snapshot.quanta(latest=False)
        for run, task, data_id, status in rows.rows(("run", "task", "data_id", "status")):
            n, _ = out.get((run, (task, data_id)), (0, ""))
            out[run, (task, data_id)] = (n + (status != "blocked"), status)
        return out

    def run(self, options: dict[str, Any], *, healed: bool) -> None:
        """Plan, run, and compare."""
        before, digest = self.attempts(), campaign_digest(self.campaign.layout.root)
        try:
            plan = self.campaign.plan(**options)
        except StageError as error:
            self.refused(options, error.code)
            return
        finally:
            assert digest == campaign_digest(self.campaign.layout.root)
        if plan.stop is not None:
            self.refused(options, plan.stop.code)
            return
        os.environ["STAGE_TEST_HEALED"] = "1" if healed else ""
        try:
            report = self.campaign.run(processes=0, **options)
        finally:
            del os.environ["STAGE_TEST_HEALED"]
        assert bool(plan.run) == bool(report.run)
        if plan.run:
            assert plan.run == report.run
        self.compare(plan, before, report.run)

    def refused(self, options: dict[str, Any], code: str) -> None:
        """Check that a run is refused as its plan was."""
        with pytest.raises(StageError) as caught:
            self.campaign.run(processes=0, **options)
        assert code == caught.value.code

    def compare(self, plan: Plan, before: dict[Any, tuple[int, str]], run: str) -> None:
        """Compare what was planned with what was done."""
        after = self.attempts()
        done = {q for (r, q), (n, _) in after.items() if n > before.get((r, q), (0, ""))[0]}
        blocked = {q for (r, q), (_, status) in after.items() if r == run and status == "blocked"} - done
        said: dict[str, set[Quantum]] = {"run": set(), "skip": set(), "blocked": set()}
        for quantum in plan.quanta():
            assert (quantum.task, quantum.data_id) not in set().union(*said.values())
            said[quantum.action].add((quantum.task, quantum.data_id))
            self.seen.add(quantum.reason)
        assert {name: len(quanta) for name, quanta in said.items()} == plan.totals
        failed = {q for q in done if after[run, q][1] == "failed"}
        known = {(q.task, q.data_id) for q in plan.quanta() if q.reason in {"failed", "failed-earlier"}}
        # Nothing runs that was not to run, nothing is skipped that was not to be skipped.
        assert done | blocked == said["run"] | said["blocked"]
        assert not done & said["skip"]
        if failed == known:  # as was foreseen: what failed before fails again, and nothing else
            assert (done, blocked) == (said["run"], said["blocked"])
        if not failed:
            assert done == said["run"] | said["blocked"]

    def way(self) -> None:
        """Take a way on out of a plan that is refused, and see that it does what it said."""
        plan = self.campaign.plan()
        ways = [w for w in (plan.stop.ways if plan.stop else ()) if w.counts is not None]
        for way in ways[:1]:
            names = {w: w.lstrip("-").replace("-", "_") for w in way.options}
            options = dict.fromkeys(names.values(), True)
            assert way.counts == self.campaign.plan(**options).totals  # type: ignore[arg-type]
            self.run(options, healed=False)


@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(STEPS, min_size=3, max_size=7))
def test_what_is_planned_is_what_is_run(steps: list[tuple[Any, ...]]) -> None:
    """Quanta that run, are skipped and are blocked are those that the plan named, and what it says is refused is refused."""
    folder = Path(tempfile.mkdtemp(prefix="plan-run-"))
    try:
        for name in ("camp", "upstream", "readings"):
            shutil.copytree(_template() / name, folder / name)
        state = folder / "camp" / ".campaign.json"
        state.write_text(state.read_text().replace(str(_template()), str(folder)))
        for name in ("weather_tasks.py", "pipeline.yaml"):
            shutil.copy(_template() / name, folder / name)
        world = World(Campaign.load(folder / "camp"))
        world.run({}, healed=False)
        for kind, *rest in steps:
            if kind == "run":
                world.run(rest[0], healed=rest[1])
            elif kind == "edit":
                world.campaign.edit(config=[rest[0]])
            elif kind == "build":
                try:
                    world.campaign.build(data_query=rest[0])
                except StageError as error:
                    assert error.code == "empty-graph"  # noqa: PT017 - anything else is a failure
            else:
                world.way()
    finally:
        shutil.rmtree(folder)
