"""Holds a campaign in a process of its own, in the middle of a change, until its standard input ends.

python many_terminals.py CAMPAIGN transaction    rows are written in staging and not committed
python many_terminals.py CAMPAIGN files          the new graph is in its place, the state is not saved yet
"""

from __future__ import annotations

import sys
from pathlib import Path

from registry.model.collections import CollectionType
from stage.campaign import change as change_module
from stage.campaign.campaign import Campaign
from stage.campaign.command_line import command_line
from stage.campaign.lock import campaign_lock
from stage.campaign.state import save_state
from sync.repo import Repo


def _wait() -> None:
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sys.stdin.read()


def _in_a_transaction(campaign: Campaign) -> None:
    """Remove everything that readers look at, in a transaction that is never committed."""
    layout = campaign.layout
    with (
        campaign_lock(layout.lock, "stage run -j 8"),
        Repo.attach(layout.staging_url, layout.data, writable=True) as staging,
        staging.registry.write() as tx,
    ):
        tx.delete_rows("history", position=1)
        tx.register_collection("half/done", CollectionType.RUN)
        _wait()
        raise SystemExit(0)


def _between_files(campaign: Campaign) -> None:
    def save_later(*arguments: object) -> None:
        _wait()
        save_state(*arguments)  # type: ignore[arg-type]

    change_module.save_state = save_later  # type: ignore[attr-defined]
    with command_line(["run", "-j", "8"]):
        campaign.build(data_query="station = 'aar'")


if __name__ == "__main__":
    held = Campaign.load(Path(sys.argv[1]))
    (_in_a_transaction if sys.argv[2] == "transaction" else _between_files)(held)
