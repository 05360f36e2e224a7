"""Compare the pushed masses with those of UniProt: ``check.py WORK_DIR``."""

import sys
from pathlib import Path

from stage import Repo

# Masses in daltons that UniProt states for these chains.
KNOWN = {"P01308": 11981, "P0CG48": 8565, "P99999": 11749, "P69905": 15258, "P68871": 15998, "P02185": 17331}


def main(work: Path) -> int:
    """Print one line a protein; return 1 if any differs."""
    with Repo.open(str(work / "upstream")) as repo:
        table = str(repo.get("mass_table", {"library": "small"}, ["proteins/masses"]))
        with repo.registry.read() as snapshot:
            n_chunks = snapshot.records("chunk").n_rows
    found = {name: float(mass) for name, mass in (line.split() for line in table.splitlines())}
    wrong = 0
    for name, mass in KNOWN.items():
        good = abs(found.get(name, 0.0) - mass) < 1
        wrong += not good
        print(f"{'same ' if good else 'WRONG'} {name} {found.get(name, 0.0):.1f}, known {mass}")
    print(f"{len(KNOWN) - wrong} of {len(KNOWN)} proteins have the known mass; {n_chunks} chunks were found")
    return int(wrong > 0 or len(found) != len(KNOWN) or n_chunks != 3)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
