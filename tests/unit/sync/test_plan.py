"""`sync.plan` and `sync.wording`: plans as values, as JSON and as lines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import default_universe
from sync.explain import refusal
from sync.plan import CampaignInfo, ChainMove, Conflict, DatasetBatch, FetchPlan, Note, Outgoing, PushPlan
from sync.wording import human_bytes

UNIVERSE = default_universe()
NONE = Columns({})


def batch(name: str, sizes: list[int | None]) -> DatasetBatch:
    n = len(sizes)
    rows = {"instrument": ["CAM"] * n, "detector": list(range(n)), "id": [bytes([i] * 16) for i in range(n)]}
    rows |= {"uri": [None if s is None else f"r/{s}" for s in sizes], "size": sizes, "checksum": [""] * n}
    return DatasetBatch(DatasetType(name, UNIVERSE.group(["detector"]), "Bytes"), "r", Columns(rows))


def empty() -> PushPlan:
    outgoing = Outgoing(
        universe=UNIVERSE, schema_version="1", upstream_id=bytes(16), runs=("r",), run_docs={}, batches=(), records={},
        baselines={}, quanta=NONE, quantum_inputs=NONE, quantum_outputs=NONE,
    )  # fmt: skip
    return PushPlan(
        outgoing=outgoing, campaign=CampaignInfo(bytes(16), "c"), chain_name=None, register_dataset_types=False,
        new_runs=(), new_types=(), new_records={}, new_datasets=(), new_artifacts=(), new_quanta=NONE, new_inputs=NONE,
        new_outputs=NONE, chain=None, counts={},
    )  # fmt: skip


def full() -> PushPlan:
    return replace(
        empty(),
        new_runs=("r",),
        new_datasets=(batch("cal", [1500, 500]), batch("log", [None, 100])),
        chain=ChainMove("u/chain", None, ("r",)),
        counts={"run": {"new": 1}, "dataset": {"new": 4, "same": 3}, "quantum": {"new": 2},
                "record": {"same": 38, "changed-upstream": 1}},
        warnings=(Note("input-gone", "1 input dataset is no longer upstream"),),
    )  # fmt: skip


def test_an_empty_plan_says_that_there_is_nothing_to_do() -> None:
    """Without anything new and without conflicts a plan is empty and says so."""
    assert empty().is_empty
    assert empty().lines() == ["nothing to push: upstream has it all", "conflicts none"]


def test_lines_tell_what_is_new_same_and_kept() -> None:
    """Numbers come with names and sums of bytes; datasets by type."""
    assert full().lines() == [
        "new 2 cal, 2 log (2.1 kB), 1 run, 2 quanta",
        "same 3 datasets, 38 dimension records",
        "changed upstream only, kept: 1 dimension record",
        "chain u/chain: r",
        "warning input-gone: 1 input dataset is no longer upstream",
        "conflicts none",
    ]


@pytest.mark.parametrize(("n", "text"), [(1, "1 dataset stays here"), (2, "2 datasets stay here")])
def test_lines_tell_what_a_policy_leaves_here(n: int, text: str) -> None:
    """The verb goes with the number."""
    plan = replace(empty(), counts={"skipped": {"record-differs": 1}, "dataset": {"skipped": n}})
    assert f"  so {text}" in plan.lines()


def test_lines_tell_each_conflict_with_the_way_on() -> None:
    """A plan with conflicts is not empty, and lists them."""
    conflict = Conflict("record-differs", "record", "visit 1", "a=1", "a=2", "Run 'stage fetch'.")
    plan = replace(empty(), conflicts=(conflict,))

    assert not plan.is_empty
    assert plan.lines() == [
        "conflicts 1",
        "  record-differs: visit 1: ours a=1, upstream a=2",
        "    Run 'stage fetch'.",
    ]


def test_json_holds_the_same_facts() -> None:
    """The document has counts, bytes, chain, conflicts and warnings, and no rows."""
    document = json.loads(full().to_json())

    assert document["runs"] == ["r"]
    assert document["counts"]["dataset"] == {"new": 4, "same": 3}
    assert document["new_datasets"] == {"cal": 2, "log": 2}
    assert document["size_bytes"] == full().size_bytes == 2100
    assert document["chain"] == {"name": "u/chain", "before": None, "after": ["r"], "replaced": None}
    assert document["conflicts"] == []
    assert [w["code"] for w in document["warnings"]] == ["input-gone"]
    assert document["is_empty"] is False


def test_each_part_that_is_new_makes_a_plan_not_empty() -> None:
    """A chain that moves, or provenance alone, is something to push."""
    assert not replace(empty(), chain=ChainMove("u", ("a",), ("b", "a"))).is_empty
    assert not replace(empty(), new_quanta=Columns({"id": [b"x"]})).is_empty
    assert not replace(empty(), new_artifacts=(batch("cal", [1]),)).is_empty


def test_a_fetch_plan_adds_up_what_its_datasets_refer_to() -> None:
    """No byte moves in a fetch; the plan still says how many the inputs have."""
    plan = FetchPlan(
        (), (), {}, (batch("raw", [10, 20]),), Columns({"kind": [], "key": [], "digest": []}), {}
    )

    assert plan.size_bytes == 30
    assert not plan.is_empty


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (5e15, "5.0 PB"),
        (2e18, "2000.0 PB"),
    ],
)
def test_bytes_are_written_as_people_write_them(size_bytes: float, text: str) -> None:
    """Decimal prefixes, one digit after the point."""
    assert human_bytes(size_bytes) == text


def test_what_every_task_leaves_is_counted_together() -> None:
    """Data are listed by name; logs, metadata and configs of all tasks come as three numbers, bytes after datasets."""
    outgoing = replace(empty().outgoing, quanta=Columns({"task": ["warp", "warp", "coadd"]}))
    names = (
        "warp",
        "warp_log",
        "warp_metadata",
        "warp_config",
        "coadd_log",
        "coadd_config",
        "sky_log",
        "packages",
    )
    plan = replace(
        empty(),
        outgoing=outgoing,
        new_datasets=tuple(batch(name, [10, 10]) for name in names),
        counts={"run": {"new": 1}, "dataset": {"new": 16}},
    )

    assert (
        plan.lines()[0]
        == "new 2 sky_log, 2 warp, 4 logs, 2 metadata, 4 configs, 2 package lists (160 B), 1 run"
    )


def test_many_conflicts_are_told_by_their_way_on() -> None:
    """The way on is told once for all conflicts that share it; of one kind five are shown and the rest counted."""
    conflicts = [
        Conflict("record-differs", "record", f"visit {i}", "a", "b", "Ask its keeper.") for i in range(12)
    ]
    unknown = [
        Conflict(
            "dataset-type-unknown", "dataset-type", f"dataset type '{n}'", "{} as Json", "none", "Register."
        )
        for n in ("mean", "a_log", "a_metadata", "a_config", "some_log")
    ]
    lines = replace(empty(), conflicts=(*conflicts, *unknown)).lines()[-9:]

    assert lines[4] == "  record-differs: visit 4: ours a, upstream b"
    assert lines[5:] == [
        "  record-differs: and 7 more",
        "    Ask its keeper.",
        "  dataset-type-unknown: upstream lacks 5 dataset types: mean, some_log, logs, metadata and configs of a",
        "    Register.",
    ]


def test_a_refusal_for_many_reasons_tells_them_all() -> None:
    """The error of a refused push lists every conflict and the way on from each, and says the hint only once."""
    pair = [Conflict("record-differs", "record", f"visit {i}", "a", "b", "Ask its keeper.") for i in range(2)]
    error = refusal("push", pair)

    assert str(error).splitlines() == [
        "push refused: 2 conflicts",
        "  record-differs: visit 0: ours a, upstream b",
        "  record-differs: visit 1: ours a, upstream b",
        "    Ask its keeper.",
    ]
    assert ("", "record-differs", tuple(pair)) == (error.hint, error.code, error.conflicts)
    assert refusal("push", pair[:1]).hint == "Ask its keeper."
