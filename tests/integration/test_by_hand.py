"""One quantum by hand: executed by its name, and the environment in which its script can be run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from registry.errors import StageError
from stage import quantum_environment
from stage.campaign.by_hand import named_quanta
from tests.integration.book_campaign import counts, make_campaign
from tests.integration.tiny_campaign import call

PIPELINE = """
tasks:
  words:
    dimensions: [book]
    inputs: {text: {dataset_type: text, storage_class: Text}}
    outputs: {n: {dataset_type: n_words, type: int}, copy: {dataset_type: copy, storage_class: Text}}
    config: {suffix: "it's"}
    commands:
      - cp "$text" "$copy"
      - n=$(wc -w < "$copy")
  names: steps_tasks.Greedy
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Return the graph of a run that was prepared."""
    campaign = make_campaign(tmp_path, pipeline=PIPELINE)
    return campaign.layout.run_graph(campaign.prep())


def test_a_quantum_is_executed_by_its_name(tmp_path: Path, graph: Path) -> None:
    """Task and data ID choose it; merging its record makes it known to the campaign."""
    record = graph.with_name("by-hand.jsonl")
    done = call("exec", graph, "--quantum", "words:book=bees", "--record", record, cwd=tmp_path)
    assert "ran     1 quantum, 0 failed" in done.stdout
    from stage.campaign.campaign import Campaign

    campaign = Campaign.load(tmp_path / "c")
    assert counts(campaign.merge(str(record)))["words"] == {"succeeded": 1, "missing": 1}
    (entry,) = json.loads(call("log", "words", "book=bees", "--json", cwd=tmp_path / "c").stdout)
    assert (entry["status"], entry["attempt"]) == ("succeeded", 0)


def test_several_names_and_whole_tasks_are_taken(graph: Path) -> None:
    """A label alone means all quanta of its task, and each quantum counts once."""
    assert named_quanta(str(graph), ["words:book=bees"]) == [1]
    assert named_quanta(str(graph), ["words", "words:book=ants", "names:book=ants"]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("words:book", "bad-quanta", "'words:book' does not name a quantum"),
        ("words:book=", "bad-quanta", "does not name a quantum"),
        ("words:book=moths", "unknown-quantum", "the graph has no quantum 'words:book=moths'"),
        ("words:visit=1", "unknown-quantum", "the graph has no quantum"),
        ("word:book=ants", "unknown-task", "word"),
    ],
)
def test_a_name_of_no_quantum_is_refused(graph: Path, name: str, code: str, said: str) -> None:
    """The error says what is wrong with it."""
    with pytest.raises(StageError, match=said) as caught:
        named_quanta(str(graph), [name])
    assert code in caught.value.code or code == "unknown-task"


def test_the_environment_of_a_script_runs_it_by_hand(tmp_path: Path, graph: Path) -> None:
    """What --dump-env prints, taken over by a shell, is what the script needs; nothing is executed or recorded."""
    done = call("exec", graph, "--quantum", "words:book=bees", "--dump-env", cwd=tmp_path)
    script = f'{done.stdout}cd "$STAGE_SCRATCH"; cp "$text" "$copy"; cat "$copy"; echo " $suffix $STAGE_BOOK"; ls -d "$STAGE_OUTPUT_DIR"'
    ran = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.startswith("six seven it's bees\n")
    found = quantum_environment(str(graph), "words:book=bees")
    assert found["STAGE_TASK"] == "words"
    assert json.loads(found["STAGE_DATA_ID"]) == {"book": "bees"}
    assert found["STAGE_RUN"] in str(graph)
    assert Path(found["STAGE_SCRATCH"]).is_dir()
    assert not list((tmp_path / "c/data").rglob("*copy*"))


def test_the_environment_of_a_class_tells_of_its_quantum(graph: Path) -> None:
    """A task that is no script has no files named by variables."""
    found = quantum_environment(str(graph), "names:book=ants")
    assert {"STAGE_TASK", "STAGE_DATA_ID", "STAGE_RUN", "STAGE_QUANTUM"} <= set(found)
    assert "n" not in found


def test_an_environment_is_of_one_quantum(tmp_path: Path, graph: Path) -> None:
    """A name that means several is refused, and so are commands that leave out what they need."""
    with pytest.raises(StageError, match="means 2 quanta, and an environment is of one"):
        quantum_environment(str(graph), "words")
    for words, said in (
        ((), "which quanta are to be executed has to be said"),
        (("--quantum", "words"), "where to write what becomes of the quanta"),
        (("--dump-env",), "an environment is of one quantum"),
        (("--quanta", "0", "--quantum", "words", "--record", "r.jsonl"), "is said twice"),
    ):
        assert said in call("exec", graph, *words, cwd=tmp_path, code=2).stderr
