"""The program: its commands, their help, the page made from them, and how quickly it starts."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.exit_codes import ExitCode
from cli.main import app, run_command
from stage.campaign.options import DEFINING

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "numpy",
    "sqlalchemy",
    "sqlite3",
    "alembic",
    "pydantic",
    "pyarrow",
    "astropy",
    "fsspec",
    "rich",
    "yaml",
    "lark",
)


def _commands(path: str, command: Any) -> dict[str, Any]:
    children = getattr(command, "commands", None)
    if not children:
        return {path: command}
    return {
        p: c
        for name, child in children.items()
        for p, c in _commands(f"{path} {name}".strip(), child).items()
    }


COMMANDS = _commands("", typer.main.get_command(app))


def test_all_verbs_are_there() -> None:
    """The commands of this version, no fewer and no more."""
    assert sorted(COMMANDS) == sorted(
        [
            "batch acquire", "batch cancel", "batch cluster", "batch config", "batch ping", "batch prepare", "batch report",
            "batch restart", "batch status", "batch submit", "batch submitcmd", "batch transform", "batch watch", "build", "bundle export", "bundle import", "clean", "clone", "config show", "demo", "describe", "diff", "doctor", "draw graph", "draw pipeline", "drop", "edit", "exec", "fetch", "fsck", "get", "history", "init", "log", "merge", "plan", "pop", "prep",
            "pull", "push", "qg build", "qg draw", "qg import", "qg refresh", "qg show", "query collections", "query data-ids", "query dataset-types",
            "query datasets", "query records", "register-dataset-types", "repo create", "repo export", "repo import",
            "repo fsck", "repo info", "repo ingest", "repo prune", "repo pushes", "repo unpush", "transfer-from-graph", "repo query collections", "repo query data-ids",
            "repo query dataset-types", "repo query datasets", "repo query records", "repo register-dataset-type",
            "repo register-dataset-types", "repo roles", "repo upgrade", "repo register-collection",
            "repo chain", "repo associate", "repo disassociate", "repo certify", "repo decertify",
            "repo remove-collection", "repo remove-dataset-type", "report", "rollback", "run", "status", "why",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help_with_an_example_and_exit_codes(name: str) -> None:
    """Help says what it does, shows how it is typed, and lists the codes it may end with."""
    command = COMMANDS[name]

    assert re.search(rf"^    stage .*{name.rsplit(maxsplit=1)[-1]}", command.help, re.MULTILINE)
    assert "Exit codes: 0 done" in command.epilog
    assert all(p.help for p in command.params if p.name != "help")
    listed = {int(n) for n in re.findall(r"(\d+) [a-z]", command.epilog)}

    assert listed <= {c.value for c in ExitCode}


@pytest.mark.parametrize("group", [[], ["repo"], ["qg"], ["query"]], ids=" ".join)
def test_lists_of_commands_leave_nothing_out(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command is listed with the whole first sentence of its help, over as many lines as that takes."""
    assert run_command([*group, "--help"]) == 0
    shown = capsys.readouterr().out

    assert "..." not in shown.partition("Commands:")[2]


def test_arguments_are_shown_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither braces nor names of Python types stand around them."""
    assert run_command(["repo", "ingest", "--help"]) == 0
    shown = capsys.readouterr().out

    assert "Usage: stage repo ingest [OPTIONS] REPO DATASET_TYPE [FILE]...\n" in shown
    assert "<" not in shown.partition("Arguments:")[2].partition("Options:")[0]


def test_the_page_of_commands_is_up_to_date() -> None:
    """docs/commands.md is what the program as it is now would have."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "_generate.py", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_the_page_lists_every_command_and_exit_code() -> None:
    """Nothing the program can do or end with is missing from the page."""
    page = (ROOT / "docs" / "commands.md").read_text()

    assert [n for n in COMMANDS if f"## stage {n}\n" not in page] == []
    assert [c for c in ExitCode if f"| {c.value} | " not in page] == []


METHODS = {
    "build": "build", "bundle export": "bundle_export", "bundle import": "bundle_import", "clean": "clean", "clone": "clone", "config show": "settings", "describe": "describe",
    "diff": "diff",
    "draw graph": "draw_graph", "draw pipeline": "draw_pipeline", "drop": "drop", "edit": "edit", "fetch": "fetch", "get": "get",
    "doctor": "doctor", "fsck": "fsck", "history": "history", "init": "init", "log": "log", "merge": "merge", "plan": "plan", "pop": "pop", "prep": "prep",
    "pull": "pull", "push": "push", "qg build": "build", "qg draw": "draw_graph", "qg import": "import_qg", "qg refresh": "refresh_qg",
    "register-dataset-types": "register_dataset_types", "report": "report", "rollback": "rollback", "run": "run",
    "status": "status", "why": "why",
}  # fmt: skip
"""Commands of a campaign to the methods that they are."""
NO_CAMPAIGN = ("batch ", "repo ", "query ", "demo", "exec", "transfer-from-graph", "qg show")
"""Of submissions (`stage.Batch`), of a repository, of a graph file, or questions whose options all go to one method `query`."""
ABOUT_THE_COMMAND = {"campaign_dir", "repo", "json", "quiet", "yes", "lock_timeout", "output", "help"}
"""Which campaign, what is asked and how the answer is written: not what is done."""
SAID_OTHERWISE = {
    "no_fetch": "fetch",
    "no_run_dirs": "run_dirs",
    "no_finish": "finish",
    "continue": "continue_run",
    "show_pipeline": "pipeline_text",  # a method of its own
}
OWN = {
    "plan": {"quanta", "limit"},  # how much of the plan is shown
    "config show": {"origin"},  # which columns are shown
    "get": {"input"},  # another name of --collections
    "describe": {"pipeline"},  # of a file instead of a campaign
    "batch config": {"origin"},  # which columns are shown
    "merge": {"incomplete_ok"},  # what counts as partly done
}
PYTHON_ONLY = {
    "batch watch": {"on_event"},
    "fsck": {"on_progress"},
    "bundle export": {"on_progress"},
    "run": {"on_progress"},
    "report": {"facts", "pictures"},
    "qg import": {*DEFINING},  # refused there, in Python by name
}


def _keywords(method: str, of: Any = None) -> set[str]:
    """Return the keywords of a method, those that it takes as typed mappings with them."""
    from stage.batch.submission.options import SubmitOptions
    from stage.campaign.campaign import Campaign
    from stage.campaign.graph_options import RefreshOptions
    from stage.campaign.options import EditOptions

    typed = {"Edit": EditOptions, "Refresh": RefreshOptions, "Submit": SubmitOptions}
    out: set[str] = set()
    for parameter in inspect.signature(getattr(of or Campaign, method)).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            out |= {
                *next(t for name, t in typed.items() if name in str(parameter.annotation)).__annotations__
            }
        elif parameter.default is not inspect.Parameter.empty:
            out.add(parameter.name)
    return out


def _option_names(command: Any) -> set[str]:
    """Return the long names of a command's options, as keywords."""
    every = (o for p in command.params for o in (*p.opts, *p.secondary_opts))
    return {o.lstrip("-").replace("-", "_") for o in every if o.startswith("--")}


def test_every_command_of_a_campaign_is_a_method() -> None:
    """A new command is in the table of methods, or has nothing to do with a campaign."""
    others = {name for name in COMMANDS if name.startswith(NO_CAMPAIGN)}

    assert set(METHODS) | others == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_options_are_keywords_of_the_method(name: str) -> None:
    """Each option is a keyword of the same name, and each keyword an option: what one can do the other can."""
    from stage.campaign.campaign import Campaign

    keywords = _keywords(METHODS[name])
    options = _option_names(COMMANDS[name])
    said = {SAID_OTHERWISE.get(o, o) for o in options - ABOUT_THE_COMMAND - OWN.get(name, set())}
    methods = {n for n in SAID_OTHERWISE.values() if callable(getattr(Campaign, n, None))}

    assert said - keywords - methods - {"collections"} == set()
    arguments = {p.name for p in COMMANDS[name].params}
    assert keywords - said - arguments - PYTHON_ONLY.get(name, set()) == set()


@pytest.mark.parametrize("name", sorted(n for n in COMMANDS if n.startswith("batch ")))
def test_commands_of_batch_are_methods_of_its_facade(name: str) -> None:
    """Each is one method of `stage.Batch`; options are its keywords, and an option may have another name too."""
    from stage.batch.facade import Batch

    needed = {"file", "id"}  # they have no default
    keywords = _keywords(name.removeprefix("batch "), Batch) | needed
    about = (ABOUT_THE_COMMAND - {"output"}) | OWN.get(name, set()) | {"engine", "only_launched"}
    options = {SAID_OTHERWISE.get(o, o) for o in _option_names(COMMANDS[name]) - about}

    assert options - keywords == set()
    assert (
        keywords - options - {p.name for p in COMMANDS[name].params} - needed - PYTHON_ONLY.get(name, set())
        == set()
    )


def test_help_loads_nothing_heavy() -> None:
    """``stage --help`` loads no library of the other layers; what it costs is the benchmark ``startup-help``."""
    code = (
        "import sys, contextlib, io\n"
        "from cli.main import run_command\n"
        "with contextlib.redirect_stdout(io.StringIO()): run_command(['--help'])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_bug_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that is none of ours ends with 1, one line, and what to do."""
    import stage

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(stage, "repo_info", broken, raising=False)

    assert run_command(["repo", "info", "x"]) == 1
    err = capsys.readouterr().err

    assert "ZeroDivisionError: oops" in err
    assert "Traceback" not in err
    assert "--debug" in err


def test_what_the_system_refuses_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk that is met anywhere ends with 1, the file, and what to do."""
    import errno

    import stage

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/there")

    monkeypatch.setattr(stage, "repo_info", full, raising=False)

    assert run_command(["repo", "info", "x"]) == 1
    err = capsys.readouterr().err

    assert err.startswith("stage: /tmp/there: No space left on device\n")
    assert "bug" not in err


def test_arguments_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 are refused at once: they could be written into no file of ours."""
    assert run_command(["edit", "--campaign-docs", "x\udcff"]) == 2
    assert "'x\\udcff' is not text in UTF-8" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is 130, and said."""
    import stage

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "repo_info", interrupted, raising=False)

    assert run_command(["repo", "info", "x"]) == 130
    assert capsys.readouterr().err == "stage: interrupted\n"


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    """``stage … | head`` writes no complaint, however much is left."""
    stage_ = f"{sys.executable} -m cli"
    lines = (f'{{"instrument": "C", "id": {n}, "full_name": "d{n}"}}\n' for n in range(5000))
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "instrument.jsonl").write_text('{"name": "C"}\n')
    (tmp_path / "records" / "detector.jsonl").write_text("".join(lines))
    done = subprocess.run(
        f"{stage_} repo create r >/dev/null && {stage_} repo import r records >/dev/null && "
        f"{stage_} query records detector --repo r --json | head -1",
        shell=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("[\n", "")


def test_version() -> None:
    """--version names the program and its version."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--version"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert re.match(r"stage \d+\.\d+", done.stdout)


def test_the_facade_names_what_is_there() -> None:
    """Every public name can be had, and each is in the table of contents."""
    import stage

    assert sorted(stage.__all__) == list(stage.__all__)
    assert [n for n in stage.__all__ if getattr(stage, n) is None] == []
    with pytest.raises(AttributeError, match="nothing"):
        _ = stage.nothing
    assert json.dumps(dir(stage))
