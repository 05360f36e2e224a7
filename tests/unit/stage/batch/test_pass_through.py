"""Options that are handed through, and the field's programs in people's files: by meaning, or refused with why."""

from __future__ import annotations

import pytest

from registry.errors import UsageError
from stage.batch.submission.field_programs import without_field_programs
from stage.batch.submission.options import settings_given
from stage.batch.submission.pass_through import build_options, check_exec_options


def test_build_options_are_those_of_build() -> None:
    """What builds a graph here is taken; settings of tasks change them first."""
    graph, edits = build_options(
        "--skip-existing-in a,b --offline -c clean:limit=3 --qgraph-dot x.dot", "visit = 1"
    )

    assert (graph.data_query, graph.skip_existing_in, graph.offline, graph.qg_dot) == (
        "visit = 1", ["a", "b"], True, "x.dot",
    )  # fmt: skip
    assert edits == {"config": ["clean:limit=3"]}
    assert build_options("", None)[0].skip_existing_in is None


@pytest.mark.parametrize("text", ["--clobber-outputs", "--save-qgraph x", "a", "'", "--data-id-table"])
def test_what_means_nothing_to_a_build_is_refused(text: str) -> None:
    """With the options that there are."""
    with pytest.raises(UsageError, match="extraQgraphOptions") as caught:
        build_options(text, None)
    assert "--skip-existing-in" in caught.value.hint


def test_jobs_take_limits_and_nothing_that_chooses_quanta() -> None:
    """How long, how often, how much log; never which quanta or where outputs go."""
    check_exec_options("--timeout 60 -j 2 --retries 1")
    for text in ("--quanta all", "--record x", "--no-versions", "--force"):
        with pytest.raises(UsageError, match="means nothing here"):
            check_exec_options(text)


def test_options_become_settings_by_the_names_of_the_file() -> None:
    """What is not said is not there; inputs may be said several times."""
    given = settings_given({"input": ["a", "b,c"], "compute_site": "x", "data_query": "", "save_dot": True})

    assert given == {"inCollection": "a,b,c", "computeSite": "x", "saveDot": True}
    with pytest.raises(UsageError, match="can mean nothing here"):
        settings_given({"extra_init_options": "--no-versions"})


def test_the_fields_programs_are_not_called() -> None:
    """A job's command and the final job's become ours, each with a note; a user's own command stays."""
    made, notes = without_field_programs(
        {
            "runQuantumCommand": "${CTRL_MPEXEC_DIR}/bin/pipetask run -b {butlerConfig}",
            "payload": {"runInit": True},
            "pipetask": {
                "pipetaskInit": {"runQuantumCommand": "pipetask run"},
                "a": {"runQuantumCommand": "./mine {x}"},
            },
            "finalJob": {
                "command1": "${DAF_BUTLER_DIR}/bin/butler transfer-from-graph",
                "whenRun": "SUCCESS",
            },
        }
    )

    assert made["runQuantumCommand"].startswith("{stageCommand} exec")
    assert made["pipetask"]["a"] == {"runQuantumCommand": "./mine {x}"}
    assert made["finalJob"] == {"whenRun": "SUCCESS"}
    assert (made["runInit"], made["payload"]) == (False, {"runInit": False})
    assert [note.partition(" ")[0] for note in notes] == [
        "runQuantumCommand",
        "runInit:",
        "finalJob.command1",
    ]
    assert without_field_programs({"a": 1, "finalJob": {"command1": "./x"}}) == (
        {"a": 1, "finalJob": {"command1": "./x"}}, [],
    )  # fmt: skip
