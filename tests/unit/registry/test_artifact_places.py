"""Where artifacts are: those of some RUNs or of all others, and those whose URIs are absolute; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.artifacts import artifacts_elsewhere, artifacts_of_runs
from registry.errors import ConflictError, NotFoundError
from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from registry.registry import Registry
from tests.databases import DATABASES, database_of, sent
from tests.registry_builders import add_camera, dataset_type, detector_rows

PLACES = ("/data/x", "s3://bucket/x", "a/b:c/x", "file:///data/y")


@pytest.fixture(params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """Four raws in one run at four kinds of places, two in another, and flats without artifacts."""
    with database_of(request, tmp_path) as database:
        made = database.registry()
        with made.write() as tx:
            add_camera(tx)
            for name in ("raw", "flat"):
                tx.register_dataset_type(dataset_type(name, "instrument", "detector"))
            for run in ("a", "b"):
                tx.register_run(run)
            rows = detector_rows(artifacts=True, n=len(PLACES))
            uris = rows["uri"].copy()
            uris[:] = PLACES
            tx.insert_datasets("raw", "a", rows.with_column("uri", uris))
            tx.insert_datasets("raw", "b", detector_rows(artifacts=True, n=2))
            tx.insert_datasets("flat", "b", detector_rows(n=2))
        yield made


def test_absolute_uris_are_told_from_relative_ones(registry: Registry) -> None:
    """A path from the root and anything with a scheme count, whatever else a name holds; ids narrow that down."""
    with registry.read() as snapshot:
        with sent(registry) as statements:
            found = artifacts_elsewhere(snapshot)
        one = artifacts_elsewhere(snapshot, found["id"].tolist()[:1])
        none = artifacts_elsewhere(snapshot, [])

    assert sorted(found["uri"].tolist()) == ["/data/x", "file:///data/y", "s3://bucket/x"]
    assert len(statements) == 1
    assert tuple(found.names) == ARTIFACT
    assert (one.n_rows, none.n_rows) == (1, 0)


def test_artifacts_of_runs_and_of_all_others(registry: Registry) -> None:
    """Each artifact comes with its type and RUN; what has no artifact is left out."""
    with registry.read() as snapshot:
        own, others = (artifacts_of_runs(snapshot, ["b"], others=o) for o in (False, True))

    assert own.select(("dataset_type", "run")).rows() == [("raw", "b")] * 2
    assert others.select(("dataset_type", "run")).rows() == [("raw", "a")] * 4


def test_what_is_no_run_is_refused(registry: Registry) -> None:
    """A name that is nothing, or another kind of collection, is an error."""
    with registry.write() as tx:
        tx.set_chain("chain", ["a"])
        for name, error in (("none", NotFoundError), ("chain", ConflictError)):
            with pytest.raises(error):
                artifacts_of_runs(tx, [name])


def test_records_can_be_given_other_places(registry: Registry) -> None:
    """What is recorded of a dataset's file is replaced, and the dataset stays what it was."""
    with registry.write() as tx:
        rows = artifacts_elsewhere(tx)
        uris = rows["uri"].copy()
        uris[:] = ["p", "q", "r"]
        tx.insert_artifacts(Columns({**{n: rows[n] for n in ARTIFACT}, "uri": uris}))

        assert artifacts_elsewhere(tx).n_rows == 0
        assert tx.artifact(rows["id"][0]) == ("p", *(rows[n][0] for n in ARTIFACT[2:]))
