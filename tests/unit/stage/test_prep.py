"""Tests of `stage.execution.prep`."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import ConflictError
from stage.execution.prep import config_differences, package_versions, prepare_run
from stage.graph.building.build import build
from stage.graph.building.view import BuildView
from tests.execution_lab import chain, make_lab


def test_preparing_writes_configs_packages_and_init_outputs(tmp_path: Path) -> None:
    """A prepared run has one config a task, the packages, and what tasks declare."""
    lab = make_lab(tmp_path)

    assert prepare_run(lab.staging, lab.graph) == 5
    assert {k: len(v) for k, v in lab.datasets().items()} == {
        "double_config": 1, "shift_config": 1, "total_config": 1, "packages": 1, "unit": 1,
    }  # fmt: skip
    assert lab.get("unit") == {"name": "metre"}
    assert lab.get("double_config")["factor"] == 2.0
    assert lab.get("packages")["numpy"]


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    """The second time nothing is written."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    before = lab.datasets()

    assert prepare_run(lab.staging, lab.graph) == 0
    assert before == lab.datasets()


def test_other_config_in_the_same_run_is_a_conflict(tmp_path: Path) -> None:
    """A graph with another setting for the same run is refused, and the setting is named with both values."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    view = BuildView(None, lab.staging)
    other = build(chain(double={"factor": 3.0}), view, input_collections=["inputs"]).retarget("u/me/run")
    before = lab.datasets()
    with pytest.raises(ConflictError, match=r"double_config: factor: recorded 2.0, now 3.0") as caught:
        prepare_run(lab.staging, other)

    assert caught.value.context["keys"] == ["factor"]
    assert before == lab.datasets()


def test_other_init_output_is_a_conflict(tmp_path: Path) -> None:
    """An init output that would be another one now is named too."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    unit = next((Path(lab.store_root) / "u/me/run/unit").rglob("*.json"))
    unit.write_text('{"name":"mile"}')
    with lab.staging.registry.write() as change:
        rows = change.datasets("unit", ["u/me/run"], artifacts=True)
        change.insert_artifacts(
            rows.select(["id", "uri", "size", "formatter"]).with_column("checksum", ["blake3:other"])
        )
    with pytest.raises(ConflictError, match=r"unit: name: recorded 'mile', now 'metre'"):
        prepare_run(lab.staging, lab.graph)


def test_killed_between_files_and_rows_is_prepared_again(tmp_path: Path) -> None:
    """Files without rows, as a killed process leaves them, are written again."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    with lab.staging.registry.write() as change:
        change.remove_collection("u/me/run")

    assert prepare_run(lab.staging, lab.graph) == 5


def test_config_differences_name_nested_keys() -> None:
    """Differences are found in nested mappings, with a word for what is missing; NaN equals NaN."""
    old = {"a": {"b": 1, "c": float("nan")}, "d": [1]}
    new = {"a": {"b": 2, "c": float("nan")}, "e": 0}

    assert list(config_differences(old, new)) == [
        ("a.b", 1, 2),
        ("d", [1], "(not there)"),
        ("e", "(not there)", 0),
    ]


def test_package_versions_name_python() -> None:
    """The versions of Python and of NumPy are among them."""
    assert {"python", "numpy"} <= package_versions().keys()
