"""Commands that build, extend, refresh, import and run graphs, as a person types them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import ROOT, call, campaign_digest, make_upstream, tree_digest

from stage.campaign.campaign import Campaign
from stage.graph.graph import QuantumGraph


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a campaign whose graph is built, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        cwd=folder,
    )
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder, whose campaign has the upstream beside it."""
    folder = Path(shutil.copytree(source, tmp_path / "work"))
    state = folder / "camp" / ".campaign.json"
    state.write_text(state.read_text().replace(str(source), str(folder)))
    return folder


@pytest.fixture
def camp(work: Path) -> Path:
    """The campaign of such a copy."""
    return work / "camp"


def _entry(camp: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((camp / ".campaign.json").read_text())["quantum_graph"]
    return found


def _collections(camp: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((camp / ".campaign.json").read_text())["collections"]
    return found


def _run(camp: Path, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("run", "-j0", "--json", *words, cwd=camp, code=code).stdout)
    return found


def _counts(camp: Path) -> list[int]:
    return list(QuantumGraph.load(camp / "camp.qg").counts().values())


def _ingest(work: Path, run: str, station: str, *values: int) -> None:
    (work / "more.json").write_text(json.dumps({"station": station, "values": values}))
    call(
        "repo", "ingest", "upstream", "reading", "more.json", "--run", run,
        "--data-id", f"station={station},month=202601", cwd=work,
    )  # fmt: skip


# -- build ----------------------------------------------------------------------------------------------------


def test_a_build_ignores_the_current_run(camp: Path) -> None:
    """C-60: what is searched is past runs and inputs, whatever run is open."""
    _run(camp, "--no-finish")
    call("build", cwd=camp)

    assert _collections(camp)["current_run"] == "camp/r0"
    assert _entry(camp)["collections"] == ["net/raw"]


def test_a_build_can_make_the_campaign_and_leaves_nothing_if_it_fails(work: Path) -> None:
    """C-60: ``build --repo`` makes it; with a query that chooses nothing there is no campaign afterwards either."""
    words = ("build", "--repo", "upstream", "--campaign-dir", "new", "-p", "pipeline.yaml", "-i", "net/raw")
    call(*words, "-d", "station = 'nowhere'", cwd=work, code=2)

    assert not (work / "new").exists()
    call(*words, cwd=work)

    assert QuantumGraph.load(work / "new" / "new.qg").n_quanta == 10


def test_an_extended_graph_keeps_the_ids_and_is_built_again_whole(camp: Path) -> None:
    """C-92: quanta are added, those that were there keep their ids; a rebuild makes all of them."""
    call("build", "-d", "station = 'aar'", cwd=camp)
    before = QuantumGraph.load(camp / "camp.qg")
    call("build", "--extend-qg", "-d", "station = 'bex'", cwd=camp)
    after = QuantumGraph.load(camp / "camp.qg")
    old, new = (set(g.quantum_ids(range(g.n_quanta))) for g in (before, after))

    assert _counts(camp) == [4, 2, 1]
    assert old < new
    _run(camp, "--rebuild")

    assert _counts(camp) == [4, 2, 1]


def test_a_run_goes_on_with_what_its_graph_was_extended_by(camp: Path) -> None:
    """C-34: more data IDs go into the run there is, which does only these."""
    call("build", "-d", "station = 'aar'", cwd=camp)
    _run(camp)
    call("build", "--extend-qg", "-d", "station = 'bex'", cwd=camp)
    report = _run(camp, "--continue")

    assert (report["run"], report["executed"]) == ("camp/r0", 3)
    assert report["tasks"]["clean"] == {"succeeded": 4}


def test_trimming_while_building_needs_no_refresh(camp: Path) -> None:
    """C-94: quanta whose outputs are all in past runs are not in the graph; what they made is read from there."""
    _run(camp)
    report = json.loads(
        call("build", "--trim-existing-in", "campaign", "--allow-empty", "--json", cwd=camp).stdout
    )

    assert report["refreshed"]["trimmed"] == {"clean": 6, "summarise": 3, "total": 1}
    assert _counts(camp) == [0, 0, 0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--extend-qg", "-c", "clean:limit=5"), 12, "task 'clean' is not the same in both"),
        (("--extend-qg", "-d", "station = 'nowhere'"), 2, "the graph is empty"),
        (("--extend-qg", "--data-id-table", "ids.csv"), 2, "table of data IDs"),
        (("--qg-dot", "new/graph.dot", "--extend-qg", "-d", "station = 'nowhere'"), 2, "empty"),
        (("--write-qg", "camp.qg/graph.qg"), 1, "camp.qg/graph.qg"),
        (("--skip-existing-in", "net/rww"), 10, "net/rww"),
    ],
    ids=["other settings", "empty", "table", "drawing", "place", "mistyped"],
)
def test_a_build_that_fails_leaves_no_trace(camp: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """State, graph, pipeline and registry are as they were, and the error names what was wrong."""
    (camp / "ids.csv").write_text("station\naar\n")
    call("build", cwd=camp)
    before = campaign_digest(camp)
    refused = call("build", *words, cwd=camp, code=code)

    assert said in refused.stderr
    assert before == campaign_digest(camp)


def test_what_to_skip_is_remembered(camp: Path) -> None:
    """A rebuild skips again, a new run of that graph is no reason for a rebuild, and empty text forgets it."""
    _run(camp, "-c", "clean:fail_on=bex", "--rebuild", code=3)
    call("build", "-c", "clean:fail_on=nobody", "--skip-existing-in", "CAMPAIGN", cwd=camp)

    assert _entry(camp)["skip_existing_in"] == ["CAMPAIGN"]
    report = _run(camp, "--new-run")

    assert report["executed"] == 4
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    call("build", "--skip-existing-in", "", "--allow-empty", cwd=camp)

    assert "skip_existing_in" not in _entry(camp)
    assert _counts(camp) == [6, 3, 1]


def test_a_graph_is_written_elsewhere_and_drawn(camp: Path) -> None:
    """C-89, C-90: ``--write-qg`` names the place that is used from then on, alone the default; ``--qg-dot`` draws it."""
    call("build", "--write-qg", "graphs.qg", "--qg-dot", "graph.dot", cwd=camp)

    assert _entry(camp)["uri"] == "graphs.qg"
    assert (camp / "graph.dot").read_text().startswith("digraph")
    call("run", "-q", "-j0", "--write-qg", cwd=camp)

    assert _entry(camp)["uri"] == "camp.qg"


def test_offline_asks_staging_alone(work: Path, camp: Path) -> None:
    """What was fetched is enough to build and extend, while there is no upstream; more is not found there."""
    (work / "upstream").rename(work / "away")
    call("build", "-d", "station = 'aar'", cwd=camp, code=10)
    call("build", "--offline", "-d", "station = 'aar'", cwd=camp)

    assert _counts(camp) == [2, 1, 1]


def test_a_build_explains_itself(camp: Path) -> None:
    """``--explain`` says what left which data IDs, as text and as JSON."""
    text = call("build", "--explain", "-d", "station = 'aar'", cwd=camp).stdout
    report = json.loads(call("build", "--explain", "--json", cwd=camp).stdout)

    assert "that satisfy station = 'aar'" in text
    assert report["explanation"]


# -- refresh --------------------------------------------------------------------------------------------------


def test_a_refresh_takes_what_inputs_hold_now(work: Path, camp: Path) -> None:
    """C-62, C-63: another dataset in front is read, no quantum is added, and the graph is up to date again."""
    _ingest(work, "net/newer", "aar", 5)
    call("edit", "-i", "net/newer", "--prepend-inputs", cwd=camp)
    call("run", "-q", "-j0", cwd=camp, code=12)
    report = json.loads(call("qg", "refresh", "--json", cwd=camp).stdout)

    assert report["refreshed"]["replaced"] == {"reading": 1}
    assert report["fetch"]["datasets"] == {"reading": 1}
    assert _entry(camp)["collections"] == ["net/newer", "net/raw"]
    _run(camp)

    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 11


def test_a_refresh_before_a_run_acts_on_the_run_there_is(work: Path, camp: Path) -> None:
    """C-93, C-110: a run that is open goes on with what is found now, and does only what is missing."""
    _run(camp, "-c", "clean:fail_on=bex", "--rebuild", code=3)
    _ingest(work, "net/newer", "bex", 5)
    call("edit", "-i", "net/newer", "--prepend-inputs", cwd=camp)
    done = call("run", "-j0", "--json", "--refresh", cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    report = json.loads(done.stdout)

    assert (report["run"], report["executed"]) == ("camp/r0", 4)
    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 11


def test_quanta_that_lost_an_input_go_only_if_that_is_allowed(work: Path, camp: Path) -> None:
    """C-95: refused by name and without a trace; with ``--allow-pruning`` they go."""
    _ingest(work, "net/less", "aar", 5)
    call("edit", "-i", "net/less", cwd=camp)
    before = campaign_digest(camp)
    refused = call("qg", "refresh", cwd=camp, code=12).stderr

    assert "would drop 5 of 6 quanta of 'clean'" in refused
    assert before == campaign_digest(camp)
    call("qg", "refresh", "--allow-pruning", cwd=camp)

    assert _counts(camp) == [1, 1, 1]


def test_an_empty_graph_is_an_error_unless_allowed(camp: Path) -> None:
    """C-96: without ``--allow-empty`` nothing changes."""
    _run(camp)
    before = campaign_digest(camp)
    call("qg", "refresh", "--trim-existing-in", "CAMPAIGN", cwd=camp, code=2)

    assert before == campaign_digest(camp)
    call("qg", "refresh", "--trim-existing-in", "CAMPAIGN", "--allow-empty", cwd=camp)

    assert _counts(camp) == [0, 0, 0]


def test_trimming_in_a_run_that_is_not_there_does_nothing(camp: Path) -> None:
    """C-94: RUN means the current run; without one all quanta stay."""
    call("qg", "refresh", "--trim-existing-in", "RUN", cwd=camp)

    assert _counts(camp) == [6, 3, 1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("qg", "import", "camp.qg", "--trim-existing-in", "RUN"), "--trim-existing-in"),
        (("qg", "import", "camp.qg", "--allow-empty"), "--allow-empty"),
        (("qg", "import", "camp.qg", "--allow-pruning"), "--allow-pruning"),
        (("qg", "import", "camp.qg", "-d", "x"), "No such option"),
        (("qg", "import", "camp.qg", "-i", "net/raw"), "No such option"),
        (("qg", "refresh", "-d", "x"), "No such option"),
        (("qg", "refresh", "--trim-existing-in", "ALL"), "RUN, CAMPAIGN, INPUTS"),
        (("build", "--refresh"), "--extend-qg"),
        (("build", "--allow-pruning"), "--refresh"),
        (("run", "--trim-existing-in", "RUN"), "--refresh or --rebuild"),
        (("run", "--allow-pruning", "--rebuild"), "--refresh"),
        (("run", "--extend-qg"), "--rebuild"),
        (("run", "--rebuild", "--refresh"), "contradict"),
        (("run", "--use-qg-configs", "--use-task-configs"), "contradict"),
        (("run", "--skip-existing-in", "ALL"), "RUN, CAMPAIGN, INPUTS"),
    ],
    ids=" ".join,
)
def test_options_that_need_others_are_refused_without_a_trace(
    camp: Path, words: tuple[str, ...], said: str
) -> None:
    """C-94..C-96: usage errors name the option that is missing, and nothing has changed."""
    before = campaign_digest(camp)
    refused = call(*words, cwd=camp, code=2)

    assert said in refused.stderr
    assert before == campaign_digest(camp)


# -- import ---------------------------------------------------------------------------------------------------


def test_an_imported_graph_is_run_without_pipeline_and_inputs(work: Path) -> None:
    """C-61, C-66: a campaign that has only a graph runs it; what it was built from is not known."""
    call("qg", "import", "camp/camp.qg", "--repo", "upstream", "--campaign-dir", "new", cwd=work)
    report = _run(work / "new")

    assert report["executed"] == 10
    assert (_entry(work / "new")["collections"], _entry(work / "new")["pipeline_fingerprint"]) == (None, None)


def test_beside_a_pipeline_an_imported_graph_needs_a_choice(work: Path, camp: Path) -> None:
    """C-61, C-112: with a pipeline too, ``run`` has to be told which counts; each way on works."""
    call("qg", "import", "../camp/camp.qg", "--write-qg", "mine.qg", cwd=camp)
    refused = call("run", "-q", "-j0", cwd=camp, code=12).stderr

    assert "the graph was imported" in refused
    for way in ("--use-qg-configs", "--use-task-configs", "--refresh"):
        assert way in refused
        assert _run(camp, way)["executed"] == 10


def test_a_refresh_acts_after_the_import(work: Path, camp: Path) -> None:
    """C-61, C-93: what is imported is looked up here; then it is as good as built."""
    _ingest(work, "net/newer", "aar", 5)
    call("edit", "-i", "net/newer", "--prepend-inputs", cwd=camp)
    report = json.loads(call("qg", "import", "camp.qg", "--refresh", "--json", cwd=camp).stdout)

    assert report["refreshed"]["replaced"] == {"reading": 1}
    assert _run(camp)["executed"] == 10


def test_what_cannot_be_imported_leaves_no_trace(work: Path, camp: Path) -> None:
    """A file that is no graph, one that is not there, and one of another universe."""
    from tests.graph_helpers import chain_graph

    chain_graph().save(work / "foreign.qg")
    (work / "text.qg").write_text("no graph")
    before = campaign_digest(camp)
    call("qg", "import", "../text.qg", cwd=camp, code=13)
    call("qg", "import", "../nowhere.qg", cwd=camp, code=10)
    refused = call("qg", "import", "../foreign.qg", cwd=camp, code=12)

    assert "universe" in refused.stderr
    assert before == campaign_digest(camp)


def test_an_import_extends(camp: Path) -> None:
    """C-92: the quanta of both are there."""
    call("build", "-d", "station = 'aar'", "--write-qg", "aar.qg", cwd=camp)
    call("build", "-d", "station = 'bex'", "--write-qg", cwd=camp)
    call("qg", "import", "aar.qg", "--extend-qg", cwd=camp)

    assert _counts(camp) == [4, 2, 1]


# -- run ------------------------------------------------------------------------------------------------------


def test_settings_of_the_pipeline_run_the_quanta_of_the_graph(camp: Path) -> None:
    """C-108: the campaign's graph stays, the run has the new settings, and goes on with them."""
    before = (camp / "camp.qg").read_bytes()
    report = _run(camp, "-c", "clean:limit=50", "--use-task-configs")

    assert report["executed"] == 10
    assert json.loads(call("get", "clean_config", cwd=camp).stdout)["limit"] == 50.0
    assert before == (camp / "camp.qg").read_bytes()


def test_a_run_goes_on_with_the_settings_that_it_was_begun_with(camp: Path) -> None:
    """C-108: no choice is asked for again; other settings begin another run."""
    _run(camp, "-c", "clean:fail_on=bex", "--use-task-configs", code=3)
    report = json.loads(call("run", "-j0", "--json", cwd=camp, env={"STAGE_TEST_HEALED": "1"}).stdout)

    assert (report["run"], report["executed"]) == ("camp/r0", 4)
    _run(camp, "-c", "clean:fail_on=chur", "--use-task-configs", code=3)
    refused = call("run", "-j0", "-c", "clean:fail_on=nobody", "--use-task-configs", cwd=camp, code=12)

    assert "was begun with other settings of clean" in refused.stderr


def test_tasks_that_cannot_do_the_quanta_are_refused(camp: Path) -> None:
    """C-108: another task, or another dataset type of a connection; the campaign is as it was."""
    before = campaign_digest(camp)
    words = ("run", "-j0", "--use-task-configs")
    added = call(
        *words, "-t", "more:weather_tasks.total", "-c", "more:connections.total=t2", cwd=camp, code=12
    )
    renamed = call(*words, "-c", "clean:connections.clean=other", cwd=camp, code=12)

    assert "task 'more' is new" in added.stderr
    assert "'clean'" in renamed.stderr
    assert before == campaign_digest(camp)


def test_quanta_done_elsewhere_are_skipped_and_the_graph_stays(camp: Path) -> None:
    """C-105: a new run does what failed before and reads the rest from the past run."""
    _run(camp, "-c", "clean:fail_on=bex", "--rebuild", code=3)
    before = (camp / "camp.qg").read_bytes()
    done = call(
        "run", "-j0", "--json", "--new-run", "--skip-existing-in", "CAMPAIGN", "--use-qg-configs", cwd=camp,
        env={"STAGE_TEST_HEALED": "1"},
    )  # fmt: skip
    report = json.loads(done.stdout)

    assert (report["executed"], report["skipped"]) == (4, {"clean": 4, "summarise": 2})
    assert before == (camp / "camp.qg").read_bytes()
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}


def test_nothing_left_begins_no_run(camp: Path) -> None:
    """C-105: where all is done elsewhere there is no empty run, and that is said."""
    _run(camp)
    before = campaign_digest(camp)
    said = call("run", "-j0", "--skip-existing-in", "CAMPAIGN", cwd=camp).stdout

    assert "nothing left to run" in said
    assert "skipped clean 6, summarise 3, total 1" in said
    assert before == campaign_digest(camp)


def test_skipping_in_the_run_itself_is_what_a_run_does_anyway(camp: Path) -> None:
    """C-105: RUN names the run that is written: what is complete there is not run again."""
    _run(camp, "--no-finish")
    report = _run(camp, "--skip-existing-in", "RUN")

    assert (report["executed"], report["skipped"]) == (0, {})


def test_a_run_reads_the_inputs_that_were_found_when_its_graph_was_built(work: Path, camp: Path) -> None:
    """C-66: other content behind the same names changes nothing; it is told, and refuses nothing."""
    call("repo", "chain", "upstream", "net/all", "net/raw", cwd=work)
    call("build", "-i", "net/all", cwd=camp)
    _ingest(work, "net/newer", "aar", 5)
    call("repo", "chain", "upstream", "net/all", "net/newer", "net/raw", cwd=work)
    report = _run(camp)

    assert ["'net/all' has other content than when the graph was built"] == report["notes"]
    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 12
    assert report["notes"][0] in call("status", "--upstream", cwd=camp).stdout
    assert report["notes"][0] not in call("status", cwd=camp).stdout


def test_intermediates_are_those_of_the_run_itself(camp: Path) -> None:
    """C-66: what is made again is read as it is made now, though a past run has it too."""
    _run(camp)
    report = _run(camp, "-c", "clean:limit=2", "--use-task-configs")

    assert report["run"] == "camp/r1"
    assert json.loads(call("get", "total", cwd=camp).stdout)["n"] == 10


def test_a_run_begins_only_when_its_graph_is_there(work: Path) -> None:
    """C-66: without a graph it is built; if that fails no run is begun, and nothing is left."""
    call("clone", "upstream", "bare", "-p", "pipeline.yaml", cwd=work)
    before = campaign_digest(work / "bare")
    call("run", "-j0", cwd=work / "bare", code=2)
    call("run", "-j0", "-i", "net/raw", "-d", "station = ", cwd=work / "bare", code=2)
    call("run", "-j0", "-i", "net/rww", cwd=work / "bare", code=10)

    assert before == campaign_digest(work / "bare")
    assert _run(work / "bare", "-i", "net/raw")["executed"] == 10


def test_pushed_runs_are_no_news(work: Path, camp: Path) -> None:
    """C-52: a campaign that pushes into a chain that it reads is not out of date by that."""
    call("repo", "chain", "upstream", "u/me", "net/raw", cwd=work)
    call("build", "-i", "u/me", cwd=camp)
    _run(camp)
    call("push", "--register-dataset-types", "--chain", "u/me", cwd=camp)
    report = _run(camp)

    assert report["notes"] == []


def test_an_upstream_that_is_gone_holds_no_run_up(work: Path, camp: Path) -> None:
    """That nobody knows whether inputs changed is told; offline it is not even asked."""
    inputs = work / "upstream" / "repo.yaml"
    inputs.rename(work / "aside.yaml")

    assert "is not known" in _run(camp)["notes"][0]
    assert _run(camp, "--offline")["notes"] == []


def test_upstream_is_as_it_was(work: Path, camp: Path) -> None:
    """Whatever is done to graphs, not one byte changes upstream."""
    before = tree_digest(work / "upstream")
    call("build", "-d", "station = 'aar'", cwd=camp)
    call("build", "--extend-qg", "-d", "station = 'bex'", "--explain", cwd=camp)
    call("qg", "refresh", "--trim-existing-in", "INPUTS", cwd=camp)
    call("qg", "import", "camp.qg", "--refresh", cwd=camp)
    call("status", "--upstream", cwd=camp)

    assert before == tree_digest(work / "upstream")


def test_the_methods_have_the_keywords_of_the_options(camp: Path) -> None:
    """Python first: the same from a program, with the reports as values."""
    campaign = Campaign.load(camp)
    campaign.build(data_query="station = 'aar'")
    extended = campaign.build(data_query="station = 'bex'", extend_qg=True)

    assert extended.graph.n_quanta == 7
    refreshed = campaign.refresh_qg(trim_existing_in="RUN").refreshed
    assert refreshed is not None
    assert refreshed.trimmed == {}
    assert campaign.import_qg(str(camp / "camp.qg"), write_qg=str(camp / "b.qg")).graph.n_quanta == 7
    assert campaign.run(processes=0, use_qg_configs=True, skip_existing_in="INPUTS").complete


# -- killed at any step ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("build", "--extend-qg", "-d", "station = 'bex'", "--json"),
        ("qg", "refresh", "--trim-existing-in", "CAMPAIGN", "--allow-empty", "--json"),
        ("qg", "import", "other.qg", "--json"),
    ],
    ids=["extend", "refresh", "import"],
)
def test_a_killed_command_is_finished_by_the_same_command(
    work: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Killed before steps on disk, status can be asked, and the end is that of an undisturbed round."""
    camp = work / "camp"
    call("build", "-d", "station = 'aar'", cwd=camp)
    call("run", "-q", "-j0", cwd=camp)
    shutil.copy(camp / "camp.qg", camp / "other.qg")
    template = shutil.copytree(work, tmp_path / "template")
    script = Path(__file__).with_name("kill_rounds.py")
    done = subprocess.run(
        [sys.executable, script, template, work, "4", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4


def test_settings_are_shown_with_what_they_were_changed_from(camp: Path) -> None:
    """T-11: ``config show`` names each setting as it would be typed, its default, and the file that changed it."""
    call("edit", "-c", "clean:limit=7", cwd=camp)
    said = call("config", "show", "clean", "--diff", "--origin", cwd=camp).stdout

    assert said.startswith("clean:limit=7.0   (by default 100.0)   # ")
    assert "pipeline.yaml" in said
    listed = json.loads(call("config", "show", "--json", cwd=camp).stdout)

    assert [s["name"] for s in listed["clean"]] == ["limit", "fail_on"]
    assert listed["clean"][0]["default"] == 100.0
    call("config", "show", "cleen", cwd=camp, code=2)
