"""Say what the pushed run holds, and whether it is what these frames are known to give: ``check.py WORK_DIR``."""

import sys
from pathlib import Path

import numpy as np

from stage import Repo

CHAIN = "MicroObs/coadds"
ENOUGH = 0.93  # of the frames: clouds and twilight may hide the stars of a few


def main(work: Path) -> int:
    """Print frames registered and sources found; return 1 if there are too few."""
    with Repo.open(str(work / "upstream")) as repo:
        n_raw, n_frames = _count(repo, "raw", "MicroObs/raw"), _count(repo, "src")
        n_registered = _count(repo, "astrometry")
        sources = [table.num_rows for table in _all(repo, "src")]
        coadd = sum(table.num_rows for table in _all(repo, "catalogue"))
    median = float(np.median(sources))
    print(f"{n_registered} of {n_frames} frames registered")
    print(
        f"a median frame has {median:.0f} sources, the coadd catalogue {coadd}: {coadd / median:.2f} times as many"
    )
    good = n_frames == n_raw and n_registered >= ENOUGH * n_raw and coadd >= 2 * median
    wanted = f"{n_raw} frames, {ENOUGH:.0%} of them registered, at least twice the sources"
    print("as expected" if good else f"NOT as expected: {wanted}")
    return int(not good)


def _count(repo: Repo, dataset_type: str, collection: str = CHAIN) -> int:
    with repo.registry.read() as snapshot:
        return snapshot.datasets(dataset_type, [collection]).n_rows


def _all(repo: Repo, dataset_type: str) -> list:
    with repo.registry.read() as snapshot:
        ids = snapshot.datasets(dataset_type, [CHAIN])["id"].tolist()
    return [repo.get(i) for i in ids]


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
