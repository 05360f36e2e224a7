"""The wheel, installed alone, in a directory with modules that have our names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = ("cli", "registry", "sync", "stage", "typer", "numpy")


def _run(*words: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "STAGE_CAMPAIGN_DIR")}
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if check:
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the source, with the back end that is installed if it is new enough."""
    pytest.importorskip("build")
    isolation = [] if int(version("setuptools").partition(".")[0]) < 77 else ["--no-isolation"]
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("registry", "sync", "stage", "cli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    _run(sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", folder, source, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    """All packages, universes, grammar and type markers are in the wheel, and no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(p.relative_to(ROOT))
        for package in ("registry", "sync", "stage", "cli")
        for p in (ROOT / package).rglob("*")
        if p.suffix in (".py", ".yaml", ".lark", ".typed") or p.name == "py.typed"
    }

    assert ours - names == set()
    assert [n for n in names if n.startswith(("tests", "benchmarks", "docs"))] == []


@pytest.mark.slow
def test_hostile_names_in_the_working_directory(wheel: Path, tmp_path: Path) -> None:
    """The installed command, its workers and its jobs meet the installed packages, whatever lies about."""
    venv = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    site = next((venv / "lib").glob("python*/site-packages"))
    _run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel,
        cwd=tmp_path,
    )  # fmt: skip
    # What we depend on comes from the environment that runs the tests, after the clean one's own.
    libraries = next(p for p in sys.path if p.endswith("site-packages"))
    (site / "zz_libraries.pth").write_text(libraries + "\n")
    stage = venv / "bin" / "stage"
    stage.write_text(f"#!{venv}/bin/python\nimport sys\nfrom cli.main import run\nsys.exit(run())\n")
    stage.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    for name in HOSTILE:
        (work / f"{name}.py").write_text(f"raise SystemExit('hostile {name}.py was imported')\n")

    assert "Clone, run and push" in _run(stage, "--help", cwd=work).stdout
    where = _run(
        venv / "bin" / "python",
        "-P",
        "-c",
        "import cli, registry; print(cli.__file__, registry.__file__)",
        cwd=work,
    )

    assert str(ROOT) not in where.stdout
    _round(stage, work)


def _round(stage: Path, work: Path) -> None:
    """Go all the way round, with worker processes, where the hostile modules are."""
    from tiny_campaign import write_sources

    write_sources(work)
    _run(stage, "repo", "create", "upstream", "--universe", "universe.yaml", cwd=work)
    _run(stage, "repo", "import", "upstream", "records", cwd=work)
    _run(stage, "repo", "register-dataset-type", "upstream", "reading", "Json", "station", "month", cwd=work)
    _run(
        stage,
        "repo",
        "ingest",
        "upstream",
        "reading",
        "--table",
        "readings/table.csv",
        "--run",
        "net/raw",
        cwd=work,
    )
    _run(stage, "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=work)
    _run(stage, "run", "-j", "2", "--campaign-dir", "camp", cwd=work)
    _run(stage, "push", "--register-dataset-types", "--campaign-dir", "camp", cwd=work)
    _run(stage, "prep", "--campaign-dir", "camp", cwd=work)
    (graph,) = (
        p
        for p in work.glob("camp/submit/camp/*/graph.qg")
        if not (work / "camp/logs/camp" / p.parent.name).exists()
    )
    _run(stage, "exec", graph, "--quanta", "all", "--record", "job.jsonl", "-j", "1", cwd=work)
    _run(stage, "merge", "job.jsonl", "--campaign-dir", "camp", cwd=work)

    assert '"stations": 3' in _run(stage, "get", "total", "--campaign-dir", "camp", cwd=work).stdout
