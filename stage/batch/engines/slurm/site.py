"""What a cluster says of itself: whether it answers, what its nodes have, its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from registry.errors import StageError, StorageError, UsageError
from stage.batch.engines.slurm.client import Client, RefusedError
from stage.batch.engines.slurm.options import SlurmOptions

__all__ = ["Limits", "describe", "largest_memory_mb"]

_OF_ANOTHER_SCHEDULER = ".*worker.*"
"""The field's default pattern of names of machines; few clusters of this kind call them so."""
_LONGEST_ARRAY = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What the site lets a user have.

    Parameters
    ----------
    array_size : int
        The most elements of an array; indices are below it.
    jobs : int or None
        The most jobs that should be there at once.
    is_accounted : bool
        Whether ended jobs can be asked for later.
    """

    array_size: int = _LONGEST_ARRAY
    jobs: int | None = None
    is_accounted: bool = False

    @classmethod
    def of(cls, configuration: Mapping[str, str], options: SlurmOptions) -> Limits:
        """Read them from the site's configuration, and what the user says.

        Parameters
        ----------
        configuration : mapping of str to str
            As of `Client.configuration`.
        options : SlurmOptions
            The site's section.

        Returns
        -------
        Limits
            The lower of both.

        Raises
        ------
        UsageError
            If the site has no arrays.
        """
        said = _count(configuration.get("MaxArraySize"))
        size = _LONGEST_ARRAY + 1 if said is None else said
        if size < 2:
            raise UsageError(
                f"the Slurm of site '{options.site}' has arrays switched off (MaxArraySize = {size})",
                code="no-arrays",
                hint="Use the engine parsl there: wmsServiceClass: parsl.",
            )
        everybodys = _count(configuration.get("MaxJobCount"))
        # The queue is everybody's: half of it is a lot.
        jobs = options.max_jobs or (max(1, everybodys // 2) if everybodys else None)
        return cls(
            min(size - 1, options.max_array_size or size - 1, jobs or size),
            jobs,
            not configuration.get("AccountingStorageType", "accounting_storage/none").endswith("none"),
        )


def describe(client: Client, options: SlurmOptions) -> str:
    """Return in one line which Slurm answers, with its partitions.

    Parameters
    ----------
    client : Client
        Asks it.
    options : SlurmOptions
        The site's section.

    Returns
    -------
    str
        Version, controllers, partitions and how many nodes of each are up.

    Raises
    ------
    StorageError
        If it does not answer, or the partition that jobs are to go to is not there or down.
    """
    try:
        version = client.ask("sinfo", "--version").strip()
        said = client.ask("sinfo", "--noheader", "-o", "%R|%a|%T|%D")
    except StageError as error:
        raise StorageError(
            f"Slurm does not answer: {error.message}",
            code="slurm-down",
            hint=error.hint
            or "Ask 'scontrol ping'; SLURM_CONF names the configuration where it is not /etc/slurm.",
        ) from error
    up: dict[str, int] = {}
    all_nodes: dict[str, int] = {}
    closed = set()
    for line in said.splitlines():
        name, availability, state, count = line.split("|")
        all_nodes[name] = all_nodes.get(name, 0) + int(count)
        is_up = not state.endswith("*") and not state.startswith(("down", "drain", "fail", "unknown"))
        up[name] = up.get(name, 0) + (int(count) if is_up else 0)
        if availability != "up":
            closed.add(name)
    _check_partition(options, all_nodes, up, closed)
    parts = [
        f"{n} ({up[n]} of {all_nodes[n]} nodes up{', closed' * (n in closed)})" for n in sorted(all_nodes)
    ]
    return f"{version}, {_controllers(client)}; partitions: {', '.join(parts)}"


def _controllers(client: Client) -> str:
    try:
        said = client.ask("scontrol", "ping")
    except RefusedError as error:
        return error.message
    return "; ".join(line.strip() for line in said.splitlines() if line.strip())


def _check_partition(
    options: SlurmOptions, all_nodes: Mapping[str, int], up: Mapping[str, int], closed: set[str]
) -> None:
    for name in filter(None, options.partition.split(",")):
        if name not in all_nodes:
            raise StorageError(
                f"this Slurm has no partition '{name}' (site.{options.site}.partition)",
                code="no-partition",
                hint=f"There are: {', '.join(sorted(all_nodes))}.",
            )
        if name in closed or not up[name]:
            what = "takes no jobs" if name in closed else f"has none of its {all_nodes[name]} nodes up"
            raise StorageError(
                f"partition '{name}' {what}", code="partition-down", hint=f"Ask 'sinfo -R -p {name}' why."
            )


def largest_memory_mb(client: Client, options: SlurmOptions, pattern: str) -> int | None:
    """Return the most memory of any node.

    Parameters
    ----------
    client : Client
        Asks for it.
    options : SlurmOptions
        The site's section: the partition.
    pattern : str
        Regular expression of the names of nodes that count.

    Returns
    -------
    int or None
        Megabytes; None if no node is of such a name. The field's default pattern, of another scheduler's machines,
        stands for all nodes where it fits none.

    Raises
    ------
    UsageError
        If the pattern is not one.
    StageError
        If Slurm does not answer.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"executeMachinesPattern is no regular expression: {pattern!r} ({error})", code="bad-pattern"
        ) from error
    of = (f"--partition={options.partition}",) if options.partition else ()
    said = client.ask("sinfo", "--noheader", "-N", *of, "-o", "%N|%m")
    memory = {name: int(mb.rstrip("+")) for name, mb in (line.split("|") for line in said.splitlines())}
    fitting = [mb for name, mb in memory.items() if wanted.search(name)]
    if not fitting and pattern == _OF_ANOTHER_SCHEDULER:
        fitting = list(memory.values())
    highest = _count(client.configuration().get("MaxMemPerNode"))
    return min(max(fitting), highest or max(fitting)) if fitting else None


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
