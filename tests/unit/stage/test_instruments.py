"""Settings for one instrument or another: what they go over, what goes over them, and how a mistake is told."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from registry.errors import StageError
from stage.pipeline.definition import PipelineDefinition
from stage.pipeline.describe import describe_settings
from stage.pipeline.load import read_definition
from stage.pipeline.overrides import mapping_of, read_yaml
from stage.pipeline.pipeline import Pipeline
from tests.unit.stage.test_load_pipeline import TASKS

BASE = """
instruments:
  Cam:
    a: {file: cam/a.yaml, config: {band: i}}
    b: {python: config.size = 20}
  Old:
    a: {config: {size: 5}}
parameters: {size: 30}
tasks:
  a: mytasks.A
  b: {class: mytasks.B, config: {band: z}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    (tmp_path / "mytasks.py").write_text(TASKS)
    (tmp_path / "cam").mkdir()
    (tmp_path / "cam" / "a.yaml").write_text("{size: 10, band: u}\n")

    def put(text: str, name: str = "p.yaml") -> Path:
        path: Path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return put


def configs(path: Path) -> dict[str, tuple[int, str]]:
    return {n.label: (n.config["size"], n.config["band"]) for n in Pipeline.load(path).nodes}


def failure(path: Path) -> StageError:
    with pytest.raises(StageError) as caught:
        Pipeline.load(path).check()
    return caught.value


def test_the_instruments_settings_go_over_defaults_and_below_the_pipelines(write: Any) -> None:
    """A task's default counts least, then the instrument's settings (file, Python, mapping), then the pipeline's."""
    plain, cam = write(BASE), write(BASE + "instrument: Cam", "cam.yaml")

    assert configs(plain) == {"a": (1, "r"), "b": (1, "z")}
    assert configs(cam) == {"a": (10, "i"), "b": (20, "z")}
    assert configs(write(BASE + "instrument: Old")) == {"a": (5, "r"), "b": (1, "z")}
    band = write(BASE.replace("python: config.size = 20", "config: {size: parameters.size, band: u}"))

    assert configs(write(band.read_text() + "instrument: Cam"))["b"] == (30, "z")
    assert Pipeline.load(cam).with_config("a:band=y").node("a").config == {"size": 10, "band": "y"}


def test_an_importing_file_chooses_the_instrument_of_what_it_imports(write: Any) -> None:
    """It may name another, and add settings for it; its settings of tasks go over all of that, and so do those it imports."""
    write(BASE + "instrument: Cam", "base.yaml")

    assert configs(write("imports: base.yaml")) == {"a": (10, "i"), "b": (20, "z")}
    other = """
        imports: base.yaml
        instrument: Old
        instruments: {Old: {a: {config: {band: g}}, b: {config: {band: g, size: 4}}}, New: {}}
        tasks: {b: {config: {size: 3}}}
    """

    assert configs(write(other)) == {"a": (5, "g"), "b": (3, "z")}
    assert configs(write(other.replace("instrument: Old", "instrument: New"))) == {
        "a": (1, "r"),
        "b": (3, "z"),
    }


def test_another_task_of_the_label_has_none_of_the_settings(write: Any) -> None:
    """Where an importing file puts another class in a task's place, its instruments' settings go with the old one."""
    write(BASE + "instrument: Cam", "base.yaml")
    text = "imports: base.yaml\ntasks: {b: {class: mytasks.C, config: {connections: {i0: a, i1: raw}}}}"

    assert configs(write(text))["b"] == (1, "r")


def test_settings_of_a_prefixed_import_are_renamed_with_it(write: Any) -> None:
    """Parameters that they name get the prefix, and names of dataset types that they set are made within."""
    text = BASE.replace("python: config.size = 20", "config: {size: parameters.size, connections: {out: bb}}")
    write(text, "base.yaml")
    two = (
        "imports: [{location: base.yaml, prefix: x_, parameters: {size: 7}}, {location: base.yaml, prefix: y_}]\n"
        "instrument: Cam"
    )
    pipeline = Pipeline.load(write(two))

    assert [(n, pipeline.node(n).config["size"]) for n in ("x_a", "x_b", "y_b")] == [
        ("x_a", 10), ("x_b", 7), ("y_b", 30),
    ]  # fmt: skip
    assert pipeline.node("y_b").connection("out").dataset_type == "y_bb"


def test_two_imports_for_two_instruments_are_refused(write: Any) -> None:
    """Both are named with what has them, unless the importing file decides."""
    write("{instrument: Cam, instruments: {Cam: {}, Old: {}}, tasks: {a: mytasks.A}}", "one.yaml")
    write(
        "{instrument: Old, instruments: {Old: {}, Cam: {b: {config: {size: 9}}}}, tasks: {b: mytasks.B}}",
        "two.yaml",
    )
    error = failure(write("imports: [one.yaml, two.yaml]"))

    assert error.code == "two-instruments"
    for words in ("'Cam'", "'Old'", "two.yaml", "p.yaml"):
        assert words in error.message
    assert "--instrument Cam" in error.hint
    assert configs(write("{imports: [one.yaml, two.yaml], instrument: Cam}"))["b"] == (9, "r")


@pytest.mark.parametrize(
    ("text", "code", "said", "hint"),
    [
        ("instrument: Cap", "unknown-instrument", "Cam, Old", "Cam"),
        ("instruments: {Cam: {aa: {}}}", "unknown-label", "instrument 'Cam'", "'a'"),
        ("instruments: {Cam: {a: {confg: {}}}}", "unknown-key", "instrument 'Cam', task 'a'", "config"),
        ("instruments: {Cam: [a]}", "bad-key", "instruments", ""),
        ("instruments: {5: {}}", "bad-key", "called 5", ""),
        ("{instrument: New, instruments: {New: {a: {config: {sice: 2}}}}}", "unknown-setting", "'New'", "size"),
        ("instruments: {Cam: {a: {file: none.yaml}}}", "no-such-file", "none.yaml", ""),
    ],
)  # fmt: skip
def test_mistakes_name_the_instrument(write: Any, text: str, code: str, said: str, hint: str) -> None:
    """An unknown instrument, task, key, setting or file is an error that offers the nearest."""
    write(BASE, "base.yaml")
    body = text if text.startswith("{") else "{" + text + "}"
    error = failure(write("{imports: base.yaml, " + body[1:]))

    assert error.code == code
    assert said in error.message
    assert hint in error.hint


def test_without_settings_for_any_an_instrument_is_only_named(write: Any) -> None:
    """A pipeline may say what it is meant for, and have nothing special for it."""
    pipeline = Pipeline.load(write("{instrument: Cam, tasks: {a: mytasks.A}}"))

    assert (pipeline.instrument, pipeline.instruments) == ("Cam", ())
    pipeline.check()


def test_each_setting_says_that_it_is_the_instruments(write: Any) -> None:
    """The origin names the file of the pipeline, or of the settings, and the instrument."""
    pipeline = Pipeline.load(write(BASE + "instrument: Cam"))
    origins = {s.name: s.origin for s in describe_settings(pipeline, "a")}

    assert origins["size"].endswith("cam/a.yaml (instrument 'Cam')")
    assert origins["band"].endswith("p.yaml, instrument 'Cam', task 'a'")
    assert describe_settings(pipeline, "b")[1].origin.endswith("p.yaml, task 'b'")


def test_the_fingerprint_follows_the_settings(write: Any) -> None:
    """Another instrument is another pipeline only where it changes a setting."""
    prints = [
        Pipeline.load(write(BASE + line)).fingerprint for line in ("", "instrument: Cam", "instrument: Old")
    ]

    assert len(set(prints)) == 3
    assert Pipeline.load(write(BASE + "  c: mytasks.C\ninstrument: Cam")).fingerprint not in prints
    empty = BASE.replace("  Old:\n    a: {config: {size: 5}}", "  Old: {}")

    assert Pipeline.load(write(empty + "instrument: Old")).fingerprint == prints[0]


SCRIPT = """
instruments:
  Cam: {a: {config: {level: 5, word: cam, connections: {out: camout}}}}
tasks:
  a:
    dimensions: [station]
    inputs: {one: {dataset_type: raw, storage_class: Json}}
    outputs: {out: {dataset_type: made, storage_class: Json}}
    config: {level: 1, word: none}
    shell: cp $one $out
"""


def test_the_defaults_of_a_script_are_its_authors(write: Any) -> None:
    """For a script, the instrument's settings go over the variables that it declares; importing files go over both."""
    write(SCRIPT + "instrument: Cam", "base.yaml")
    path = write("imports: base.yaml\ntasks: {a: {config: {word: mine}}}")
    node = Pipeline.load(path).node("a")

    assert node.config["variables"] == {"level": 5, "word": "mine"}
    assert node.connection("out").dataset_type == "camout"
    origins = {s.name: (s.value, s.default, s.origin) for s in describe_settings(Pipeline.load(path), "a")}

    assert origins["level"][:2] == (5, 1)
    assert origins["level"][2].endswith("base.yaml, instrument 'Cam', task 'a'")
    assert "no setting 'levl'" in failure(write(SCRIPT.replace("{level: 5", "{levl: 5"))).message


def test_a_change_of_one_variable_leaves_a_scripts_others(write: Any) -> None:
    """What importing files and -c say of one variable of a script does not take the others away."""
    write(SCRIPT, "base.yaml")
    pipeline = Pipeline.load(write("imports: base.yaml\ntasks: {a: {config: {word: mine}}}"))

    assert pipeline.node("a").config["variables"] == {"level": 1, "word": "mine"}
    assert pipeline.with_config("a:level=3").node("a").config["variables"] == {"level": 3, "word": "mine"}


def _again(pipeline: Pipeline) -> PipelineDefinition:
    return read_definition(mapping_of(read_yaml(pipeline.to_yaml(), "text"), "text"), "text")


@pytest.mark.parametrize(
    "text",
    [
        "{imports: base.yaml, instrument: Cam}",
        "{imports: base.yaml, instrument: Cam, tasks: {b: {config: {size: 3}}}}",
        "{imports: {location: base.yaml, prefix: x_}, instrument: Cam}",
        "{imports: script.yaml, instrument: Cam}",
        "{imports: script.yaml, instrument: Cam, tasks: {a: {config: {level: 7, connections: {out: x}}}}}",
    ],
)
def test_a_written_pipeline_can_still_change_its_instrument(write: Any, text: str) -> None:
    """What `to_yaml` writes is the same pipeline, for the instrument it has, for another, and for none."""
    write(BASE, "base.yaml")
    write(SCRIPT.replace("  Cam", "  Old: {}\n  Cam"), "script.yaml")
    whole = Pipeline(_again(Pipeline.load(write(text))))

    assert whole.fingerprint == Pipeline.load(write(text)).fingerprint
    written = write(whole.to_yaml(), "written.yaml").read_text()
    for other in ("instrument: Old", ""):
        changed = write(text.replace("instrument: Cam", other or "description: none"))
        again = write(written.replace("instrument: Cam", other), "written.yaml")

        assert Pipeline.load(again).fingerprint == Pipeline.load(changed).fingerprint
