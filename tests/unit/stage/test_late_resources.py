"""Resources that follow from inputs: expressions that are reckoned without running anything."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.late_resources import check_late, late_value
from stage.pipeline.pipeline import Pipeline


class Inputs:
    """Two inputs: one of 1234.5 MB in three files, and a value."""

    def size(self, name: str) -> float:
        """Return megabytes."""
        return {"raw": 1234.5, "n": 0.0}[name]

    def count(self, name: str) -> int:
        """Return how many."""
        return {"raw": 3, "n": 1}[name]

    def value(self, name: str) -> Any:
        """Return the value."""
        return {"n": {"rows": 10, "parts": [4, 5]}}[name]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2 * size(raw) + 500 MB", 2969),
        ("2*size(raw)+500", 2969),
        ("1.5 GB", 1500),
        ("max(1 GB, size(raw) / 2)", 1000),
        ("min(size(raw), 16 GB)", 1235),
        ("count(raw) * 100", 300),
        ("value(n)['rows'] * 7", 70),
        ("value(n)['parts'][1]", 5),
        ("size(n)", 1),
        ("-5 + 3", 1),
        ("500 kB", 1),
    ],
)
def test_expressions_are_reckoned_and_rounded_up(text: str, amount: int) -> None:
    """Sizes are in megabytes, amounts may have units, and nothing is less than 1."""
    check_late("memory_mb", text, ["raw", "n"])
    assert late_value("memory_mb", text, Inputs()) == amount


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2 * size(raws)", "the task has no input 'raws'"),
        ("size('raw')", "size() takes the name of an input"),
        ("size()", "size() takes the name of an input"),
        ("2 * raw", "it has 'raw'"),
        ("__import__('os').getcwd()", "it has '__import__('os').getcwd()'"),
        ("size(raw).real", "it has 'size(raw).real'"),
        ("(lambda: 1)()", "it has '(lambda: 1)()'"),
        ("2 ** 10000000", "it has '2 ** 10000000'"),
        ("2 *", "it is no expression"),
        ("1 / 0", "division by zero"),
        ("'text'", "it has ''text''"),
        ("True + 1", "is True, which is no number"),
        ("1 +" * 400 + "1", "it has more than 1000 letters"),
        ("", "it is no expression"),
    ],
)
def test_other_expressions_are_refused_before_anything_runs(text: str, said: str) -> None:
    """Only inputs, numbers and arithmetic are known; nothing of Python is within reach."""
    with pytest.raises(PipelineError) as caught:
        check_late("memory_mb", text, ["raw", "n"])

    assert caught.value.code == "bad-resources"
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["value(n)", "value(n)['row']", "value(n)['parts']", "size(raw) / size(n)"])
def test_what_turns_out_to_be_no_amount_is_an_error(text: str) -> None:
    """A value that is no number, or is not there, has a name."""
    check_late("memory_mb", text, ["raw", "n"])
    with pytest.raises(PipelineError, match="cannot be reckoned"):
        late_value("memory_mb", text, Inputs())


def test_a_pipeline_with_a_bad_expression_is_refused(tmp_path: Any) -> None:
    """The file and the task are named; a good one is kept with the node, and is no part of its fingerprint."""
    text = (
        "tasks: {t: {dimensions: [], inputs: {raw: {dataset_type: raw}}, shell: 'true', "
        "resources: {cpus: 2, memory_mb: '%s'}}}"
    )
    (tmp_path / "bad.yaml").write_text(text % "size(rew)")
    with pytest.raises(PipelineError, match=r"bad.yaml, task 't': .*has no input 'rew'") as caught:
        _ = Pipeline.load(tmp_path / "bad.yaml").nodes
    assert caught.value.hint == "Did you mean 'raw'?"

    (tmp_path / "good.yaml").write_text(text % "2 * size(raw)")
    (tmp_path / "other.yaml").write_text(text % "3 * size(raw)")
    good, other = (Pipeline.load(tmp_path / f"{n}.yaml").node("t") for n in ("good", "other"))
    assert good.late == {"memory_mb": "2 * size(raw)"}
    assert (good.resources.cpus, good.resources.memory_mb) == (2, None)
    assert good.fingerprint == other.fingerprint
    assert good.from_document(good.to_document()) == good
