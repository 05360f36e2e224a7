"""Shell tasks: files named by variables, output in the log, failures that say what happened."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.describe import SettingOrigin, describe_settings
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import NoWorkFound
from stage.pipeline.testing import MemoryRepo, make_quantum
from stage.tasks.script import ScriptFailed
from stage.tasks.shell import ShellTask

TEXT = {"dataset_type": "table", "storage_class": "Text"}
COUNT = {"dataset_type": "count", "storage_class": "Json"}


def shell(script: str, **more: Any) -> ShellTask:
    settings = {
        "script": script,
        "dimensions": ["station"],
        "inputs": {"table": TEXT},
        "outputs": {"n": COUNT},
    }
    return ShellTask({**settings, **more}, name="count")


def run(task: ShellTask, content: str = "a\nb\n", **data_ids: Any) -> tuple[Any, MemoryRepo]:
    repo = MemoryRepo()
    quantum = make_quantum(task, {"station": "Dongsi"}, data_ids)
    for ref in quantum.inputs["table"]:
        repo.objects[ref] = content
    task.run_quantum(quantum, repo)
    return quantum, repo


def output(task: ShellTask, **data_ids: Any) -> Any:
    quantum, repo = run(task, **data_ids)
    return repo.objects[quantum.outputs["n"][0]]


def test_inputs_and_outputs_are_files_named_by_variables() -> None:
    """A script reads the file that "$table" names and writes the one that "$n" names."""
    assert output(shell('wc -l < "$table" > "$n"')) == 2


def test_files_have_the_endings_of_their_formats() -> None:
    """Programs that look at a file's ending find the right one."""
    assert output(shell('echo "[\\".${table##*.}\\", \\".${n##*.}\\"]" > "$n"')) == [".txt", ".json"]


def test_data_id_label_and_settings_are_variables() -> None:
    """What a quantum is, and how it is configured, stands in the environment."""
    script = """echo "[\\"$STAGE_STATION\\", \\"$STAGE_TASK\\", $limit, $fast, \\"$mode\\", $STAGE_DATA_ID]" > "$n" """
    task = shell(script, variables={"limit": 1.5, "fast": True, "mode": "a b"})

    assert output(task) == ["Dongsi", "count", 1.5, True, "a b", {"station": "Dongsi"}]


def test_a_script_runs_in_a_scratch_directory_that_goes() -> None:
    """What a script leaves lying about is gone with its quantum."""
    where = Path(output(shell('touch here; [ "$PWD" = "$STAGE_SCRATCH" ]; echo "\\"$PWD\\"" > "$n"')))

    assert not where.exists()


def test_several_inputs_come_one_a_line() -> None:
    """A multiple input is a list of paths."""
    task = shell(
        'while read -r f; do cat "$f"; done <<< "$table" | wc -l > "$n"',
        inputs={"table": {**TEXT, "multiple": True, "dimensions": ["station", "day"]}},
    )

    assert output(task, table=[{"day": d} for d in (1, 2, 3)]) == 6


def test_several_outputs_come_one_a_line() -> None:
    """A multiple output names one file for each planned dataset."""
    task = shell(
        'i=0; while read -r f; do echo $i > "$f"; i=$((i+1)); done <<< "$n"',
        outputs={"n": {**COUNT, "multiple": True, "dimensions": ["station", "day"]}},
    )
    quantum, repo = run(task, n=[{"day": 5}, {"day": 6}])

    assert [repo.objects[r] for r in quantum.outputs["n"]] == [0, 1]


def test_both_streams_go_to_the_log_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """What a script prints is logged line by line."""
    with caplog.at_level(logging.INFO, "count"):
        run(shell('echo one; echo two >&2; printf three; echo 1 > "$n"'))

    assert caplog.messages == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo before; exit 3; echo after", "exit status 3: before"),
        (
            "echo first; echo; echo why; echo; exit 3",
            "exit status 3: why\nIts last lines:\n  first\n  \n  why",
        ),
        ("exit 4", "exit status 4; it printed nothing"),
        ("false | cat; echo after", "exit status 1"),
        ('echo "$unset_variable"', "unbound variable"),
        ("kill -SEGV $$", "signal SIGSEGV"),
        ("if then", "syntax error"),
        ("no-such-program-here", "command not found"),
    ],
)
def test_a_failure_says_how_it_ended_with_the_last_lines(script: str, said: str) -> None:
    """A status other than 0, in a pipe too, an unset variable, a signal: each fails with what was printed last."""
    with pytest.raises(ScriptFailed) as caught:
        run(shell(script))

    assert said in str(caught.value)


def test_only_the_last_lines_are_told() -> None:
    """A long output is cut to its end."""
    with pytest.raises(ScriptFailed) as caught:
        run(shell("seq 1000; exit 1"))

    assert str(caught.value).splitlines()[2:] == [f"  {n}" for n in range(981, 1001)]


def test_a_missing_output_is_named_and_nothing_is_stored() -> None:
    """A script that ends well without its output has failed."""
    task = shell('echo 1 > "$n"', outputs={"n": COUNT, "plot": {"dataset_type": "plot"}})
    repo = MemoryRepo()
    quantum = make_quantum(task, {"station": "A"})
    repo.objects[quantum.inputs["table"][0]] = ""
    with pytest.raises(ScriptFailed, match="did not make its output 'plot'") as caught:
        task.run_quantum(quantum, repo)

    assert caught.value.code == "missing-output"
    assert quantum.outputs["n"][0] not in repo.objects


def test_an_optional_output_may_be_left_out() -> None:
    """An output with minimum 0 is stored only if it was made."""
    task = shell('echo 1 > "$n"', outputs={"n": COUNT, "plot": {"dataset_type": "plot", "minimum": 0}})
    quantum, repo = run(task)

    assert quantum.outputs["plot"][0] not in repo.objects


def test_a_script_declares_that_there_is_no_work() -> None:
    """The file $STAGE_NO_WORK ends a quantum well, with the reason written there."""
    with pytest.raises(NoWorkFound, match="the table is empty"):
        run(shell('[ -s "$table" ] || { echo "the table is empty" > "$STAGE_NO_WORK"; exit 0; }'), content="")


def test_too_few_inputs_are_no_work() -> None:
    """The script is not even started."""
    with pytest.raises(NoWorkFound, match="0 of at least 1 'table'"):
        run(shell("exit 1"), table=[])


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """Processes that a script leaves in the background neither hold the quantum nor outlive it."""
    began = time.monotonic()
    number = output(shell('sleep 60 & echo $! > "$n"'))

    assert time.monotonic() - began < 20
    status = Path(f"/proc/{number}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_a_shell_task_is_called_with_paths(tmp_path: Path) -> None:
    """In a notebook a shell task takes and gives paths."""
    (tmp_path / "in.txt").write_text("x\n")
    found = shell('wc -l < "$table" > "$n"').run(table=tmp_path / "in.txt", scratch=tmp_path)

    assert found.n.read_text().strip() == "1"
    assert found.n.is_relative_to(tmp_path)


@pytest.mark.parametrize("name", ["PATH", "STAGE_TASK", "LD_PRELOAD", "a-b", "ü"])
def test_variables_that_a_script_relies_on_cannot_be_taken(name: str) -> None:
    """An input cannot be called PATH."""
    with pytest.raises(PipelineError, match="cannot name a variable"):
        shell("true", inputs={name: TEXT})


def test_one_name_cannot_mean_two_things() -> None:
    """Inputs, outputs and settings share one environment."""
    with pytest.raises(PipelineError, match="'n' names two things"):
        shell("true", variables={"n": 1})


def test_misspelt_keys_of_a_declaration_offer_the_nearest() -> None:
    """A typo inside inputs: is found like any other."""
    with pytest.raises(PipelineError, match=r"inputs\.table\.storage_clas") as caught:
        shell("true", inputs={"table": {"dataset_type": "a", "storage_clas": "Text"}})

    assert caught.value.hint == "Did you mean 'storage_class'?"


def test_values_reach_the_script_as_values() -> None:
    """Nothing in a setting or a data ID is executed."""
    script = 'printf "%s" "$word" > word; [ "$(cat word)" = "\\$(touch /tmp/never)" ]; echo 1 > "$n"'

    assert output(shell(script, variables={"word": "$(touch /tmp/never)"})) == 1


YAML = """
tasks:
  count:
    shell: |
      head -n "$most" "$table" | wc -l > "$n"
    dimensions: [station]
    inputs: {table: {dataset_type: table, storage_class: Text}}
    outputs: {n: {dataset_type: n_lines, storage_class: Json}}
    config: {most: 1}
"""


def test_a_script_in_a_pipeline_file(tmp_path: Path) -> None:
    """The YAML form gives the same task, built again from its node's document."""
    (tmp_path / "p.yaml").write_text(YAML)
    node = Pipeline.load(tmp_path / "p.yaml").node("count")
    task = type(node).from_document(json.loads(json.dumps(node.to_document()))).build()

    assert node.kind == "shell"
    assert output(task) == 1


def test_settings_of_a_script_are_changed_by_name(tmp_path: Path) -> None:
    """-c label:name=value works as for a class; a name that the script does not have is refused."""
    (tmp_path / "p.yaml").write_text(YAML)
    pipeline = Pipeline.load(tmp_path / "p.yaml")

    assert output(pipeline.with_config("count:most=7").node("count").build()) == 2
    assert (
        pipeline.with_config("count:connections.n=lines").node("count").connection("n").dataset_type
        == "lines"
    )
    with pytest.raises(PipelineError, match="no setting 'mots'") as caught:
        pipeline.with_config("count:mots=7")
    assert caught.value.hint == "Did you mean 'most'?"
    (tmp_path / "q.yaml").write_text("imports: p.yaml\ntasks: {count: {config: {mots: 7}}}")
    with pytest.raises(PipelineError, match="no setting 'mots'"):
        Pipeline.load(tmp_path / "q.yaml")


def test_a_script_may_stand_in_a_file_beside_the_pipeline(tmp_path: Path) -> None:
    """shell: {file: …} reads the script when the pipeline is loaded: the graph carries its text."""
    (tmp_path / "count.sh").write_text('wc -l < "$table" > "$n"\n')
    text = YAML.replace('|\n      head -n "$most" "$table" | wc -l > "$n"', "{file: count.sh}")
    (tmp_path / "p.yaml").write_text(text)
    node = Pipeline.load(tmp_path / "p.yaml").node("count")
    (tmp_path / "count.sh").unlink()

    assert output(node.build()) == 2


@pytest.mark.parametrize(
    ("storage_class", "script", "said"),
    [
        ("Json", 'echo "{broken" > "$n"', "not readable as 'json'"),
        ("Json", ': > "$n"', "not readable as 'json'"),
        ("Yaml", 'echo "a: [1" > "$n"', "not readable as 'yaml'"),
        ("NumpyArray", 'echo no array > "$n"', "not readable as 'npy'"),
        ("NumpyArray", ': > "$n"', "the file is empty"),
        ("JsonZst", 'echo 1 > "$n"', "not readable as 'json.zst'"),
    ],
)
def test_an_output_of_another_form_fails_the_quantum(storage_class: str, script: str, said: str) -> None:
    """The file, its storage class and what the formatter says are named, and nothing is stored."""
    outputs = {
        "ok": {"dataset_type": "ok", "storage_class": "Text"},
        "n": {**COUNT, "storage_class": storage_class},
    }
    task = shell('echo 1 > "$ok"; ' + script, outputs=outputs)
    repo = MemoryRepo()
    quantum = make_quantum(task, {"station": "A"})
    repo.objects[quantum.inputs["table"][0]] = ""
    with pytest.raises(ScriptFailed, match=f"output 'n' .*which is no {storage_class}: ") as caught:
        task.run_quantum(quantum, repo)

    assert said in str(caught.value)
    assert caught.value.code == "bad-output"
    assert quantum.outputs["ok"][0] not in repo.objects


@pytest.mark.parametrize("storage_class", ["Text", "Bytes", "File"])
def test_classes_that_hold_anything_take_anything(storage_class: str) -> None:
    """Bytes that are no text are an output like any other where the class promises nothing."""
    task = shell(r'printf "\\xff\\x00" > "$n"', outputs={"n": {**COUNT, "storage_class": storage_class}})
    quantum, repo = run(task)

    assert quantum.outputs["n"][0] in repo.objects


def test_a_flood_of_lines_is_logged_as_blocks(caplog: pytest.LogCaptureFixture) -> None:
    """Many lines at once are one record, whole and in order; few are a record each."""
    with caplog.at_level(logging.INFO, "count"):
        run(shell('seq 20000; echo 1 > "$n"'))
    lines = "\n".join(caplog.messages).split("\n")

    assert lines == [str(n) for n in range(1, 20001)]
    assert len(caplog.messages) < 2000


def test_settings_of_a_script_go_by_the_names_that_change_them(tmp_path: Path) -> None:
    """``describe_settings`` and ``diff`` say ``factor``, as ``-c count:factor=2`` does; the script itself is no setting."""
    (tmp_path / "p.yaml").write_text(
        "tasks: {count: {shell: 'true', dimensions: [station], outputs: {n: {dataset_type: n}}, config: {factor: 1}}}"
    )
    before = Pipeline.load(str(tmp_path / "p.yaml"))
    after = before.with_config("count:factor=2")

    assert describe_settings(after, "count") == [SettingOrigin("factor", 2, 1, "-c count:factor")]
    assert describe_settings(before, "count")[0].origin.startswith(str(tmp_path / "p.yaml"))
    assert after.diff(before) == ["count:factor: 2 against 1"]
