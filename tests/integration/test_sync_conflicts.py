"""Every kind of conflict: found before anything is written, named with both values, and with a way on."""

from __future__ import annotations

import pickle
import re
import shlex
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import id_text
from sync.explain import HINTS
from sync.plan import Conflict, PushPlan
from sync.push import execute_push, plan_push
from sync.pushing.asking import Asked
from sync.pushing.kinds import KINDS
from sync.repo import Repo
from tests import sync_builders as made

RUN = "u/me/trial/1"
PUSHES = re.compile(r"'(stage push(?:\"[^\"]*\"|[^'\"])*)'")
NAMES = re.compile(r" (NAME|RUN|EXPR)\b")


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Repo]:
    made.copy_world(tmp_path)
    with Repo.open(tmp_path / "up", writable=True) as repo:
        yield repo


@pytest.fixture
def staging(tmp_path: Path, upstream: Repo) -> Iterator[Repo]:
    with made.open_staging(tmp_path / "campaign") as repo:
        yield repo


def plan(staging: Repo, upstream: Repo, **options: object) -> PushPlan:
    options = {"campaign": made.CAMPAIGN, "register_dataset_types": True, **options}
    words = ["--register-dataset-types"] if options["register_dataset_types"] else []
    words += ["--chain", str(options["chain"])] if "chain" in options else []
    words += ["--strict-inputs"] if "strict_inputs" in options else []
    asked = Asked((RUN,), tuple(words))
    return plan_push(staging, upstream, [RUN], asked=asked, **options)  # type: ignore[arg-type]


def typed(staging: Repo, upstream: Repo, command: str) -> PushPlan:
    """Plan what a command line would push."""
    from typer.main import get_command

    from cli.main import app

    program: Any = get_command(app)
    given = program.commands["push"].make_context("push", shlex.split(command)[2:]).params
    return plan_push(
        staging, upstream, given["runs"], campaign=made.CAMPAIGN, chain=given["chain"],
        dataset_types=given["dataset_type"] or (), where=given["where"] or "",
        register_dataset_types=given["register_dataset_types"], strict_inputs=given["strict_inputs"],
        on_conflict=given["on_conflict"] or (),
    )  # fmt: skip


def resolved(conflicts: Iterable[Conflict], staging: Repo, upstream: Repo) -> list[PushPlan]:
    """Return the plans of the pushes that conflicts name as ways on, none of which has these conflicts any more."""
    conflicts = list(conflicts)
    out = []
    for command in dict.fromkeys(c for conflict in conflicts for c in PUSHES.findall(conflict.hint)):
        if not NAMES.search(command) and command != plan(staging, upstream).terms.asked.text():
            out.append(typed(staging, upstream, command))
            left = {c.code for c in out[-1].conflicts}
            assert not any(c.code in left for c in conflicts if command in c.hint), command
    return out


def refused(staging: Repo, upstream: Repo, root: Path, **options: object) -> Conflict:
    """Plan and push; return the one conflict after checking that both say the same and upstream is untouched."""
    before = made.state(root)
    found = plan(staging, upstream, **options)
    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    (conflict,) = found.conflicts
    assert before == made.state(root), "upstream changed"
    assert found.conflicts == caught.value.conflicts
    assert conflict.code == caught.value.code
    assert conflict.ours in str(caught.value)
    assert conflict.upstream in str(caught.value)
    assert caught.value.hint == conflict.hint
    assert conflict.hint.startswith(HINTS[conflict.code].partition("'")[0])
    assert "'stage " in conflict.hint
    assert any(str(conflict) in line for line in found.lines())
    assert not found.is_empty
    plans = resolved(found.conflicts, staging, upstream)
    assert all(not p.conflicts for p in plans)
    assert bool(plans) is bool(KINDS[conflict.code].skip or "record" in conflict.code)
    return conflict


def sql(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


def test_a_dataset_type_defined_otherwise(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A dataset type of the same name with another storage class is refused, whatever is registered."""
    made.make_run(staging, RUN)
    with upstream.registry.write() as tx:
        tx.register_dataset_type(made.dataset_type(made.CALEXP, "Json"))

    conflict = refused(staging, upstream, tmp_path / "up")

    assert conflict.code == "dataset-type-differs"
    assert conflict.ours.endswith("as Bytes")
    assert conflict.upstream.endswith("as Json")


def test_a_dataset_type_with_other_dimensions(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Other dimensions under the same name are refused too."""
    made.make_run(staging, RUN)
    with upstream.registry.write() as tx:
        tx.register_dataset_type(DatasetType(made.CALEXP, made.UNIVERSE.group(["visit"]), "Bytes"))

    assert refused(staging, upstream, tmp_path / "up").upstream == "{instrument, visit} as Bytes"


def test_a_dataset_type_that_upstream_lacks(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Upstream's dataset types are its keeper's: without the deliberate act a push defines none."""
    made.make_run(staging, RUN)
    with upstream.registry.write() as tx:
        tx.register_dataset_type(made.dataset_type("calexp_log"))

    conflict = refused(staging, upstream, tmp_path / "up", register_dataset_types=False)

    assert (conflict.code, conflict.upstream) == ("dataset-type-unknown", "none")
    assert "--register-dataset-types" in conflict.hint


def test_a_record_changed_here(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A fetched record that was changed in staging conflicts with what upstream still has."""
    made.make_run(staging, RUN)
    sql(tmp_path / "campaign/staging.sqlite3", "UPDATE dim_visit SET exposure_time = 31 WHERE visit = 1")

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.code, conflict.what) == ("record-differs", "visit {instrument=CAM, visit=1}")
    assert (conflict.ours, conflict.upstream) == ("exposure_time=31.0", "exposure_time=30.0")


def test_a_record_made_on_both_sides(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A record that both sides made since the clone, with different values, is refused."""
    for repo, name in ((staging, "ours"), (upstream, "theirs")):
        row = ("CAM", 50, 20260101, "r-1", name)
        with repo.registry.write() as tx:
            names = ("instrument", "visit", "day_obs", "physical_filter", "name")
            tx.insert_records("visit", Columns.from_rows(names, [row]))
    made.make_run(staging, RUN, visits=(50,))

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.ours, conflict.upstream) == ("name='ours'", "name='theirs'")


def test_a_record_whose_alternate_key_is_taken(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A new record with the name of another one upstream is found by the plan, not by the database."""
    for repo, visit in ((staging, 50), (upstream, 51)):
        row = ("CAM", visit, 20260101, "r-1", "twice")
        with repo.registry.write() as tx:
            names = ("instrument", "visit", "day_obs", "physical_filter", "name")
            tx.insert_records("visit", Columns.from_rows(names, [row]))
    made.make_run(staging, RUN, visits=(1, 50))

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.code, conflict.what) == ("record-key-taken", "visit with name='twice'")
    assert (conflict.ours, conflict.upstream) == ("{instrument=CAM, visit=50}", "{instrument=CAM, visit=51}")


def test_a_record_that_upstream_deleted(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """What a keeper took away is not put back by somebody's push."""
    made.make_run(staging, RUN, visits=(2,))
    for table in ("visit_definition", "visit_system_membership", "visit"):
        sql(tmp_path / "up/registry.sqlite3", f"DELETE FROM dim_{table} WHERE visit = 2")

    before = made.state(tmp_path / "up")
    found = plan(staging, upstream)
    with pytest.raises(ConflictError):
        execute_push(found, staging, upstream)

    assert {"record-deleted"} == {c.code for c in found.conflicts}
    assert {"deleted since it was fetched"} == {c.upstream for c in found.conflicts}
    assert before == made.state(tmp_path / "up")
    made.make_run(staging, "u/me/other")
    both = plan_push(
        staging, upstream, [RUN, "u/me/other"], campaign=made.CAMPAIGN, register_dataset_types=True
    )
    command = (
        "stage push u/me/other --where \"NOT (instrument = 'CAM' AND visit = 2)\" --register-dataset-types"
    )
    assert all("--where \"NOT (instrument = 'CAM' AND visit = 2)\"'" in c.hint for c in both.conflicts)
    left = typed(staging, upstream, command)
    assert (left.conflicts, left.counts["dataset"]["new"]) == ((), 4)


def test_a_run_whose_name_is_another_kind_of_collection(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """A run cannot be pushed where upstream has a chain of that name."""
    made.make_run(staging, RUN)
    with upstream.registry.write() as tx:
        tx.set_chain(RUN, ["CAM/raw/all"])

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.code, conflict.ours, conflict.upstream) == ("collection-type-differs", "RUN", "CHAINED")


def test_a_chain_whose_name_is_another_kind_of_collection(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """The chain that is asked for may not be a RUN or TAGGED collection upstream."""
    made.make_run(staging, RUN)

    conflict = refused(staging, upstream, tmp_path / "up", chain="CAM/best")

    assert ("CHAINED", CollectionType.TAGGED.name) == (conflict.ours, conflict.upstream)


def test_another_dataset_of_the_same_data_id_in_the_run(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """A RUN holds one dataset of a type and data ID: a second one with another id is refused."""
    made.make_run(staging, RUN)
    (theirs,) = made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])

    conflict = refused(staging, upstream, tmp_path / "up")

    assert conflict.code == "dataset-exists"
    assert f"calexp {{instrument=CAM, detector=1, visit=1}} in run '{RUN}'" == conflict.what
    assert id_text(theirs) == conflict.upstream
    found = plan(staging, upstream)
    assert found.counts["dataset"] == {"new": 7, "same": 0, "conflict": 1}
    assert sum(found.datasets_by_type.values()) == 7, "what is in conflict is not called new"


def test_a_dataset_without_dimensions_that_exists(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """The same holds where the data ID is empty."""
    made.make_run(staging, RUN)
    made.put_datasets(staging, "packages", RUN, [()])
    (theirs,) = made.put_datasets(upstream, "packages", RUN, [()])

    assert id_text(theirs) == refused(staging, upstream, tmp_path / "up").upstream


def test_the_same_dataset_with_other_content(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A dataset made anew under an id that was pushed before is refused: upstream's bytes stay."""
    run = made.make_run(staging, RUN)
    execute_push(plan(staging, upstream), staging, upstream)
    sql(
        tmp_path / "campaign/staging.sqlite3",
        "UPDATE artifact SET checksum = 'blake3:0' WHERE id = ?",
        run.dataset_ids[0],
    )

    sql(
        tmp_path / "campaign/staging.sqlite3", "UPDATE quantum SET finished_ns = finished_ns + 1"
    )  # run again

    conflict = refused(staging, upstream, tmp_path / "up")

    assert conflict.code == "dataset-differs"
    assert id_text(run.dataset_ids[0]) in conflict.what
    assert conflict.ours == "checksum='blake3:0'"
    assert conflict.upstream.startswith("checksum='blake3:")


def test_the_same_id_in_another_run(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """An id that upstream has in another RUN is refused, with both RUNs."""
    run = made.make_run(staging, RUN, visits=(1,), detectors=(0,))
    made.put_datasets(upstream, made.CALEXP, "u/other", [("CAM", 1, 0)], ids=run.dataset_ids[:1])

    conflict = refused(staging, upstream, tmp_path / "up")

    assert conflict.code == "dataset-differs"
    assert (f"run='{RUN}'", "run='u/other'") == (conflict.ours, conflict.upstream)


@pytest.mark.parametrize("same_size", [True, False])
def test_another_file_where_an_artifact_goes(
    upstream: Repo, staging: Repo, tmp_path: Path, same_size: bool
) -> None:
    """A file upstream under an artifact's name with other bytes is never replaced: the plan finds it."""
    made.make_run(staging, RUN)
    ours = next((tmp_path / "campaign/data").rglob("calexp_CAM_1_0_*"))
    there = tmp_path / "up/data" / ours.relative_to(tmp_path / "campaign/data")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"#" * (ours.stat().st_size if same_size else 3))

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.code, conflict.kind) == ("artifact-differs", "artifact")
    assert str(there.relative_to(tmp_path / "up/data")) in conflict.what


def test_another_file_that_appears_after_the_plan(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Found while moving, it refuses the push as well, and what had been moved is taken back."""
    made.make_run(staging, RUN)
    found = plan(staging, upstream)
    ours = next((tmp_path / "campaign/data").rglob("calexp_CAM_1_0_*"))
    there = tmp_path / "up/data" / ours.relative_to(tmp_path / "campaign/data")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"something else")
    before = made.state(tmp_path / "up")

    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    assert caught.value.code == "artifact-differs"
    assert before == made.state(tmp_path / "up")


def test_a_chain_that_changed_since_the_plan(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """The chain moves by compare-and-swap: if it is not what the plan saw, nothing is published and no file stays."""
    made.make_run(staging, RUN)
    found = plan(staging, upstream, chain="CAM/calib")
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/old"])
    before = made.state(tmp_path / "up")

    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    (conflict,) = caught.value.conflicts
    assert conflict.code == "chain-changed"
    (again,) = PUSHES.findall(conflict.hint)
    assert typed(staging, upstream, again).conflicts == ()
    assert (conflict.ours, conflict.upstream) == ("(CAM/calib/new, CAM/calib/old)", "(CAM/calib/old)")
    assert before == made.state(tmp_path / "up")
    assert execute_push(plan(staging, upstream, chain="CAM/calib"), staging, upstream).push_id is not None


def test_a_conflict_that_appears_after_the_plan(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """The check is made again inside the transaction; what was moved by then is taken back."""
    made.make_run(staging, RUN)
    found = plan(staging, upstream)
    assert not found.conflicts
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])
    before = made.state(tmp_path / "up")

    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    assert [c.code for c in caught.value.conflicts] == ["dataset-exists"]
    assert before == made.state(tmp_path / "up")


def test_another_universe(upstream: Repo, tmp_path: Path) -> None:
    """A campaign of another universe cannot push, and nothing else is compared."""
    weather = {
        "name": "w",
        "version": 1,
        "elements": {"station": {"key": {"name": "name", "type": "string"}}},
    }
    universe = DimensionUniverse.from_document(weather)
    with made.make_staging(tmp_path / "w", universe) as staging:
        with staging.registry.write() as tx:
            tx.register_run(RUN)
        conflict = refused(staging, upstream, tmp_path / "up")

    assert conflict.code == "universe-differs"
    assert conflict.ours.startswith("w 1")


def test_another_schema_version(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A registry that was upgraded under an open connection is noticed."""
    made.make_run(staging, RUN)
    sql(tmp_path / "up/registry.sqlite3", "UPDATE repository SET value = '9999' WHERE key = 'schema_version'")

    conflict = refused(staging, upstream, tmp_path / "up")

    assert (conflict.code, conflict.upstream) == ("schema-version-differs", "9999")


def test_all_conflicts_are_known_at_once(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """One plan lists everything that is in the way, of every kind."""
    made.make_run(staging, RUN)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1), ("CAM", 2, 1)])
    sql(tmp_path / "campaign/staging.sqlite3", "UPDATE dim_visit SET exposure_time = 31")

    found = plan(staging, upstream, register_dataset_types=False, chain="CAM/best")

    kinds = ["dataset-type-unknown", "dataset-exists", "dataset-exists", "record-differs", "record-differs",
             "collection-type-differs"]  # fmt: skip
    assert kinds == [c.code for c in found.conflicts]
    assert found.counts["dataset"]["conflict"] == 2


def test_conflicts_and_their_error_can_be_pickled() -> None:
    """Both cross a process boundary whole."""
    conflict = Conflict("record-differs", "record", "visit 1", "a", "b", "do")
    error = ConflictError("push refused", code="record-differs", conflicts=(conflict,))

    copy = pickle.loads(pickle.dumps(error))

    assert (conflict,) == copy.conflicts
    assert hash(conflict) == hash(pickle.loads(pickle.dumps(conflict)))


def test_every_kind_of_conflict_has_a_way_on() -> None:
    """Each code's hint names commands, and these exist."""
    from typer.main import get_command

    from cli.main import app

    commands: Any = get_command(app)
    for hint in HINTS.values():
        named = re.findall(r"'stage ([a-z-]+)(?: ([a-z-]+))?", hint)
        assert named
        for first, second in named:
            group = commands.commands[first]
            assert not second or second in getattr(group, "commands", {second})
