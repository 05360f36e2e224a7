"""Tests of `stage.execution.ephemeral`, and of going on with a run whose intermediates are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError, PipelineError, UsageError
from registry.model.collections import CollectionType
from stage.execution.ephemeral import ephemeral_types
from stage.execution.resume import completed
from stage.execution.run import run_graph
from stage.graph.building.build import build
from stage.graph.building.view import BuildView
from stage.graph.changing.refresh import leave_out
from stage.pipeline.load import read_definition
from stage.pipeline.pipeline import Pipeline
from tests.execution_lab import Lab, chain, make_lab

BOTH = ("doubled", "shifted")


def files_of(lab: Lab, dataset_type: str) -> set[tuple[int, int]]:
    """Return the batch and sample of each file of a dataset type."""
    found = (Path(lab.store_root) / lab.graph.output_run / dataset_type).rglob("*.json")
    return {tuple(map(int, p.name.split("_")[1:3])) for p in found}  # type: ignore[misc]


def run(lab: Lab, ephemeral: tuple[str, ...] = BOTH, **options: Any) -> Any:
    """Run what is left of the graph in this process."""
    return run_graph(lab.staging, lab.graph_uri, processes=0, ephemeral=ephemeral, **options)


def ran(lab: Lab) -> dict[tuple[str, str], int]:
    """Return the number of the last attempt at each quantum that was tried more than once."""
    return {key: attempt for key, (_, attempt, _) in lab.quanta().items() if attempt}


def forget(lab: Lab, dataset_type: str, **data_id: int) -> None:
    """Forget a dataset, so that what makes it is not done."""
    with lab.staging.registry.write() as change:
        found = change.find(dataset_type, data_id, [lab.graph.output_run])
        assert found is not None
        change.delete_datasets([found.id])


def test_files_go_and_datasets_stay(tmp_path: Path) -> None:
    """After a run no file of an ephemeral type is there, each dataset is still known, and nothing is to be done."""
    lab = make_lab(tmp_path / "lab", batches=2, samples=3)
    plain = make_lab(tmp_path / "plain", batches=2, samples=3)
    summary = run(lab)
    run(plain, ())

    assert (summary.is_complete, summary.removed.n) == (True, 12)
    assert [files_of(lab, name) for name in BOTH] == [set(), set()]
    assert plain.checksums()["total"] == lab.checksums()["total"]
    assert {k: set(v) for k, v in plain.datasets().items()} == {k: set(v) for k, v in lab.datasets().items()}
    assert summary.removed.size_bytes == sum(
        p.stat().st_size
        for name in BOTH
        for p in (Path(plain.store_root) / "u/me/run" / name).rglob("*.json")
    )
    assert not (Path(lab.store_root) / "u/me/run/doubled").exists()
    assert run(lab).total.skipped == lab.graph.n_quanta


def test_what_a_failed_quantum_reads_stays(tmp_path: Path) -> None:
    """A dataset that a failed or blocked quantum is to read keeps its file; others of the same type go."""
    lab = make_lab(tmp_path, chain(shift={"behave": {"1": "raise"}}), batches=2, samples=3)
    summary = run(lab)

    assert (summary.total.failed, summary.total.blocked) == (2, 2)
    assert files_of(lab, "doubled") == {(0, 1), (1, 1)}
    assert files_of(lab, "shifted") == {(0, 0), (0, 2), (1, 0), (1, 2)}


def test_what_nobody_reads_stays(tmp_path: Path) -> None:
    """A dataset of an intermediate type that no quantum of the graph reads keeps its file."""
    lab = make_lab(tmp_path, samples=3)
    part = lab.graph.select(labels=["double"])
    part.save(lab.graph_uri)
    run(lab, ("doubled",))

    assert files_of(lab, "doubled") == {(0, 0), (0, 1), (0, 2)}


def test_only_what_is_needed_runs_again(tmp_path: Path) -> None:
    """What has to run again, through a chain of ephemeral types, is what lost files are needed of, and no more."""
    lab = make_lab(tmp_path, batches=2, samples=3)
    run(lab)
    before = lab.checksums()["total"]
    forget(lab, "total", batch=1)
    done = completed(lab.staging, lab.graph)

    assert int((~done.mask).sum()) == 7
    assert done.again is not None
    assert int(done.again.sum()) == 6
    summary = run(lab)
    assert (summary.total.succeeded, summary.total.skipped) == (7, 7)
    assert set(ran(lab)) == {
        ("total", '{"batch":1}'),
        *((task, f'{{"batch":1,"sample":{s}}}') for task in ("double", "shift") for s in range(3)),
    }
    assert before == lab.checksums()["total"]
    assert files_of(lab, "doubled") == files_of(lab, "shifted") == set()


def test_an_interrupted_making_again_goes_on(tmp_path: Path) -> None:
    """What was made again and is needed stays until it is read, whoever ends the run in between."""
    marker = tmp_path / "here"
    marker.touch()
    lab = make_lab(tmp_path / "lab", chain(shift={"behave": {"1": f"needs:{marker}"}}), samples=3)
    run(lab)
    forget(lab, "total", batch=0)
    marker.unlink()
    first = run(lab)

    assert (first.total.failed, first.total.blocked) == (1, 1)
    assert lab.quanta()["shift", '{"batch":0,"sample":1}'][:2] == ("failed", 1)
    assert files_of(lab, "doubled") == {(0, 1)}
    marker.touch()
    # It was complete once, so only what is lost of it counts.
    second = run(lab)
    assert second.is_complete
    assert (second.total.succeeded, second.total.skipped) == (2, 5)
    assert lab.status() == {"succeeded": 7}


def twins(root: Path, **settings: Any) -> Lab:
    """Return a graph whose first task makes two things, of which one is read."""
    pipeline = Pipeline.of(
        twin=("tests.execution_tasks.TwinTask", settings),
        shift=("tests.execution_tasks.UnitTask", {}),
        total=("tests.execution_tasks.TotalTask", {"connections": {"values": "shifted"}}),
    )
    return make_lab(root, pipeline, samples=2)


def test_what_else_a_quantum_made_stays_as_it_is(tmp_path: Path) -> None:
    """A quantum that runs again for one output leaves the others as they were: the same files, the same records."""
    lab = twins(tmp_path)
    run(lab)
    path = next((Path(lab.store_root) / "u/me/run/twin").rglob("*.json"))
    before, inode = lab.checksums(), path.stat().st_ino
    forget(lab, "total", batch=0)

    assert run(lab).is_complete
    assert before["twin"] == lab.checksums()["twin"]
    assert inode == path.stat().st_ino


def test_a_quantum_that_makes_something_else_now_is_refused(tmp_path: Path) -> None:
    """Where a task never makes the same twice, an output that stands is not replaced, and the quantum fails by name."""
    lab = twins(tmp_path, is_random=True)
    run(lab)
    before = lab.checksums()["twin"]
    forget(lab, "total", batch=0)
    summary = run(lab)

    assert summary.total.failed == 2
    assert "is there already with other bytes" in summary.failures[0].message
    assert before == lab.checksums()["twin"]


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    """A file whose record went before its process was killed is removed by the next run."""
    lab = make_lab(tmp_path)
    run(lab)
    left = Path(lab.store_root) / str(lab.graph.planned("doubled", [0])[0].uri)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"{}")
    run(lab)

    assert not left.exists()


def test_what_was_made_before_goes_too(tmp_path: Path) -> None:
    """A type that is called ephemeral only when its readers are done goes at the next run."""
    lab = make_lab(tmp_path)
    run(lab, ())

    assert run(lab).removed.n == 8
    assert files_of(lab, "doubled") == set()


def test_datasets_in_other_collections_are_refused(tmp_path: Path) -> None:
    """What somebody has tagged cannot be ephemeral: the run says which collection holds it, and begins nothing."""
    lab = make_lab(tmp_path)
    run(lab, ())
    with lab.staging.registry.write() as change:
        found = change.find("doubled", {"batch": 0, "sample": 0}, [lab.graph.output_run])
        assert found is not None
        change.register_collection("mine", CollectionType.TAGGED)
        change.associate("mine", [found.id])
    with pytest.raises(ConflictError, match="'mine' holds 1 of the datasets that are ephemeral") as caught:
        run(lab)

    assert caught.value.code == "datasets-held"
    assert len(files_of(lab, "doubled")) == 4


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("total", "'total' cannot be ephemeral: it is an overall output, which nothing in the graph reads"),
        ("number", "'number' cannot be ephemeral: it is an overall input"),
        ("double_log", "'double_log' cannot be ephemeral: it is a log"),
        ("unit", "'unit' cannot be ephemeral"),
        ("doublet", "the graph has no dataset type 'doublet'"),
        ("x*", "the graph has no dataset type 'x*'"),
    ],
)
def test_what_has_to_stay_is_refused_by_name(tmp_path: Path, chosen: str, message: str) -> None:
    """Outputs, inputs, logs and what is not there cannot be ephemeral, and the message says why."""
    with pytest.raises(UsageError) as caught:
        ephemeral_types(make_lab(tmp_path).graph, [chosen])

    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_patterns_choose_among_what_can_go(tmp_path: Path) -> None:
    """A pattern means the intermediates that it matches; others are kept by name, and what later steps read stays."""
    graph = make_lab(tmp_path).graph

    assert ephemeral_types(graph, ["*"]) == (("doubled", "shifted"), ())
    assert ephemeral_types(graph, ["*"], ["sh*"]) == (("doubled",), ())
    assert ephemeral_types(graph, ["*"], needed={"doubled"}) == (("shifted",), ())


PIPELINE: dict[str, Any] = {
    "tasks": {
        "double": {"class": "tests.execution_tasks.StepTask", "ephemeral": "result"},
        "shift": {"class": "tests.execution_tasks.UnitTask", "ephemeral": ["result"]},
        "total": {
            "class": "tests.execution_tasks.TotalTask",
            "config": {"connections": {"values": "shifted"}},
            "ephemeral": ["total"],
        },
    }
}


def test_a_pipeline_says_which_outputs_are_ephemeral(tmp_path: Path) -> None:
    """The key names outputs, goes through a graph file and a written pipeline, and changes no fingerprint."""
    pipeline = Pipeline(read_definition(PIPELINE, "here"))
    lab = make_lab(tmp_path / "lab", pipeline)
    types, notes = ephemeral_types(lab.graph)

    assert types == BOTH
    assert notes == (
        "'total' is not removed although a task says so: it is an overall output, which nothing in the graph reads",
    )
    (tmp_path / "again.yaml").write_text(pipeline.to_yaml())
    again = Pipeline.load(tmp_path / "again.yaml")
    assert [("result",), ("result",), ("total",)] == [node.ephemeral for node in again.nodes]
    assert pipeline.fingerprint == chain().fingerprint
    assert ephemeral_types(lab.graph, keep=["doubled"])[0] == ("shifted",)


def test_an_importing_pipeline_has_the_last_word(tmp_path: Path) -> None:
    """Where a task is imported, what is said of it there counts unless the importing file says something else."""
    (tmp_path / "base.yaml").write_text(Pipeline(read_definition(PIPELINE, "here")).to_yaml())
    (tmp_path / "over.yaml").write_text(
        "imports: base.yaml\ntasks:\n  double: {ephemeral: []}\n  shift: {resources: {cpus: 1}}\n"
    )
    nodes = {node.label: node for node in Pipeline.load(tmp_path / "over.yaml").nodes}

    assert (nodes["double"].ephemeral, nodes["shift"].ephemeral) == ((), ("result",))


def test_an_output_that_is_not_there_is_refused() -> None:
    """A name that is no output of the task is an error that offers the nearest."""
    tasks = {"double": {"class": "tests.execution_tasks.StepTask", "ephemeral": ["resul"]}}
    with pytest.raises(PipelineError, match="has no output 'resul' that could be ephemeral") as caught:
        _ = Pipeline(read_definition({"tasks": tasks}, "here")).nodes

    assert "result" in caught.value.hint


def extended(lab: Lab) -> Pipeline:
    """Return the lab's pipeline with one more task that reads what is gone."""
    return Pipeline.of(
        double=("tests.execution_tasks.StepTask", {}),
        shift=("tests.execution_tasks.UnitTask", {}),
        total=("tests.execution_tasks.TotalTask", {"connections": {"values": "shifted"}}),
        more=("tests.execution_tasks.StepTask", {"connections": {"before": "doubled", "after": "more"}}),
    )


def test_a_graph_that_skips_what_is_done_makes_again_what_is_gone(tmp_path: Path) -> None:
    """A quantum that is done in an earlier run is skipped, unless a new one reads a file of it that was removed."""
    lab = make_lab(tmp_path, samples=3)
    run(lab)
    graph = build(
        extended(lab),
        BuildView(None, lab.staging),
        input_collections=["inputs"],
        skip_existing_in=["u/me/run"],
    )
    whole = build(
        extended(lab), BuildView(None, lab.staging), input_collections=["inputs"], output_run="u/me/2"
    )
    with BuildView(None, lab.staging) as view:
        left = leave_out(whole, view, existing_in=["u/me/run"])
        none = leave_out(lab.graph.retarget("u/me/3"), view, existing_in=["u/me/run"])

    assert {"double": 3, "shift": 0, "total": 0, "more": 3} == graph.counts() == left.graph.counts()
    assert none.graph.counts() == {"double": 0, "shift": 0, "total": 0}
