"""The run report: figures, bounded page, pictures."""

from __future__ import annotations

import numpy as np
import pytest

from registry.model.columns import Columns
from stage.report.html import render
from stage.report.picture import picture_of
from stage.report.summary import summarise

START = 1_793_318_437_000_000_000


def quanta(n: int, **columns: object) -> Columns:
    """Make `n` quanta of one task that ran one after another for a second each."""
    begin = START + np.arange(n) * 1_000_000_000
    base = {
        "task": ["detect"] * n,
        "data_id": [f'{{"visit":{i}}}' for i in range(n)],
        "status": ["succeeded"] * n,
        "started_ns": begin,
        "finished_ns": begin + 1_000_000_000,
        "cpu_ns": [500_000_000] * n,
        "peak_bytes": [10**8] * n,
        "message": [""] * n,
    }
    return Columns({**base, **columns})


def test_summary_adds_up_times_and_counts() -> None:
    """Ten quanta of a second each take ten seconds, five of CPU, and one runs at any time."""
    report = summarise(quanta(10), ("c/run",))

    (task,) = report.tasks
    assert {"succeeded": 10, "no-work": 0, "failed": 0, "blocked": 0} == task.counts
    assert pytest.approx((1.0, 10.0, 5.0)) == (task.median_s, task.total_s, task.cpu_s)
    assert pytest.approx(10.0) == report.elapsed_s
    assert np.allclose(1.0, task.activity)


def test_activity_counts_what_runs_at_once() -> None:
    """Quanta that all run for the whole time are all counted in every slice."""
    begin = np.full(4, START)
    report = summarise(quanta(4, started_ns=begin, finished_ns=begin + 2_000_000_000), ("c/run",))

    assert np.allclose(4.0, report.tasks[0].activity)


def test_blocked_quanta_never_started_and_come_last() -> None:
    """A blocked quantum has no times; failures are listed before what they blocked, by their first line."""
    columns = quanta(
        2,
        status=["blocked", "failed"],
        started_ns=[None, START],
        finished_ns=[None, START + 1],
        cpu_ns=[None, 1],
        peak_bytes=[None, 1],
        message=["blocked by detect", "ValueError: bad\nTraceback"],
    )

    report = summarise(columns, ("c/run",))

    assert ["ValueError: bad", "blocked by detect"] == [f.message for f in report.failures]
    assert report.elapsed_s < 1


def test_tasks_come_in_the_order_in_which_they_began() -> None:
    """A blocked quantum, which has no times, does not put its task before what blocked it."""
    columns = quanta(
        4,
        task=["mean", "mean", "clean", "never"],
        status=["succeeded", "blocked", "succeeded", "blocked"],
        started_ns=[START + 5, None, START, None],
        finished_ns=[START + 6, None, START + 1, None],
    )

    assert [t.task for t in summarise(columns, ("c/run",)).tasks] == ["clean", "mean", "never"]


def test_data_ids_of_failures_are_objects_in_json_and_words_on_the_page() -> None:
    """Programs get a data ID as an object, people as name=value."""
    report = summarise(quanta(1, status=["failed"], message=["bad"]), ("c/run",))

    assert report.to_json()["failures"][0]["data_id"] == {"visit": 0}
    assert "<code>visit=0</code>" in render(report, "x")


def test_nothing_has_run() -> None:
    """A run without quanta still has a page that says so."""
    report = summarise(Columns.from_rows(["task"], []), ("c/run",))

    assert "nothing has run" in render(report, "Campaign c")


def test_page_is_one_bounded_file_and_escapes_text() -> None:
    """10^5 quanta make a page under 2 MB that refers to no other file and shows text as text."""
    n = 100_000
    status = ["failed" if i % 3 == 0 else "succeeded" for i in range(n)]
    report = summarise(quanta(n, status=status, message=["<script>alert(1)</script>"] * n), ("c/run",))

    page = render(report, "Campaign <c>")

    assert len(page.encode()) < 2_000_000
    assert "<script" not in page
    assert "&lt;c&gt;" in page
    assert "src=" not in page
    assert "href=" not in page


def test_picture_is_a_png_within_its_limit() -> None:
    """A large image with holes is thinned to a PNG that the page can hold."""
    pytest.importorskip("PIL")
    image = np.random.default_rng(1).normal(100, 5, (3000, 2000))
    image[:100] = np.nan

    picture = picture_of(image, "a field", max_pixels=500)

    assert picture.png.startswith(b"\x89PNG")
    assert picture.data_uri.startswith("data:image/png;base64,")
    width = int.from_bytes(picture.png[16:20], "big")
    assert width <= 500
