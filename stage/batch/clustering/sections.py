"""`Section`: one section of ``cluster``, read and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings

__all__ = ["Section", "bad_section", "comma_list", "equal_pairs", "named_sections", "read_sections"]

_METHODS = ("source", "sink")


@dataclass(frozen=True, slots=True)
class Section:
    """What one section of ``cluster`` puts together.

    Parameters
    ----------
    label : str
        Its name.
    tasks : tuple of int
        Places of its tasks, in the pipeline's order.
    dimensions : tuple of str
        By whose values its clusters are told apart; with none there is one cluster.
    equal : tuple of (str, str)
        Pairs of dimensions of which one stands for the other.
    template : str
        Of the clusters' names.
    method : str, optional
        ``source`` or ``sink``: from which end quanta are followed that do not have the dimensions.
    partition : tuple of str, optional
        Dimensions by whose values clusters are cut into smaller ones.
    max_clusters : float, optional
        How many there may be then in all.
    max_size : int, optional
        Or of how many values each may have.
    """

    label: str
    tasks: tuple[int, ...]
    dimensions: tuple[str, ...]
    equal: tuple[tuple[str, str], ...]
    template: str
    method: str = ""
    partition: tuple[str, ...] = ()
    max_clusters: float = 0
    max_size: int = 0


def read_sections(settings: Settings, labels: Sequence[str]) -> list[Section]:
    """Read all sections of ``cluster``.

    Parameters
    ----------
    settings : Settings
        The submission's.
    labels : sequence of str
        The graph's tasks; what a section names besides them counts for nothing, so that it serves other graphs too.

    Returns
    -------
    list of Section
        Those that have a task of the graph.

    Raises
    ------
    UsageError
        If one cannot be understood, or a task is in two.
    """
    place = {label: i for i, label in enumerate(labels)}
    found: list[Section] = []
    owner: dict[int, str] = {}
    for label, given in named_sections(settings, "cluster", skip=("clusterTemplate",)).items():
        tasks = [place[t] for t in comma_list(given.get("pipetasks")) if t in place]
        for task in tasks:
            if task in owner:
                raise UsageError(
                    f"task '{labels[task]}' is twice in a cluster: in '{owner[task]}' and '{label}'",
                    code="task-in-two-clusters",
                    hint="Take it out of one of the two 'pipetasks'.",
                )
            owner[task] = label
        if tasks:
            found.append(_read(label, tuple(sorted(tasks)), given))
    return found


def named_sections(settings: Settings, name: str, skip: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the sections within a section, with text filled in.

    Parameters
    ----------
    settings : Settings
        The submission's.
    name : str
        ``cluster`` or ``ordering``.
    skip : collection of str, optional
        Keys that stay as they are written: templates, and whatever else is filled in later.

    Returns
    -------
    dict of str to dict
        By their names, in the order of the file.

    Raises
    ------
    UsageError
        If one is no section.
    """
    found: dict[str, dict[str, Any]] = {}
    # At the top only: a site may be called "cluster" too.
    for label, given in (settings.in_order(()).search(name)[1] or {}).items():
        if not isinstance(given, Mapping):
            raise bad_section(str(label), f"it should be a section, not {given!r}")
        found[str(label)] = {
            str(key): value
            if key in skip or not isinstance(value, str)
            else settings.search(f"|{name}|{label}|{key}")[1]
            for key, value in given.items()
        }
    return found


def _read(label: str, tasks: tuple[int, ...], given: Mapping[str, Any]) -> Section:
    dimensions = tuple(dict.fromkeys(comma_list(given.get("dimensions"))))
    template = str(given.get("clusterTemplate") or "_".join([label, *(f"{{{d}}}" for d in dimensions)]))
    method = str(given["findDependencyMethod"]) if "findDependencyMethod" in given else None
    if method is not None and method not in _METHODS:
        raise bad_section(label, f"findDependencyMethod is '{method}', and should be source or sink")
    partition = tuple(comma_list(given.get("partitionDimensions")))
    most, size = (_number(label, given, key) for key in ("partitionMaxClusters", "partitionMaxSize"))
    if partition and bool(most) == bool(size):
        raise bad_section(
            label, "partitionDimensions goes with one of partitionMaxClusters and partitionMaxSize"
        )
    equal = equal_pairs(label, given.get("equalDimensions"))
    return Section(label, tasks, dimensions, equal, template, method or "", partition, most, int(size))


def comma_list(value: Any) -> list[str]:
    """Return the words of a list that is written with commas, or as a YAML list.

    Parameters
    ----------
    value : object
        As the YAML has it.

    Returns
    -------
    list of str
        Without blanks around them.
    """
    words = value if isinstance(value, list | tuple) else str(value or "").split(",")
    return [w for w in (str(word).strip() for word in words) if w]


def equal_pairs(label: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Return pairs of dimensions of which one stands for the other.

    Parameters
    ----------
    label : str
        The section, for errors.
    value : object
        As the YAML has it: ``visit:exposure, group:visit``.

    Returns
    -------
    tuple of (str, str)
        The pairs.

    Raises
    ------
    UsageError
        If something is no pair.
    """
    pairs = [tuple(d.strip() for d in pair.split(":")) for pair in comma_list(value)]
    for pair in pairs:
        if len(pair) != 2:
            raise bad_section(
                label, f"equalDimensions has '{':'.join(pair)}', and should have pairs such as visit:exposure"
            )
    return tuple((first, second) for first, second in pairs)


def _number(label: str, given: Mapping[str, Any], key: str) -> float:
    value = given.get(key) or 0
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise bad_section(label, f"{key} should be a number, not {value!r}") from error


def bad_section(label: str, why: str) -> UsageError:
    """Return the error for a section that cannot be understood.

    Parameters
    ----------
    label : str
        Its name.
    why : str
        What is wrong.

    Returns
    -------
    UsageError
        With code ``bad-cluster``.
    """
    return UsageError(f"cluster '{label}': {why}", code="bad-cluster", hint="See docs/batch-config.md.")
