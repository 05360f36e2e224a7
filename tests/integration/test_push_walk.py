"""A refused push is resolved by the commands that its message names, and nothing else; as a user types them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

COMMAND = re.compile(r"'stage (push(?:\"[^\"]*\"|[^'\"])*)'")
SHARED = "u/shared"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two campaigns with a run of one name; of the first one's some types are upstream, and a record was changed here."""
    work = tmp_path_factory.mktemp("walk")
    make_upstream(work)
    for name, limit in (("one", 5), ("two", 100)):
        options = ("--next-run", SHARED, "-c", f"clean:limit={limit}")
        call("clone", "upstream", name, "-p", "pipeline.yaml", "-i", "net/raw", *options, cwd=work)
        call("run", "-q", "-j0", cwd=work / name)
    types = ("--dataset-type", "clean", "--dataset-type", "summary*")
    call("push", "--register-dataset-types", *types, "--chain", "net/best", cwd=work / "one")
    with sqlite3.connect(work / "two/staging.sqlite3") as database:
        database.execute("UPDATE dim_station SET height = 1 WHERE station = 'bex'")
    database.close()
    return work


@pytest.fixture
def camp(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    state = tmp_path / "two/.campaign.json"
    state.write_text(state.read_text().replace(str(template), str(tmp_path)))
    return tmp_path / "two"


def ways_on(message: str) -> dict[str, list[list[str]]]:
    """Read from a refusal's lines the commands that each kind of conflict names."""
    out: dict[str, list[list[str]]] = {}
    code = ""
    for line in message.splitlines():
        if found := re.search(r"(?:^  |refused: )([a-z]+-[a-z-]+): ", line):
            code = found[1]
        out.setdefault(code, []).extend(shlex.split(c) for c in COMMAND.findall(line))
    return out


def test_three_conflicts_are_resolved_by_the_commands_of_the_message(camp: Path) -> None:
    """Each refusal names a command for what is in the way; typed one after the other as they stand, they end in a push."""
    words = ["push", "--chain", "net/best"]
    met: list[set[str]] = []
    for _ in range(4):
        refused = call(*words, cwd=camp, code=12)
        ways = {code: found for code, found in ways_on(refused.stderr).items() if found}
        met.append(set(ways))
        words = next(iter(ways.values()))[0]
        if len(ways) == 1:
            break

    pushed = call(*words, "--json", cwd=camp)

    kinds = {"dataset-type-unknown", "dataset-exists", "record-differs"}
    assert met == [kinds, kinds - {"dataset-type-unknown"}, {"record-differs"}]
    assert words[:3] == ["push", "--chain", "net/best"]
    assert {"--register-dataset-types", "dataset-exists=skip", "record-differs=skip"} <= set(words)
    assert len(words) == 3 + 1 + 4, "each command is the one before with one thing more"
    document = json.loads(pushed.stdout)
    assert document["pushed"]
    assert document["new_datasets"]["total"] == 1
    assert document["counts"]["skipped"]["record-differs"] == 1
    assert {c["code"] for c in document["skipped"]} == {"dataset-exists", "record-differs"}
    heights = call("query", "records", "station", "--repo", "upstream", "--json", cwd=camp.parent)
    assert {r["station"]: r["height"] for r in json.loads(heights.stdout)}["bex"] == 100.0
    again = call(*words, cwd=camp).stdout
    assert "nothing to push but what was left out" in again
    assert "pushed" in call("status", cwd=camp).stdout


def test_or_ours_are_made_in_a_run_of_another_name(camp: Path) -> None:
    """The other way that the message names: a new run, and a push of that one."""
    call("push", "--register-dataset-types", cwd=camp, code=12)
    call("edit", "--next-run", "u/two/%n", cwd=camp)
    call("run", "-q", "-j0", "--new-run", cwd=camp)

    words = ("push", "u/two/0", "--register-dataset-types", "--on-conflict", "record-differs=skip", "--json")
    pushed = json.loads(call(*words, cwd=camp).stdout)

    assert pushed["counts"]["dataset"] == {"new": 34, "same": 0}


def test_a_part_is_pushed_by_its_data_ids(camp: Path) -> None:
    """``--where`` with ``--strict-inputs``: what would dangle is named with the command that brings it in."""
    words = ["push", "--register-dataset-types", "--on-conflict", "all=skip", "--dataset-type", "total"]
    refused = call(*words, "--where", "station = 'bex'", "--strict-inputs", cwd=camp, code=12).stderr

    assert "push refused: input-not-pushed: 9 input datasets, 6 clean of run 'u/shared' (first: {" in refused
    (bring, skip) = [shlex.split(c) for c in COMMAND.findall(refused)][:2]
    assert "--where" not in bring
    assert skip[-1] == "input-not-pushed=skip"
    assert "pushed" in call(*skip, cwd=camp).stdout


def test_a_policy_that_cannot_be_is_refused(camp: Path) -> None:
    """A usage error with the reason, before anything is compared."""
    refused = call("push", "--on-conflict", "universe-differs=skip", cwd=camp, code=2).stderr

    assert "universe-differs cannot be skipped: nothing can be compared" in refused
    assert "fail or skip" in call("push", "--on-conflict", "all=overwrite", cwd=camp, code=2).stderr
