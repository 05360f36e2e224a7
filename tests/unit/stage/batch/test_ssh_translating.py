"""Paths of home in commands, as they are on the far machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage.batch.engines.base import JobRequest
from stage.batch.engines.ssh.translating import FarRun, Translator, translator_for
from stage.batch.workflow.model import JobSettings

RUN = FarRun("/far", "runs/r-1")
HOME = {"/home/me/camp/submit/r": RUN.submit, "/home/me/camp/data": RUN.data, "/home/me/camp": RUN.name}


@pytest.fixture(scope="module")
def translator() -> Translator:
    return translator_for(RUN, HOME, {"/opt/env/bin/stage": "/far/runs/r-1/bin/stage"})


@pytest.mark.parametrize(
    ("home", "far"),
    [
        ("/home/me/camp/submit/r/graph.qg", "/far/runs/r-1/submit/graph.qg"),
        (
            "--record=/home/me/camp/submit/r/records/0/1.jsonl",
            "--record=/far/runs/r-1/submit/records/0/1.jsonl",
        ),
        ("/home/me/camp/data", "/far/runs/r-1/data"),
        ("/home/me/camp/notes.txt", "/far/runs/r-1/notes.txt"),
        ("cd /home/me/camp; '/opt/env/bin/stage' exec", "cd /far/runs/r-1; '/far/runs/r-1/bin/stage' exec"),
        ("/home/me/campaign", "/home/me/campaign"),
        ("/home/me/camp.old", "/home/me/camp.old"),
        ("/backup/home/me/camp", "/backup/home/me/camp"),
        ("/opt/env/bin/stage-exec", "/opt/env/bin/stage-exec"),
    ],
)
def test_whole_names_are_translated(translator: Translator, home: str, far: str) -> None:
    """The longest that fits counts; the beginning of another name, or the end of another path, is left alone."""
    assert far == translator.text(home)


def test_a_request_is_told_with_far_paths(translator: Translator) -> None:
    """Command, log and variables are translated; what the command came from is not told again."""
    settings = JobSettings(
        "detect",
        arguments="exec {graphFile}",
        request_memory=5,
        environment=(("CONF", "/home/me/camp/conf"),),
    )
    log = Path("/home/me/camp/submit/r/jobs/detect/a.0.out")
    told = translator.request(
        JobRequest(
            7, "a", 0, ("/opt/env/bin/stage", "/home/me/camp/submit/r/graph.qg"), log, settings, 5, (1, 2)
        )
    )

    assert ["/far/runs/r-1/bin/stage", "/far/runs/r-1/submit/graph.qg"] == told["command"]
    assert "/far/runs/r-1/submit/jobs/detect/a.0.out" == told["log"]
    assert [["CONF", "/far/runs/r-1/conf"]] == told["settings"]["environment"]
    assert (7, 0, 5, [1, 2], "") == (
        told["number"], told["attempt"], told["memory_mb"], told["after"], told["settings"]["arguments"]
    )  # fmt: skip


def test_nothing_to_translate_changes_nothing() -> None:
    """Without paths of home every text stays."""
    assert "/a/b c" == Translator([]).text("/a/b c")


def test_runs_of_one_name_have_places_of_their_own() -> None:
    """Two directories at home are two there; odd characters, and dots at the beginning, do not lead out."""
    one, two = (FarRun.of("/far", "../u me/run", Path(p)) for p in ("/home/a", "/home/b"))

    assert one.name != two.name
    assert one == FarRun.of("/far", "../u me/run", Path("/home/a"))
    assert one.name.startswith("runs/_u_me_run-")
