"""Many campaigns that push to one upstream at the same moment, each in a process of its own.

``python -m tests.sync_crowd UPSTREAM CAMPAIGN=RUN ...`` prints a line of JSON a campaign, as each ends. A campaign whose
push is refused because the chain has moved, or because something changed meanwhile, pushes again, as its message says.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from registry.errors import StageError
from sync.errors import TransferError
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

AGAIN = {"chain-changed", "upstream-changed"}
TRIES = 50


def _push(root: str, campaign: Path, run: str) -> str:
    info = replace(made.CAMPAIGN, id=campaign.name.encode().ljust(16, b"."), name=campaign.name)
    with Repo.open(root, writable=True) as upstream, made.open_staging(campaign) as staging:
        plan = plan_push(
            staging, upstream, [run], campaign=info, register_dataset_types=True, chain="u/me/best"
        )
        return "pushed" if execute_push(plan, staging, upstream).push_id else "nothing"


def _member(root: str, campaign: Path, run: str, start_at: float) -> dict[str, object]:
    time.sleep(max(0.0, start_at - time.time()))
    began, tries = time.monotonic(), 0
    while True:
        tries += 1
        told: dict[str, object] = {"campaign": campaign.name, "run": run, "tries": tries}
        try:
            told["outcome"] = _push(root, campaign, run)
        except StageError as error:
            codes = {c.code for c in getattr(error, "conflicts", ())} or {error.code}
            if codes <= AGAIN and tries < TRIES:
                continue
            if not isinstance(error, TransferError) or tries >= TRIES:
                told |= {"outcome": "refused", "codes": sorted(codes), "text": str(error)}
            else:
                continue
        return {**told, "seconds": time.monotonic() - began}


def main(root: str, *members: str) -> None:
    start_at = time.time() + 0.3
    for member in members:
        campaign, _, run = member.partition("=")
        if os.fork() == 0:
            code = 1
            try:
                os.write(1, (json.dumps(_member(root, Path(campaign), run, start_at)) + "\n").encode())
                code = 0
            finally:
                os._exit(code)
    for _ in members:
        _, status = os.wait()
        assert status == 0, status


if __name__ == "__main__":
    main(*sys.argv[1:])
