"""Shell tasks of several commands, and small values that scripts take and say by variables."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import NoWorkFound
from stage.pipeline.testing import MemoryRepo, make_quantum
from stage.tasks.script import ScriptFailed
from stage.tasks.shell import ShellTask
from stage.tasks.workspace import Workspace

VALUE = {"dataset_type": "value", "type": "int"}


class KeptRepo(MemoryRepo):
    """A repository in memory whose quanta work in a directory that is kept."""

    def __init__(self, directory: Path, begin_at: int = 0) -> None:
        super().__init__()
        self.workspace = Workspace(str(directory), keep=True, begin_at=begin_at)


def shell(*commands: str, **more: Any) -> ShellTask:
    outputs = {"n": {"dataset_type": "count", "storage_class": "Text"}}
    settings = {"commands": [{"shell": c} for c in commands], "dimensions": ["station"], "outputs": outputs}
    return ShellTask({**settings, **more}, name="count")


def run(task: ShellTask, repo: MemoryRepo | None = None, **values: Any) -> dict[str, Any]:
    """Run a task on one quantum with these values of its inputs, and return its outputs."""
    repo = repo or MemoryRepo()
    quantum = make_quantum(task, {"station": "Dongsi"})
    for name, value in values.items():
        repo.objects[quantum.inputs[name][0]] = value
    task.run_quantum(quantum, repo)
    return {name: repo.objects[refs[0]] for name, refs in quantum.outputs.items() if refs[0] in repo.objects}


# -- several commands -----------------------------------------------------------------------------------------


def test_commands_run_one_after_another_in_one_directory(caplog: pytest.LogCaptureFixture) -> None:
    """Each command finds what those before it left, and has a section of its own in the log."""
    task = shell("echo a > x; echo one", "cat x > y; echo two", 'cat x y > "$n"')
    with caplog.at_level(logging.INFO, "count"):
        assert run(task) == {"n": "a\na\n"}

    assert caplog.messages == [
        "----- command 1 of 3 -----", "one", "----- command 2 of 3 -----", "two", "----- command 3 of 3 -----",
    ]  # fmt: skip
    assert [c["command"] for c in task.take_metadata()["commands"]] == [1, 2, 3]


def five(folder: Path) -> ShellTask:
    """Return a task of five commands that counts how often each begins; the third fails until a file is there."""
    commands = [f"echo {i} >> {folder}/begun; echo {i} >> done" for i in range(1, 6)]
    commands[2] = f"echo 3 >> {folder}/begun; test -e {folder}/healed; echo 3 >> done"
    commands[4] += '; tr -d "\\n" < done > "$n"'
    names = ["first", "second", "third", "fourth", "fifth"]
    return shell(
        commands=[{"name": n, "shell": c} for n, c in zip(names, commands, strict=True)],
    )


def test_where_the_third_of_five_fails_the_next_attempt_begins_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With its directory kept, a quantum goes on at the command that failed; when it is complete, the directory goes."""
    task, kept = five(tmp_path), tmp_path / "kept"
    caplog.set_level(logging.INFO, "count")
    for _ in range(2):
        with pytest.raises(ScriptFailed, match="command 3 of 5 'third' ended with exit status 1"):
            run(task, KeptRepo(kept))
    (tmp_path / "healed").touch()

    assert f"what it has done is kept, and gone on with: {kept}" in caplog.messages
    assert run(task, KeptRepo(kept)) == {"n": "12345"}
    assert (tmp_path / "begun").read_text().split() == ["1", "2", "3", "3", "3", "4", "5"]
    assert not kept.exists()
    assert [c["command"] for c in task.take_metadata()["commands"]] == [3, 4, 5]


@pytest.mark.parametrize(("begin_at", "begun"), [(1, "12312345"), (2, "1232345"), (4, "12345")])
def test_a_person_says_at_which_command_to_begin(tmp_path: Path, begin_at: int, begun: str) -> None:
    """The first begins anew in an empty directory, another one in what is there."""
    task, kept = five(tmp_path), tmp_path / "kept"
    with pytest.raises(ScriptFailed):
        run(task, KeptRepo(kept))
    (tmp_path / "healed").touch()
    run(task, KeptRepo(kept, begin_at))

    assert "".join((tmp_path / "begun").read_text().split()) == begun


def test_without_a_kept_directory_the_first_command_begins(tmp_path: Path) -> None:
    """A failed quantum leaves nothing by default, and then begins with its first command again, whatever is asked."""
    task = five(tmp_path)
    with pytest.raises(ScriptFailed):
        run(task)
    (tmp_path / "healed").touch()
    run(task, KeptRepo(tmp_path / "kept", begin_at=3))

    assert "".join((tmp_path / "begun").read_text().split()) == "12312345"


def test_what_is_done_with_other_inputs_is_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Commands that rest on other inputs than there are now do not count as done."""
    more = {"inputs": {"v": VALUE}, "outputs": {"n": {"dataset_type": "count", "type": "int"}}}
    task = shell(f"echo x >> {tmp_path}/begun", f"test -e {tmp_path}/healed; export n=$v", **more)
    with pytest.raises(ScriptFailed):
        run(task, KeptRepo(tmp_path / "kept"), v=1)
    (tmp_path / "healed").touch()

    assert run(task, KeptRepo(tmp_path / "kept"), v=2) == {"n": 2}
    assert (tmp_path / "begun").read_text() == "x\nx\n"
    assert "rests on other inputs" in caplog.text


def test_commands_after_one_without_work_do_not_run(tmp_path: Path) -> None:
    """A command that says so ends the quantum well."""
    with pytest.raises(NoWorkFound, match="all cloudy"):
        run(shell('echo all cloudy > "$STAGE_NO_WORK"', f"touch {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


def test_commands_stand_in_a_pipeline_file(tmp_path: Path) -> None:
    """A list of snippets, named ones and script files is read, written again and read as the same."""
    (tmp_path / "join.sh").write_text('cat a b > "$n"\n')
    (tmp_path / "p.yaml").write_text(
        "tasks:\n  count:\n    dimensions: []\n    outputs: {n: {dataset_type: count, storage_class: Text}}\n"
        "    commands:\n      - echo a > a\n      - {name: other, shell: echo b > b}\n      - {file: join.sh}\n"
    )
    pipeline = Pipeline.load(tmp_path / "p.yaml")
    config = pipeline.node("count").config
    assert [c["name"] for c in config["commands"]] == ["", "other", ""]
    assert pipeline.node("count").build().run().n.read_text() == "a\nb\n"
    (tmp_path / "q.yaml").write_text(pipeline.to_yaml())
    assert Pipeline.load(tmp_path / "q.yaml").fingerprint == pipeline.fingerprint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("commands: echo", "'commands' should be a list of scripts"),
        ("commands: []", "'commands' should be a list of scripts"),
        ("{commands: [a], shell: b}", "give one of shell, commands"),
        ("commands: [{name: a}]", "command 1: give shell or file"),
        ("commands: [a, '']", "command 2: 'shell' should be the text of a script"),
        ("commands: [{shel: a}]", "unknown key 'shel'"),
    ],
)
def test_commands_that_are_none_are_refused(tmp_path: Path, body: str, said: str) -> None:
    """What cannot be a list of commands is refused with its place."""
    (tmp_path / "p.yaml").write_text(
        f"tasks:\n  t:\n    {body}\n" if body[0] != "{" else f"tasks: {{t: {body}}}\n"
    )
    with pytest.raises(PipelineError, match=said):
        Pipeline.load(tmp_path / "p.yaml")


# -- values ---------------------------------------------------------------------------------------------------


def valued(script: str, kind: str, **more: Any) -> ShellTask:
    return ShellTask(
        {"script": script, "dimensions": ["station"], "outputs": {"n": {"dataset_type": "count", "type": kind}}, **more},
        name="count",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "kind", "value"),
    [
        ("export n=42", "int", 42),
        ("n=42", "int", 42),
        ("export n=' 42 '", "int", 42),
        ("n=42; exit 0", "int", 42),
        ("n=2", "float", 2.0),
        ("n=1e3", "float", 1000.0),
        ("n=$'two\\nlines '", "str", "two\nlines "),
        ("n=42", "str", "42"),
        ("n=true", "bool", True),
        ("n='[1, \"a\"]'", "list", [1, "a"]),
        ("n='{\"a\": null}'", "dict", {"a": None}),
        ('echo 42 > "$n"', "int", 42),
        ('echo "\\"text\\"" > "$n"', "str", "text"),
        ("trap 'echo bye' EXIT; n=7", "int", 7),
    ],
)
def test_a_value_is_said_by_a_variable_or_a_file(script: str, kind: str, value: Any) -> None:
    """An output with a type is what its variable holds at the end, or what was written to the file that it named."""
    found = run(valued(script, kind))["n"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("n=many", "int", "output 'n' of task 'count' should be of type int, and is 'many'"),
        ("n=1.5", "int", "should be of type int, and is of type float: 1.5"),
        ("n=", "int", "should be of type int, and is ''"),
        ("n=1", "bool", "should be of type bool, and is of type int: 1"),
        ("n=NaN", "float", "should be of type float, and is 'NaN'"),
        ("n='[1]'", "dict", "should be of type dict, and is of type list"),
        ('echo 1.5 > "$n"', "int", "should be of type int, and is of type float: 1.5"),
    ],
)
def test_a_value_of_another_type_fails_by_name(script: str, kind: str, said: str) -> None:
    """What was said is compared with the declared type; nothing is written if it is another."""
    repo = MemoryRepo()
    with pytest.raises(PipelineError) as caught:
        run(valued(script, kind), repo)

    assert said in str(caught.value)
    assert caught.value.code == "wrong-type"
    assert repo.objects == {}


def test_a_value_that_is_not_said_is_missing() -> None:
    """A required output about which nothing is said is named."""
    with pytest.raises(ScriptFailed, match="did not make its output 'n'") as caught:
        run(valued("true", "int"))
    assert caught.value.code == "missing-output"


def test_values_come_in_as_variables() -> None:
    """The variable of an input with a type holds the value, not a file."""
    task = valued(
        "export n=$((v * 2))", "int", inputs={"v": VALUE, "w": {"dataset_type": "word", "type": "str"}}
    )
    assert run(task, v=21, w="a b") == {"n": 42}


def test_a_value_that_one_command_says_the_next_one_knows() -> None:
    """Commands share what they have said."""
    more = {"outputs": {"n": {"dataset_type": "count", "type": "int"}}}
    assert run(shell("export n=20", "n=$((n + 1))", "true", **more)) == {"n": 21}


def test_lines_of_a_script_that_says_values_keep_their_numbers() -> None:
    """What bash says of a line is right for the script as it was written."""
    with pytest.raises(ScriptFailed, match=r"command-1.bash: line 2: nowhere: command not found"):
        run(valued("n=1\nnowhere", "int"))


def test_all_outputs_that_are_missing_are_named() -> None:
    """One error names every output that was not made."""
    outputs = {k: {"dataset_type": k, "storage_class": "Text"} for k in ("a", "b", "c")}
    with pytest.raises(ScriptFailed, match=r"did not make its outputs 'a' \(a.txt\), 'c' \(c.txt\)"):
        run(shell('echo > "$b"', outputs=outputs))


def test_files_that_nobody_declared_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    """What is left among the outputs and is none of them is named in the log and in the metadata."""
    task = shell('echo 1 > "$n"; touch "$STAGE_OUTPUT_DIR/stray.txt"')
    run(task)

    assert "not declared, so not kept: stray.txt" in caplog.text
    assert task.take_metadata()["undeclared_files"] == ["stray.txt"]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"n": {"dataset_type": "x", "type": "integer"}}, "there is no type 'integer'"),
        ({"n": {"dataset_type": "x", "type": "int", "storage_class": "Text"}}, "a Text is no plain value"),
        (
            {"n": {"dataset_type": "x", "type": "int", "multiple": True}},
            "has to be one Json or Yaml, not several",
        ),
    ],
)
def test_types_that_make_no_sense_are_refused(outputs: dict[str, Any], said: str) -> None:
    """A type is one of those there are, and of a plain value."""
    with pytest.raises(PipelineError, match=said):
        shell("true", outputs=outputs)
