"""All the way round with files in S3: clone, run with workers, push, read back, with either database upstream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

from stage import Campaign, Repo
from sync.filesystem import files
from tests.databases import DATABASES, Database, ask, database_of
from tests.stores import Bucket

LONG = os.environ.get("STAGE_FAULTS") == "long"


@pytest.fixture(params=DATABASES if LONG else DATABASES[:1])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Where upstream's registry is: both kinds in the long form; `test_push_stores` has both in the short one."""
    with database_of(request, tmp_path) as made:
        yield made


@pytest.mark.slow
def test_outputs_in_s3_are_written_pushed_and_read_there(
    tmp_path: Path, bucket: Bucket, registry: Database
) -> None:
    """A campaign has its outputs in S3 from the start, another copies its own there: upstream has the same of both."""
    store, out = bucket.uri("up"), bucket.uri("up/.campaigns/far")
    options = ("--registry", registry.url()) if registry.name == "postgres" else ()
    make_upstream(tmp_path, "--datastore", store, *options)
    places = {"far": ("--outputs-in", out), **({"near": ()} if LONG else {})}
    for name, more in places.items():
        call("clone", "upstream", name, "-p", "pipeline.yaml", "-i", "net/raw", *more, cwd=tmp_path)
        call("run", "-q", "-j", "1" if more else "0", cwd=tmp_path / name)
        call("push", "--register-dataset-types", cwd=tmp_path / name)
        call("get", "total", "-o", f"../{name}.json", cwd=tmp_path / name)

    assert list((tmp_path / "far/data").iterdir()) == []
    assert {(tmp_path / f"{name}.json").read_bytes() for name in places} == {b'{"n":12,"stations":3}'}
    with Repo.open(str(tmp_path / "upstream")) as upstream:
        for name in places:
            (run,) = Campaign.load(tmp_path / name).state.collections.runs
            found = upstream.get("summary", {"station": "bex"}, collections=[run])
            assert found == {"n": 4, "mean": 1.5}
        rows = ask(upstream.registry, "SELECT uri, size, checksum FROM artifact")
        for uri, size, checksum in rows:
            assert files.checksum(upstream.datastore.locate(uri)) == (size, checksum)
    assert sum(uri.startswith(".campaigns/far/far/") for uri, *_ in rows) == 34
    assert sum(uri.startswith("near/") for uri, *_ in rows) == 34 * ("near" in places)
    said = call("pop", "1", "--unstore", cwd=tmp_path / "far", code=12).stderr
    assert "are upstream's" in said
