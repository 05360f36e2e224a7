"""What the final job does where a file leaves that open: merge what the jobs recorded, and push if that was asked for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["has_own_commands", "with_final_commands"]

_NUMBERED = re.compile(r"command\d+$")


def has_own_commands(document: Mapping[str, Any]) -> bool:
    """Tell whether a file says what the final job does.

    Parameters
    ----------
    document : mapping
        All settings.

    Returns
    -------
    bool
        Whether it does: then nothing is added.
    """
    return any(_NUMBERED.match(str(key)) for key in document.get("finalJob") or ())


def with_final_commands(
    document: Mapping[str, Any],
    run: str,
    campaign_dir: Path,
    *,
    chain: str,
    pushes: bool,
    finish: bool | None,
    then: str = "",
) -> dict[str, Any]:
    """Give the final job its commands, unless the file has some.

    Parameters
    ----------
    document : mapping
        All settings.
    run : str
        The RUN.
    campaign_dir : pathlib.Path
        Its campaign.
    chain : str
        ``output``: upstream's chain that a pushed run goes to the front of.
    pushes : bool
        Whether it pushes.
    finish : bool or None
        Whether a complete run ends.
    then : str, optional
        The directory of a submission that others may follow: they are submitted once this is merged.

    Returns
    -------
    dict
        The settings, with ``finalJob.command1`` and so on.
    """
    if has_own_commands(document):
        return dict(document)
    section = dict(document.get("finalJob") or {})
    at = f"{shlex.quote(run)} --campaign-dir {shlex.quote(str(campaign_dir))} --lock-timeout 3600"
    # Of quanta that failed the jobs tell; that they are merged too is no failure of the merge.
    merge = f"{{stageCommand}} merge --run {at} --incomplete-ok"
    section["command1"] = merge + (" --no-finish" if finish is False else "")
    if then:
        section["command2"] = (
            f"{{stageCommand}} batch submit {shlex.quote(then)} --next-step --lock-timeout 3600"
        )
    elif pushes:
        chained = f" --chain {shlex.quote(chain)}" if chain else ""
        section["command2"] = f"{{stageCommand}} push {at} --register-dataset-types{chained}"
    return {**document, "finalJob": section}
