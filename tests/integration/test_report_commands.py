"""Reports as commands: times, resources with YAML that can be pasted, and a page that a browser shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.tiny_campaign import call, make_upstream


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of one run, of which a station is out of order."""
    folder = tmp_path_factory.mktemp("reports")
    make_upstream(folder)
    where = {"PYTHONPATH": str(folder)}
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder, env=where)
    camp = folder / "camp"
    call(
        "run",
        "-j",
        "1",
        "--next-run",
        "one",
        "-c",
        "clean:fail_on=bex",
        "--use-task-configs",
        cwd=camp,
        env=where,
        code=3,
    )
    return camp


def ask(*words: str, cwd: Path) -> Any:
    """Return the JSON that a report is."""
    return json.loads(call("report", *words, "--json", cwd=cwd).stdout)


def test_times_of_some_tasks(campaign: Path) -> None:
    """By label, by pattern and by expression; without --times nothing is said of them."""
    found = ask("--times", cwd=campaign)

    assert [(t["task"], t["n"]) for t in found["times"]] == [("clean", 6), ("summarise", 2)]
    assert all(t["min_s"] <= t["median_s"] <= t["p90_s"] <= t["max_s"] <= t["wall_s"] for t in found["times"])
    assert len(found["slowest"]) == 8
    assert [t["task"] for t in ask("--times", "--filter", "s*", cwd=campaign)["times"]] == ["summarise"]
    some = ask("--times", "--task", "clean", "-d", "station.height > 150", cwd=campaign)

    assert [(t["task"], t["n"]) for t in some["times"]] == [("clean", 2)]
    assert "times" not in ask(cwd=campaign)
    text = call("report", "--times", cwd=campaign).stdout

    assert re.search(r"^clean +6 +[0-9.e-]+ ", text, re.MULTILINE)
    assert "failed  clean station=bex, month=202601: ValueError: station bex is out of order\n" in text
    err = call("report", "--task", "cleen", cwd=campaign, code=10).stderr

    assert "Did you mean 'clean'?" in err


def test_what_is_suggested_can_be_pasted(campaign: Path) -> None:
    """A pipeline with the YAML of the report asks for that, and its quanta run with it."""
    found = ask("--resources", cwd=campaign)
    folder, where = campaign.parent, {"PYTHONPATH": str(campaign.parent)}

    assert [(r["task"], r["n"], r["asked"]["memory_mb"]) for r in found["resources"]] == [
        ("clean", 4, None), ("summarise", 2, None), ("total", 0, None),
    ]  # fmt: skip
    assert call("report", "--resources", cwd=campaign).stdout.endswith(found["yaml"])
    (folder / "sized.yaml").write_text("imports: pipeline.yaml\n" + found["yaml"])
    call("clone", "upstream", "sized", "-p", "sized.yaml", "-i", "net/raw", cwd=folder, env=where)
    call("run", "-j", "1", "--next-run", "sized/run", cwd=folder / "sized", env=where)
    again = ask("--resources", cwd=folder / "sized")
    wanted = yaml.safe_load(found["yaml"])["tasks"]

    assert {r["task"]: r["asked"] for r in again["resources"] if r["task"] in wanted} == {
        task: entry["resources"] for task, entry in wanted.items()
    }
    assert again["counts"]["succeeded"] == 10


def test_the_page_needs_no_other_file(campaign: Path) -> None:
    """It has failures, times, requests and the pipeline, and names nothing that would have to be fetched."""
    call("report", "--html", "page.html", cwd=campaign)
    page = (campaign / "page.html").read_text()

    assert "ValueError: station bex is out of order" in page
    for title in ("Failures", "Pipeline", "Tasks", "Times", "Slowest quanta", "Asked for and used"):
        assert f"<h2>{title}</h2>" in page
    assert [u for u in re.findall(r"(?:src|href)=\"([^\"]*)", page) if not u.startswith("data:")] == []
    assert "http" not in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no browser")
def test_a_browser_shows_the_page(campaign: Path, tmp_path: Path) -> None:
    """A real browser, without a network, lays it out and draws the pipeline."""
    call("report", "--html", str(tmp_path / "page.html"), cwd=campaign)
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000",
            f"--screenshot={tmp_path / 'page.png'}", "--window-size=1000,1600", f"file://{tmp_path / 'page.html'}",
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert (tmp_path / "page.png").is_file(), done.stderr
    image = pytest.importorskip("PIL.Image").open(tmp_path / "page.png").convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 24)}

    assert image.size == (1000, 1600)
    # The fills of boxes in the drawing, and the colour of failures on the page.
    assert {(0xE8, 0xED, 0xF5), (0xF3, 0xEC, 0xF7), (0xB3, 0x37, 0x2F)} <= colours
