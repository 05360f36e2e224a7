"""A pull where a dataset stays in the place of a newer one: tags and validity ranges that name the newer one name it here."""

from __future__ import annotations

from typing import Any

import pytest

from registry.model.collections import CollectionType
from sync.pull import plan_pull
from sync.repo import Repo
from tests import pull_world as made

EXPOSURES, DETECTORS = [11, 12], [0]
DARK = (made.DARK, 11, 0)
BIAS = (made.BIAS, 0)


def answers(repo: Repo) -> dict[Any, Any]:
    """What the lookups find."""
    with repo.registry.read() as snap:
        return made.answers(snap, EXPOSURES, DETECTORS)


def only_by_collections(upstream: Repo) -> dict[Any, Any]:
    """Have the bias found by its tag and the dark by its range, and neither by its RUN; return what lookups find."""
    with upstream.registry.write() as tx:
        tx.associate(made.TAGS[0], tx.datasets(made.BIAS, [made.RUNS[1]])["id"].tolist(), replace=True)
        tx.set_chain("CAM/in", [made.TAGS[0], made.CALIBS[1], made.CALIBS[0], made.RUNS[0]])
        made.put(tx, made.BIAS, made.RUNS[0], 0)
    return answers(upstream)


def replace(upstream: Repo, kind: str, old: bytes) -> bytes:
    """Delete a dataset and put another in its place; return that."""
    with upstream.registry.write() as tx:
        tx.delete_datasets([old])
        return made.put(tx, kind, made.RUNS[1], 0)


def pulled(upstream: Repo, staging: Repo, *policies: str) -> dict[Any, Any]:
    """Pull what the lookups want now; a second pull finds nothing to do. Return what they find here."""
    what = made.wanted(upstream, EXPOSURES, DETECTORS)
    assert made.pull(upstream, staging, what, policies=policies).conflicts == ()
    assert plan_pull(upstream, staging, what).is_empty
    return answers(staging)


@pytest.mark.parametrize("kind", [made.DARK, made.BIAS])
def test_what_was_read_stands_in_for_what_has_its_place_upstream(kind: str) -> None:
    """The lookup finds what was read, not nothing and not a third; given up, it finds the newer one as upstream does."""
    key = DARK if kind == made.DARK else BIAS
    with made.world() as (upstream, staging):
        old = only_by_collections(upstream)[key]
        made.fetch(upstream, staging, made.wanted(upstream, EXPOSURES, DETECTORS))
        assert answers(staging) == answers(upstream)
        made.read(staging, [old])
        new = replace(upstream, kind, old)
        with upstream.registry.write() as tx:
            if kind == made.DARK:
                tx.certify(made.CALIBS[1], [new])
                # Without the range of the place that is taken, this one would be met next.
                tx.certify(made.CALIBS[0], [made.put(tx, kind, made.RUNS[2], 0)])
            else:
                tx.associate(made.TAGS[0], [new])
        assert answers(upstream)[key] == new

        assert pulled(upstream, staging)[key] == old
        assert pulled(upstream, staging, "input-moved=take") == answers(upstream)


def test_what_stands_in_goes_where_the_newer_one_goes() -> None:
    """The range of the newer one is taken out upstream: then nothing is found here either, and nothing is in conflict."""
    with made.world() as (upstream, staging):
        old = only_by_collections(upstream)[DARK]
        made.fetch(upstream, staging, made.wanted(upstream, EXPOSURES, DETECTORS))
        made.read(staging, [old])
        new = replace(upstream, made.DARK, old)
        with upstream.registry.write() as tx:
            tx.certify(made.CALIBS[1], [new])
        assert pulled(upstream, staging)[DARK] == old
        with upstream.registry.write() as tx:
            tx.decertify(made.CALIBS[1], made.DARK)

        assert DARK not in pulled(upstream, staging)
        with staging.registry.read() as ours:
            assert ours.existing_ids([old]) == {old}
            assert ours.collection(made.CALIBS[1]).type is CollectionType.CALIBRATION
