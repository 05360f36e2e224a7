"""What the options of a run do together, in this process and with workers: one row a combination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import UsageError
from stage.execution.run import run_graph
from tests.execution_lab import chain, make_lab

FLAKY, BAD, SLOW = "flaky:1,{root}/counter", "raise", "sleep:60"


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize(
    ("behave", "options", "statuses", "n_attempts"),
    [
        (BAD, {}, {"blocked": 2, "failed": 1, "succeeded": 4}, 1),
        (BAD, {"retries": 2}, {"blocked": 2, "failed": 1, "succeeded": 4}, 3),
        (FLAKY, {}, {"blocked": 2, "failed": 1, "succeeded": 4}, 1),
        (FLAKY, {"retries": 1}, {"succeeded": 7}, 2),
        (FLAKY, {"retries": 1, "fail_fast": True}, {"succeeded": 7}, 2),
        (SLOW, {"timeout_s": 5.0}, {"blocked": 2, "failed": 1, "succeeded": 4}, 1),
        (SLOW, {"timeout_s": 5.0, "retries": 1}, {"blocked": 2, "failed": 1, "succeeded": 4}, 2),
    ],
)
def test_options_of_a_run(
    tmp_path: Path,
    processes: int,
    behave: str,
    options: dict[str, Any],
    statuses: dict[str, int],
    n_attempts: int,
) -> None:
    """Each ends as its row says; what needs workers is refused without them, before anything is begun."""
    how = behave.format(root=tmp_path)
    lab = make_lab(tmp_path / "lab", chain(double={"behave": {"1": how}}), samples=3)
    if "timeout_s" in options and not processes:
        with pytest.raises(UsageError, match="cannot be ended after a time"):
            run_graph(lab.staging, lab.graph_uri, processes=processes, **options)
        return
    run_graph(lab.staging, lab.graph_uri, processes=processes, **options)
    with lab.staging.registry.read() as snapshot:
        tried = snapshot.quanta([lab.graph.output_run], task="double", latest=False).rows(("data_id",))

    assert lab.status() == statuses
    assert sum('"sample":1}' in data_id for (data_id,) in tried) == n_attempts


@pytest.mark.parametrize("processes", [0, 1])
def test_fail_fast_begins_nothing_more(tmp_path: Path, processes: int) -> None:
    """After the first failure only what runs already comes to its end, and the rest is left for later."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": BAD}}), samples=40)
    summary = run_graph(lab.staging, lab.graph_uri, processes=processes, fail_fast=True)

    assert summary.total.failed == 1
    assert summary.total.left > 20
    assert not summary.interrupted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 2}, "-j 2"),
        ({"processes": 0, "timeout_s": 1.0}, "cannot be ended after a time"),
        ({"processes": 0, "retries": -1}, "cannot be tried again -1 times"),
    ],
)
def test_a_debugger_goes_with_one_process_only(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """--pdb needs this process and a terminal; what contradicts it is refused, and nothing is begun."""
    lab = make_lab(tmp_path, samples=2)
    with pytest.raises(UsageError) as caught:
        run_graph(lab.staging, lab.graph_uri, pdb=True, **options)

    assert message in f"{caught.value.message} {caught.value.hint}" or "terminal" in caught.value.message
    with lab.staging.registry.read() as snapshot:
        assert [c.name for c in snapshot.collections()] == ["inputs"]
