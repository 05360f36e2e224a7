"""While the jobs of a submission run, nothing asks the shared database: it may take no connections at all."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from tiny_campaign import call, make_upstream

from stage.batch.driving.starting import start_head
from stage.batch.facade import Batch
from stage.batch.layout import SubmitDir
from tests.databases import Database, connection_to

YAML = """
pipelineYaml: pipeline.yaml
operator: ada
computeSite: here
payload: {payloadName: weather, butlerConfig: upstream, inCollection: net/raw, dataQuery: ""}
clusterAlgorithm: dimension
cluster:
  byStation: {pipetasks: "clean, summarise", dimensions: station}
site:
  here: {wmsServiceClass: local, cores: 2}
"""


def _prepared(folder: Path) -> Path:
    """Prepare a submission; return its directory."""
    (folder / "weather.yaml").write_text(YAML)
    told = call("batch", "prepare", "weather.yaml", cwd=folder).stdout
    found = re.search(r"Submit dir: (.*)", told)
    assert found is not None, told
    return Path(found[1])


@pytest.fixture(autouse=True)
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have submissions numbered apart from anybody's."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.service
def test_jobs_and_their_merge_need_no_connection_to_upstream(postgres: Database, tmp_path: Path) -> None:
    """With its database closed to everybody a prepared submission runs, is merged and finished; a push needs it again."""
    url = postgres.copy(postgres.server)
    make_upstream(tmp_path, "--registry", url)
    where = _prepared(tmp_path)
    name = sa.make_url(url).database
    with connection_to(postgres.server) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            done = call("batch", "submit", where, "--wait", cwd=tmp_path).stdout
            refused = call("push", "--dry-run", cwd=tmp_path / "weather", code=1).stderr
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    assert done.endswith("State: SUCCEEDED\n")
    assert "not currently accepting connections" in refused, "it was closed"
    pushed = json.loads(call("push", "--json", "--register-dataset-types", cwd=tmp_path / "weather").stdout)
    assert pushed["pushed"]


def test_a_submission_killed_when_its_head_had_begun_is_taken_up(tmp_path: Path) -> None:
    """The same command finds the head that it had started, and notes that it was handed over."""
    make_upstream(tmp_path)
    where = _prepared(tmp_path)
    start_head(SubmitDir(where))

    call("batch", "submit", where, cwd=tmp_path)

    assert Batch().status(id="1").state in {"RUNNING", "READY", "PENDING", "SUCCEEDED"}
    assert "restart --id 1" in call("batch", "submit", where, cwd=tmp_path, code=12).stderr
    until = time.monotonic() + 120
    while Batch().status(id="1").state != "SUCCEEDED" and time.monotonic() < until:
        time.sleep(0.05)
    assert Batch().status(id="1").state == "SUCCEEDED"
