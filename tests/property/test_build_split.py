"""A build on one registry equals the build on two, however its rows are dealt to upstream and staging."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from registry.registry import Change, Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.databases import DATABASES, Database, database_of
from tests.regions import UNIVERSE
from tests.split import Dealer, Split
from tests.split_world import PIPELINES, TABLES, WHERES, put_datasets, read_records, records, told

RECORDS = records()
PATHS = (
    ("one", "two", "three", "calib"),
    ("both", "calib"),
    ("calib", "tag", "one"),
    ("three", "both", "one"),
)


class _Undo(Exception):  # noqa: N818 - no error: a way back
    """What was dealt is taken back."""


class _HeldView(BuildView):
    """A view on changes that are not yet written."""

    def __init__(self, sides: dict[str, tuple[Registry, Change]]) -> None:
        stores = {name: FsspecDatastore(f"memory://{name}") for name in sides}
        repos = {name: Repo(f"/{name}", held[0], stores[name]) for name, held in sides.items()}
        super().__init__(repos["upstream"], repos.get("staging"))
        self._snapshots = {name: change for name, (_, change) in sides.items()}


@pytest.fixture(scope="module", params=DATABASES)
def three(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return an upstream, a staging of SQLite, and a registry that holds the records of both."""
    folder: Path = tmp_path_factory.mktemp("split")
    with database_of(request, folder) as database:
        beside = Database("sqlite", folder)
        upstream, staging, merged = (
            database.registry(UNIVERSE),
            beside.registry(UNIVERSE),
            beside.registry(UNIVERSE),
        )
        with merged.write() as change:
            for element in UNIVERSE.elements.values():
                if element.name in RECORDS:
                    change.insert_records(element.name, RECORDS[element.name])
        yield upstream, staging, merged
        beside.drop()


def build(view: BuildView, name: str, where: str, table: Any, path: tuple[str, ...]) -> Any:
    """Return all that a graph says, or the code of the error that there is instead."""
    header = Header(bytes(range(16)), input_collections=path)
    try:
        return told(
            build_from_view(PIPELINES[name](), view, Question(where, table=table), header, allow_empty=True)
        )
    except StageError as exc:
        return exc.code


@given(
    seed=st.integers(0, 2**32 - 1),
    question=st.sampled_from([(name, where) for name in PIPELINES for where in WHERES[name]]),
    listed=st.booleans(),
    path=st.sampled_from(PATHS),
)
@settings(
    max_examples=60 if os.environ.get("STAGE_FAULTS") == "long" else 6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_two_registries_give_the_graph_that_one_would(three, seed, question, listed, path):
    """Records, datasets, tags, chains and calibrations are upstream, in staging or in both."""
    rng, (up, ours, one), (name, where) = random.Random(seed), three, question
    table = TABLES[name] if listed else None
    together, apart = "not built", "not built either"
    with suppress(_Undo), ExitStack() as stack:
        merged, upstream, staging = (stack.enter_context(r.write()) for r in (one, up, ours))
        put_datasets(merged, rng, RECORDS)
        split = Split(read_records(merged), UNIVERSE, rng, baselines=rng.random() < 0.5)
        split.write_upstream(upstream)
        split.write_staging(staging)
        Dealer(merged, upstream, staging, split).deal()
        together = build(_HeldView({"upstream": (one, merged)}), name, where, table, path)
        apart = build(
            _HeldView({"upstream": (up, upstream), "staging": (ours, staging)}), name, where, table, path
        )
        raise _Undo
    assert together == apart
