"""Editing a campaign: its definition, its collections, its pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from registry.errors import ConflictError, UsageError
from stage.campaign.change import Change
from stage.campaign.edit import (
    check_upstream_uri,
    edit_collections,
    edit_definition,
    merge_inputs,
    new_state,
    split_names,
)
from stage.campaign.input_options import check_cache_size
from stage.campaign.layout import Layout
from stage.campaign.pipeline_edit import edit_document, edit_pipeline
from stage.campaign.stack import choose_run, finish_run
from stage.campaign.state import save_state

NEW = new_state("/data/repo", "deep")
USED = NEW.with_collections(
    inputs=("a", "b"),
    current_run="deep/3",
    past_runs=("deep/2", "deep/1"),
    created=("deep/1", "deep/2", "deep/3", "deep"),
)


def test_inputs_are_replaced_or_prepended() -> None:
    """-i replaces; with --prepend-inputs new ones go first and old ones move to the front."""
    assert edit_collections(USED, {"input": ["c,a"]}).collections.inputs == ("c", "a")
    assert edit_collections(USED, {"input": ["c", "b"], "prepend_inputs": True}).collections.inputs == (
        "c",
        "b",
        "a",
    )
    assert merge_inputs(("a", "b"), ("b",), prepend=True) == ("b", "a")


def test_a_past_run_named_as_input_is_past_no_more() -> None:
    """Naming a past run as an input takes it out of the past runs."""
    changed = edit_collections(USED, {"input": ["deep/1", "a"]}).collections

    assert (changed.inputs, changed.past_runs) == (("deep/1", "a"), ("deep/2",))


@pytest.mark.parametrize("words", [["deep/3"], ["deep"], ["../x"]])
def test_inputs_that_cannot_be(words: list[str]) -> None:
    """Neither the current run nor the campaign's own chain can be an input, nor what is no name."""
    with pytest.raises(UsageError):
        edit_collections(USED, {"input": words})


def test_chain_and_patterns() -> None:
    """--chain and --no-chain set the chain, --next-run and --set-counter what new runs are called."""
    assert edit_collections(USED, {"chain": "other"}).collections.chain == "other"
    assert edit_collections(USED, {"no_chain": True}).collections.chain is None
    changed = edit_collections(USED, {"next_run": "x/%n", "set_counter": 7}).collections

    assert (changed.next_run, changed.counter) == ("x/%n", 7)


def test_edits_of_collections_are_idempotent() -> None:
    """The same options again change nothing more."""
    options = {"input": ["c", "b"], "prepend_inputs": True, "next_run": "x/%n", "set_counter": 7}
    once = edit_collections(USED, options)  # type: ignore[arg-type]

    assert edit_collections(once, options) == once  # type: ignore[arg-type]


def test_the_name_is_fixed_once_a_collection_was_made() -> None:
    """Before that, the chain that bears the name follows it."""
    renamed = edit_definition(NEW, {"campaign_name": "other"})

    assert (renamed.name, renamed.collections.chain) == ("other", "other")
    with pytest.raises(ConflictError, match="fixed"):
        edit_definition(USED, {"campaign_name": "other"})
    assert edit_definition(USED, {"campaign_name": "deep"}) == USED


@pytest.mark.parametrize("uri", ["postgresql://me:secret@db/shared", "s3://key:secret@bucket/x"])
def test_no_password_in_the_state(uri: str) -> None:
    """A URI with a password is refused, and the refusal does not repeat it."""
    with pytest.raises(UsageError) as caught:
        check_upstream_uri(uri)

    assert "secret" not in str(caught.value) + caught.value.hint
    assert check_upstream_uri("postgresql://me@db/shared")


def test_names_are_split_at_commas() -> None:
    """Options may be repeated and hold several names; each name counts once."""
    assert split_names(["a, b", "c", "a"]) == ("a", "b", "c")


def _taken(_: str) -> bool:
    return False


def test_which_run_is_written() -> None:
    """The current one; with --new-run another; with --continue the newest past one where there is no current one."""
    assert choose_run(USED, new_run=False, continue_run=False, taken=_taken)[1] == "deep/3"
    assert choose_run(USED, new_run=False, continue_run=True, taken=_taken)[1] == "deep/3"
    state, run = choose_run(
        USED.with_collections(next_run="%c/n%n"), new_run=True, continue_run=False, taken=_taken
    )

    assert run == "deep/n0"
    assert state.collections.stack == ("deep/n0", "deep/3", "deep/2", "deep/1", "a", "b")
    done = finish_run(USED)

    assert (done.collections.current_run, done.collections.past_runs) == (
        None,
        ("deep/3", "deep/2", "deep/1"),
    )
    assert done.collections.stack == USED.collections.stack
    state, run = choose_run(done, new_run=False, continue_run=True, taken=_taken)

    assert state == USED
    with pytest.raises(UsageError, match="no run"):
        choose_run(NEW, new_run=False, continue_run=True, taken=_taken)
    with pytest.raises(UsageError, match="contradict"):
        choose_run(USED, new_run=True, continue_run=True, taken=_taken)


def test_a_new_run_takes_the_place_of_others() -> None:
    """--replace drops the current run, or else the newest past one; --restart all; the names they had are not used again."""
    named = USED.with_collections(next_run="%c/%n", counter=1)
    state, run = choose_run(named, replace=True, taken=named.collections.created.__contains__)

    assert run == "deep/4"
    assert state.collections.stack == (run, "deep/2", "deep/1", "a", "b")
    assert choose_run(finish_run(named), replace=True, taken=_taken)[0].collections.past_runs == (
        "deep/2",
        "deep/1",
    )
    state, run = choose_run(named, restart=True, taken=named.collections.created.__contains__)

    assert state.collections.stack == (run, "a", "b")
    assert set(USED.collections.created) < set(state.collections.created)
    assert choose_run(NEW, restart=True, taken=_taken)[0].collections.past_runs == ()
    with pytest.raises(UsageError, match="no run to replace"):
        choose_run(NEW, replace=True, taken=_taken)
    with pytest.raises(UsageError, match="--replace and --restart contradict"):
        choose_run(USED, replace=True, restart=True, taken=_taken)


def test_settings_go_into_the_local_pipeline() -> None:
    """-c makes a section for its label, and replaces an override of the same setting."""
    once = edit_document({}, {"config": ["a:x.y=1", "a:z=[1, 2]", "b:s=text"]})

    assert once == {"tasks": {"a": {"config": {"x": {"y": 1}, "z": [1, 2]}}, "b": {"config": {"s": "text"}}}}
    assert edit_document(once, {"config": ["a:x.y=2"]})["tasks"]["a"]["config"]["x"] == {"y": 2}
    assert edit_document(once, {"config": ["b:s=text"]}) == once


def test_tasks_and_config_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-t adds a task, -C a file of settings with its absolute path, once."""
    monkeypatch.chdir(tmp_path)
    options = {"task": ["a:mod.Task"], "config_file": ["a:over.yaml"]}
    once = edit_document({}, options)  # type: ignore[arg-type]

    assert once == {"tasks": {"a": {"class": "mod.Task", "file": [f"{tmp_path}/over.yaml"]}}}
    assert edit_document(once, options) == once  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"task": ["a"]}, {"task": [":x"]}, {"config": ["a=1"]}, {"config_file": ["a:"]}]
)
def test_options_of_the_wrong_form(options: dict[str, list[str]]) -> None:
    """What is not LABEL:… is refused."""
    with pytest.raises(UsageError):
        edit_document({}, options)  # type: ignore[arg-type]


@pytest.fixture
def campaign(tmp_path: Path) -> Change:
    """Change of a campaign without a pipeline, beside two pipelines."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(f"tasks:\n  {name}: stage.tasks.noop.NoOpTask\n")
    layout = Layout(tmp_path / "camp")
    layout.root.mkdir()
    save_state(NEW, layout.state)
    return Change(layout, NEW)


def _noop(change: Change) -> str:
    return f"{change.layout.root.parent}/one.yaml"


def test_a_pipeline_stays_external_until_it_is_changed(campaign: Change) -> None:
    """-p alone names it; -c makes a local pipeline that imports it; -p again adds an import."""
    one = _noop(campaign)
    two = one.replace("one", "two")
    state = edit_pipeline(campaign, NEW, {"pipeline": one})

    assert state.pipeline == one
    assert edit_pipeline(campaign, state, {"pipeline": one}) == state
    both = edit_pipeline(campaign, state, {"pipeline": two})

    assert both.pipeline == "pipeline.yaml"
    campaign.keep()
    document = yaml.safe_load(campaign.layout.pipeline.read_text())

    assert [e["location"] for e in document["imports"]] == [one, two]
    again = edit_pipeline(campaign, both, {"pipeline": two})
    campaign.keep()

    assert again == both
    assert yaml.safe_load(campaign.layout.pipeline.read_text()) == document


def test_the_pipeline_can_be_written_elsewhere(campaign: Change) -> None:
    """--write-pipeline writes it whole, imports taken in, and uses it from there."""
    target = f"{campaign.layout.root.parent}/whole.yaml"
    state = edit_pipeline(campaign, NEW, {"pipeline": _noop(campaign), "write_pipeline": target})
    campaign.keep()

    assert state.pipeline == target
    assert list(yaml.safe_load(Path(target).read_text())["tasks"]) == ["one"]


def test_what_is_written_elsewhere_leaves_the_local_pipeline_as_it_was(campaign: Change) -> None:
    """A change that goes with --write-pipeline into another file makes no local one on its way, the second time neither."""
    target = f"{campaign.layout.root.parent}/whole.yaml"
    options = {"task": ["more:stage.tasks.noop.NoOpTask"], "write_pipeline": target}
    state = edit_pipeline(campaign, NEW, {"pipeline": _noop(campaign)})
    for _ in range(2):
        campaign.state = state = edit_pipeline(campaign, state, options)  # type: ignore[arg-type]
        campaign.save_now()
        campaign.keep()

        assert state.pipeline == target
        assert list(yaml.safe_load(Path(target).read_text())["tasks"]) == ["one", "more"]
        assert not campaign.layout.pipeline.exists()


@pytest.mark.parametrize("size", ["20GB", "1.5 kB", "500mb", "0", ""])
def test_a_cache_may_be_of_any_size_that_is_understood(size: str) -> None:
    """What the cache understands, and sizes as they are shown, may be said."""
    assert size == check_cache_size(size)


def test_what_is_no_size_is_refused_when_it_is_said() -> None:
    """Not by the first command that looks for the cache."""
    for size in ("3x", "-1GB", "9999999999999999GB"):
        with pytest.raises(UsageError, match="is not a size"):
            check_cache_size(size)
