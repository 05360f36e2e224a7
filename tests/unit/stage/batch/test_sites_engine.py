"""Several sites in one submission: `stage.batch.engines.sites`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from registry.errors import StorageError, UsageError
from stage.batch.engines import one_site
from stage.batch.engines.base import Cause, EngineSettings, JobEvent, JobState
from stage.batch.engines.finding import find_engine
from stage.batch.engines.sites import SitesEngine, sites_options
from stage.batch.layout import SubmitDir
from tests.batch_world import make_workflow, submit_dir
from tests.sites_world import Moody, request, sites_engine


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites that do not answer are asked again soon."""
    monkeypatch.setattr(one_site, "_PAUSES_S", (0.02,))


@pytest.fixture
def where(tmp_path: Path) -> SubmitDir:
    return submit_dir(tmp_path / "run")


def moody(engine: SitesEngine, site: str) -> Moody:
    return cast("Moody", engine.sites[site])


def hear(engine: SitesEngine, wanted: Callable[[list[JobEvent]], bool]) -> list[JobEvent]:
    """Poll until something was said."""
    said: list[JobEvent] = []
    until = time.monotonic() + 10
    while not wanted(said):
        assert time.monotonic() < until, said
        said += engine.poll(0.05)
    return said


def until_ended(engine: SitesEngine, *numbers: int) -> list[JobEvent]:
    """Poll until some jobs have ended, each once; return their ends."""
    ends = {JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED}
    said = hear(engine, lambda found: set(numbers) <= {e.number for e in found if e.state in ends})
    found = [e for e in said if e.state in ends]
    assert len(found) == len({e.number for e in found})
    return found


def states(events: Sequence[JobEvent]) -> dict[int, tuple[JobState, Cause]]:
    return {e.number: (e.state, e.cause) for e in events}


GOOD = (JobState.SUCCEEDED, Cause.NONE)


def test_each_job_goes_to_its_site(tmp_path: Path, where: SubmitDir) -> None:
    """By what its kind says, or to the site of all that say nothing; handles name the site, answers are in order."""
    engine = sites_engine(tmp_path)
    assert not engine.open(where, {})

    answers = engine.start([request(0, "far"), request(1, "near"), request(2, None), request(3, "far")])

    assert answers == ["far:paper-0", "near:paper-1", "near:paper-2", "far:paper-3"]
    assert [0, 3] == sorted(moody(engine, "far").running)
    assert dict.fromkeys(range(4), GOOD) == states(until_ended(engine, 0, 1, 2, 3))
    engine.close()
    assert (1, 1) == (moody(engine, "near").n_closed, moody(engine, "far").n_closed)


def test_engines_of_two_sites_share_no_directory_and_no_tag(tmp_path: Path, where: SubmitDir) -> None:
    """What one made for itself, or started, is not taken for the other's; the submission's own files are the same."""
    engine = sites_engine(tmp_path)
    engine.open(where, {})
    near, far = (moody(engine, s).where for s in ("near", "far"))

    assert near is not None
    assert far is not None
    assert near.root == far.root == where.root
    assert len({near.engine, far.engine, where.engine}) == len({near.tag, far.tag, where.tag}) == 3
    assert near.records == far.records == where.records


def test_a_site_that_is_down_holds_only_its_own_jobs(tmp_path: Path, where: SubmitDir) -> None:
    """From the start or later: jobs of the other go on; when it answers again, its own are begun, once each."""
    engine = sites_engine(tmp_path, {"far": "down"})
    engine.open(where, {})
    engine.start([request(0, "far"), request(1, "near")])

    assert {1: GOOD} == states(until_ended(engine, 1))
    assert not moody(engine, "far").requests
    (tmp_path / "far").write_text("")
    assert {0: GOOD} == states(until_ended(engine, 0))

    engine.start([request(2, "far")])
    (tmp_path / "far").write_text("down")
    engine.start([request(3, "far"), request(4, "near")])
    assert {4: GOOD} == states(until_ended(engine, 4))
    (tmp_path / "far").write_text("")
    assert {2: GOOD, 3: GOOD} == states(until_ended(engine, 2, 3))
    assert [0, 2, 3] == [r.number for r in moody(engine, "far").requests]


def test_jobs_of_a_site_that_is_down_when_a_new_head_begins_are_kept(
    tmp_path: Path, where: SubmitDir
) -> None:
    """The head is told that they may be there; when the site answers, what it has goes on, what it has not is lost."""
    engine = sites_engine(tmp_path)
    engine.open(where, {})
    engine.start([request(0, "far", attempt=2)])
    (tmp_path / "far").write_text("down")
    known = {0: (2, "far:paper-0"), 1: (0, "far:paper-1"), 2: (0, "near:paper-2")}
    engine.close()

    found = engine.open(where, known)
    assert {(0, 2, "far:paper-0"), (1, 0, "far:paper-1")} == set(found)
    (tmp_path / "far").write_text("")
    assert {0: GOOD, 1: (JobState.FAILED, Cause.NODE)} == states(until_ended(engine, 0, 1))


def test_what_may_or_may_not_have_been_taken_is_started_once(tmp_path: Path, where: SubmitDir) -> None:
    """After an error in the middle of starting, the site is asked what it has: the rest is given again, and no more."""
    engine = sites_engine(tmp_path, {"far": "half"})
    engine.open(where, {})
    assert ["far:"] == engine.start([request(0, "far")])
    assert {0: GOOD} == states(until_ended(engine, 0))
    assert 1 == len(moody(engine, "far").requests)

    (tmp_path / "far").write_text("half amnesia")
    engine.start([request(1, "far")])
    assert {1: GOOD} == states(until_ended(engine, 1))
    assert [0, 1, 1] == [r.number for r in moody(engine, "far").requests]


def test_a_busy_site_takes_its_jobs_later(tmp_path: Path, where: SubmitDir) -> None:
    """What it does not take waits here, and the most urgent begins first; the other site takes its own meanwhile."""
    engine = sites_engine(tmp_path, {"far": "busy"})
    engine.open(where, {})
    engine.start([request(0, "far"), request(1, "near"), request(2, "far", priority=5)])

    assert {1: GOOD} == states(until_ended(engine, 1))
    (tmp_path / "far").write_text("")
    until_ended(engine, 0, 2)
    assert [2, 0] == [r.number for r in moody(engine, "far").requests]


def test_no_site_gets_more_than_it_has_room_for(tmp_path: Path, where: SubmitDir) -> None:
    """Of an engine with a capacity no more jobs are asked for at once, whatever it is given."""
    engine = sites_engine(tmp_path, capacity=2)
    engine.open(where, {})
    engine.start([request(n, ("near", "far")[n % 2]) for n in range(12)])

    until_ended(engine, *range(12))
    assert (2, 2) == (moody(engine, "near").most_at_once, moody(engine, "far").most_at_once)


def test_a_site_that_refuses_us_ends_the_head_last(tmp_path: Path, where: SubmitDir) -> None:
    """Its jobs are held, with the reason; all others go on; only when nothing else can, the error is raised."""
    engine = sites_engine(tmp_path)
    engine.open(where, {})
    engine.start([request(0, "far"), request(1, "near"), request(2, "far")])
    (tmp_path / "far").write_text("refused")

    said = hear(engine, lambda found: {0, 1, 2} <= {e.number for e in found})
    engine.start([request(3, "far"), request(4, "near")])
    said += hear(engine, lambda found: {3, 4} <= {e.number for e in found})
    held = {e.number: e.message for e in said if e.state == JobState.HELD}
    assert dict.fromkeys((0, 2, 3), "far does not let us in") == held
    assert {1, 4} == {e.number for e in said if e.state == JobState.SUCCEEDED}
    with pytest.raises(StorageError, match="does not let us in"):
        hear(engine, lambda found: len(found) > 99)


def test_cancelling_reaches_all_sites(tmp_path: Path, where: SubmitDir) -> None:
    """Jobs that run, that wait here, and that a site has which does not answer yet; of one that refuses us it is said."""
    engine = sites_engine(tmp_path, {"near": "sleeps", "far": "sleeps"})
    engine.open(where, {})
    engine.start([request(0, "far"), request(1, "near"), request(2, "near")])
    (tmp_path / "far").write_text("down")
    engine.start([request(3, "far")])
    engine.cancel([0, 1, 3])

    deleted = (JobState.DELETED, Cause.CANCELLED)
    (tmp_path / "near").write_text("")
    assert {1: deleted, 2: GOOD} == states(until_ended(engine, 1, 2))
    (tmp_path / "far").write_text("")
    assert {0: deleted, 3: deleted} == states(until_ended(engine, 0, 3))

    (tmp_path / "far").write_text("sleeps")
    engine.start([request(5, "far")])
    (tmp_path / "far").write_text("refused")
    hear(engine, lambda found: any(e.state == JobState.HELD for e in found))
    engine.cancel([5])
    (end,) = until_ended(engine, 5)
    assert (JobState.DELETED, "site 'far' cannot be told to end it: far does not let us in") == (
        end.state,
        end.message,
    )


def test_a_job_that_was_begun_and_not_noted_is_found_wherever_it_is(tmp_path: Path, where: SubmitDir) -> None:
    """After a head was killed before it knew the handle, each site is asked; one that the journal gave up is ended."""
    engine = sites_engine(tmp_path, {"far": "sleeps"})
    engine.open(where, {})
    engine.start([request(0, "far"), request(1, "far")])
    engine.close()

    assert {(0, 0, "far:paper-0")} == set(engine.open(where, {0: (0, ""), 2: (0, "")}))
    engine.poll(0)
    assert [1] == moody(engine, "far").cancelled
    engine.close()

    (tmp_path / "near").write_text("down")
    assert {(0, 0, "far:paper-0"), (2, 0, "")} == set(engine.open(where, {0: (0, ""), 2: (0, "")}))
    (tmp_path / "near").write_text("")
    (end,) = until_ended(engine, 2)
    assert (JobState.FAILED, Cause.NODE) == (end.state, end.cause)


def test_if_no_site_can_be_opened_that_is_an_error(tmp_path: Path, where: SubmitDir) -> None:
    """Sites that all refuse us leave nothing to wait for."""
    with pytest.raises(StorageError, match="near does not let us in"):
        sites_engine(tmp_path, {"near": "refused", "far": "refused"}).open(where, {})


def test_ping_names_each_site(tmp_path: Path) -> None:
    """All that answer are told; of one that does not, the error says which it is."""
    assert "near: paper near; far: paper far" == sites_engine(tmp_path).ping()
    with pytest.raises(StorageError, match="site 'far': far does not answer"):
        sites_engine(tmp_path, {"far": "down"}).ping()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (sites_options({"a": ("local", {}), "b": ("htcondor", {})}, "a"), "'htcondor' of site 'b' walks"),
        ({}, "not named in a file"),
        (sites_options({"a": ("locall", {})}, "a"), "no engine 'locall'"),
    ],
)
def test_what_cannot_be_one_of_several_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    """An engine that walks by itself, one that there is not, and no sites at all."""
    with pytest.raises(UsageError, match=said):
        find_engine("sites", EngineSettings("a", options))


def test_each_site_is_prepared_for_its_own_jobs(where: SubmitDir) -> None:
    """What is too large for one site is no matter to it where the other has it; a site that is nowhere is an error."""
    from dataclasses import replace

    sites = sites_options(
        {"small": ("local", {"memory": 500}), "large": ("local", {"memory": 5000})}, "small"
    )
    engine = SitesEngine(EngineSettings("small", sites))
    workflow = make_workflow(["true", "true", "true"], {2: [0, 1]})
    small, large = (
        replace(workflow.settings[0], compute_site=site, request_memory=memory)
        for site, memory in (("small", 400), ("large", 4000))
    )
    of = workflow.settings_of.copy()
    of[1] = 1
    split = replace(workflow, settings=(small, large), settings_of=of)

    assert [] == engine.prepare(split, where)
    with pytest.raises(UsageError, match="ask for 4,000 MB of memory; there are 500"):
        engine.prepare(replace(split, settings=(large, replace(large, compute_site="small"))), where)
    with pytest.raises(UsageError, match="for the site 'lage'"):
        engine.prepare(replace(split, settings=(small, replace(large, compute_site="lage"))), where)
