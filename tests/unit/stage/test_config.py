"""Configs: typed, frozen, compared, saved, and changed from each place where changes can be written."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Literal

import pytest

from registry.errors import NotFoundError, PipelineError, StageError
from stage.pipeline.config import Config, Field
from stage.pipeline.overrides import (
    nested,
    parse_setting,
    parse_value,
    python_overrides,
    read_overrides,
    read_yaml,
)
from stage.pipeline.struct import Struct
from stage.pipeline.subtask import Subtask, SubtaskChoice
from stage.pipeline.task import Task


class MeshConfig(Config):
    size: int = Field(64, ge=8, description="Cell size, in pixels.")


class MedianConfig(Config):
    clip: float = 3.0


class Background(Task):
    pass


class MeshTask(Background):
    ConfigClass = MeshConfig

    def run(self, data: float) -> Struct:
        """Divide by the cell size."""
        return Struct(level=data / self.config.size)


class MedianTask(Background):
    ConfigClass = MedianConfig


class InnerConfig(Config):
    depth: int = 1
    mode: Literal["fast", "good"] = "fast"


class OuterConfig(Config):
    threshold: float = Field(5.0, gt=0, description="In sigmas.")
    label: str = "a"
    sizes: tuple[int, ...] = (1, 2)
    weights: dict[str, float] = Field({"g": 1.0, "r": 2.0})
    limit: float = math.inf
    inner: InnerConfig = InnerConfig(depth=7)
    background: SubtaskChoice = Subtask(
        {"mesh": MeshTask, "median": MedianTask}, default="mesh", base=Background
    )


class NeedyConfig(Config):
    path: str


def error_of(call: object, *args: object, **kwargs: object) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    return caught.value


def test_unknown_setting_offers_the_nearest() -> None:
    """A typo in a name is an error of ours that names it and offers the nearest known one."""
    error = error_of(OuterConfig, thresh=3)

    assert error.code == "unknown-setting"
    assert "thresh" in str(error)
    assert error.hint == "Did you mean 'threshold'?"


def test_unknown_nested_setting_offers_the_nearest_of_its_own_config() -> None:
    """Names of a nested config and of a subtask's choice are looked up where they belong."""
    assert error_of(OuterConfig.from_changes, {"inner.dept": 3}).hint == "Did you mean 'depth'?"
    assert error_of(OuterConfig.from_changes, {"background.mesh.sizes": 3}).hint == "Did you mean 'size'?"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": -1}, "setting 'threshold': input should be greater than 0, not -1"),
        ({"inner.mode": "bad"}, "setting 'inner.mode': input should be 'fast' or 'good', not 'bad'"),
        (
            {"background.name": "none"},
            "setting 'background.name': input should be 'mesh' or 'median', not 'none'",
        ),
        ({"sizes": "abc"}, "setting 'sizes'"),
        ({"inner": 3}, "setting 'inner'"),
    ],
)
def test_bad_value_is_named_with_what_was_given(change: dict[str, object], said: str) -> None:
    """A value of the wrong type or out of bounds is one error with the setting and the value."""
    error = error_of(OuterConfig.from_changes, change)

    assert error.code == "bad-setting"
    assert said in str(error)


def test_missing_setting_is_named() -> None:
    """A setting without a default must be given, and the error says which."""
    error = error_of(NeedyConfig)

    assert error.code == "missing-setting"
    assert "'path'" in str(error)


def test_config_error_survives_pickling() -> None:
    """An error of a config crosses processes."""
    error = error_of(OuterConfig, thresh=3)

    assert str(error) == str(pickle.loads(pickle.dumps(error)))


def test_config_is_frozen() -> None:
    """Assignment after construction is refused, at every level, with the way to do it."""
    config = OuterConfig()

    assert error_of(setattr, config, "threshold", 3).code == "config-frozen"
    assert error_of(setattr, config.inner, "depth", 3).code == "config-frozen"
    assert config.threshold == 5.0


def test_override_merges_nested_configs_and_replaces_other_values() -> None:
    """A mapping for a nested config changes what it names; one for a dict field replaces the dict."""
    config = OuterConfig().override({"inner": {"mode": "good"}, "weights": {"i": 3}})

    assert config.inner == InnerConfig(depth=7, mode="good")
    assert config.weights == {"i": 3.0}


def test_changes_start_from_the_parents_default_of_a_nested_config() -> None:
    """A change inside a nested config keeps what its parent's default says, not what its class says."""
    assert OuterConfig.from_changes({"inner.mode": "good"}).inner.depth == 7


def test_later_changes_go_over_earlier_ones() -> None:
    """Changes are applied in order and checked once, all together."""
    config = OuterConfig.from_changes(
        {"threshold": -5, "inner.depth": 2}, {"threshold": 4}, {"inner": {"depth": 3}}
    )

    assert (config.threshold, config.inner.depth) == (4.0, 3)


def test_document_round_trip() -> None:
    """A config made of its document is equal, with an equal hash and digest; infinities included."""
    config = OuterConfig().override({"background.median.clip": 2, "sizes": [3]})
    again = OuterConfig.from_document(config.to_document())

    assert config == again
    assert hash(config) == hash(again)
    assert config.digest() == again.digest()
    assert again.limit == math.inf


def test_configs_cross_processes() -> None:
    """A config with a subtask's settings pickles."""
    config = OuterConfig.from_changes({"background.median.clip": 2, "threshold": 3})

    assert config == pickle.loads(pickle.dumps(config))


def test_digest_differs_when_a_setting_does() -> None:
    """Configs with different settings have different digests."""
    assert OuterConfig().digest() != OuterConfig(threshold=4).digest()


def test_diff_names_each_setting_with_both_values() -> None:
    """Diff lists exactly the settings that differ, dotted, with both values."""
    found = OuterConfig().diff(OuterConfig.from_changes({"inner.depth": 9, "threshold": 2}))

    assert found == [("inner.depth", 7, 9), ("threshold", 5.0, 2.0)]
    assert str(found[0]) == "inner.depth: 7 against 9"
    assert OuterConfig().diff(OuterConfig()) == []


def test_save_and_load(tmp_path: Path) -> None:
    """A saved config loads as an equal one; a partial file keeps the defaults."""
    config = OuterConfig.from_changes({"background.name": "median", "inner.depth": 4})
    config.save(tmp_path / "c.yaml")
    (tmp_path / "part.yaml").write_text("inner.depth: 4\n")

    assert config == OuterConfig.load(tmp_path / "c.yaml")
    assert OuterConfig.from_changes({"inner.depth": 4}) == OuterConfig.load(tmp_path / "part.yaml")


def test_load_of_a_missing_file_names_it(tmp_path: Path) -> None:
    """A file of settings that is not there is NotFoundError, not a traceback."""
    with pytest.raises(NotFoundError, match=r"none\.yaml does not exist"):
        OuterConfig.load(tmp_path / "none.yaml")


def test_describe_lists_types_defaults_constraints_and_docs() -> None:
    """A config class can be asked what it takes, nested settings and subtask choices included."""
    docs = {d.name: d for d in OuterConfig.describe()}

    assert docs["threshold"][1:3] + docs["threshold"][4:] == ("float", 5.0, ("gt=0",), "In sigmas.")
    assert docs["background.mesh.size"].doc == "Cell size, in pixels."
    assert docs["background.name"].type == "Literal['mesh', 'median']"
    assert NeedyConfig.describe()[0].required


def test_reserved_names_are_refused() -> None:
    """A setting cannot have the name of something that every config has."""
    error = error_of(lambda: type("Bad", (Config,), {"__annotations__": {"diff": int}, "diff": 3}))

    assert "'diff'" in str(error)


def test_subtask_keeps_the_settings_of_every_choice() -> None:
    """Swapping a subtask and swapping back loses no setting."""
    there = OuterConfig.from_changes({"background.mesh.size": 16}, {"background.name": "median"})
    back = there.override({"background.name": "mesh"})

    assert there.background.name == "median"
    assert back.background.mesh.size == 16  # type: ignore[attr-defined]


def test_subtask_choices_must_be_of_the_base() -> None:
    """A slot that names a base class refuses a choice of another."""
    error = error_of(Subtask, {"other": Task}, "other", base=Background)

    assert error.code == "wrong-subtask"


def test_subtask_default_must_be_a_choice() -> None:
    """A default that is no choice is refused where it is declared, with the nearest."""
    assert error_of(Subtask, {"mesh": MeshTask}, "mush").hint == "Did you mean 'mesh'?"


def test_setting_text_is_split_and_read_as_yaml() -> None:
    """label:name.sub=value has three parts; values are what YAML says."""
    assert parse_setting("warp:a.b=x=y") == ("warp", "a.b", "x=y")
    assert [parse_value(t) for t in ("3", "true", "[1, 2]", "null", "text", "{a: 1}", "{a")] == [
        3,
        True,
        [1, 2],
        None,
        "text",
        {"a": 1},
        "{a",
    ]


@pytest.mark.parametrize("text", ["warp", "warp:a", "a=3", ":a=3", "warp:=3"])
def test_setting_text_of_another_form_is_refused(text: str) -> None:
    """What is not label:name=value is said to be so."""
    assert error_of(parse_setting, text).code == "bad-override"


def test_dotted_names_and_mappings_meet() -> None:
    """Dotted names and nested mappings of one file come together."""
    assert nested({"a.b": 1, "a": {"c": 2}, "a.d.e": 3}) == {"a": {"b": 1, "c": 2, "d": {"e": 3}}}


def test_python_assignments_are_read_without_executing() -> None:
    """Assignments of literals and parameters become changes, later ones going over earlier ones."""
    text = (
        "# about\nconfig.a.b = 1\nconfig.c = (-1, 'x', [True])\nconfig.a.b = 2\nconfig.d = parameters.band\n"
    )

    assert python_overrides(text, "f.py") == {"a": {"b": 2}, "c": (-1, "x", [True]), "d": "parameters.band"}


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "config.a = __import__('os').getcwd()",
        "config.a = [x for x in range(3)]",
        "other.a = 3",
        "config = 3",
        "config.a = config.b = 3",
        "config['a'] = 3",
        "config.a += 1",
        "for x in (1,): pass",
    ],
)
def test_python_that_is_no_literal_assignment_is_refused(text: str) -> None:
    """Nothing but config.name = literal is taken; the line is named."""
    error = error_of(python_overrides, "config.ok = 1\n" + text, "f.py")

    assert error.code == "bad-override"
    assert "f.py, line 2" in str(error)


def test_broken_python_names_the_line() -> None:
    """Python that does not parse is an error with file and line."""
    assert "f.py, line 2" in str(error_of(python_overrides, "config.a = 1\nconfig.b = (", "f.py"))


def test_overrides_are_read_by_the_files_ending(tmp_path: Path) -> None:
    """.py holds assignments, anything else YAML; both give the same changes."""
    (tmp_path / "c.py").write_text("config.a.b = [1]\n")
    (tmp_path / "c.yaml").write_text("a.b: [1]\n")

    assert (
        read_overrides(str(tmp_path / "c.py"))
        == read_overrides(str(tmp_path / "c.yaml"))
        == {"a": {"b": [1]}}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: 2\n", "f.yaml:2"),
        ("a: 1\na: 2\n", "f.yaml:2: not valid YAML: key 'a' is written twice"),
        ("a: !!python/object/apply:os.getcwd []\n", "f.yaml:1"),
        ("a: \x00\n", "f.yaml"),
        ("[" * 3000, "f.yaml"),
    ],
)
def test_bad_yaml_names_file_and_line(text: str, said: str) -> None:
    """YAML that is broken, doubled, unsafe or absurd is an error of ours with file and line."""
    error = error_of(read_yaml, text, "f.yaml")

    assert error.code == "bad-yaml"
    assert said in str(error)


def test_files_that_are_no_text_or_no_mapping_are_refused(tmp_path: Path) -> None:
    """Bytes that are no text, and YAML that is no mapping, are named; neither is a traceback."""
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "l.yaml").write_text("- 1\n")

    for name in ("b.yaml", "l.yaml", "."):
        with pytest.raises(StageError, match=str(tmp_path)):
            read_overrides(str(tmp_path / name))
