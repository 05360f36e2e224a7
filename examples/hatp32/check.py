"""Say what the pushed run holds, and whether it is what these frames are known to give: ``check.py WORK_DIR``."""

import sys
from pathlib import Path

import numpy as np

from stage import Repo

CHAIN = "MicroObs/coadds"


def main(work: Path) -> int:
    """Print frames registered and sources found; return 1 if there are too few."""
    with Repo.open(str(work / "upstream")) as repo:
        n_frames, n_registered = (_count(repo, name) for name in ("src", "astrometry"))
        sources = [table.num_rows for table in _all(repo, "src")]
        coadd = sum(table.num_rows for table in _all(repo, "catalogue"))
    median = float(np.median(sources))
    print(f"{n_registered} of {n_frames} frames registered")
    print(
        f"a median frame has {median:.0f} sources, the coadd catalogue {coadd}: {coadd / median:.2f} times as many"
    )
    good = n_frames == 48 and n_registered >= 45 and coadd >= 2 * median
    print("as expected" if good else "NOT as expected: at least 45 of 48 frames, at least twice the sources")
    return int(not good)


def _count(repo: Repo, dataset_type: str) -> int:
    with repo.registry.read() as snapshot:
        return snapshot.datasets(dataset_type, [CHAIN]).n_rows


def _all(repo: Repo, dataset_type: str) -> list:
    with repo.registry.read() as snapshot:
        ids = snapshot.datasets(dataset_type, [CHAIN])["id"].tolist()
    return [repo.get(i) for i in ids]


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
