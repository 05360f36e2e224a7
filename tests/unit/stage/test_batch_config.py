"""What a submission's YAML says: keys, order of sections, what is put in, what is included, and where from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.errors import NotFoundError, UsageError
from stage.batch.config.origins import Origin, OriginKind
from stage.batch.config.settings import Settings

WRITTEN = """\
campaign: quick
n: 7
where: ${HOME_OF_IT}/{campaign}
late: "{campaign}-{visit:05d}-${NOT_SET}"
requestMemory: 1
payload: {payloadName: pn, output: "u/{operator}/{payloadName}", outputRun: "{output}/{timestamp}"}
cluster: {c1: {requestMemory: 20}}
pipetask: {t1: {requestMemory: 30, requestCpus: 3, mine: "{requestMemory} of {n:03d}"}, everyTask: 5}
site: {s1: {requestMemory: 40, partition: roma, args: ["{campaign}", {deep: "{n}"}]}}
cloud: {k1: {requestMemory: 50, cloudOnly: 55}}
submitPath: submit/{outputRun}
"""
ENVIRONMENT = {"HOME_OF_IT": "/data", "LOGNAME": "jdoe", "PWD": "/data/there"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return what writes files into the working directory."""
    monkeypatch.chdir(tmp_path)

    def written(main: str, **others: str) -> Path:
        for name, text in {"main": main, **others}.items():
            path = Path(*name.split("__")).with_suffix(".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Path("main.yaml")

    return written


@pytest.fixture
def read(write: Write) -> Callable[..., Settings]:
    """Return what reads a submission of a text."""

    def settings(text: str, files: dict[str, str] | None = None, **options: Any) -> Settings:
        path = write(text, **(files or {}))
        return Settings.read(path, **{"environment": ENVIRONMENT, "timestamp": "20260102T030405Z", **options})

    return settings


def test_the_most_specific_section_wins(read: Callable[..., Settings]) -> None:
    """A value of a cluster goes over that of a task, a site, a cloud and the top, in this order."""
    settings = read(WRITTEN, defaults=False)
    everywhere = {"cluster": "c1", "pipetask": "t1", "site": "s1", "cloud": "k1"}
    found = []
    while everywhere:
        found.append(settings.integer("requestMemory", **everywhere))
        del everywhere[next(iter(everywhere))]

    assert [20, 30, 40, 50] == found
    assert settings.integer("requestMemory") == 1
    assert settings.integer("requestMemory", site="unknown") == 1
    assert settings.integer("everyTask") == 5
    assert settings.search("everyTask", pipetask="t1") == (False, "")


def test_names_are_filled_in_where_they_are_used(read: Callable[..., Settings]) -> None:
    """What is put in for a name is what holds where it is asked for, in its format; unset variables stay."""
    settings = read(WRITTEN)

    assert settings.get("mine", pipetask="t1", values={"n": 8}) == "30 of 008"
    assert settings.get("where") == "/data/quick"
    assert settings.get("late", values={"visit": 12}) == "quick-00012-${NOT_SET}"
    assert (
        settings.get("late", skip=["visit"])
        == settings.get("late", keep=True)
        == "quick-{visit:05d}-${NOT_SET}"
    )
    assert settings.get("where", expand_env=False, replace_env=True) == "<ENV:HOME_OF_IT>/quick"
    assert settings.get("where", replace=False, expand_env=False) == "${HOME_OF_IT}/{campaign}"
    assert settings.get("nowhere", "{n}!") == "7!"


def test_what_is_required_and_missing_is_named_with_who_needs_it(read: Callable[..., Settings]) -> None:
    """A name that is nowhere is empty; if all is required it is an error with file, line and key."""
    settings = read("a: 1\nb: 'x{nosuch}'\n")

    assert settings.get("b") == "x"
    with pytest.raises(
        NotFoundError, match=r"^main\.yaml:2: b: there is no setting 'nosuch', which 'b' needs$"
    ):
        settings.search("b", required=True)
    with pytest.raises(NotFoundError, match="there is no setting 'nosuch'"):
        settings.search("nosuch", required=True)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: '{b}'\nb: '{c}'\nc: '{a}'\n", r"main\.yaml:3: c: a value needs itself: a -> b -> c -> a"),
        ("a: '{a}'\n", "a value needs itself: a -> a"),
        ("a: 'x } y'\n", "cannot be filled in"),
        ("a: '{b_{n}}'\n", "unexpected '{' in field name"),
        ("b: text\na: '{b:03d}'\n", "Unknown format code"),
        ("s: {x: 1}\na: '{s}'\n", "'s' is a section, not a value"),
        ("a: '{0}{}'\n", "cannot be mixed"),
        ("b: 1\na: '{b:999999999}'\n", "wider than"),
        ("a: bpsEval(pow, 10, 10)\n", "calls 'pow'"),
        ("a: bpsEval(max)\n", "cannot be read"),
        ("a: bpsEval(os.system, 'true')\n", r"calls 'os\.system'"),
    ],
)
def test_texts_that_cannot_be_filled_in_say_where_they_are(
    read: Callable[..., Settings], text: str, word: str
) -> None:
    """Each kind of mistake is an error with file, line and key."""
    settings = read(text)
    with pytest.raises(UsageError, match=word) as caught:
        settings.search("a")

    assert str(caught.value).startswith("main.yaml:")


def test_a_call_in_a_value_is_put_in() -> None:
    """The few functions that the field's files call in values are called, on what was filled in."""
    from stage.batch.config.evaluating import evaluated

    assert evaluated("n=bpsEval(max, 3, 9)/bpsEval(os.path.basename, '/a/b')") == "n=9/b"
    assert evaluated("bpsEval(sorted, [3, 1])") == "[1, 3]"


def test_sections_come_filled_in(read: Callable[..., Settings]) -> None:
    """A section is returned with the text in it, and in lists in it, filled in."""
    settings = read(WRITTEN)

    assert settings.section(".site.s1") == {
        "requestMemory": 40,
        "partition": "roma",
        "args": ["quick", {"deep": "7"}],
    }
    assert settings.section("nowhere") == {}
    with pytest.raises(UsageError, match=r"main\.yaml:2: n is 7, not a section"):
        settings.section("n")


def test_values_are_as_their_users_need_them(read: Callable[..., Settings]) -> None:
    """Numbers and truth values may be written as text; what is neither is an error with file and line."""
    settings = read("i: 1e3\nf: '2.5'\nt: 'yes'\ne: ''\nl: [a, b]\nw: some\n")

    assert settings.integer("i") == 1000
    assert settings.number("f") == 2.5
    assert settings.flag("t")
    assert settings.integer("e") is None
    assert settings.flag("e", True)
    assert settings.text("l") == "a,b"
    for ask in (settings.integer, settings.flag):
        with pytest.raises(UsageError, match=r"main\.yaml:6: w is 'some', not"):
            ask("w")
    with pytest.raises(UsageError, match=r"main\.yaml:2: f is '2\.5', not a whole number"):
        settings.integer("f")


def test_precedence_and_origin(read: Callable[..., Settings]) -> None:
    """The command line goes over the file, that over the environment, that over the package; each says so."""
    environment = {**ENVIRONMENT, "BPS_WMS_SERVICE_CLASS": "slurm"}
    kinds = []
    for text, given, env in (
        ("wmsServiceClass: parsl\n", {"wms_service_class": "htcondor"}, environment),
        ("wmsServiceClass: parsl\n", {}, environment),
        ("a: 1\n", {}, environment),
        ("a: 1\n", {}, ENVIRONMENT),
    ):
        settings = read(text, command_line=given, environment=env)
        kinds.append((settings.get("wmsServiceClass"), settings.origin("wmsServiceClass").kind))

    assert kinds == [
        ("htcondor", OriginKind.COMMAND_LINE),
        ("parsl", OriginKind.FILE),
        ("slurm", OriginKind.ENVIRONMENT),
        ("local", OriginKind.DEFAULT),
    ]
    both = {**environment, "STAGE_EXECUTOR": "parsl"}
    assert read("a: 1\n", environment=both).get("wmsServiceClass") == "parsl"


def test_what_an_engine_has_as_defaults_goes_over_the_package(read: Callable[..., Settings]) -> None:
    """An engine's own defaults go over the package's and under the file's, whoever has chosen the engine."""
    asked: list[str] = []

    def of_engine(name: str) -> dict[str, Any]:
        asked.append(name)
        return {"requestMemory": 777, "site": {"s1": {"partition": "p"}}}

    text = "site: {s1: {x: 1}}\nrequestCpus: 4\n"
    settings = read(text, command_line={"wmsServiceClass": "slurm"}, engine_defaults=of_engine)

    assert asked == ["slurm"]
    assert settings.integer("requestMemory") == 777
    assert settings.section(".site.s1") == {"partition": "p", "x": 1}
    assert str(settings.origin("requestMemory")) == "default of slurm"


def test_options_are_called_as_the_field_calls_them(read: Callable[..., Settings]) -> None:
    """Options go by the names of settings, lists with commas; what is empty is not said."""
    given = {
        "input": ["a/b", "c"],
        "pipeline": "p.yaml",
        "qgraph": "",
        "compute_site": None,
        "butler_config": "r",
    }
    settings = read("computeSite: here\n", command_line=given)

    assert settings.text("inCollection") == "a/b,c"
    assert settings.text("pipelineYaml") == "p.yaml"
    assert settings.text("butlerConfig") == "r"
    assert not settings.search("qgraphFile")[0]
    assert settings.text("computeSite") == "here"


def test_what_is_made_for_each_submission(read: Callable[..., Settings]) -> None:
    """Time, user, unique name and directory are there; a user's own go before them."""
    settings = read(WRITTEN)

    assert settings.text("outputRun") == "u/jdoe/pn/20260102T030405Z"
    assert settings.text("uniqProcName") == "u_jdoe_pn_20260102T030405Z"
    assert settings.text("submitPath") == "submit/u/jdoe/pn/20260102T030405Z"
    assert not settings.is_said("uniqProcName")
    assert read("uniqProcName: mine\noperator: me\n").text("uniqProcName") == "mine"
    assert read("a: 1\n").text("submitPath").startswith("/data/there/submit/u/jdoe/")


def test_the_document_says_the_same(read: Callable[..., Settings], write: Write) -> None:
    """All settings, written and read again without defaults, are the same, with the same time."""
    settings = read(WRITTEN, command_line={"some_option": "{campaign}"})
    path = write(yaml.safe_dump(settings.document(), sort_keys=False))
    again = Settings.read(path, environment=ENVIRONMENT, defaults=False)

    assert again.document() == settings.document()
    assert [(e.key, e.value) for e in again.explain()] == [(e.key, e.value) for e in settings.explain()]


def test_explaining_names_values_and_places(read: Callable[..., Settings]) -> None:
    """Each setting is listed once, as it is used and as it is written, with its place and what is wrong with it."""
    settings = read("a: 1\nb: '{a}{late}'\nc: '}'\n", {}, command_line={"given": "x"})
    rows = {row.key: row for row in settings.explain()}

    assert rows["b"].value == "1{late}"
    assert rows["b"].written == "{a}{late}"
    assert rows["b"].origin == Origin(OriginKind.FILE, "main.yaml", 2)
    assert "cannot be filled in" in rows["c"].problem
    assert str(rows["given"].origin) == "command line"
    assert str(rows["requestMemory"].origin) == "package default"
    with pytest.raises(NotFoundError, match="there is no setting 'requestMemry'") as caught:
        settings.explain(["requestMemry"])
    assert caught.value.hint == "Did you mean 'requestMemory'?"
    assert settings.explain(["a"], values={"a": 5})[0].to_document() == {
        "key": "a",
        "value": 5,
        "written": 5,
        "origin": {"kind": "given", "file": "", "line": 0},
    }


def test_importing_costs_nothing_else() -> None:
    """Reading settings imports neither a database, nor numbers, nor models of data."""
    code = (
        "import sys; import stage.batch.config.settings, stage.batch.config.making;"
        "print([m for m in sys.modules if m.split('.')[0] in {'numpy', 'pydantic', 'sqlalchemy', 'sqlite3', 'sync'}])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=dict(os.environ)
    )

    assert told.stdout.strip() == "[]"
