"""``stage demo``: a campaign all the way round, by the commands that a person would type."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from registry.errors import AlreadyExistsError, StageError
from stage.campaign.campaign import Campaign
from stage.demo.imaging import SkyGrid
from stage.demo.simulate import Survey, match_with_truth
from stage.errors import ExecutionError
from stage.report.picture import Picture, picture_of
from sync.repo import Repo

__all__ = ["Comparison", "compare_with_truth", "run_demo"]

CHAIN = "demo/coadds"
MATCH_RADIUS_ARCSEC = 2.0
BRIGHT_SIGMA = 16.0
_MARKER = ".stage-demo"


@dataclass(frozen=True)
class Comparison:
    """How the pushed catalogue compares with the simulated truth, band by band added up.

    Parameters
    ----------
    n_catalogue : int
        Entries.
    n_real : int
        Entries within 2 arcseconds of a true star.
    n_bright, n_bright_found : int
        True stars whose peak is 16 sigma or more in the coadd; those with an entry.
    median_arcsec : float
        Median distance of the real entries from their stars.
    """

    n_catalogue: int
    n_real: int
    n_bright: int
    n_bright_found: int
    median_arcsec: float

    @property
    def good(self) -> bool:
        """Whether the round trip gave what the simulation put in."""
        return (
            self.n_real >= 0.85 * self.n_catalogue > 0
            and self.n_bright_found >= 0.85 * self.n_bright > 0
            and self.median_arcsec < 1.0
        )

    def facts(self) -> dict[str, str]:
        """Return the comparison as lines for a person.

        Returns
        -------
        dict of str to str
            A name and a text each.
        """
        return {
            "catalogue entries with a true star": f"{self.n_real} of {self.n_catalogue}",
            "bright true stars found": f"{self.n_bright_found} of {self.n_bright}",
            "median distance from the truth": f"{self.median_arcsec:.2f} arcseconds",
        }


def run_demo(
    folder: Path, *, processes: int = 2, replace: bool = False, say: Callable[[str], None] = print
) -> Path:
    """Simulate a survey, put it upstream, and take a campaign round.

    Parameters
    ----------
    folder : Path
        Made for the purpose; gets ``simulated``, ``upstream``, ``campaign`` and ``report.html``.
    processes : int
        Worker processes.
    replace : bool
        Whether a folder that an earlier demo made may be removed first.
    say : callable
        Takes each line that is shown.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    AlreadyExistsError
        If the folder is there and is not an earlier demo's, or `replace` is false; it is left as it was.
    ExecutionError
        If a command failed, or the catalogue is not what the simulation put in.
    """
    folder = folder.resolve()
    _prepare_folder(folder, replace)
    survey = Survey()
    say(
        f"# Simulating {survey.n_exposures} exposures of 2 detectors, {survey.n_stars} stars (seed {survey.seed})."
    )
    survey.write(folder / "simulated")
    pipeline = folder / "pipeline.yaml"
    pipeline.write_bytes(resources.files("stage.demo").joinpath("pipeline.yaml").read_bytes())
    tour = _Tour(folder, say)
    tour.fill_upstream()
    tour.run_campaign(processes)
    comparison = compare_with_truth(folder, survey)
    for name, text in comparison.facts().items():
        say(f"{name}: {text}")
    report = folder / "report.html"
    Campaign.load(folder / "campaign").report(
        html=report, facts=comparison.facts(), pictures=[_mosaic(folder, survey.grid, survey.bands[0])]
    )
    say(f"\nReport: {report}")
    say(f"Look around: cd {shlex.quote(str(folder / 'campaign'))} && stage status")
    if not comparison.good:
        raise ExecutionError("the catalogue is not what the simulation put in", code="demo-differs")
    return report


class _Tour:
    """Types out and runs the commands."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        script = Path(sys.executable).with_name("stage")
        self.command = [str(script)] if script.exists() else [sys.executable, "-m", "cli"]

    def stage(self, *words: str, cwd: str = "") -> None:
        """Show one command as a person would type it, then run it."""
        self.say(f"\n$ stage {' '.join(map(_quoted, words))}")
        sys.stdout.flush()
        done = subprocess.run([*self.command, *self._expanded(words)], cwd=self.folder / cwd, check=False)
        if done.returncode:
            raise ExecutionError(
                f"'stage {shlex.join(words)}' ended with {done.returncode}", code="demo-command"
            )

    def _expanded(self, words: tuple[str, ...]) -> list[str]:
        """Replace a pattern of files by the files, as a shell does."""
        found = (sorted(self.folder.glob(word)) if word.endswith("/*.fits") else [word] for word in words)
        return [
            str(f.relative_to(self.folder)) if isinstance(f, Path) else f for files in found for f in files
        ]

    def fill_upstream(self) -> None:
        """Create the shared repository and put the simulated survey in."""
        self.say(f"\n$ cd {shlex.quote(str(self.folder))}")
        self.say("# The shared repository, as its keeper makes it")
        self.stage("repo", "create", "upstream")
        self.stage("repo", "import", "upstream", "simulated/records")
        self.stage(
            "repo",
            "register-dataset-type",
            "upstream",
            "raw",
            "FitsImage",
            "instrument",
            "exposure",
            "detector",
        )
        self.stage("repo", "register-dataset-type", "upstream", "sky_grid", "Json", "skymap")
        self.stage("repo", "register-dataset-type", "upstream", "refcat", "ArrowTable", "skymap")
        ingest = ("repo", "ingest", "upstream")
        self.stage(
            *ingest,
            "raw",
            "simulated/raw/*.fits",
            "--run",
            "sim/raw",
            "--describe",
            "stage.demo.describe:describe",
        )
        for name, file in (("sky_grid", "sky_grid.json"), ("refcat", "refcat.parquet")):
            self.stage(
                *ingest, name, f"simulated/refs/{file}", "--run", "sim/refs", "--data-id", "skymap=demo"
            )
        self.stage("repo", "info", "upstream")

    def run_campaign(self, processes: int) -> None:
        """Clone, run, push, and look at what arrived."""
        self.say("\n# A campaign of one's own: nothing below touches the shared repository until the push")
        where = "instrument = 'SimCam' AND skymap = 'demo'"
        self.stage(
            "clone", "upstream", "campaign", "-p", "pipeline.yaml", "-i", "sim/raw,sim/refs", "-d", where
        )
        self.say("\n$ cd campaign")
        self.stage("run", "-j", str(processes), cwd="campaign")
        self.stage("status", cwd="campaign")
        self.stage("push", "--dry-run", "--register-dataset-types", cwd="campaign")
        self.stage("push", "--register-dataset-types", "--chain", CHAIN, cwd="campaign")
        self.say("\n# Again: there is nothing left to push")
        self.stage("push", cwd="campaign")
        where = "patch IN (0, 1) AND skymap = 'demo'"
        self.stage(
            "query",
            "datasets",
            "catalogue",
            "--repo",
            "../upstream",
            "-i",
            CHAIN,
            "--where",
            where,
            cwd="campaign",
        )


def compare_with_truth(folder: Path, survey: Survey) -> Comparison:
    """Compare the catalogues that were pushed upstream with the simulated stars.

    Parameters
    ----------
    folder : Path
        Of the demo.
    survey : Survey
        What was simulated.

    Returns
    -------
    Comparison
        Added up over the bands.
    """
    truth = survey.stars()
    totals, distances = np.zeros(4, dtype=int), []
    with Repo.open(str(folder / "upstream")) as upstream:
        for band in survey.bands:
            catalogue = _pushed_catalogue(upstream, band)
            real, found, distance = match_with_truth(catalogue, truth, MATCH_RADIUS_ARCSEC)
            bright = _bright_and_covered(upstream, survey, truth, band)
            totals += [len(real), real.sum(), bright.sum(), (found & bright).sum()]
            distances.append(distance[real])
    n_catalogue, n_real, n_bright, n_found = totals.tolist()
    return Comparison(n_catalogue, n_real, n_bright, n_found, float(np.median(np.concatenate(distances))))


def _pushed_catalogue(upstream: Repo, band: str) -> dict[str, Any]:
    import pyarrow as pa

    tables: list[Any] = [upstream.get(i) for i in _datasets(upstream, "catalogue", band)["id"].tolist()]
    if not tables:
        raise StageError(f"no catalogue of band {band} is upstream", code="demo-empty")
    whole = pa.concat_tables(tables)
    return {name: whole[name].to_numpy() for name in whole.column_names}


def _datasets(upstream: Repo, dataset_type: str, band: str) -> Any:
    with upstream.registry.read() as snapshot:
        return snapshot.datasets(
            dataset_type, [CHAIN], where="band = my_band AND skymap = 'demo'", bind={"my_band": band}
        )


def _bright_and_covered(upstream: Repo, survey: Survey, truth: dict[str, Any], band: str) -> Any:
    """Say which stars' peaks are 16 sigma or more in the coadd, by the star's simulated image and the coadd's noise."""
    bright = np.zeros(len(truth["ra"]), dtype=bool)
    found = _datasets(upstream, "coadd", band)
    for dataset_id, patch in zip(found["id"].tolist(), found["patch"].tolist(), strict=True):
        coadd: Any = upstream.get(dataset_id)
        x, y = survey.grid.wcs(patch).world_to_pixel_values(truth["ra"], truth["dec"])
        mine = survey.grid.inner(x, y)
        column, row = np.round(x[mine]).astype(int), np.round(y[mine]).astype(int)
        variance, empty = coadd.variance[row, column], coadd.mask[row, column] > 0
        peak = truth["flux"][mine] / (2 * np.pi * survey.seeing**2)
        bright[mine] = ~empty & (peak > BRIGHT_SIGMA * np.sqrt(np.maximum(variance, 1e-9)))
    return bright


def _mosaic(folder: Path, grid: SkyGrid, band: str) -> Picture:
    """Put the inner parts of a band's coadds side by side."""
    n = grid.patch_size
    whole = np.full((grid.n_y * n, grid.n_x * n), np.nan)
    inner = slice(grid.border, grid.border + n)
    with Repo.open(str(folder / "upstream")) as upstream:
        found = _datasets(upstream, "coadd", band)
        for dataset_id, patch in zip(found["id"].tolist(), found["patch"].tolist(), strict=True):
            coadd: Any = upstream.get(dataset_id)
            cell_y, cell_x = divmod(patch, grid.n_x)
            pixels = np.where(coadd.mask > 0, np.nan, coadd.data)[inner, inner]
            whole[cell_y * n : (cell_y + 1) * n, cell_x * n : (cell_x + 1) * n] = pixels
    return picture_of(whole, f"Coadd of band {band}, all patches")


def _quoted(word: str) -> str:
    """Quote a word as a person would: double quotes around an expression that has single ones."""
    if word.endswith("/*.fits"):
        return word
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


def _prepare_folder(folder: Path, replace: bool) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise AlreadyExistsError(f"{folder} is there, and no demo made it", hint="Name another folder.")
        if not replace:
            raise AlreadyExistsError(f"{folder} holds an earlier demo", hint="Say --yes to replace it.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
