"""The program behind ``make vectors``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from registry.errors import InternalError, QueryError
from tests.vectors import judging, run

pytest.importorskip("lsst.sphgeom")

CASE = {"id": "q1", "expected": {"columns": ["a"], "count": 2, "ordered": False, "rows": [[1], [2]]}}


def _fail(exc: BaseException) -> Any:
    def answer() -> Any:
        raise exc

    return answer


@pytest.fixture
def folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of vectors with a few real cases of one data set."""
    monkeypatch.setenv("STAGE_SHARED", str(shared))
    document = json.loads((shared / "vectors" / "query_vectors.json").read_text())
    document["cases"] = [c for c in document["cases"] if c["dataset"] == "spatial"][:8]
    (tmp_path / "query_vectors.json").write_text(json.dumps(document))
    return tmp_path


def test_right_answers_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cases answered as the reference does pass; the last line counts them."""
    assert run.main(["--dir", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "8 passed, 0 failed"


def test_wrong_answers_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case with another answer is named, counted, and makes the program fail."""
    path = folder / "query_vectors.json"
    document = json.loads(path.read_text())
    document["cases"][3]["expected"]["count"] += 1
    path.write_text(json.dumps(document))
    assert run.main(["--dir", str(folder), "--only", "query"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(document["cases"][3]["id"] in line for line in lines)
    assert lines[-1] == "7 passed, 1 failed"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--dir", "{}/nosuch"], "no folder"),
        (["--dir", "{}", "--only", "nosuch"], "unknown kind"),
        (["--dir", "{}", "--only", "fuzz_query"], "has no fuzz_query_vectors.json"),
        (["--dir", "{}", "--db", "oracle"], "unknown database"),
    ],
)
def test_what_cannot_be_run_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    """A missing folder, an unknown kind, a missing file or another database fails; the last line says so."""
    assert run.main([a.format(folder) for a in arguments]) == 1
    out = capsys.readouterr().out
    assert word in out
    assert out.splitlines()[-1].endswith("1 failed")


def test_kinds_that_are_not_supported_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a choice the kinds that cannot be run are named and do not fail; asked for, they do."""
    (folder / "fuzz_query_vectors.json").write_text('{"cases": []}')
    monkeypatch.delitem(run.RUNNERS, "fuzz_query")
    assert run.main(["--dir", str(folder)]) == 0
    assert "fuzz_query: not supported" in capsys.readouterr().out
    assert run.main(["--dir", str(folder), "--only", "query,fuzz_query"]) == 1


def test_judging_of_answers() -> None:
    """Rows may come in any order unless the order counts; a refusal is no answer, an answer no refusal."""
    assert run.judge(CASE, lambda: [[2], [1]]) == ""
    ordered = {**CASE, "expected": {**CASE["expected"], "ordered": True}}
    assert "row 0" in run.judge(ordered, lambda: [[2], [1]])
    assert "1 rows" in run.judge(CASE, lambda: [[1]])
    assert "refused" in run.judge(CASE, _fail(QueryError("no")))
    refused = {"id": "q2", "expected": {"error": "user-expression-error"}}
    assert run.judge(refused, _fail(QueryError("no"))) == ""
    assert "expected a refusal" in run.judge(refused, list)


@pytest.mark.parametrize(
    "marked",
    [
        {**CASE, "tags": ["peer-quirk-or-backend-dependent"]},
        {"id": "q", "expected": {"error": "user-expression-error", "may_be_answered": True}},
        {"id": "q", "expected": {"error": "RuntimeError", "peer_bug": True}},
        {"id": "q", "peer_quirk": True, "expected": {"accepted": True}},
    ],
)
def test_marked_cases_need_only_end_cleanly(marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the reference is no guide any answer and any refusal passes, but no traceback and no hang."""
    assert run.judge(marked, lambda: [[7]]) == ""
    assert run.judge(marked, _fail(QueryError("no"))) == ""
    assert "traceback" in run.judge(marked, _fail(ZeroDivisionError("x")))
    assert "InternalError" in run.judge(marked, _fail(InternalError("x")))
    monkeypatch.setattr(judging, "_LONGEST_S", 1)
    assert "no answer" in run.judge(marked, lambda: time.sleep(10))


@pytest.mark.slow
def test_shared_queries_are_answered_as_by_the_reference(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every query of the shared vectors, the generated ones too, has the reference's answer."""
    monkeypatch.setenv("STAGE_SHARED", str(shared))
    failed = run.main(["--only", "query,fuzz_query"])
    assert not failed, capsys.readouterr().out
