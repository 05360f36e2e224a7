"""Bad input: a clear error, the right exit code, nothing half-written, no traceback."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from tiny_campaign import PIPELINE, TASKS, call, campaign_digest, make_upstream, stage, tree_digest


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a campaign in it, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder; its campaign belongs to the copy."""
    folder = tmp_path / "work"
    shutil.copytree(source, folder)
    state = (folder / "camp" / ".campaign.json").read_text().replace(str(source), str(folder))
    (folder / "camp" / ".campaign.json").write_text(state)
    return folder


def _clone_fails(work: Path, *words: str, code: int) -> str:
    """Clone with these options, which fails and leaves nothing."""
    before = tree_digest(work)
    error = call("clone", "upstream", "new", "-i", "net/raw", *words, cwd=work, code=code).stderr

    assert not (work / "new").exists()
    assert before == tree_digest(work)
    return error


def test_missing_pipeline_file(work: Path) -> None:
    """The missing file is named."""
    assert "nowhere.yaml" in _clone_fails(work, "-p", "nowhere.yaml", code=10)


def test_malformed_yaml(work: Path) -> None:
    """File and line are named."""
    (work / "bad.yaml").write_text("tasks:\n  clean: [\n")

    assert "bad.yaml" in _clone_fails(work, "-p", "bad.yaml", code=2)


def test_unknown_task_class(work: Path) -> None:
    """The nearest class is offered."""
    (work / "bad.yaml").write_text(PIPELINE.replace("weather_tasks.total", "weather_tasks.totl"))

    assert "Did you mean 'total'" in _clone_fails(work, "-p", "bad.yaml", code=2)


def test_wrong_dimension(work: Path) -> None:
    """A dimension that the universe lacks is named."""
    (work / "odd_tasks.py").write_text(
        TASKS.replace('BOTH = ("station", "month")', 'BOTH = ("station", "moon")')
    )
    (work / "bad.yaml").write_text(PIPELINE.replace("weather_tasks", "odd_tasks"))

    assert "moon" in _clone_fails(work, "-p", "bad.yaml", code=2)


def test_unknown_input_collection(work: Path) -> None:
    """A collection that upstream lacks is named, and the nearest one offered."""
    before = tree_digest(work)
    error = call("clone", "upstream", "new", "-p", "pipeline.yaml", "-i", "net/rwa", cwd=work, code=10).stderr

    assert "net/rwa" in error
    assert "net/raw" in error
    assert before == tree_digest(work)


def test_bad_query(work: Path) -> None:
    """An expression that is not understood is shown with a caret; one that finds nothing says so."""
    error = _clone_fails(work, "-p", "pipeline.yaml", "-d", "station = = 'aar'", code=2)

    assert "^" in error
    assert "sttion" in _clone_fails(work, "-p", "pipeline.yaml", "-d", "sttion = 'aar'", code=2)
    assert "nowhere" in _clone_fails(work, "-p", "pipeline.yaml", "-d", "station = 'nowhere'", code=2)


def test_unreachable_upstream(work: Path) -> None:
    """An upstream that is not there is named, whatever the command; what was cloned can still be used."""
    before = tree_digest(work)
    error = call("clone", "gone", "new", cwd=work, code=10).stderr

    assert "gone" in error
    assert before == tree_digest(work)
    (work / "upstream").rename(work / "moved-away")
    campaign = campaign_digest(work / "camp")
    for words in (["build"], ["push"], ["push", "--dry-run"]):
        assert "cannot be reached" in call(*words, cwd=work / "camp", code=10).stderr
    assert campaign == campaign_digest(work / "camp")
    call("status", cwd=work / "camp")
    call("query", "datasets", cwd=work / "camp")


def test_an_upstream_that_was_moved_is_found_through_a_link(work: Path) -> None:
    """What the error advises works: everything is as before, files are read and runs are pushed."""
    (work / "upstream").rename(work / "elsewhere")
    assert "a symbolic link at its old place" in call("fetch", cwd=work / "camp", code=10).stderr
    (work / "upstream").symlink_to("elsewhere")

    assert "nothing to pull" in call("pull", cwd=work / "camp").stdout
    call("run", "-j", "0", cwd=work / "camp")
    call("push", "--register-dataset-types", cwd=work / "camp")
    assert "nothing is wrong" in call("repo", "fsck", "elsewhere", "--full", cwd=work).stdout


def test_a_campaign_is_no_upstream(work: Path) -> None:
    """Who would clone one is told what it is."""
    told = call("clone", "camp", "new", cwd=work, code=10).stderr

    assert "It is a campaign." in told


def test_another_repository_in_upstreams_place(work: Path) -> None:
    """A repository that was put where the cloned one was is not taken for it."""
    shutil.rmtree(work / "upstream")
    call("repo", "create", "upstream", "--universe", "universe.yaml", cwd=work)
    before = campaign_digest(work / "camp")

    assert "not the repository that was cloned" in call("build", cwd=work / "camp", code=12).stderr
    assert before == campaign_digest(work / "camp")


def test_not_a_campaign_directory(work: Path) -> None:
    """Every campaign command says that the directory is none, and how to make one."""
    for words in (
        ["status"],
        ["build"],
        ["run"],
        ["push"],
        ["edit"],
        ["log"],
        ["query", "datasets"],
        ["get", "x"],
        ["history"],
    ):
        error = call(*words, cwd=work, code=10).stderr

        assert "not a campaign directory" in error
        assert "stage clone" in error


@pytest.mark.parametrize("size", [0, 1, 100, 1000, -1])
def test_truncated_graph_file(work: Path, size: int) -> None:
    """A graph file that is cut short is refused by name; status still works and says so."""
    camp = work / "camp"
    graph = camp / "camp.qg"
    graph.write_bytes(graph.read_bytes()[:size])
    before = campaign_digest(camp)

    assert "camp.qg" in call("run", "-j0", cwd=camp, code=13).stderr
    assert "camp.qg" in call("qg", "show", cwd=camp, code=13).stderr
    assert before == campaign_digest(camp)
    assert "camp.qg" in call("status", cwd=camp).stdout


def test_missing_graph_file(work: Path) -> None:
    """A graph that is gone is named, with the way to make it again."""
    (work / "camp" / "camp.qg").unlink()

    assert "stage build" in call("run", "-j0", cwd=work / "camp", code=10).stderr


def test_hand_broken_state(work: Path) -> None:
    """A state file broken by hand names the field."""
    path = work / "camp" / ".campaign.json"
    document = json.loads(path.read_text())
    document["collections"]["counter"] = "many"
    path.write_text(json.dumps(document))

    assert "collections.counter" in call("status", cwd=work / "camp", code=13).stderr
    path.write_text("{")

    assert "not valid JSON" in call("run", "-j0", cwd=work / "camp", code=13).stderr


def test_damaged_staging_database(work: Path) -> None:
    """A staging registry that is no database is an error of ours."""
    for path in (work / "camp").glob("staging.sqlite3*"):
        path.unlink()
    (work / "camp" / "staging.sqlite3").write_bytes(b"no database at all" * 100)
    error = call("query", "datasets", cwd=work / "camp", code=13).stderr

    assert "staging.sqlite3" in error


@pytest.mark.parametrize(
    ("statement", "words", "said"),
    [
        ("UPDATE quantum SET data_id = 'x'", ["log"], "where its data ID should be"),
        ("UPDATE quantum SET data_id = '[1]'", ["log"], "where its data ID should be"),
        ("UPDATE history SET change = '{'", ["history"], "is damaged"),
        ("UPDATE history SET change = '[1]'", ["history"], "is damaged"),
        ("UPDATE history SET change = '{\"a\": 1}'", ["history"], "is damaged"),
        ("UPDATE dataset_type SET dimensions = 'moon'", ["query", "datasets"], "no dimension 'moon'"),
        (
            "UPDATE dataset_type SET name = 'a/b' WHERE name = 'clean'",
            ["query", "datasets"],
            "'a/b' is not a dataset",
        ),
        ("UPDATE collection SET type = 99", ["query", "collections"], "99 is not a valid CollectionType"),
        ("DELETE FROM collection WHERE name = 'net/raw'", ["fetch"], "which is not there"),
        ("DELETE FROM artifact", ["run", "--continue", "-j0", "-q"], "nothing says where it is stored"),
        ("DROP TABLE quantum", ["report"], "no such table: quantum"),
    ],
)
def test_damaged_rows_of_staging(work: Path, statement: str, words: list[str], said: str) -> None:
    """Rows that nobody of ours has written are integrity errors, whichever command meets them."""
    camp = work / "camp"
    call("run", "-j0", "-q", cwd=camp)
    with contextlib.closing(sqlite3.connect(camp / "staging.sqlite3")) as database:
        database.execute(statement)
        database.commit()

    assert said in call(*words, cwd=camp, code=13).stderr


def test_directories_in_use(work: Path) -> None:
    """Clone goes nowhere where something is; it finishes what a killed clone began."""
    before = tree_digest(work)
    call("clone", "upstream", "camp", cwd=work, code=12)
    call("clone", "upstream", "readings", cwd=work, code=12)
    call("init", "upstream", "camp", cwd=work, code=12)

    assert before == tree_digest(work)
    unfinished = work / "half"
    unfinished.mkdir()
    (unfinished / ".campaign.lock").touch()
    shutil.copy(work / "camp" / "staging.sqlite3", unfinished)
    call("clone", "upstream", "half", "-p", "pipeline.yaml", "-i", "net/raw", cwd=work)


def test_failed_edits_leave_everything(work: Path) -> None:
    """Options that are wrong in any way change nothing."""
    camp = work / "camp"
    call("run", "-j0", "-q", cwd=camp)
    before = campaign_digest(camp)
    for words in (
        ["-c", "clean:limt=3"],
        ["-c", "clean"],
        ["-c", "nowhere:limit=3"],
        ["-C", "clean:none.yaml"],
        ["-t", "extra:weather_tasks.nothing"],
        ["-p", "none.yaml"],
        ["-i", "../up"],
        ["--prepend-inputs"],
        ["--chain", "a", "--no-chain"],
        ["--next-run", "%q"],
        ["--set-counter", "-1"],
        ["--campaign-name", "other"],
        ["--campaign-name", "a/b"],
        ["--repo", "elsewhere"],
        ["-i", "net/raw", "-c", "clean:limt=3"],
    ):
        failed = stage_code(camp, words)

        assert failed in (2, 10, 12), words
        assert before == campaign_digest(camp), words


def stage_code(camp: Path, words: list[str]) -> int:
    """Return the exit code of ``edit`` with these words."""
    from cli.main import run_command

    return run_command(["edit", "--campaign-dir", str(camp), *words])


def test_a_failing_build_leaves_the_old_graph(work: Path) -> None:
    """State, graph and registry are as they were after a build that fails late."""
    camp = work / "camp"
    before = campaign_digest(camp)
    call("build", "-d", "station = 'nowhere'", "-c", "clean:limit=1", cwd=camp, code=2)
    call("run", "-j0", "--rebuild", "-d", "station = 'nowhere'", "-c", "clean:limit=1", cwd=camp, code=2)

    assert before == campaign_digest(camp)


def test_a_run_that_cannot_begin_leaves_everything(work: Path) -> None:
    """A run that is refused when its configs are compared takes its RUN, graph and state back."""
    camp = work / "camp"
    (camp / "data").rmdir()
    (camp / "data").write_text("a file in the way")
    before = campaign_digest(camp)
    call("run", "-j0", cwd=camp, code=10)

    assert before == campaign_digest(camp)
    assert not (camp / "submit").exists()


def test_debug_shows_the_traceback(work: Path) -> None:
    """--debug shows where an error came from; without it there is none."""
    done = stage("--debug", "status", cwd=work, code=10, traceback=True)

    assert "Traceback" in done.stderr
    assert "Traceback" not in stage("status", cwd=work, code=10).stderr


def test_usage_errors(work: Path) -> None:
    """Unknown commands, options and values end with 2."""
    for words in (
        ["nothing"],
        ["run", "--nothing"],
        ["run", "-j", "many"],
        ["query", "datasets", "--json", "--csv"],
        ["repo", "ingest"],
    ):
        call(*words, cwd=work / "camp", code=2)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("station,month,path\naar,202601\n", "line 2, column path: there is none (2 values for 3 columns)"),
        ("station,month,path\n\naar,202601,x.json,y\n", "4 values for 3 columns"),
        ("station,month,path,path\naar,202601,x.json,y\n", "line 1, column 4: two columns are called 'path'"),
        ("", "bad.csv is empty"),
        ("station,month\naar,202601\n", "no column 'path'; it has station, month"),
        ("station,month,path\naar,soon,aar-202601.json\n", "month='soon': expected an integer"),
    ],
)
def test_bad_tables_of_files(work: Path, table: str, said: str) -> None:
    """A table that is not well formed is told by its line, and nothing is taken in."""
    (work / "readings" / "bad.csv").write_text(table)
    before = tree_digest(work / "upstream")
    words = ["repo", "ingest", "upstream", "reading", "--table", "readings/bad.csv", "--run", "net/more"]

    assert said in call(*words, cwd=work, code=2).stderr
    assert before == tree_digest(work / "upstream")


def test_a_table_as_spreadsheets_write_it(work: Path) -> None:
    """The mark that some programs put before the first name does not belong to it."""
    (work / "readings" / "marked.csv").write_text(
        "\ufeffstation,month,path\naar,202601,aar-202601.json\n", encoding="utf-8"
    )
    words = ["repo", "ingest", "upstream", "reading", "--table", "readings/marked.csv", "--run", "net/more"]

    assert "1 dataset" in call(*words, cwd=work).stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(path): return 'text'", "the function returned 'text'"),
        ("def f(path): return {'data_id': 3}", "the function returned {'data_id': 3}"),
        ("def f(path): return {'records': {'month': [{'id': object()}]}}", "is no JSON value"),
        ("def f(path): 1 / 0", "ZeroDivisionError"),
        ("1 / 0", "cannot import 'describe_it:f': ZeroDivisionError"),
        ("raise SystemExit(0)", "cannot import 'describe_it:f': SystemExit"),
        ("f = 3", "is no function"),
    ],
)
def test_bad_functions_that_describe_files(
    work: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    """Whatever a user's function does is an error of ours, and nothing is taken in."""
    (work / "describe_it.py").write_text(code + "\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "describe_it", raising=False)
    monkeypatch.syspath_prepend(str(work))
    before = tree_digest(work / "upstream")
    words = ["repo", "ingest", "upstream", "reading", "readings/aar-202601.json", "--run", "net/more"]

    assert said in call(*words, "--describe", "describe_it:f", cwd=work, code=2).stderr
    assert before == tree_digest(work / "upstream")
