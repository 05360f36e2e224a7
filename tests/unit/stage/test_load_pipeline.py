"""Pipeline files: what they may say, what they import, and how each mistake is told."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFoundError, PipelineError, StageError
from stage.pipeline.load import load_definition
from stage.pipeline.pipeline import Pipeline

TASKS = """
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task

class SizeConfig(Config):
    size: int = 1
    band: str = "r"

def made(name, reads, writes):
    body = {"__module__": __name__, "__qualname__": name, "run": lambda self, **kw: None, "ConfigClass": SizeConfig}
    connections = type(name + "C", (Connections,), {
        **{f"i{n}": Input(r, "Json") for n, r in enumerate(reads)}, "out": Output(writes, "Json")
    }, dimensions=("station",))
    return type(name, (Task,), {**body, "ConnectionsClass": connections})

A = made("A", ["raw"], "a")
B = made("B", ["a"], "b")
C = made("C", ["b", "a"], "c")
not_a_task = 3
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    (tmp_path / "mytasks.py").write_text(TASKS)

    def put(text: str, name: str = "p.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))
        return path

    return put


ABC = """
description: Three tasks.
instrument: HSC
parameters: {band: i, deep: {size: 7}}
tasks:
  a: mytasks.A
  b:
    class: mytasks:B
    config: {size: 2, band: parameters.band}
  c:
    class: mytasks.C
subsets:
  early: [a, b]
  late-ones:
    subset: [c]
    description: What comes last.
contracts:
  - a.size <= b.config.size
  - contract: b.band == parameters.band
    msg: the band must be that of the pipeline
"""


def failure(path: Path | str) -> StageError:
    with pytest.raises(StageError) as caught:
        Pipeline.load(path).check()
    return caught.value


def test_a_pipeline_file_is_read(write: Any) -> None:
    """All keys of a pipeline are understood; settings and parameters reach the tasks."""
    pipeline = Pipeline.load(write(ABC))

    assert (pipeline.description, pipeline.instrument, pipeline.labels) == (
        "Three tasks.",
        "HSC",
        ("a", "b", "c"),
    )
    assert pipeline.subsets == {"early": ("a", "b"), "late-ones": ("c",)}
    assert pipeline.node("b").config == {"size": 2, "band": "i"}


@pytest.mark.parametrize(
    ("selection", "labels"),
    [
        (">=b", "bc"), (">b", "c"), ("<=b", "ab"), ("<b", "a"), ("<c&>a", "b"), ("~b", "ac"), ("~>=b", "a"),
        ("late-ones,<b", "ac"), ("<=early", "ab"), (">early", "c"), (" a , c ", "ac"),
    ],
)  # fmt: skip
def test_selection_by_what_comes_before_or_after(write: Any, selection: str, labels: str) -> None:
    """Ancestors, descendants, what two words share and what a word leaves out can be selected."""
    assert Pipeline.load(f"{write(ABC)}#{selection}").labels == tuple(labels)


def test_a_selection_of_nothing_is_refused(write: Any) -> None:
    """A selection that leaves no task says so, and one of an unknown label offers the nearest."""
    path = write(ABC)

    assert failure(f"{path}#<a").code == "empty-selection"
    assert "late-ones" in failure(f"{path}#>=late-one").hint
    assert failure(f"{path}#a;b").code == "unknown-label"


TWICE = """
imports:
  - {location: base.yaml, prefix: left_, parameters: {size: 3}}
  - {location: base.yaml, prefix: right_}
tasks:
  left_b: {config: {band: z}}
  d: {class: mytasks.C, config: {connections: {i0: left_b, i1: right_b, out: d}}}
subsets: {ends: [left_b, right_b, d]}
"""
BASE = """
parameters: {size: 2}
tasks: {a: {class: mytasks.A, config: {size: parameters.size}}, b: mytasks.B}
subsets: {all: [a, b]}
contracts: [a.size == parameters.size]
steps: [a, b]
"""


def test_a_pipeline_is_imported_twice_under_two_prefixes(write: Any) -> None:
    """Labels, subsets, steps, parameters, contracts and what is made within get the prefix; what is read from outside does not."""
    write(BASE, "base.yaml")
    steps = "steps: [{label: one, tasks: [left_a, right_a]}, {label: two, tasks: [left_b, right_b, d]}]"
    path = write(TWICE + steps)
    pipeline = Pipeline.load(path)
    wires = {n.label: {c.name: c.dataset_type for c in n.connections} for n in pipeline.nodes}

    assert pipeline.labels == ("left_a", "left_b", "right_a", "right_b", "d")
    assert pipeline.subsets["right_all"] == ("right_a", "right_b")
    assert (wires["left_a"]["i0"], wires["left_a"]["out"]) == ("raw", "left_a")
    assert (wires["right_b"]["i0"], wires["right_b"]["out"]) == ("right_a", "right_b")
    assert wires["d"]["i0"] == "left_b"
    assert wires["left_a"]["_metadata"] == "left_a_metadata"
    assert (pipeline.node("left_a").config["size"], pipeline.node("right_a").config["size"]) == (3, 2)
    assert pipeline.node("left_b").config["band"] == "z"
    assert pipeline.with_config("parameters:right_size=9").node("right_a").config["size"] == 9
    assert (
        pipeline.with_config("left_b:connections.out=mine").node("left_b").connection("out").dataset_type
        == "mine"
    )
    assert Pipeline.load(write(pipeline.to_yaml(), "flat.yaml")).fingerprint == pipeline.fingerprint
    # A part of it keeps the names that the whole has.
    part = Pipeline.load(f"{path}#left_b")
    assert part.node("left_b").connection("i0").dataset_type == "left_a"


def test_prefixes_of_imports_within_imports_add_up(write: Any) -> None:
    """An import under a prefix within an import under a prefix has both, the outer one first."""
    write(BASE, "base.yaml")
    write(
        "imports: {location: base.yaml, prefix: in_}\ntasks: {c: {class: mytasks.C, config: {connections: {i0: in_b, i1: in_a}}}}\nsteps: []",
        "mid.yaml",
    )
    pipeline = Pipeline.load(
        write(
            "imports: {location: 'mid.yaml#~in_b&~c,c,in_b', prefix: out_}\nsteps: [out_in_a, {label: rest, tasks: [out_in_b, out_c]}]"
        )
    )
    wires = {n.label: {c.name: c.dataset_type for c in n.connections} for n in pipeline.nodes}

    assert wires["out_in_b"] | {} == {
        "i0": "out_in_a", "out": "out_in_b", "_metadata": "out_in_b_metadata", "_log": "out_in_b_log", "_config": "out_in_b_config",
    }  # fmt: skip
    assert (wires["out_c"]["i0"], wires["out_c"]["i1"], wires["out_c"]["out"]) == (
        "out_in_b",
        "out_in_a",
        "out_c",
    )
    assert pipeline.node("out_in_a").config["size"] == 2


def test_a_prefix_that_cannot_be_one_is_refused(write: Any) -> None:
    """Labels begin with the prefix, so it is made of their letters; without one the second import is refused."""
    write(BASE, "base.yaml")

    assert failure(write("imports: {location: base.yaml, prefix: 'a b'}")).code == "bad-label"
    error = failure(write("imports: [base.yaml, {location: base.yaml, prefix: x_}, base.yaml]"))
    assert error.code == "imported-twice"
    assert "prefix" in error.hint
    assert (
        failure(write("imports: {location: base.yaml, parameters: {sise: 1}}")).hint == "Did you mean 'size'?"
    )


def test_selection_by_label_and_subset(write: Any) -> None:
    """#label,subset takes a part; subsets and contracts shrink with it."""
    path = write(ABC)

    assert Pipeline.load(f"{path}#c,a").labels == ("a", "c")
    assert Pipeline.load(f"{path}#early").subsets == {"early": ("a", "b")}
    assert [n.label for n in Pipeline.load(f"{path}#late-ones").nodes] == ["c"]
    error = failure(f"{path}#earl")
    assert (error.code, error.hint) == ("unknown-label", "Did you mean 'early'?")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("task: {a: mytasks.A}", "unknown key 'task'", "Did you mean 'tasks'?"),
        ("tasks: {a: {clas: mytasks.A}}", "task 'a': unknown key 'clas'", "Did you mean 'class'?"),
        ("tasks: {a: {class: mytasks.A, shell: x}}", "give one of class, shell", ""),
        ("tasks: {a: {class: mytasks.A, inputs: {}}}", "'inputs' belongs to shell tasks", ""),
        ("tasks: {a: 3}", "expected module.Class or a mapping, not 3", ""),
        ("tasks: {a: {config: {size: 3}}}", "has no class, function or shell", "Write: class: module.Class"),
        ("tasks: {a-b: mytasks.A}", "'a-b' is not a usable label", "Use letters, digits and _."),
        ("tasks: {a: {class: mytasks.A, config: [1]}}", "'config' should be a mapping", ""),
        ("tasks: [mytasks.A]", "'tasks' should be a mapping", ""),
        ("tasks: {}", "has no tasks", "Write some under 'tasks:'."),
        ("tasks: {a: mytasks.A}\nsubsets: {s: [b]}", "names 'b', which is no task", None),
        ("tasks: {a: mytasks.A}\nsubsets: {a: [a]}", "both a task and a subset", ""),
        ("tasks: {a: mytasks.A}\nsubsets: {s: {subset: [a], doc: x}}", "unknown key 'doc'", None),
        ("tasks: {a: mytasks.A}\nsteps: [s]", "has no task or subset 's'", None),
        ("tasks: {a: mytasks.A}\ncontracts: [z.size == 1]", "names 'z', which is no task", None),
        ("tasks: {a: mytasks.A}\ncontracts: ['a.size ==']", "is not an expression", None),
        ("tasks: {a: {shell: ''}}", "'shell' should be the text of a script", ""),
        ("- a\n", "expected a mapping", None),
        ("tasks: {a: mytasks.A", "p.yaml:1", None),
        ("description: [1]\ntasks: {a: mytasks.A}", "'description' should be text", ""),
        ("parameters: 3\ntasks: {a: mytasks.A}", "'parameters' should be a mapping", ""),
        ("imports: [{file: x}]\ntasks: {a: mytasks.A}", "has no location", None),
        ("imports: $STAGE_NOT_SET/x.yaml", "$STAGE_NOT_SET in", None),
    ],
)
def test_mistakes_are_named_with_file_and_key(write: Any, text: str, said: str, hint: str | None) -> None:
    """Each mistake in a file is a PipelineError that names the file, the key, and the nearest known one."""
    path = write(text)
    with pytest.raises(PipelineError) as caught:
        Pipeline.load(path)

    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (
            "tasks: {a: nowhere.Task}",
            "unknown-task-class",
            "no module 'nowhere' for 'nowhere:Task'; searched",
        ),
        ("tasks: {a: mytasks.sub.Task}", "unknown-task-class", "no module 'mytasks.sub'"),
        ("tasks: {a: mytasks.AA}", "unknown-task-class", "module 'mytasks' has no 'AA'"),
        ("tasks: {a: mytasks.not_a_task}", "not-a-task", "is no task but a int"),
        ("tasks: {a: mytasks.SizeConfig}", "not-a-task", "is no task but a class"),
        ("tasks: {a: Task}", "bad-task-name", "'Task' does not name a task"),
        ("tasks: {a: broken.Task}", "task-import-failed", "importing 'broken' failed: ZeroDivisionError"),
        ("tasks: {a: leaving.Task}", "task-import-failed", "importing 'leaving' failed: SystemExit: 4"),
        ("tasks: {a: needy.Task}", "task-import-failed", "module 'needy' needs 'not_installed_at_all'"),
        (
            "tasks: {a: {class: mytasks.A, config: {sizes: 3}}}",
            "unknown-setting",
            "task 'a': SizeConfig has no setting",
        ),
        ("tasks: {a: {class: mytasks.A, config: {size: x}}}", "bad-setting", "setting 'size'"),
        (
            "tasks: {a: {class: mytasks.A, config: {size: parameters.n}}}",
            "unknown-parameter",
            "no parameter 'n'",
        ),
        (
            "tasks: {a: {class: mytasks.A, config: {connections.oot: x}}}",
            "unknown-connection",
            "template 'oot'",
        ),
        (
            "tasks: {a: mytasks.A, b: mytasks.B}\ncontracts: [a.size > b.size]",
            "contract-broken",
            "a.size is 1",
        ),
        ("tasks: {a: mytasks.A}\ncontracts: [a.sizes > 1]", "bad-contract", "names 'sizes'"),
        ("tasks: {a: mytasks.A}\ncontracts: [open(a.size)]", "unknown-label", "names 'open'"),
        ("tasks: {a: mytasks.A}\ncontracts: ['a.size ** 99']", "bad-contract", "which contracts do not know"),
        ("tasks: {a: mytasks.A}\ncontracts: ['a.band * 9 == 1']", "bad-contract", "is no number"),
        ("tasks: {a: mytasks.A}\ncontracts: ['a.size / 0 == 1']", "bad-contract", "cannot be reckoned"),
        ("tasks: {a: mytasks.A}\ncontracts: ['a.size < a.band']", "bad-contract", "compares 1 with 'r'"),
    ],
)
def test_what_only_the_code_can_tell_is_told_by_check(write: Any, text: str, code: str, said: str) -> None:
    """Unknown classes, settings, parameters and broken contracts are errors of ours when the pipeline is checked."""
    write("1 / 0", "broken.py")
    write("raise SystemExit(4)", "leaving.py")
    write("import not_installed_at_all", "needy.py")
    error = failure(write(text))

    assert code == error.code
    assert said in str(error)


def test_unknown_class_offers_the_nearest_and_says_where_it_searched(write: Any, tmp_path: Path) -> None:
    """The error names module, class and the directories that were searched."""
    assert "Did you mean" in failure(write("tasks: {a: mytasks.BB}")).hint
    assert str(tmp_path) in str(failure(write("tasks: {a: nowhere.Task}")))


@pytest.mark.parametrize(
    "contract",
    ["a.size == 1 and b.band in ['r', 'i']", "not a.size > b.size", "1 <= a.size <= 2", "a.size + 1 == -(-2)",
     "a.band != 'x' or a.nothing == 1", "a.connections.out == 'new'"],
)  # fmt: skip
def test_contracts_that_hold(write: Any, contract: str) -> None:
    """Comparison, arithmetic, boolean words and lists are understood."""
    text = "tasks: {a: {class: mytasks.A, config: {connections.out: new}}, b: mytasks.B}\n"

    Pipeline.load(
        write(
            f"{text}contracts: [{contract!r}]" if "'" not in contract else f'{text}contracts: ["{contract}"]'
        )
    ).check()


def test_contract_of_a_task_left_out_does_not_count(write: Any) -> None:
    """A part of a pipeline is not held to contracts with the rest."""
    path = write("tasks: {a: mytasks.A, b: mytasks.B}\ncontracts: [a.size > b.size]")

    Pipeline.load(f"{path}#a").check()


def test_missing_files_are_named(write: Any, tmp_path: Path) -> None:
    """A pipeline, an import, a file of settings or a script that is not there is NotFoundError with its name."""
    for text in (
        "imports: none.yaml",
        "tasks: {a: {class: x.Y, file: none.yaml}}",
        "tasks: {a: {shell: {file: none.yaml}}}",
    ):
        with pytest.raises(NotFoundError, match=r"none\.yaml does not exist"):
            load_definition(write(text))
    with pytest.raises(NotFoundError, match=r"none\.yaml does not exist"):
        load_definition(tmp_path / "none.yaml")


def test_a_pipeline_may_be_at_a_uri(write: Any) -> None:
    """A file:// URI is read like a path, and its imports beside it."""
    write(ABC, "base.yaml")
    path = write("imports: base.yaml")

    assert load_definition(f"file://{path}#early").tasks.keys() == {"a", "b"}


def test_imports_are_relative_and_bring_everything(write: Any) -> None:
    """An importing file adds to what it imports: settings of the same task, tasks, parameters, subsets."""
    write(ABC, "base/p.yaml")
    pipeline = Pipeline.load(
        write(
            """
            imports: {location: base/p.yaml, exclude: [c]}
            parameters: {band: z}
            tasks:
              b: {config: {size: 5}}
              more: {class: mytasks.C, config: {connections.out: other}}
            subsets: {mine: [b, more]}
            """
        )
    )

    assert pipeline.labels == ("a", "b", "more")
    assert pipeline.node("b").config == {"size": 5, "band": "z"}
    assert pipeline.subsets == {"early": ("a", "b"), "mine": ("b", "more")}
    assert pipeline.instrument == "HSC"


def test_another_class_replaces_an_imported_task(write: Any) -> None:
    """A label with another class starts from that class's defaults."""
    write(ABC, "base.yaml")
    pipeline = Pipeline.load(write("imports: base.yaml#b\ntasks: {b: mytasks.C}\nparameters: {band: r}"))

    assert pipeline.node("b").target == "mytasks:C"
    assert pipeline.node("b").config["size"] == 1


def test_include_takes_labels_and_subsets(write: Any) -> None:
    """Include and exclude take labels or names of subsets, not both keys, and unknown names are errors."""
    write(ABC, "base.yaml")

    assert Pipeline.load(write("imports: [{location: base.yaml, include: early}]")).labels == ("a", "b")
    assert "not both" in str(failure(write("imports: [{location: base.yaml, include: a, exclude: b}]")))
    assert failure(write("imports: [{location: base.yaml, include: [x]}]")).code == "unknown-label"


def test_the_same_label_from_two_imports_is_refused(write: Any) -> None:
    """Which of two would be meant is not guessed."""
    write(ABC, "one.yaml")
    write("tasks: {a: mytasks.B}", "two.yaml")
    error = failure(write("imports: [one.yaml, two.yaml]"))

    assert error.code == "imported-twice"
    assert "task 'a'" in str(error)
    assert "two.yaml" in str(error)


def test_import_circles_are_printed(write: Any) -> None:
    """Files that import each other are refused, in the order of the circle."""
    write("imports: two.yaml", "one.yaml")
    write("imports: one.yaml", "two.yaml")
    error = failure(write("imports: one.yaml"))

    assert error.code == "import-cycle"
    assert "one.yaml → two.yaml → one.yaml" in str(error)


def test_environment_variables_name_places(
    write: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A location may start with $NAME, as in the field."""
    write(ABC, "there/base.yaml")
    monkeypatch.setenv("STAGE_TEST_DIR", str(tmp_path / "there"))

    assert Pipeline.load(write("imports: ${STAGE_TEST_DIR}/base.yaml#a")).labels == ("a",)


def test_settings_come_from_files_then_python_then_config(write: Any) -> None:
    """Of the three keys the later one goes over the earlier one."""
    write("size: 2\nband: g", "c.yaml")
    write("config.size = 3\nconfig.band = 'i'\n", "d.py")
    base = "tasks: {a: {class: mytasks.A, file: [c.yaml, d.py]%s}}"

    assert Pipeline.load(write(base % "")).node("a").config == {"size": 3, "band": "i"}
    python = ", python: 'config.size = 4', config: {size: 5}"
    assert Pipeline.load(write(base % python)).node("a").config == {"size": 5, "band": "i"}
    python = ", python: 'config.size = 4'"
    assert Pipeline.load(write(base % python)).node("a").config == {"size": 4, "band": "i"}


def test_steps_are_subsets_tasks_or_mappings(write: Any) -> None:
    """A step names a subset or a task, or lists its own; it can be selected like a subset, and is written back."""
    text = "tasks: {a: mytasks.A, b: mytasks.A, c: mytasks.A}\nsubsets: {s: [a]}\nsteps: [s, b, {label: t, tasks: [c]}]"
    text = text.replace("b: mytasks.A", "b: {class: mytasks.A, config: {connections.out: x}}")
    text = text.replace("c: mytasks.A", "c: {class: mytasks.A, config: {connections.out: y}}")
    path = write(text)
    pipeline = Pipeline.load(path)

    assert [(s.label, s.tasks) for s in pipeline.steps] == [("s", ("a",)), ("b", ("b",)), ("t", ("c",))]
    assert Pipeline.load(f"{path}#t").labels == ("c",)
    assert pipeline.step("t").labels == ("c",)
    assert pipeline.first.labels == ("a",)
    assert Pipeline.load(write(pipeline.to_yaml(), "again.yaml")).steps == pipeline.steps


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("[{label: s, tasks: [a]}, {label: t, tasks: [b]}]\ntasks: {a: mytasks.A, b: mytasks.B}", ""),
        ("[{label: s, tasks: [a]}, {label: t, tasks: [a, b]}]\ntasks: {a: mytasks.A, b: mytasks.B}", "task-in-two-steps"),
        ("[{label: s, tasks: [b]}, {label: t, tasks: [a]}]\ntasks: {a: mytasks.A, b: mytasks.B}", "step-order"),
        ("[{label: s, tasks: [a]}, {label: t, tasks: [b]}]\ntasks: {a: mytasks.A, b: mytasks.B, c: mytasks.C}", "task-in-no-step"),
        ("[{label: a, tasks: [b]}]\ntasks: {a: mytasks.A, b: mytasks.B}", "bad-label"),
        ("[{label: s, task: [b]}]\ntasks: {a: mytasks.A, b: mytasks.B}", "unknown-key"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be_run_are_refused(write: Any, steps: str, code: str) -> None:
    """Each task is in one step and reads nothing that a later step makes; otherwise the error names task and steps."""
    path = write(f"steps: {steps}")
    if code:
        assert failure(path).code == code
    else:
        assert len(Pipeline.load(path).nodes) == 2


def test_user_modules_never_shadow_installed_ones(write: Any, tmp_path: Path) -> None:
    """Hostile registry.py, cli.py and yaml.py beside a pipeline change nothing; its own module is found."""
    for name in ("registry", "cli", "sync", "yaml", "json"):
        write("raise SystemExit('shadowed')", f"{name}.py")
    path = write("tasks: {a: mytasks.A}")
    code = (
        "import sys; from stage.pipeline.pipeline import Pipeline\n"
        f"p = Pipeline.load({str(path)!r}); p.check(); import cli, registry, sync, yaml\n"
        f"sys.exit(0 if sys.path[-1] == {str(tmp_path)!r} and p.node('a').target == 'mytasks:A' else 'path')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_two_pipelines_in_one_session_may_have_modules_of_one_name(write: Any) -> None:
    """The module beside a pipeline is the one that it gets, whatever was loaded before."""
    write(TASKS.replace('"a")', '"first")'), "x/mytasks.py")
    write(TASKS.replace('"a")', '"second")'), "y/mytasks.py")
    one, two = (Pipeline.load(write("tasks: {a: mytasks.A}", f"{d}/p.yaml")) for d in "xy")

    assert one.node("a").connection("out").dataset_type == "first"
    assert two.node("a").connection("out").dataset_type == "second"
    assert one.with_config("a:size=2").node("a").connection("out").dataset_type == "first"


def test_a_module_version_is_in_the_fingerprint(write: Any) -> None:
    """A user module may say its version; another one is another fingerprint."""
    prints = []
    for version in ("1", "2"):
        write(f"{TASKS}\n__version__ = '{version}'", f"v{version}/mytasks.py")
        node = Pipeline.load(write("tasks: {a: mytasks.A}", f"v{version}/p.yaml")).node("a")
        assert node.version == version
        prints.append(node.fingerprint)

    assert prints[0] != prints[1]


def test_a_name_that_no_file_can_have_is_refused(write: Any) -> None:
    """An import with a null byte in its name is an error of ours, not the system's."""
    with pytest.raises(PipelineError, match="not the name of a pipeline file"):
        load_definition(str(write('tasks: {}\nimports: "\\0"\n')))
