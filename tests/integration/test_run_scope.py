"""Runs that stop after a task, and scripts that go on at the command that failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.errors import StageError
from stage.campaign.campaign import Campaign
from tests.integration.book_campaign import PIPELINE, counts, make_campaign
from tests.integration.tiny_campaign import call

COMMANDS = """
tasks:
  split:
    dimensions: [book]
    inputs: {{text: {{dataset_type: text, storage_class: Text}}}}
    outputs:
      words: {{dataset_type: words, storage_class: Text}}
      n: {{dataset_type: n_words, type: int}}
    commands:
      - {{name: split, shell: 'tr " " "\\n" < "$text" > w; echo split >> {folder}/begun'}}
      - {{name: count, shell: 'echo count >> {folder}/begun; test -e {folder}/healed; export n=$(wc -l < w)'}}
      - cp w "$words"; echo "$STAGE_RUN $STAGE_ATTEMPT $STAGE_QUANTUM $STAGE_LOG"
  double:
    dimensions: [book]
    inputs: {{n: {{dataset_type: n_words, type: int}}}}
    outputs: {{twice: {{dataset_type: twice, type: int}}}}
    shell: export twice=$((n * 2))
"""


def begun(folder: Path) -> str:
    """Return the first letters of the commands that have begun so far."""
    return "".join(word[0] for word in (folder / "begun").read_text().split())


@pytest.mark.parametrize("processes", [0, 2])
def test_a_script_goes_on_at_the_command_that_failed(tmp_path: Path, processes: int) -> None:
    """With --keep-scratch the next run begins at the failed command; without, nothing is kept and it begins anew."""
    campaign = make_campaign(tmp_path, {"ants": "one two"}, COMMANDS.format(folder=tmp_path))
    report = campaign.run(processes=processes)
    assert "command 2 of 3 'count' ended with exit status 1" in report.failures[0].message
    assert (begun(tmp_path), list((tmp_path / "c").rglob("*.scratch"))) == ("sc", [])

    campaign.run(processes=processes, keep_scratch=True)
    kept = list((tmp_path / "c/logs").rglob("*.scratch"))
    assert (begun(tmp_path), len(kept)) == ("scsc", 1)
    assert (kept[0] / "work/w").read_text() == "one\ntwo"

    (tmp_path / "healed").touch()
    report = campaign.run(processes=processes)
    assert counts(report) == {"split": {"succeeded": 1}, "double": {"succeeded": 1}}
    assert begun(tmp_path) == "scscc"
    assert not kept[0].exists()
    assert json.loads(call("get", "twice", "book=ants", cwd=tmp_path / "c").stdout) == 2
    log = campaign.log("split")[0].text
    assert "goes on at command 2 of 3" in log
    assert "----- command 3 of 3 -----" in log
    assert f"{report.run} 2 " in log


def test_a_person_says_at_which_command_to_begin(tmp_path: Path) -> None:
    """--from-command 1 begins anew although a directory is kept; one that there is not is refused before anything runs."""
    campaign = make_campaign(tmp_path, {"ants": "one two"}, COMMANDS.format(folder=tmp_path))
    campaign.run(processes=0, keep_scratch=True)
    (tmp_path / "healed").touch()
    for words, said in (
        ("split:4", "task 'split' has 3 commands, so it cannot begin at command 4"),
        ("split", "'split' does not name a command of a task"),
        ("splitt:1", "there is no task 'splitt'"),
    ):
        before = (tmp_path / "c/.campaign.json").read_bytes()
        with pytest.raises(StageError, match=said):
            Campaign.load(tmp_path / "c").run(processes=0, from_command=[words])
        assert (tmp_path / "c/.campaign.json").read_bytes() == before
    assert begun(tmp_path) == "sc"
    assert Campaign.load(tmp_path / "c").run(processes=0, from_command=["split:1"]).complete
    assert begun(tmp_path) == "scsc"


def test_a_run_stops_after_a_task(tmp_path: Path) -> None:
    """--until executes a task and what it depends on, ends well, and the next run does the rest."""
    (tmp_path / "healed").touch()
    make_campaign(tmp_path, pipeline=COMMANDS.format(folder=tmp_path))
    done = call("run", "-j0", "--until", "split", cwd=tmp_path / "c")
    assert "stopped after 'split', as asked" in done.stdout

    report = Campaign.load(tmp_path / "c").status().runs[0]
    assert {k: dict(v) for k, v in report.tasks.items()} == {
        "split": {"succeeded": 2},
        "double": {"missing": 2},
    }
    assert report.place == "current"
    again = Campaign.load(tmp_path / "c").run(processes=1)
    assert (again.complete, again.executed, again.until) == (True, 2, "")


def test_a_run_stops_after_a_step(tmp_path: Path) -> None:
    """A step, or a task of one, is where a run may stop; what comes after it is not even planned."""
    campaign = make_campaign(tmp_path)
    report = campaign.run(processes=0, until="split")
    assert (report.until, list(report.steps_left)) == ("split", ["work", "end"])
    assert counts(report) == {"cut": {"succeeded": 2}}

    report = campaign.run(processes=0, until="gather")
    assert report.until == "gather"
    assert counts(report)["length"] == {"missing": 2}
    report = campaign.run(processes=0, until="length")
    assert (report.complete, report.finished, report.until) == (True, True, "")


def test_a_run_cannot_stop_after_what_there_is_not(tmp_path: Path) -> None:
    """An unknown label is refused with the nearest one, and no run is begun."""
    campaign = make_campaign(tmp_path, pipeline=PIPELINE)
    with pytest.raises(StageError) as caught:
        campaign.run(processes=0, until="gathr")

    assert caught.value.code == "unknown-label"
    assert caught.value.hint == "Did you mean 'gather'?"
    assert not campaign.status().runs
