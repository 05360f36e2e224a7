"""What holds after every command of a campaign's life, whatever it was and however it ended."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from tests.integration.tiny_campaign import campaign_digest

OF_AN_ATTEMPT = re.compile(r"_(log|metadata)_.*_failed-\d+\.\w+$")
"""What is kept of an attempt that another one followed, for 'stage log --attempts'."""
IS_OF_A_CHANGE = (".*.new-*", ".campaign.undo", ".campaign.undone")


def tree(root: Path) -> dict[str, str]:
    """Return every file below a root with a digest of its bytes."""
    files = (p for p in sorted(root.rglob("*")) if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


class Watch:
    """Looks at campaigns and at the repository that they belong to, after each command."""

    def __init__(self, upstream: Path) -> None:
        self.upstream = upstream
        self._shared: dict[str, str] = {}
        self._campaigns: dict[Path, dict[str, str]] = {}
        self.n_looks = 0

    def look(self, campaign: Path, *, pushes: bool = False, failed: bool = False) -> None:
        """Check what a command has left: of `pushes`, that it wrote upstream; of `failed`, that it wrote nothing."""
        self.n_looks += 1
        if self.upstream.is_dir():
            now, before = tree(self.upstream), self._shared or tree(self.upstream)
            assert pushes == (now != before), "only a push writes upstream, and it does"
            self._shared = now
        if not (campaign / ".campaign.json").is_file():
            return
        digest = campaign_digest(campaign)
        assert not failed or digest == self._campaigns.get(campaign, digest), (
            "what fails leaves all as it was"
        )
        self._campaigns[campaign] = digest
        assert [p.name for pattern in IS_OF_A_CHANGE for p in campaign.glob(pattern)] == []
        assert (campaign / ".campaign.lock").read_text() == "", "nobody holds it"
        if (campaign / "staging.sqlite3").is_file():
            check_stack(campaign)
            check_registry(campaign)


def stack(campaign: Path) -> dict[str, Any]:
    """Return the collections of a campaign's state."""
    found: dict[str, Any] = json.loads((campaign / ".campaign.json").read_text())["collections"]
    return found


def check_stack(campaign: Path) -> None:
    """The chain is (current run, past runs, inputs); what was made is noted, and what is noted is there."""
    state = stack(campaign)
    runs = [*([state["current_run"]] if state["current_run"] else []), *state["past_runs"]]
    rows = _rows(campaign, "SELECT id, name, type FROM collection")
    names, ids = {row[0]: row[1] for row in rows}, {row[1]: row[0] for row in rows}

    assert len(set(runs)) == len(runs)
    assert set(runs) <= set(state["created"])
    assert set(state["created"]) <= set(ids)
    if state["chain"] in ids:
        members = _rows(
            campaign,
            f"SELECT child_id FROM collection_chain WHERE parent_id = {ids[state['chain']]} ORDER BY position",
        )
        assert [names[child] for (child,) in members] == [*runs, *state["inputs"]]
    else:
        assert runs == [], "the chain is made with the first run"


def check_registry(campaign: Path) -> None:
    """The database is sound; every file of its own that it names is there, and no other but what failed attempts left."""
    assert _rows(campaign, "PRAGMA integrity_check") == [("ok",)]
    assert _rows(campaign, "PRAGMA foreign_key_check") == []
    data = campaign / "data"
    named = {uri for (uri,) in _rows(campaign, "SELECT uri FROM artifact")}
    there = {str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()}

    assert {uri for uri in named if not uri.startswith("/")} - there == set()
    assert {path for path in there - named if not OF_AN_ATTEMPT.search(path)} == set()


def _rows(campaign: Path, statement: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"file:{campaign}/staging.sqlite3?mode=ro", uri=True)
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()
