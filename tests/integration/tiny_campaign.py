"""A weather network in miniature: an upstream with its own universe, a pipeline of four tasks, and the command."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from registry.model.refs import new_id

ROOT = Path(__file__).resolve().parents[2]

UNIVERSE = """
name: test/weather
version: 1
elements:
  station:
    key: {name: name, type: string, length: 32}
    metadata:
      height: {type: float, unit: m}
  month:
    key: {name: id, type: int}
"""

TASKS = """
import os
import signal
from stage import Input, Output, task, NoWorkFound

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={"reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH)},
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=BOTH)},
)
def clean(reading, limit: float = 100.0, fail_on: str = ""):
    print("cleaning", len(reading))
    if fail_on and reading["station"] == fail_on and not os.environ.get("STAGE_TEST_HEALED"):
        raise ValueError(f"station {fail_on} is out of order\\nsecond line")
    return {"values": [v for v in reading["values"] if v <= limit]}


@task(
    dimensions=("station",),
    inputs={"clean": Input(dataset_type="clean", storage_class="Json", dimensions=BOTH, multiple=True)},
    outputs={"summary": Output(dataset_type="summary", storage_class="Json", dimensions=("station",))},
)
def summarise(clean):
    values = [v for c in clean for v in c["values"]]
    return {"n": len(values), "mean": sum(values) / len(values)}


@task(
    dimensions=(),
    inputs={"summary": Input(dataset_type="summary", storage_class="Json", dimensions=("station",), multiple=True)},
    outputs={"total": Output(dataset_type="total", storage_class="Json", dimensions=())},
)
def total(summary):
    return {"n": sum(s["n"] for s in summary), "stations": len(summary)}
"""

PIPELINE = """
description: Monthly readings to one table.
tasks:
  clean: weather_tasks.clean
  summarise: weather_tasks.summarise
  total: weather_tasks.total
"""

STATIONS, MONTHS = ("aar", "bex", "chur"), (202601, 202602)


class Output(NamedTuple):
    """What a command wrote."""

    stdout: str
    stderr: str


def stage(
    *words: str | Path, cwd: Path, code: int = 0, env: dict[str, str] | None = None, traceback: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does and check its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    environment.pop("STAGE_CAMPAIGN_DIR", None)
    if env and "STAGE_CAMPAIGN_DIR" in env:
        environment["STAGE_CAMPAIGN_DIR"] = env["STAGE_CAMPAIGN_DIR"]
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert code == done.returncode, (
        f"stage {' '.join(map(str, words))} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    if code and not traceback:
        assert "Traceback" not in done.stderr
    return done


def write_sources(folder: Path) -> None:
    """Write universe, records, pipeline and readings as a keeper and a user would have them."""
    (folder / "universe.yaml").write_text(UNIVERSE)
    (folder / "weather_tasks.py").write_text(TASKS)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    records = folder / "records"
    records.mkdir()
    (records / "station.jsonl").write_text(
        "".join(json.dumps({"name": s, "height": 100.0 * i}) + "\n" for i, s in enumerate(STATIONS))
    )
    (records / "month.jsonl").write_text("".join(json.dumps({"id": m}) + "\n" for m in MONTHS))
    readings = folder / "readings"
    readings.mkdir()
    lines = ["station,month,path"]
    for i, station in enumerate(STATIONS):
        for month in MONTHS:
            name = f"{station}-{month}.json"
            (readings / name).write_text(json.dumps({"station": station, "values": [i, i + 1, 1000]}))
            lines.append(f"{station},{month},{name}")
    (readings / "table.csv").write_text("\n".join(lines) + "\n")


def make_upstream(folder: Path, *options: str) -> Path:
    """Make the shared repository by commands; options are those of its creation."""
    if options:
        _make_upstream(folder, *options)
    else:
        copy_tree(_upstream_made(), folder)
    return folder / "upstream"


@cache
def _upstream_made() -> Path:
    """Make it once in a process, for others to be copies of: nothing in it says where it is."""
    folder = template_folder("weather")
    _make_upstream(folder)
    return folder


def _make_upstream(folder: Path, *options: str) -> None:
    write_sources(folder)
    call("repo", "create", "upstream", "--universe", "universe.yaml", *options, cwd=folder)
    call("repo", "import", "upstream", "records", cwd=folder)
    call("repo", "register-dataset-type", "upstream", "reading", "Json", "station", "month", cwd=folder)
    call(
        "repo",
        "ingest",
        "upstream",
        "reading",
        "--table",
        "readings/table.csv",
        "--run",
        "net/raw",
        cwd=folder,
    )


def template_folder(label: str) -> Path:
    """Make a folder for what is made once in a process and copied; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix=f"stage-{label}-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def copy_tree(source: Path, folder: Path) -> None:
    """Copy what was made into a folder; repositories right in it become others than those that they are copies of."""
    shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)
    for path in folder.glob("*/registry.sqlite3"):
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE repository SET value = ? WHERE key = 'repo_id'", (new_id().hex(),))


def call(*words: str | Path, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> Output:
    """Run the command in this process: quicker, for many small cases."""
    from cli.main import run_command

    out, err = io.StringIO(), io.StringIO()
    before, old = Path.cwd(), dict(os.environ)
    os.chdir(cwd)
    os.environ.pop("STAGE_CAMPAIGN_DIR", None)
    os.environ.update(env or {})
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = run_command([str(w) for w in words])
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(old)
    assert code == found, f"stage {' '.join(map(str, words))} -> {found}\n{out.getvalue()}\n{err.getvalue()}"
    assert "Traceback" not in err.getvalue()
    return Output(out.getvalue(), err.getvalue())


def campaign_digest(root: Path) -> dict[str, str]:
    """Return all that a campaign holds: every file's bytes, and what its database says."""
    skipped = (".campaign.lock", "staging.sqlite3", "staging.sqlite3-wal", "staging.sqlite3-shm")
    files = {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and p.name not in skipped}
    out = {str(p.relative_to(root)): hashlib.sha256(data).hexdigest() for p, data in files.items()}
    if (root / "staging.sqlite3").exists():
        out["staging"] = database_dump(root / "staging.sqlite3")
    return out


def tree_digest(root: Path) -> dict[str, str]:
    """Return every file, link and directory below a root with its content and modes; databases as dumps too."""
    out: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        if path.name.startswith("staging.sqlite3-"):
            continue  # looking into a campaign's database makes them
        key = str(path.relative_to(root))
        mode = path.lstat().st_mode
        content = path.read_bytes() if path.is_file() else b""
        out[key] = (
            f"{mode:o} {hashlib.sha256(content).hexdigest()} {path.lstat().st_mtime_ns if path.is_file() else ''}"
        )
        if path.suffix == ".sqlite3":
            out[key + ":dump"] = database_dump(path)
    return out


def database_dump(path: Path) -> str:
    """Return a digest of all that a database says."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        text = "\n".join(database.iterdump())
    database.close()
    return hashlib.sha256(text.encode()).hexdigest()
