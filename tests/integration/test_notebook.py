"""What a notebook does: runs, waited for in its loop or beside it, while cells go on asking."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stage import Campaign, RunReport
from tests.integration.tiny_campaign import make_upstream


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """A campaign that was made by cells, in the notebook's directory."""
    monkeypatch.chdir(tmp_path)
    make_upstream(tmp_path)
    made, built = Campaign.clone("upstream", "camp", pipeline="pipeline.yaml", input=["net/raw"])
    assert built is not None
    return made


def test_a_run_is_awaited_while_other_cells_ask(campaign: Campaign) -> None:
    """Workers are started from a thread of a loop that goes on; readers answer meanwhile; the report is what was awaited."""
    events: list[Any] = []
    answers: list[int] = []

    async def cell() -> RunReport:
        going = asyncio.create_task(asyncio.to_thread(campaign.run, processes=2, on_progress=events.append))
        while not going.done():
            answers.append(len(Campaign.load("camp").status().runs))
            await asyncio.sleep(0.02)
        return await going

    report = asyncio.run(cell())

    assert report.complete
    assert events[-1].is_last
    assert events[-1].total.done == 10
    assert len(answers) > 1


def test_in_the_loop_itself_it_runs_as_anywhere(campaign: Campaign) -> None:
    """A cell that simply calls it has its report at once, in this process and in workers; a failed quantum raises nothing."""

    async def cell(**options: Any) -> RunReport:
        return campaign.run(**options)

    report = asyncio.run(cell(processes=2))
    failed = asyncio.run(cell(processes=0, new_run=True, use_task_configs=True, config=["clean:fail_on=bex"]))

    assert report.complete
    assert (failed.complete, failed.tasks["clean"]["failed"]) == (False, 2)
    assert "out of order" in failed.failures[0].first_line
    assert campaign.get("total", collections=[report.run]).value == {"n": 12, "stations": 3}
