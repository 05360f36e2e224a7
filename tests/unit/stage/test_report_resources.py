"""Times and resources of runs: figures, what to ask for, and the YAML that says so."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from registry.model.columns import Columns
from stage.pipeline.resources import Resources
from stage.report.html import render
from stage.report.resources import Asked, resources_of, resources_yaml
from stage.report.summary import RunReport
from stage.report.times import times_of

START = 1_793_318_437_000_000_000
MB = 1 << 20


def quanta(
    task: str,
    wall: list[float],
    cpu: list[float],
    peak: list[int],
    *,
    status: str = "succeeded",
    message: str = "",
) -> Columns:
    """Quanta of a task by their wall time, CPU time and memory in MB."""
    n = len(wall)
    return Columns(
        {
            "id": [f"{task}{i}".encode().ljust(16) for i in range(n)],
            "task": [task] * n,
            "data_id": [f'{{"visit":{i}}}' for i in range(n)],
            "status": [status] * n,
            "started_ns": [START] * n,
            "finished_ns": [START + int(s * 1e9) for s in wall],
            "cpu_ns": [int(s * 1e9) for s in cpu],
            "peak_bytes": [m * MB for m in peak],
            "message": [message] * n,
        }
    )


NOTHING = quanta("none", [], [], [])


def test_times_of_a_task() -> None:
    """Least, median, ninetieth percentile, most and sums; the slowest first, of those that ran."""
    ran = quanta("detect", [float(i) for i in range(1, 12)], [1.0] * 11, [1] * 11)
    never = quanta("later", [0.0], [0.0], [0], status="blocked").with_column("started_ns", [0])
    (found,), slowest = times_of(Columns.concat([ran, never]), ["detect", "later"])

    assert (found.task, found.n, found.min_s, found.median_s, found.p90_s, found.max_s) == (
        "detect", 11, 1.0, 6.0, 10.0, 11.0,
    )  # fmt: skip
    assert (found.wall_s, found.cpu_s) == (66.0, 11.0)
    assert [s.wall_s for s in slowest] == [float(i) for i in range(11, 1, -1)]
    assert slowest[0].to_json()["data_id"] == {"visit": 10}


def test_what_to_ask_for() -> None:
    """The most memory and a quarter more in steps of 64 MB; twice the longest in minutes; the cores that are busy."""
    rows = quanta("fit", [10.0, 20.0, 31.0], [20.0, 40.0, 60.0], [300, 350, 400])
    (found,) = resources_of(rows, NOTHING, {"fit": Asked(Resources(memory_mb=4000))}, ["fit"])

    assert found.suggested == Resources(cpus=2, memory_mb=512, walltime_s=120)
    assert found.memory_mb is not None
    assert (found.memory_mb.median, found.memory_mb.max) == (350, 400)
    assert found.to_json()["asked"] == {"cpus": 1, "memory_mb": 4000, "walltime_s": None}
    assert found.to_json()["used"]["cores"]["median"] == 2.0


def test_quanta_that_died_of_memory_ask_for_more() -> None:
    """Attempts and quanta are counted, and those that are complete since; what was too little is not suggested."""
    rows = quanta("fit", [10.0, 10.0], [10.0, 10.0], [100, 90])
    deaths = Columns.concat(
        [
            quanta(
                "fit",
                [1.0],
                [1.0],
                [1],
                message="out of memory with 1,024 MB (the next attempt gets 2,048 MB): x",
            ),
            quanta("fit", [1.0], [1.0], [1], message="out of memory with 512 MB (…): x"),
            quanta("fit", [1.0], [1.0], [1], message="ValueError: out of luck"),
        ]
    )
    (found,) = resources_of(rows, deaths, {}, ["fit"])

    assert (found.n_killed, found.n_attempts, found.n_recovered) == (1, 2, 1)
    assert found.suggested == Resources(cpus=1, memory_mb=2048, walltime_s=60)
    (lost,) = resources_of(quanta("fit", [1.0], [1.0], [1], status="failed"), deaths, {}, ["fit"])

    assert (lost.n, lost.n_recovered, lost.suggested) == (0, 0, Resources(memory_mb=2048))


def test_yaml_can_be_read_back() -> None:
    """One entry a task; labels that YAML would take for something else are quoted; who asks by data ID is left out."""
    rows = Columns.concat([quanta(t, [1.0], [0.5], [100]) for t in ("fit", "no", "a:b", "own")])
    asked = {"own": Asked(Resources(), by_data_id=True)}
    text = resources_yaml(resources_of(rows, NOTHING, asked, ["fit", "no", "a:b", "own"]))
    wanted = {"resources": {"cpus": 1, "memory_mb": 256, "walltime_s": 60}}

    assert yaml.safe_load(text) == {"tasks": {"fit": wanted, "no": wanted, "a:b": wanted}}
    assert resources_yaml(()) == ""


def test_short_quanta_say_nothing_about_cores() -> None:
    """The clock of CPU time is coarse: what is over in no time counts as one core at most."""
    rows = quanta("quick", [0.001] * 3, [0.01] * 3, [10] * 3)
    (found,) = resources_of(rows, NOTHING, {}, ["quick"])

    assert found.suggested is not None
    assert found.suggested.cpus == 1


@pytest.mark.parametrize("n", [1, 100_000])
def test_the_page_has_times_requests_and_drawings(n: int) -> None:
    """In one bounded file; a drawing is a picture of its own, and nothing is fetched."""
    rows = quanta("fit", [1.0], [0.5], [100]).take(np.zeros(n, dtype=np.int64))
    used = resources_of(rows, NOTHING, {"fit": Asked(Resources(memory_mb=64))}, ["fit"])
    times, slowest = times_of(rows, ["fit"])
    report = RunReport((), (), (), 0, 0, times, slowest, used, resources_yaml(used))
    page = render(report, "x", drawings=['<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'])

    assert len(page) < 20_000
    assert "<script" not in page
    assert page.count("src=") == page.count('src="data:image/svg+xml;base64,') == 1
    assert "http" not in page
    assert "fit:\n    resources: {cpus: 1, memory_mb: 256, walltime_s: 60}" in page
