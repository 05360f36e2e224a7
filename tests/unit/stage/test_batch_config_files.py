"""Files of settings: what they include, what they are refused for, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFoundError, StageError, UsageError
from stage.batch.config.settings import Settings

ENVIRONMENT = {"LOGNAME": "jdoe", "PWD": "/data/there", "SUB": "sub"}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return what writes files into the working directory and reads the first."""
    monkeypatch.chdir(tmp_path)

    def settings(files: dict[str, str], main: str = "conf/main.yaml", **options: Any) -> Settings:
        for name, text in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text, encoding="utf-8")
        return Settings.read(main, **{"environment": ENVIRONMENT, **options})

    return settings


def test_included_files_are_found_and_laid_under(read: Callable[..., Settings]) -> None:
    """First in the working directory, then beside the file; later over earlier, sections into each other."""
    settings = read(
        {
            "conf/main.yaml": "who: main\nincludeConfigs: [a.yaml, '${SUB}/b.yaml']\nsite: {s: {m: 1}}\n",
            "conf/a.yaml": "who: a\nn: a\nl: [1, 2]\nsite: {s: {m: 2, k: 3}}\n",
            "conf/sub/b.yaml": "includeConfigs: c.yaml\nn: b\n",
            "conf/sub/c.yaml": "n: c\nc: beside\n",
            "c.yaml": "c: here\n",
        }
    )

    assert settings.get("who") == "main"
    assert settings.get("n") == "b"
    assert settings.get("c") == "here"
    assert settings.get("l") == [1, 2]
    assert settings.section(".site.s") == {"m": 1, "k": 3}
    assert not settings.search("includeConfigs")[0]
    assert [str(settings.origin(k)) for k in ("who", "n", "c", ".site.s.k")] == [
        "conf/main.yaml:1",
        "conf/sub/b.yaml:2",
        "c.yaml:1",
        "conf/a.yaml:4",
    ]


def test_a_section_can_include(read: Callable[..., Settings]) -> None:
    """What a section includes goes into that section, under what it says itself."""
    settings = read(
        {
            "conf/main.yaml": "site:\n  s1:\n    includeConfigs: frag.yaml\n    m: 5\n",
            "conf/frag.yaml": "m: 1\nn: 2\n",
        }
    )

    assert settings.section(".site.s1") == {"m": 5, "n": 2}
    assert str(settings.origin("n", site="s1")) == "conf/frag.yaml:2"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"conf/main.yaml": "includeConfigs: main.yaml\n"}, r"main\.yaml:1: a file includes itself"),
        (
            {
                "conf/main.yaml": "a: 1\nincludeConfigs: b.yaml\n",
                "conf/b.yaml": "includeConfigs: [conf/main.yaml]\n",
            },
            r"b\.yaml:1: a file includes itself: main\.yaml -> b\.yaml -> main\.yaml",
        ),
        ({"conf/main.yaml": "includeConfigs: no.yaml\n"}, r"main\.yaml:1: there is no file 'conf/no\.yaml'"),
        ({"conf/main.yaml": "d: x\nincludeConfigs: '{d}.yaml'\n"}, r"main\.yaml:2: there is no file"),
        ({"conf/main.yaml": "includeConfigs: []\n"}, "not one file or a list of files"),
        ({"conf/main.yaml": "includeConfigs: s3://b/k.yaml\n"}, "only files can be"),
        ({"conf/main.yaml": "includeConfigs: resource://no.such/x.yaml\n"}, "no package 'no.such'"),
        ({"conf/main.yaml": "includeConfigs: sub\n", "conf/sub/x": ""}, "is not a file"),
    ],
)
def test_includes_that_cannot_be_followed_say_where_they_stand(
    read: Callable[..., Settings], files: dict[str, str], word: str
) -> None:
    """Circles, missing files and what is no file are errors with file and line."""
    with pytest.raises(StageError, match=word):
        read(files)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: [1, 2\n", r"main\.yaml:2: not valid YAML"),
        ("a:\n\tb: 1\n", r"main\.yaml:2: not valid YAML"),
        ("- 1\n", r"main\.yaml:1: a list where settings"),
        ("hello\n", r"main\.yaml:1: a str where settings"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("a: 2024-13-01\n", "month must be in"),
        ("a: 1\n---\na: 2\n", "found another document"),
        ("a: &a [*a]\n", "a value that holds itself"),
        ("a: " + "[" * 300 + "]" * 300, "nested deeper than"),
        ("a: " + "[" * 5000, "not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        (
            "a0: &a0 [x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "more than 200000 values",
        ),
        (
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
            "more than 200000 values",
        ),
        ("a: '" + "x" * (9 << 20) + "'\n", "has more than 8 MiB"),
    ],
)
def test_files_made_to_do_harm_are_refused(read: Callable[..., Settings], text: str, word: str) -> None:
    """What is no YAML, or stands for more than fits in memory, is refused at once, with its line."""
    with pytest.raises(UsageError, match=word):
        read({"conf/main.yaml": text})


def test_files_that_are_not_there() -> None:
    """A file that is not there is named."""
    with pytest.raises(NotFoundError, match=r"there is no file 'no/such\.yaml'"):
        Settings.read("no/such.yaml")


def test_files_that_include_each_other_ever_more_often_are_refused(read: Callable[..., Settings]) -> None:
    """A few files that stand for a thousand million values are refused, and soon."""
    files = {
        f"conf/f{n}.yaml": f"x: {{includeConfigs: f{n + 1}.yaml}}\ny: {{includeConfigs: f{n + 1}.yaml}}\n"
        for n in range(28)
    }
    with pytest.raises(UsageError, match="more than 100000 values are included"):
        read({"conf/main.yaml": "includeConfigs: f0.yaml\n", **files, "conf/f28.yaml": "a: 1\n"})


def test_growing_without_end_is_refused(read: Callable[..., Settings]) -> None:
    """Names that stand for ever more names end in an error or a value, and soon."""
    lines = ["a0: " + "x" * 1000] + [f"a{n}: '{f'{{a{n - 1}}}' * 10}'" for n in range(1, 30)]
    deep = ["b0: x"] + [f"b{n}: '{{b{n - 1}}}'" for n in range(1, 200)]
    empty = ["c0: ''"] + [f"c{n}: '{{c{n - 1}}}{{c{n - 1}}}'" for n in range(1, 90)]
    settings = read({"conf/main.yaml": "\n".join([*lines, *deep, *empty]) + "\n"})

    with pytest.raises(UsageError, match="longer than 4 MiB"):
        settings.get("a29")
    with pytest.raises(UsageError, match="deeper than 100"):
        settings.get("b199")
    assert settings.get("c89") == ""


def test_sections_of_which_nothing_is_left_are_empty(read: Callable[..., Settings]) -> None:
    """A section of which all is commented out is empty; one that is a value is an error with its line."""
    assert read({"conf/main.yaml": "a: 1\nsite:\n#  s1: {}\ncloud: null\n"}).get("a", site="s1") == 1
    with pytest.raises(UsageError, match=r"main\.yaml:2: 'site' is 'flat', not a section"):
        read({"conf/main.yaml": "a: 1\nsite: flat\n"})


def test_pipetasks_is_taken_as_pipetask(read: Callable[..., Settings]) -> None:
    """The name that a manual of the field has for the section is understood, and told."""
    text = "pipetasks:\n  t1: {requestMemory: 8192, requestCpus: 2}\npipetask:\n  t1: {requestCpus: 3}\n"
    settings = read({"conf/main.yaml": text})

    assert settings.integer("requestMemory", pipetask="t1") == 8192
    assert settings.integer("requestCpus", pipetask="t1") == 3
    assert str(settings.origin("requestMemory", pipetask="t1")) == "conf/main.yaml:2"
    assert "conf/main.yaml:1: 'pipetasks' is taken as 'pipetask', the name that the section has" in [
        str(note) for note in settings.notes()
    ]


def test_misprints_of_a_manual_are_understood(read: Callable[..., Settings]) -> None:
    """What a manual of the field calls otherwise in places is taken as what it is, and told."""
    settings = read({"conf/main.yaml": "subdirTemplate: '{label}'\npayload: {gqraphFile: g.qg}\n"})

    assert settings.get("subDirTemplate", values={"label": "isr"}) == "isr"
    assert settings.text("qgraphFile") == "g.qg"
    assert str(settings.origin("qgraphFile")) == "conf/main.yaml:2"
    assert [note.message for note in settings.notes()] == [
        "'subdirTemplate' is taken as 'subDirTemplate'",
        "'gqraphFile' is taken as 'qgraphFile'",
    ]


def test_the_old_section_is_taken_by_what_it_means(read: Callable[..., Settings]) -> None:
    """When to merge, and what that job needs, is as said of the final job; commands of old are told as not used."""
    text = (
        "includeConfigs: resource://lsst.ctrl.bps/etc/bps_eb.yaml\n"
        "executionButler: {whenCreate: SUBMIT, whenMerge: SUCCESS, requestMemory: 4096, concurrencyLimit: db2,\n"
        "  command1: transfer, command2: chain}\n"
    )
    settings = read({"conf/main.yaml": text})
    final = settings.section("finalJob")

    assert (final["whenRun"], final["requestMemory"], final["concurrencyLimit"]) == ("SUCCESS", 4096, "db2")
    assert "command1" not in final
    told = "\n".join(str(note) for note in settings.notes())
    for word in (
        "whenCreate has no effect",
        "command1 has no effect",
        "command2 has no effect",
        "is not needed",
    ):
        assert word in told
    both = read({"conf/main.yaml": text + "finalJob: {whenRun: ALWAYS}\n"})
    assert both.section("finalJob")["whenRun"] == "ALWAYS"
    assert "goes before it" in "\n".join(str(note) for note in both.notes())


def test_settings_without_effect_are_told_with_why(read: Callable[..., Settings]) -> None:
    """What means nothing here is told when somebody says it, unless it says what is the case anyway."""
    text = (
        "whenSaveJobQgraph: TRANSFORM\nmakeIdLink: false\ncreateQuantumGraph: x\npayload: {idLinkPath: y}\n"
    )
    told = [note.message.split(" has no effect")[0] for note in read({"conf/main.yaml": text}).not_used()]

    assert told == ["whenSaveJobQgraph", "createQuantumGraph", "payload.idLinkPath"]
    assert read({"conf/main.yaml": "a: 1\n"}).not_used() == []


def test_probable_misspellings_are_told(read: Callable[..., Settings]) -> None:
    """A name one letter from a setting's is told; names that other values use, labels and free names are not."""
    text = (
        "requestMemery: 1\nrequestmemory: 2\nclusterAlgoritm: x\nrequestMmeory: 3\n"
        "projects: used\nx: '{projects}'\nmine: 1\nsite: {queues: {reuqestCpus: 2}}\nrequestMemory: 5\nrequestMemory: 6\n"
    )
    settings = read({"conf/main.yaml": text})
    told = [str(note) for note in settings.notes()]

    assert told == [
        "conf/main.yaml:10: 'requestMemory' is written twice; this one counts",
        "conf/main.yaml:1: 'requestMemery' is no setting; is 'requestMemory' meant?",
        "conf/main.yaml:2: 'requestmemory' is no setting; is 'requestMemory' meant?",
        "conf/main.yaml:3: 'clusterAlgoritm' is no setting; is 'clusterAlgorithm' meant?",
        "conf/main.yaml:4: 'requestMmeory' is no setting; is 'requestMemory' meant?",
        "conf/main.yaml:8: 'site.queues.reuqestCpus' is no setting; is 'requestCpus' meant?",
    ]
    assert settings.integer("requestMemory") == 6


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            "a: 1\nfinalJob: {whenRun: SOMETIMES}\n",
            r"main\.yaml:2: finalJob\.whenRun is 'SOMETIMES', not one of ALWAYS",
        ),
        ("executionButler: {whenMerge: later}\n", "not one of ALWAYS, SUCCESS, NEVER"),
        ("requestMemory: much\n", r"main\.yaml:1: requestMemory is 'much', not a number"),
        ("numberOfRetries: -1\n", "is -1, not a whole number of 0 or more"),
        (
            "pipetask: {t: {requestCpus: 0}}\n",
            r"pipetask\.t\.requestCpus is 0, not a whole number of 1 or more",
        ),
        ("preemptible: perhaps\n", "not true or false"),
        ("payload: [1]\n", "'payload' is .*, not a section"),
    ],
)
def test_values_that_cannot_be_are_refused_where_they_stand(
    read: Callable[..., Settings], text: str, word: str
) -> None:
    """What a setting cannot be is refused when the file is read, with file and line."""
    with pytest.raises(UsageError, match=word):
        read({"conf/main.yaml": text})
