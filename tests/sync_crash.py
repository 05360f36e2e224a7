"""A push or fetch in a process of its own that is killed at a named fault point, as a machine that loses power.

``python -m tests.sync_crash push UPSTREAM CAMPAIGN RUN POINT [MODE]``; an empty point lives to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sync.clone import execute_fetch, plan_fetch
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made


def main(verb: str, upstream_root: str, campaign: str, run: str, point: str, mode: str = "auto") -> None:
    def at(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        Repo.open(upstream_root, writable=verb == "push") as upstream,
        made.open_staging(Path(campaign)) as staging,
    ):
        if verb == "fetch":
            execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream)), staging, at=at)
            return
        plan = plan_push(
            staging, upstream, [run], campaign=made.CAMPAIGN, register_dataset_types=True, chain="u/me/best"
        )  # fmt: skip
        print("planned", flush=True)
        result = execute_push(plan, staging, upstream, at=at, mode=mode)  # type: ignore[arg-type]
        print("pushed" if result.push_id else "nothing", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
