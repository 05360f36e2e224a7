"""Comparing what is written about two runs: settings of tasks, versions of packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stage.campaign.comparing_report import ValueDifference
from stage.campaign.run_documents import run_document
from stage.pipeline.node import CONFIG

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["Place", "setting_differences", "version_differences"]


class Place(NamedTuple):
    """Where one of two runs is.

    Parameters
    ----------
    repo : Repo
        Its repository, open.
    snapshot : Snapshot
        Of that repository's registry.
    run : str
        The RUN.
    """

    repo: Repo
    snapshot: Snapshot
    run: str

    def document(self, dataset_type: str) -> Mapping[str, Any]:
        """Read what was written once for the run.

        Parameters
        ----------
        dataset_type : str
            A dataset type without dimensions.

        Returns
        -------
        mapping
            Empty if there is none.
        """
        return run_document(self.repo, self.snapshot, self.run, dataset_type)


_SCRIPT = frozenset({"dimensions", "inputs", "outputs", "variables"})
"""Keys that the configuration of a script has, whose settings are typed as the variables that they become."""


def setting_differences(old: Place, new: Place, tasks: Sequence[str]) -> list[ValueDifference]:
    """Compare the settings of tasks.

    Parameters
    ----------
    old, new : Place
        The runs.
    tasks : sequence of str
        Tasks that both have.

    Returns
    -------
    list of ValueDifference
        By task and key, as it is typed: ``-c task:key=value``.
    """
    from stage.execution.prep import config_differences

    out = []
    for task in tasks:
        before, now = old.document(task + CONFIG), new.document(task + CONFIG)
        are_scripts = before.keys() & now.keys() >= _SCRIPT
        for key, a, b in config_differences(before, now):
            name = key.removeprefix("variables.") if are_scripts else key
            out.append(ValueDifference(task, name, a, b))
    return out


def version_differences(old: Place, new: Place) -> list[ValueDifference]:
    """Compare the versions of packages.

    Parameters
    ----------
    old, new : Place
        The runs.

    Returns
    -------
    list of ValueDifference
        By package.
    """
    from stage.execution.prep import config_differences
    from stage.graph.layout import PACKAGES

    # Names of packages may have dots, which would divide them where documents are compared.
    before, after = (
        {name: {"": version} for name, version in p.document(PACKAGES).items()} for p in (old, new)
    )
    return [
        ValueDifference("", name, a, b)
        for name in sorted({*before, *after}, key=str.lower)
        for _, a, b in config_differences(before.get(name, {}), after.get(name, {}))
    ]
