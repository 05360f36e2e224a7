"""Pipelines with steps: what is done already is left out of every step, and a killed run is gone on with in any."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stage.campaign.campaign import Campaign
from tests.integration.book_campaign import PIPELINE, counts, make_campaign, steps_of, write_pipeline
from tests.integration.tiny_campaign import ROOT

ALL = {"cut": 2, "shout": 4, "gather": 2, "length": 2}

MORE = """
  letters:
    dimensions: [book]
    inputs: {whole: {dataset_type: whole, storage_class: Text}}
    outputs: {n: {dataset_type: letters, storage_class: Text}}
    shell: wc -c < "$whole" > "$n"
"""

KILLS = "60" if os.environ.get("STAGE_FAULTS") == "long" else "2"
"""Moments to die at, spread over all that a run of three steps does on disk."""


def add_letters(folder: Path) -> None:
    """Add one more task to the last step of the pipeline."""
    steps = PIPELINE.index("steps:")
    text = PIPELINE[:steps].rstrip() + MORE + PIPELINE[steps:].replace("length]", "length, letters]")
    write_pipeline(folder, text)


def killed_before_step(number: int, camp: Path, *words: str) -> str:
    """Run a campaign in a process that dies when a step is done and the next one's graph not yet made; return its RUN."""
    code = (
        "import os, signal, sys; import stage.campaign.stepping as s; real = s.step_graph\n"
        "def dies(change, plan, number, *a, **k):\n"
        f"    if number == {number}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(change, plan, number, *a, **k)\n"
        "s.step_graph = dies\n"
        "from cli.main import run_command; run_command(['run', '-q', '-j0', *sys.argv[1:]])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=camp, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    return str(Campaign.load(camp).state.collections.current_run)


@pytest.mark.parametrize("options", [{"skip_existing_in": "CAMPAIGN"}, {"trim_existing_in": "CAMPAIGN"}])
def test_what_another_run_has_done_needs_no_run(tmp_path: Path, options: dict[str, Any]) -> None:
    """Where every step is done in another run, no run is begun, as for a pipeline without steps; skips are all counted."""
    campaign = make_campaign(tmp_path)
    first = campaign.run(processes=0)
    before = campaign.status()
    report = campaign.run(processes=0, new_run=True, rebuild="trim_existing_in" in options, **options)

    assert (report.run, report.executed, report.complete) == ("", 0, True)
    assert report.skipped == (ALL if "skip_existing_in" in options else {})
    assert campaign.status().collections == before.collections
    runs = {p.parent for p in (tmp_path / "c/submit").rglob("graph*.qg")}
    assert runs == {campaign.layout.submit(first.run)}


@pytest.mark.parametrize("options", [{"skip_existing_in": "CAMPAIGN"}, {"trim_existing_in": "CAMPAIGN"}])
def test_only_what_is_new_is_done_in_every_step(tmp_path: Path, options: dict[str, Any]) -> None:
    """With a new task in the last step, a run that leaves out what is done has all other steps empty and runs only that."""
    campaign = make_campaign(tmp_path)
    campaign.run(processes=0)
    add_letters(tmp_path)
    report = campaign.run(processes=0, new_run=True, rebuild=True, **options)

    assert steps_of(campaign, report.run) == [
        {"cut": 0},
        {"shout": 0},
        {"gather": 0, "length": 0, "letters": 2},
    ]
    assert (report.executed, report.complete, counts(report)["letters"]) == (2, True, {"succeeded": 2})
    if "skip_existing_in" in options:
        assert report.skipped == ALL
    else:
        said = "step 3 of 3 'end': 4 quanta are left out of its graph, their outputs are all there (trimmed)"
        assert said in report.notes


def test_a_run_that_is_gone_on_with_leaves_out_what_it_left_out_before(tmp_path: Path) -> None:
    """A run that was begun without what is done elsewhere goes on so in steps that are built later, whoever says what."""
    campaign = make_campaign(tmp_path)
    campaign.run(processes=0)
    add_letters(tmp_path)
    words = ("--new-run", "--rebuild", "--skip-existing-in", "CAMPAIGN")
    run = killed_before_step(3, tmp_path / "c", *words)
    report = Campaign.load(tmp_path / "c").run(processes=0)

    assert (report.run, report.executed) == (run, 2)
    assert steps_of(campaign, run) == [{"cut": 0}, {"shout": 0}, {"gather": 0, "length": 0, "letters": 2}]


def test_a_query_is_joined_to_an_extended_graph_once(tmp_path: Path) -> None:
    """An extension that is repeated, as after a kill, changes neither the graph nor the query that builds it again."""
    campaign = make_campaign(tmp_path)
    campaign.build(data_query="book = 'ants'")
    for _ in range(2):
        campaign.build(data_query="book = 'bees'", extend_qg=True)
        entry = campaign.state.quantum_graph
        assert entry.data_query == "(book = 'ants') OR (book = 'bees')"
    again = campaign.build(data_query="book = 'ants'", extend_qg=True)
    assert campaign.state.quantum_graph.data_query == "(book = 'ants') OR (book = 'bees')"
    assert again.graph.tasks == {"cut": 2}


def test_a_run_killed_in_any_step_is_finished_by_the_same_command(tmp_path: Path) -> None:
    """Killed before any step on disk (within a step, between two), the same command ends as if undisturbed."""
    work = tmp_path / "work"
    work.mkdir()
    make_campaign(work, upstream="upstream", name="camp", next_run="%c/r%n")
    shutil.copytree(work, tmp_path / "template")
    done = subprocess.run(
        [
            sys.executable, Path(__file__).with_name("kill_rounds.py"), tmp_path / "template", work, KILLS,
            "run", "-q", "-j0",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= int(KILLS)


def test_a_run_killed_between_steps_does_nothing_twice(tmp_path: Path) -> None:
    """Killed when a step is done and the next one's graph not yet written, the run goes on with that, and only with that."""
    campaign = make_campaign(tmp_path)
    for number in (2, 3):
        run = killed_before_step(number, tmp_path / "c")
        assert len(steps_of(campaign, run)) == number - 1
    report = Campaign.load(tmp_path / "c").run(processes=0)

    assert (report.complete, report.executed, counts(report)) == (
        True, 4, {"cut": {"succeeded": 2}, "shout": {"succeeded": 4}, "gather": {"succeeded": 2}, "length": {"succeeded": 2}},
    )  # fmt: skip
