"""Cases of ``bps/config.json``: a submission's settings are read, and one of them is asked for."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from registry.errors import NotFoundError, UsageError
from stage.batch.config.settings import SEARCH_ORDER, Settings
from tests.vectors.judging import Hang, time_limit

__all__ = ["answer_case", "run_cases"]

FILE = "config.json"
_CLOCK = "20260102T030405Z"
_KINDS = ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (list, "list"), (dict, "section"))
_OPTIONS = {
    "curvals": "values",
    "searchobj": "searchobj",
    "default": "default",
    "required": "required",
    "expandEnvVars": "expand_env",
    "replaceEnvVars": "replace_env",
    "replaceVars": "replace",
    "skipNames": "skip",
}
_MASK = ("/root", "/data")
"""The answers have this directory masked wherever it stands; what the cases set has not."""


def run_cases(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of a folder: id, text, what is wrong.

    Of those marked as quirks any answer and any clean refusal will do.
    """
    for case in json.loads((folder / FILE).read_text(encoding="utf-8"))["cases"]:
        yield case["id"], json.dumps(case["query"]), _judge(case)


def _judge(case: dict[str, Any]) -> str:
    may_differ = "quirk" in case["tags"]
    try:
        with time_limit():
            answer = answer_case(case)
    except Hang as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001  (whatever else comes out is what is looked for here)
        return f"traceback: {type(exc).__name__}: {exc}"
    expected = case.get("expect_any") or [case["expect"]]
    if may_differ or any(_same(answer, e) for e in expected):
        return ""
    return f"answered {answer}, expected {expected}"


def _same(answer: dict[str, Any], expected: dict[str, Any]) -> bool:
    if "error" in expected:
        return "error" in answer
    return {k: answer.get(k) for k in expected} == expected


def answer_case(case: dict[str, Any]) -> dict[str, Any]:
    """Answer a case in the form in which it expects it."""
    with tempfile.TemporaryDirectory() as top:
        config, working = Path(top, "config"), Path(top, "working")
        for folder, files in ((config, case["files"]), (working, case.get("cwd_files", {}))):
            folder.mkdir()
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
        environment = {
            k: v for k, v in os.environ.items() if k not in {"BPS_WMS_SERVICE_CLASS", "STAGE_EXECUTOR"}
        }
        environment |= {**case["env"], "BPSV_CFG": str(config), "PWD": str(working)}
        masks = {str(config): "@CFG@", str(working): "@CWD@"}
        with contextlib.chdir(working):
            try:
                return _answer(_settings(case, config / case["main"], environment), case["query"], masks)
            except (UsageError, NotFoundError) as exc:
                return {"error": exc.code, "message": exc.message}


def _settings(case: dict[str, Any], path: Path, environment: Mapping[str, str]) -> Settings:
    order = case.get("search_order", SEARCH_ORDER)
    defaults = case.get("defaults", {})
    if "cmdline" not in case:
        return Settings.of_file(path, environment=environment, defaults=defaults, order=order)
    services = case.get("wms_services")
    settings = Settings.read(
        path,
        command_line=case["cmdline"],
        environment=environment,
        defaults=defaults,
        engine_defaults=None if services is None else _asked(services),
        timestamp=_CLOCK,
    )
    return settings.in_order(order)


def _asked(services: Mapping[str, Any]) -> Callable[[str], Mapping[str, Any]]:
    def defaults_of(name: str) -> Mapping[str, Any]:
        if name not in services:
            raise NotFoundError(f"there is no engine '{name}'", code="no-engine")
        return dict(services[name])

    return defaults_of


def _answer(settings: Settings, query: dict[str, Any], masks: Mapping[str, str]) -> dict[str, Any]:
    if "chain" in query:
        return _typed(_subscripts(settings, query["chain"]), masks)
    options = {_OPTIONS[name]: value for name, value in query.get("opt", {}).items()}
    found, value = settings.search(query["key"], **options)
    return {"found": found, **_typed(value, masks)}


def _subscripts(settings: Settings, chain: list[Any]) -> Any:
    """Look up one key after the other, each in what the last one gave."""
    value: Any = settings.search(chain[0])[1]
    for key in chain[1:]:
        if isinstance(value, Mapping):
            value = settings.inside(value).search(key)[1]
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if key < len(value) else ""
        else:
            raise UsageError(f"{value!r} has no {key!r}")
    return value


def _typed(value: Any, masks: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(value, dt.date):
        kind = "datetime" if isinstance(value, dt.datetime) else "date"
        return {"type": kind, "value": value.isoformat()}
    kind = "null" if value is None else next(name for of, name in _KINDS if isinstance(value, of))
    return {"type": kind, "value": _plain(value, masks)}


def _plain(value: Any, masks: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v, masks) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, masks) for v in value]
    if isinstance(value, float) and value in {float("inf"), float("-inf")}:
        return str(value)
    if isinstance(value, str):
        for path, mask in masks.items():
            value = value.replace(path, mask)
        return value.replace(*_MASK)
    return value
