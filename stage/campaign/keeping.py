"""How a keeper looks after a repository: what it holds, what goes, and its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from registry.model.refs import id_text
from stage.campaign.layout import STATE_FILE, Layout, absolute_uri, local_directory

if TYPE_CHECKING:
    from registry.migrations.run import Upgrade
    from registry.roles import Roles
    from sync.administration.orphans import OrphanPlan
    from sync.administration.prune import PruneMode, PrunePlan, PruneResult
    from sync.repo import Repo

__all__ = [
    "RepoInfo", "info_of", "make_roles", "plan_prune", "plan_prune_orphans", "plan_upgrade", "prune_orphans", "prune_repo",
    "repo_info", "upgrade_repo",
]  # fmt: skip


@dataclass(frozen=True)
class RepoInfo:
    """What a repository holds.

    Parameters
    ----------
    root : str
        Where it is.
    id : str
        Its identity.
    universe : str
        Name of its universe.
    universe_version : int
        Version of that.
    records : mapping of str to int
        Dimension elements to their number of records, those that have any.
    datasets : sequence of (str, str, int)
        Dataset type, RUN, number.
    created : str
        When it was made, as ISO text in UTC.
    versions : mapping of str to str
        Of the software and of the registry's schema.
    database : mapping of str to object
        ``kind``, ``place`` (without credentials) and ``size_bytes``.
    datastore : mapping of str to object
        ``root``, and the number and bytes of the files that it has recorded.
    collections : mapping of str to int
        Type of collection to number.
    quanta : mapping of str to int
        What became of quanta to number.
    pushes : mapping of str to int
        Number of pushes, and of campaigns that made them.
    """

    root: str
    id: str
    universe: str
    universe_version: int
    records: Mapping[str, int]
    datasets: Sequence[tuple[str, str, int]]
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    database: Mapping[str, Any] = field(default_factory=dict)
    datastore: Mapping[str, Any] = field(default_factory=dict)
    collections: Mapping[str, int] = field(default_factory=dict)
    quanta: Mapping[str, int] = field(default_factory=dict)
    pushes: Mapping[str, int] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        names = ("dataset_type", "run", "n")
        return {**asdict(self), "datasets": [dict(zip(names, row, strict=True)) for row in self.datasets]}


def repo_info(repo: str) -> RepoInfo:
    """Say what a repository holds.

    Parameters
    ----------
    repo : str
        Its root.

    Returns
    -------
    RepoInfo
        Counts; the database counts, and hands no rows over.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    with _open(repo) as opened:
        return info_of(opened)


def info_of(repo: Repo) -> RepoInfo:
    """Say what an open repository holds.

    Parameters
    ----------
    repo : Repo
        The repository.

    Returns
    -------
    RepoInfo
        As `repo_info`.
    """
    from importlib.metadata import version

    from registry.keeping import count_all, database_bytes

    registry = repo.registry
    with registry.read() as snapshot:
        counts = count_all(snapshot)
        datasets = snapshot.count_datasets().rows(("dataset_type", "run", "n"))
        size = database_bytes(snapshot)
        types = [c.type.name for c in snapshot.collections()]
    universe = registry.universe
    return RepoInfo(
        repo.root, id_text(registry.repo_id), universe.name, universe.version, counts.records,
        [(t, r, int(n)) for t, r, n in datasets],
        created=registry.attribute("created") or "",
        versions={"stage": version("stage"), "schema": registry.attribute("schema_version") or ""},
        database={"kind": registry.dialect, "place": str(registry), "size_bytes": size},
        datastore={
            "root": repo.datastore.root, "files": counts.artifacts, "size_bytes": counts.artifact_bytes,
        },
        collections={name: types.count(name) for name in sorted(set(types))},
        quanta=counts.quanta,
        pushes={"pushes": counts.pushes, "campaigns": counts.campaigns},
    )  # fmt: skip


def plan_prune(
    repo: str,
    collections: Sequence[str] = (),
    *,
    dataset_types: Sequence[str] = (),
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    mode: PruneMode = "purge",
) -> PrunePlan:
    """Choose datasets to remove from a repository, without changing it.

    Parameters
    ----------
    repo : str
        Its root.
    collections : sequence of str, optional
        Collections that hold them, patterns allowed; all RUNs by default.
    dataset_types : sequence of str, optional
        Patterns of their types; all by default.
    where : str, optional
        An expression that their data IDs fulfil.
    bind : mapping, optional
        Values for names in `where`.
    mode : {"unstore", "purge"}, optional
        What is to go: files and their records, or the datasets too.

    Returns
    -------
    PrunePlan
        What would go, and which other collections hold some of it.

    Raises
    ------
    UsageError
        If nothing is chosen.
    NotFoundError
        If something that is named does not exist.
    """
    from sync.administration import prune

    with _open(repo) as opened:
        return prune.plan_prune(
            opened, collections, dataset_types=dataset_types, where=where, bind=bind, mode=mode
        )


def prune_repo(
    repo: str,
    plan: PrunePlan,
    *,
    even_held: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> PruneResult:
    """Remove what a plan names: rows in one transaction, then files.

    Parameters
    ----------
    repo : str
        Root of the repository.
    plan : PrunePlan
        From `plan_prune` on it.
    even_held : bool, optional
        Whether datasets go that other collections hold too.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    PruneResult
        What went.

    Raises
    ------
    ConflictError
        If other collections hold some of the datasets and `even_held` is false. Nothing was removed.
    """
    from sync.administration import prune

    with _open(repo, writable=True) as opened:
        return prune.execute_prune(plan, opened, even_held=even_held, on_progress=on_progress)


def plan_prune_orphans(repo: str, *, older_than_s: float = 86_400.0) -> OrphanPlan:
    """Find files of a repository that no row names, without changing it.

    Parameters
    ----------
    repo : str
        Its root.
    older_than_s : float, optional
        Only files that were not touched for so long, in seconds: younger ones may be those of a push that goes on.

    Returns
    -------
    OrphanPlan
        What there is.
    """
    from sync.administration import orphans

    with _open(repo) as opened:
        return orphans.plan_orphans(opened, older_than_s=older_than_s)


def prune_orphans(
    repo: str, plan: OrphanPlan, *, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Remove files that no row names.

    Parameters
    ----------
    repo : str
        Root of the repository.
    plan : OrphanPlan
        From `plan_prune_orphans` on it.
    on_progress : callable, optional
        Called with the numbers of files removed and in all.

    Returns
    -------
    int
        Files removed.
    """
    from sync.administration import orphans

    with _open(repo, writable=True) as opened:
        return orphans.execute_orphans(plan, opened, on_progress=on_progress)


def plan_upgrade(repo: str) -> Upgrade:
    """Say what an upgrade would do to a repository, without changing it.

    Parameters
    ----------
    repo : str
        Its root or database; or a campaign's directory, for its staging registry.

    Returns
    -------
    Upgrade
        From which version to which.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    """
    from sync.administration import upgrade

    return upgrade.plan_upgrade(_registry_of(repo))


def upgrade_repo(repo: str, *, backup: bool = True, keep_backup: bool = False) -> Upgrade:
    """Bring a repository of an older version to this software's: all the way, or not at all.

    Parameters
    ----------
    repo : str
        As for `plan_upgrade`.
    backup : bool, optional
        Whether to copy an SQLite registry beside itself first; the copy is removed when all went well.
    keep_backup : bool, optional
        Whether to keep that copy.

    Returns
    -------
    Upgrade
        What was done.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    StorageError
        If it cannot be written. In both cases it stays as it was.
    """
    from sync.administration import upgrade

    return upgrade.upgrade(_registry_of(repo), backup=backup, keep_backup=keep_backup)


def make_roles(
    repo: str,
    *,
    reader: str | None = None,
    pusher: str | None = None,
    prefix: str | None = None,
    reader_password: str | None = None,
    pusher_password: str | None = None,
) -> Roles:
    """Give two roles of a PostgreSQL server the least rights on a repository, making them unless they are there.

    Parameters
    ----------
    repo : str
        Root of the repository, or its database, opened as the user that owns its tables and may make roles.
    reader : str, optional
        Who may read.
    pusher : str, optional
        Who may push: add runs with all that belongs to them, and chains.
    prefix : str, optional
        What the names of the pusher's runs and chains begin with; ``u/<pusher>/`` by default.
    reader_password, pusher_password : str, optional
        Passwords of new roles; without one the server has to let them in otherwise.

    Returns
    -------
    Roles
        Who there is now.

    Raises
    ------
    UsageError
        If the registry is not in PostgreSQL, or a name is not usable.
    StorageError
        If this user may make no roles, or a role has rights that cannot be limited. Nothing has changed.
    """
    from registry import roles
    from sync.administration.upgrade import registry_url

    return roles.make_roles(
        registry_url(repo), reader=reader, pusher=pusher, prefix=prefix,
        reader_password=reader_password, pusher_password=pusher_password,
    )  # fmt: skip


def _registry_of(repo: str) -> str:
    """Return what names the registry: of a campaign's directory its staging."""
    if "://" not in repo and (local_directory(repo) / STATE_FILE).is_file():
        return Layout(local_directory(repo)).staging_url
    return repo if "://" in repo else absolute_uri(repo)


def _open(repo: str, *, writable: bool = False) -> Repo:
    from sync.repo import Repo

    return Repo.open(repo, writable=writable)
