"""The state file: every field, checked, and saved whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError, StorageError
from stage.campaign.state import CampaignState, Collections, GraphEntry, load_state, save_state

FULL = CampaignState(
    name="deep",
    repo="/data/repo",
    doc="What it is for",
    pipeline="pipeline.yaml#detect",
    collections=Collections(
        chain="deep",
        inputs=("HSC/raw", "HSC/calib"),
        current_run="deep/2",
        next_run="%c/%n",
        past_runs=("deep/1",),
        counter=3,
        created=("deep/1", "deep/2", "deep"),
    ),
    quantum_graph=GraphEntry(
        "deep.qg",
        ("deep/1", "HSC/raw", "HSC/calib"),
        "abc",
        "visit = 1",
        "ids.csv",
        ("CAMPAIGN", "u/*"),
        {"HSC/raw": "12"},
    ),
)


def _broken(path: Path, change: dict[str, Any], drop: tuple[str, ...] = ()) -> Path:
    document = FULL.to_document()
    for dotted, value in change.items():
        *parents, last = dotted.split(".")
        target = document
        for parent in parents:
            target = target[parent]
        target[last] = value
    for dotted in drop:
        *parents, last = dotted.split(".")
        target = document
        for parent in parents:
            target = target[parent]
        del target[last]
    path.write_text(json.dumps(document))
    return path


def test_every_field_survives_a_round_trip(tmp_path: Path) -> None:
    """What is saved is what is loaded, field by field."""
    save_state(FULL, tmp_path / "s.json")

    assert load_state(tmp_path / "s.json") == FULL


def test_a_new_campaign_has_the_default_collections(tmp_path: Path) -> None:
    """Defaults are those of the design, and what may be absent is absent from the file."""
    save_state(CampaignState("c", "/r", Collections(chain="c")), tmp_path / "s.json")

    assert json.loads((tmp_path / "s.json").read_text()) == {
        "version": "1.0.0",
        "name": "c",
        "doc": "",
        "repo": "/r",
        "collections": {
            "chain": "c",
            "current_run": None,
            "next_run": "%c/%t",
            "past_runs": [],
            "counter": 0,
            "created": [],
        },
    }


def test_a_file_of_before_has_no_digests(tmp_path: Path) -> None:
    """What came later may be absent: nothing was skipped, and nothing is known of what collections held."""
    later = ("quantum_graph.skip_existing_in", "quantum_graph.digests")
    entry = load_state(_broken(tmp_path / "s", {}, later)).quantum_graph

    assert ((), {}) == (entry.skip_existing_in, entry.digests)


def test_an_absent_current_run_means_none(tmp_path: Path) -> None:
    """``current_run`` absent and null are the same."""
    assert (
        load_state(_broken(tmp_path / "s", {}, ("collections.current_run",))).collections.current_run is None
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": ".."}, "name"),
        ({"name": 3}, "name"),
        ({"doc": None}, "doc"),
        ({"repo": ""}, "repo"),
        ({"version": "1.0"}, "version"),
        ({"version": None}, "version"),
        ({"pipeline": 1}, "pipeline"),
        ({"collections": []}, "collections"),
        ({"collections.inputs": "raw"}, "collections.inputs"),
        ({"collections.inputs": ["../up"]}, "collections.inputs"),
        ({"collections.counter": True}, "collections.counter"),
        ({"collections.counter": -1}, "collections.counter"),
        ({"collections.next_run": "%x"}, "collections.next_run"),
        ({"collections.past_runs": [None]}, "collections.past_runs"),
        ({"collections.current_run": ["a"]}, "collections.current_run"),
        ({"collections.typo": 1}, "collections.typo"),
        ({"quantum_graph": 7}, "quantum_graph"),
        ({"quantum_graph.uri": 7}, "quantum_graph.uri"),
        ({"quantum_graph.extra": 7}, "quantum_graph.extra"),
        ({"quantum_graph.skip_existing_in": "RUN"}, "quantum_graph.skip_existing_in"),
        ({"quantum_graph.skip_existing_in": [""]}, "quantum_graph.skip_existing_in"),
        ({"quantum_graph.digests": []}, "quantum_graph.digests"),
        ({"quantum_graph.digests": {"a": 1}}, "quantum_graph.digests"),
        ({"extra": 7}, "extra"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    """A file broken by hand is refused with the field's name."""
    with pytest.raises(IntegrityError, match=rf"{named}: "):
        load_state(_broken(tmp_path / "s", change))


@pytest.mark.parametrize(
    "field", ["version", "name", "doc", "repo", "collections", "collections.chain", "collections.created"]
)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    """A field that must always be there and is not is named."""
    with pytest.raises(IntegrityError, match=f"{field}: is missing"):
        load_state(_broken(tmp_path / "s", {}, (field,)))


def test_an_unknown_field_gets_the_nearest_name(tmp_path: Path) -> None:
    """A misspelt field is answered with the nearest one."""
    with pytest.raises(IntegrityError) as caught:
        load_state(_broken(tmp_path / "s", {"collections.input": []}))

    assert "inputs" in caught.value.hint


def test_a_later_form_is_refused_by_version(tmp_path: Path) -> None:
    """A file of a later major version is not read, and both versions are told."""
    with pytest.raises(SchemaVersionError) as caught:
        load_state(_broken(tmp_path / "s", {"version": "2.0.0"}))

    assert (caught.value.found, caught.value.supported) == ("2.0.0", "1.0.0")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00", '{"name": '])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    """Any text that is not a JSON object ends in an error of ours."""
    (tmp_path / "s").write_text(text)
    with pytest.raises(IntegrityError):
        load_state(tmp_path / "s")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """No file is told apart from a broken one."""
    with pytest.raises(NotFoundError):
        load_state(tmp_path / "none")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """Saving into a directory that is gone raises, and a save that cannot replace leaves no part behind."""
    with pytest.raises(StorageError):
        save_state(FULL, tmp_path / "gone" / "s.json")
    (tmp_path / "s.json").mkdir()
    with pytest.raises(StorageError):
        save_state(FULL, tmp_path / "s.json")

    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]
