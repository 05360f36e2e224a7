"""Judging of the cases of settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.vectors import batch_config

if TYPE_CHECKING:
    import pytest

CASE: dict[str, Any] = {
    "id": "c",
    "files": {"main.yaml": "a: '{b}/${BPSV_CFG}'\nb: 5\n"},
    "main": "main.yaml",
    "env": {},
    "query": {"key": "a", "opt": {}},
    "expect": {"found": True, "type": "str", "value": "5/@CFG@"},
    "tags": [],
}


def _problems(folder: Path, *changes: dict[str, Any]) -> list[str]:
    cases = [{**CASE, **change} for change in changes]
    (folder / "config.json").write_text(json.dumps({"cases": cases}))
    return [problem for _, _, problem in batch_config.run_cases(folder)]


def test_answers_are_compared_with_their_types(tmp_path: Path) -> None:
    """What is answered as expected passes; another value, type or refusal does not."""
    wrong = {"expect": {"found": True, "type": "str", "value": "6"}}
    other_type = {"query": {"key": "b"}, "expect": {"found": True, "type": "str", "value": "5"}}
    refused = {"query": {"key": "b"}, "expect": {"error": "KeyError"}}
    problems = _problems(tmp_path, {}, wrong, other_type, refused)

    assert problems[0] == ""
    assert all(problem.startswith("answered") for problem in problems[1:])


def test_quirks_may_be_answered_otherwise_but_not_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a quirk any answer will do; an error that is not ours is a failure of any case."""
    quirk = {"expect": {"error": "TypeError"}, "tags": ["quirk"]}

    assert _problems(tmp_path, quirk, {**quirk, "tags": []})[0] == ""
    monkeypatch.setattr(batch_config, "answer_case", lambda _: 1 // 0)
    assert _problems(tmp_path, quirk) == ["traceback: ZeroDivisionError: integer division or modulo by zero"]


def test_submissions_are_made_where_options_are_given(tmp_path: Path) -> None:
    """With options, and engines with their defaults, the whole submission is made."""
    options = {
        "cmdline": {"some_key": "x", "wms_service_class": "m.E"},
        "defaults": {"submitPath": "${PWD}/s"},
        "wms_services": {"m.E": {"mine": 1}},
    }
    chain = {"query": {"chain": ["someKey"]}, "expect": {"type": "str", "value": "x"}}
    engine = {"query": {"key": "mine"}, "expect": {"found": True, "type": "int", "value": 1}}
    path = {"query": {"key": "submitPath"}, "expect": {"found": True, "type": "str", "value": "@CWD@/s"}}
    unknown = {"wms_services": {}, "expect": {"error": "ImportError"}}

    assert _problems(tmp_path, *({**options, **c} for c in (chain, engine, path, unknown))) == [""] * 4
