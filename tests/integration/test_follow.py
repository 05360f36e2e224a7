"""Logs that are followed while quanta run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.errors import StageError
from tests.integration.book_campaign import make_campaign
from tests.integration.tiny_campaign import ROOT, call

PIPELINE = """
tasks:
  slow:
    dimensions: [book]
    inputs: {{text: {{dataset_type: text, storage_class: Text}}}}
    outputs: {{out: {{dataset_type: out, storage_class: Text}}}}
    shell: |
      echo "begin $STAGE_BOOK"; touch "{folder}/$STAGE_BOOK.begun"
      until test -e {folder}/go; do sleep 0.05; done
      echo "end $STAGE_BOOK"; cp "$text" "$out"
"""


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("words", [(), ("slow",), ("slow", "book=ants"), ("book=ants",)])
def test_lines_are_told_as_they_are_written(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What scripts print is seen while they run, of the chosen quanta only, and following ends with the run."""
    make_campaign(tmp_path, pipeline=PIPELINE.format(folder=tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        [sys.executable, "-m", "cli", "run", "-q", "-j2"], cwd=tmp_path / "c", env=environment
    )
    try:
        for book in ("ants", "bees"):
            wait_for(tmp_path / f"{book}.begun")
        follow = subprocess.Popen(
            [sys.executable, "-m", "cli", "log", "-f", *words],
            cwd=tmp_path / "c", env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert follow.stdout is not None
        seen = ""
        while "begin ants" not in seen:
            line = follow.stdout.readline()
            assert line
            seen += line
        (tmp_path / "go").touch()
        seen += follow.communicate(timeout=60)[0]
    finally:
        (tmp_path / "go").touch()
        run.wait(timeout=60)

    assert follow.returncode == 0
    assert "end ants" in seen
    assert "==> slow slow_log_ants" in seen
    assert ("end bees" in seen) == ("book=ants" not in words)
    assert seen.count("begin ants") == 1


def test_following_ends_where_nothing_runs(tmp_path: Path) -> None:
    """Where nobody is running anything, the last lines are shown and that is all; options about the past are refused."""
    (tmp_path / "go").touch()
    campaign = make_campaign(tmp_path, pipeline=PIPELINE.format(folder=tmp_path))
    campaign.run(processes=0)
    assert "end bees" in call("log", "-f", cwd=tmp_path / "c").stdout
    assert "end bees" not in call("log", "-f", "--tail", "0", cwd=tmp_path / "c").stdout
    with pytest.raises(StageError, match="logs that are followed"):
        campaign.log(failed=True, follow=print)
    assert "no JSON" in call("log", "-f", "--json", cwd=tmp_path / "c", code=2).stderr
