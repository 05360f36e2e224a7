"""Compare the pushed station summaries with the known means: ``check.py WORK_DIR``."""

import sys
from pathlib import Path

from stage import Repo

# Means of the daily means of PM2.5 (micrograms per cubic metre) over days with 18 hours or more, and those days.
KNOWN = {
    "Aotizhongxin": (82.61, 1423), "Changping": (70.76, 1432), "Dingling": (65.75, 1430), "Dongsi": (85.94, 1428),
    "Guanyuan": (82.87, 1437), "Gucheng": (83.62, 1434), "Huairou": (69.54, 1420), "Nongzhanguan": (84.58, 1435),
    "Shunyi": (79.05, 1423), "Tiantan": (82.27, 1425), "Wanliu": (83.22, 1449), "Wanshouxigong": (84.32, 1428),
}  # fmt: skip


def main(work: Path) -> int:
    """Print one line a station; return 1 if any differs."""
    with Repo.open(str(work / "upstream")) as repo:
        table = repo.get("city_table", {}, ["air/summaries"])
    wrong = 0
    for row in table:
        mean, days = KNOWN[row["station"]]
        good = abs(row["pm25"] - mean) < 0.005 and row["days"] == days
        wrong += not good
        print(f"{'same ' if good else 'WRONG'} {row['station']:14} {row['pm25']:.2f} over {row['days']} days")
    print(f"{len(table) - wrong} of {len(KNOWN)} stations reproduce the known mean")
    return int(wrong > 0 or len(table) != len(KNOWN))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
