"""What the keeper of a repository does with collections: make, chain, tag, certify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from registry.errors import NotFoundError, UsageError, nearest
from stage.campaign.questions import split_words

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.columns import Columns
    from sync.repo import Repo

__all__ = [
    "Certified",
    "ChainMode",
    "associate",
    "certify",
    "decertify",
    "disassociate",
    "edit_chain",
    "matching_types",
    "register_collection",
]  # fmt: skip

ChainMode = Literal["redefine", "prepend", "extend", "remove", "pop"]


@dataclass(frozen=True)
class Certified:
    """What was certified or decertified.

    Parameters
    ----------
    n : int
        Datasets that were certified, or ranges of validity that lost something.
    begin_ns, end_ns : int or None
        For which time, in TAI nanoseconds; None for unbounded.
    """

    n: int
    begin_ns: int | None
    end_ns: int | None


def _open(repo: str, *, writable: bool = False) -> Repo:
    from sync.repo import Repo

    return Repo.open(repo, writable=writable)


def register_collection(repo: str, name: str, *, type: str = "RUN", doc: str = "") -> bool:  # noqa: A002
    """Make a collection unless it is there.

    Parameters
    ----------
    repo : str
        Root of the repository.
    name : str
        Its name.
    type : {"RUN", "TAGGED", "CHAINED", "CALIBRATION"}, optional
        What it shall be.
    doc : str, optional
        What it is for.

    Returns
    -------
    bool
        Whether it is new.

    Raises
    ------
    ConflictError
        If one of another type has that name.
    UsageError
        If it is no usable name or type.
    """
    from registry.model.collections import CollectionType

    kinds = CollectionType.__members__
    if type.upper() not in kinds:
        raise UsageError(
            f"'{type}' is no type of collection",
            code="bad-collection-type",
            hint=nearest(type.upper(), kinds),
        )
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        return tx.register_collection(name, kinds[type.upper()], doc)


def edit_chain(
    repo: str, name: str, children: Sequence[str] = (), *, mode: ChainMode = "redefine", n: int = 1
) -> list[str]:
    """Change what a chain searches.

    Parameters
    ----------
    repo : str
        Root of the repository.
    name : str
        The chain; made where it is absent, unless something is to be taken from it.
    children : sequence of str, optional
        Collections, in search order; may be joined by commas.
    mode : {"redefine", "prepend", "extend", "remove", "pop"}, optional
        What to do with them; ``pop`` takes the first out and needs none.
    n : int, optional
        How many to pop.

    Returns
    -------
    list of str
        What it searches then.

    Raises
    ------
    NotFoundError
        If a collection does not exist, or one to be removed is not there.
    ConflictError
        If the chain would contain itself, or the name is not a chain's.
    UsageError
        If children are given to pop, or none to remove.
    """
    names = split_words(children)
    if mode == "pop" and names:
        raise UsageError("'pop' takes the first children, and no names", code="bad-options")
    if mode == "remove" and not names:
        raise UsageError("'remove' needs the names of children", code="bad-options")
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        edits: dict[ChainMode, Callable[[], object]] = {
            "redefine": lambda: tx.set_chain(name, names),
            "prepend": lambda: tx.prepend_chain(name, names),
            "extend": lambda: tx.extend_chain(name, names),
            "remove": lambda: tx.remove_from_chain(name, names),
            "pop": lambda: tx.pop_chain(name, n),
        }
        if mode not in edits:
            raise UsageError(
                f"'{mode}' is no way to edit a chain", code="bad-options", hint=nearest(mode, edits)
            )
        edits[mode]()
        return list(tx.collection(name).children)


def associate(
    repo: str,
    collection: str,
    dataset_types: Sequence[str],
    collections: Sequence[str],
    *,
    where: str = "",
    replace: bool = False,
) -> int:
    """Put datasets into a TAGGED collection.

    Parameters
    ----------
    repo : str
        Root of the repository.
    collection : str
        The collection.
    dataset_types : sequence of str
        Types, patterns allowed.
    collections : sequence of str
        Where the datasets are found, in order: of equal data IDs the first counts.
    where : str, optional
        An expression that their data IDs fulfil.
    replace : bool, optional
        Whether they take the place of others with their data IDs.

    Returns
    -------
    int
        How many were found; all of them are in the collection then.

    Raises
    ------
    NotFoundError
        If something that is named does not exist.
    ConflictError
        If the collection is not TAGGED, or holds another dataset of a data ID and may not be changed.
    """
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        ids = _found(tx, dataset_types, collections, where)
        tx.associate(collection, ids, replace=replace)
        return len(ids)


def disassociate(
    repo: str,
    collection: str,
    dataset_types: Sequence[str],
    collections: Sequence[str] = (),
    *,
    where: str = "",
) -> int:
    """Take datasets out of a TAGGED collection.

    Parameters
    ----------
    repo : str
        Root of the repository.
    collection : str
        The collection.
    dataset_types : sequence of str
        Types, patterns allowed.
    collections : sequence of str, optional
        Where the datasets are found; in the collection itself by default.
    where : str, optional
        An expression that their data IDs fulfil.

    Returns
    -------
    int
        How many it held.

    Raises
    ------
    NotFoundError
        If something that is named does not exist.
    ConflictError
        If the collection is not TAGGED.
    """
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        ids = _found(tx, dataset_types, collections or (collection,), where)
        return tx.disassociate(collection, ids)


def _found(tx: Change, dataset_types: Sequence[str], collections: Sequence[str], where: str) -> list[bytes]:
    """Return the datasets that are first in a search path, of some types."""
    names = matching_types(tx, dataset_types)
    path = split_words(collections)
    return [i for name in names for i in tx.datasets(name, path, where=where)["id"].tolist()]


def matching_types(tx: Change, dataset_types: Sequence[str]) -> list[str]:
    """Return the dataset types that names and patterns mean.

    Parameters
    ----------
    tx : Change
        Where.
    dataset_types : sequence of str
        Names and patterns; may be joined by commas.

    Returns
    -------
    list of str
        Names, each once.

    Raises
    ------
    NotFoundError
        If one matches nothing; offers the nearest.
    """
    out: dict[str, None] = {}
    for glob in split_words(dataset_types):
        matches = [t.name for t in tx.dataset_types(glob)]
        if not matches:
            known = [t.name for t in tx.dataset_types()]
            raise NotFoundError(
                f"no dataset type matches '{glob}'", code="no-such-dataset-type", hint=nearest(glob, known)
            )
        out |= dict.fromkeys(matches)
    return list(out)


def _time(text: str | int | None) -> int | None:
    """Return TAI nanoseconds of a time as expressions write it."""
    from registry.model.times import parse_time

    return parse_time(text) if isinstance(text, str) else text


def certify(
    repo: str,
    collection: str,
    dataset_type: str,
    collections: Sequence[str],
    *,
    begin: str | int | None = None,
    end: str | int | None = None,
    where: str = "",
) -> Certified:
    """Put datasets into a CALIBRATION collection, for a time.

    Parameters
    ----------
    repo : str
        Root of the repository.
    collection : str
        The collection; made where it is absent.
    dataset_type : str
        Type of the datasets.
    collections : sequence of str
        Where they are found, in order: of equal data IDs the first counts.
    begin, end : str or int, optional
        The time, half-open: text as in expressions (ISO is UTC unless ``/tai``), or TAI nanoseconds; unbounded by
        default.
    where : str, optional
        An expression that their data IDs fulfil.

    Returns
    -------
    Certified
        How many there are.

    Raises
    ------
    NotFoundError
        If something that is named does not exist, or no dataset is found.
    ConflictError
        If the collection is not CALIBRATION, the type not one of calibrations, or another dataset is valid for a part
        of the time.
    UsageError
        If a time cannot be read, or is empty.
    """
    from registry.model.collections import CollectionType

    begin_ns, end_ns = _time(begin), _time(end)
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        ids = _found(tx, [tx.dataset_type(dataset_type).name], collections, where)
        if not ids:
            raise NotFoundError(
                f"no {dataset_type} to certify in {', '.join(split_words(collections))}", code="no-dataset",
                hint="Ask what there is: stage query datasets.",
            )  # fmt: skip
        tx.register_collection(collection, CollectionType.CALIBRATION)
        tx.certify(collection, ids, begin_ns, end_ns)
    return Certified(len(ids), begin_ns, end_ns)


def decertify(
    repo: str,
    collection: str,
    dataset_type: str,
    collections: Sequence[str] = (),
    *,
    begin: str | int | None = None,
    end: str | int | None = None,
    where: str = "",
) -> Certified:
    """Take a time away from what a CALIBRATION collection holds, splitting what reaches beyond it.

    Parameters
    ----------
    repo : str
        Root of the repository.
    collection : str
        The collection.
    dataset_type : str
        Type of the datasets.
    collections : sequence of str, optional
        Only for data IDs of which these hold a dataset.
    begin, end : str or int, optional
        The time, as for `certify`.
    where : str, optional
        An expression that the data IDs fulfil.

    Returns
    -------
    Certified
        How many ranges of validity have lost something.

    Raises
    ------
    NotFoundError
        If something that is named does not exist.
    ConflictError
        If the collection is not CALIBRATION, or the type not one of calibrations.
    UsageError
        If a time cannot be read.
    """
    begin_ns, end_ns = _time(begin), _time(end)
    with _open(repo, writable=True) as opened, opened.registry.write() as tx:
        table = _data_ids(tx, collection, dataset_type, collections, where)
        n = tx.decertify(collection, dataset_type, begin_ns, end_ns, table=table)
    return Certified(n, begin_ns, end_ns)


def _data_ids(
    tx: Change, collection: str, dataset_type: str, collections: Sequence[str], where: str
) -> Columns | None:
    """Return the data IDs that are meant; None for all."""
    if not collections and not where:
        return None
    rows = tx.datasets(dataset_type, split_words(collections) or [collection], find_first=False, where=where)
    return rows.unique(tx.dataset_type(dataset_type).dimensions.required)
