"""The options of pipeline and collections given twice say no more than given once."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from stage.campaign.campaign import Campaign
from tests.integration.tiny_campaign import PIPELINE, TASKS

NAMES = ("net/raw", "net/more", "u/me/one", "camp/r0", "camp/r1")
SETTINGS = (
    "clean:limit=1",
    "clean:limit=2.5",
    "clean:fail_on=bex",
    "clean:fail_on=''",
    "more:connections.total=t2",
)
INSTRUMENTS = "instruments: {Cam: {clean: {config: {limit: 7}}}, Old: {clean: {file: limits.yaml}}}\n"
PLACES = ("", "other.yaml", "pipeline.yaml")


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="edits-again-"))
    (folder / "weather_tasks.py").write_text(TASKS)
    (folder / "pipeline.yaml").write_text(PIPELINE + INSTRUMENTS)
    (folder / "second.yaml").write_text("description: More.\ntasks:\n  also: weather_tasks.clean\n")
    (folder / "limits.yaml").write_text("limit: 3.0\n")
    Campaign.init(
        "upstream", folder / "camp", pipeline=str(folder / "pipeline.yaml"), input=["net/raw"]
    ).save()
    state = json.loads((folder / "camp" / ".campaign.json").read_text())
    state["collections"] |= {"past_runs": ["camp/r1", "camp/r0"], "created": ["camp/r0", "camp/r1"]}
    (folder / "camp" / ".campaign.json").write_text(json.dumps(state))
    return folder


def _given(**options: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for some of the options."""
    return st.fixed_dictionaries({}, optional=options)


def edits() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for what one command may be given."""
    inputs = st.lists(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(",".join), min_size=1, max_size=2
    )
    return _given(
        pipeline=st.sampled_from(["pipeline.yaml", "second.yaml", "second.yaml#also"]).map(
            lambda n: str(_folder() / n)
        ),
        task=st.just(["more:weather_tasks.total"]),
        config=st.lists(st.sampled_from(SETTINGS), min_size=1, max_size=3),
        config_file=st.just([f"clean:{_folder() / 'limits.yaml'}"]),
        instrument=st.sampled_from(["Cam", "Old", "Odl"]),
        no_instrument=st.booleans(),
        run_dirs=st.booleans(),
        write_pipeline=st.sampled_from(PLACES),
        input=inputs,
        prepend_inputs=st.booleans(),
        chain=st.sampled_from(["other", "camp"]),
        next_run=st.sampled_from(["%c/%t", "u/me/%n"]),
        set_counter=st.integers(0, 5),
        campaign_docs=st.sampled_from(["", "what for"]),
    )


def _held(root: Path) -> dict[str, bytes]:
    """Return the state and all pipelines."""
    return {
        p.name: p.read_bytes() for p in (root / ".campaign.json", *sorted(root.glob("*.yaml"))) if p.exists()
    }


@given(before=st.lists(edits(), max_size=2), options=edits())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_same_options_again_change_nothing(before: list[dict[str, Any]], options: dict[str, Any]) -> None:
    """After any edits: state and pipeline are the same after the second time, which is no entry of the history."""
    home = Path(tempfile.mkdtemp(prefix="edits-again-"))
    try:
        root = Path(shutil.copytree(_folder() / "camp", home / "camp"))
        campaign = Campaign.load(root)
        for edit in (*before, options):
            place = edit.get("write_pipeline")
            one = edit | {"write_pipeline": str(root / place)} if place else edit
            try:
                campaign.edit(**one)
            except StageError:
                continue  # options that contradict each other, or what is there
            once, entries = _held(root), len(campaign.history())

            assert campaign.edit(**one) == {}
            assert _held(root) == once
            assert len(campaign.history()) == entries
    finally:
        shutil.rmtree(home)
