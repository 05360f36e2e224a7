"""The demonstration and the two examples, run as a person runs them: by their commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sync.repo import Repo

ROOT = Path(__file__).resolve().parents[2]
EVERY = 1 if os.environ.get("STAGE_FAULTS") == "long" else 4
"""Of the night's 48 frames each that is taken."""

pytestmark = pytest.mark.slow


def run(*words: str, cwd: Path) -> str:
    """Run a command with the environment's programs first on the path; it must succeed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def members(repo: Repo, run_name: str) -> Counter[str]:
    """Count the datasets of a RUN by type."""
    with repo.registry.read() as snapshot:
        counts = snapshot.count_datasets([run_name])
    return Counter({name: n for name, _, n in counts.rows(("dataset_type", "run", "n"))})


def check_all_pushed(work: Path) -> Counter[str]:
    """Compare the campaign's one RUN in staging with upstream's; return what it holds."""
    staging = Repo.attach(f"sqlite:///{work}/campaign/staging.sqlite3", str(work / "campaign/data"))
    with staging, Repo.open(str(work / "upstream")) as upstream:
        with staging.registry.read() as snapshot:
            (name,) = [c.name for c in snapshot.collections(["campaign/*"])]
        ours, theirs = members(staging, name), members(upstream, name)
    assert ours == theirs
    return ours


@pytest.fixture(autouse=True)
def _libraries() -> None:
    for name in ("pyarrow", "astropy", "sep", "reproject", "lsst.sphgeom"):
        pytest.importorskip(name)


def test_demo_goes_round_and_finds_the_simulated_stars(tmp_path: Path) -> None:
    """``stage demo`` types out the README's commands, pushes everything, and writes one page with a picture."""
    shown = run("stage", "demo", "round", cwd=tmp_path)
    typed = [line.partition("  #")[0].strip() for line in typed_in("README.md", "    $ ")]

    assert len(typed) > 5
    assert [line for line in typed if f"$ {line}\n" not in shown] == []
    assert "bright true stars found" in shown
    held = check_all_pushed(tmp_path / "round")
    assert held["coadd"] == 12
    page = (tmp_path / "round/report.html").read_text()
    assert "data:image/png;base64," in page
    assert len(page) < 2_000_000
    for line in typed_in("docs/start.md", "stage "):  # what the page looks around with
        run("stage", *shlex.split(line), cwd=tmp_path / "round/campaign")


def typed_in(page: str, prompt: str) -> list[str]:
    """Return the lines of a page that begin so, without that."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(prompt) for line in lines if line.startswith(prompt)]


def test_air_reproduces_the_known_means(tmp_path: Path, shared: Path) -> None:
    """The twelve stations' means come out as they are known, from a universe without any sky."""
    data = shared / "data/real-tables/beijing-air"
    shown = run("bash", str(ROOT / "examples/air/run.sh"), str(data), str(tmp_path), cwd=ROOT)

    assert "12 of 12 stations reproduce the known mean" in shown
    held = check_all_pushed(tmp_path)
    assert (held["daily"], held["city_text"]) == (576, 1)


def test_proteins_are_found_in_chunks_and_weighed(tmp_path: Path) -> None:
    """A pipeline of two steps: chunks that a script finds out are worked on and gathered; the masses are those known."""
    shown = run("bash", str(ROOT / "examples/proteins/run.sh"), str(tmp_path), cwd=ROOT)

    assert "step 1 of 2 'find'; when it is done: work" in shown
    assert "6 of 6 proteins have the known mass; 3 chunks were found" in shown
    held = check_all_pushed(tmp_path)
    assert (held["parts"], held["masses"], held["mass_table"], held["found_chunks"]) == (1, 3, 1, 1)


def test_hatp32_registers_and_coadds_real_frames(tmp_path: Path, shared: Path) -> None:
    """Raw frames of one night register, and their coadds show at least twice what a median frame shows."""
    frames = sorted((shared / "data/real-images/microobs-hatp32").glob("HATP-32*.FITS.gz"))[::EVERY]
    data = tmp_path / "frames"
    data.mkdir()
    for frame in frames:
        (data / frame.name).symlink_to(frame)
    shown = run("bash", str(ROOT / "examples/hatp32/run.sh"), str(data), str(tmp_path), cwd=ROOT)

    before, _, after = shown.partition("$ stage push --dry-run")
    upstream_before = before.rpartition("$ stage query collections")[2]
    assert len(frames) == 48 // EVERY
    assert "MicroObs/raw" in upstream_before
    assert "campaign/" not in upstream_before
    assert "as expected" in after
    held = check_all_pushed(tmp_path)
    assert held["astrometry"] >= 0.93 * len(frames)
    assert held["coadd"] == 12
