"""What came of what, as lines for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.render import cell_text, count_text
from cli.wording import data_id_text
from stage.campaign.moved_on import KEPT

if TYPE_CHECKING:
    from stage.campaign.absent import Absence
    from stage.campaign.lineage import QuantumFacts, Why
    from stage.campaign.lineage_tree import Datasets, Quanta

__all__ = ["why_lines"]

_SETTINGS_SHOWN = 20
_CAUSES_SHOWN = 5
_VERSIONS = ("python", "stage")


def why_lines(found: Why) -> Iterable[str]:
    """Word what a dataset or quantum came from and what came of it, or why it is not there.

    Parameters
    ----------
    found : Why
        The answer.

    Yields
    ------
    str
        Lines.
    """
    name = f"{found.name} {data_id_text(found.data_id)}"
    if found.kind == "absent":
        yield f"{name} is not there"
        for absence in found.absences:
            yield from _absence_lines(absence)
        return
    yield f"{name} in {found.run}"
    yield f"id        {found.id}"
    if found.kind == "dataset" and not found.file:
        yield "file      gone: it was ephemeral, or its run was unstored; that it was made is on record"
    if found.moved_on:
        yield f"upstream  {found.moved_on}" + (
            "; it is kept as it was read" if found.moved_on in KEPT else ""
        )
    if found.quantum is not None:
        yield from _facts_lines(found.quantum, is_itself=found.kind == "quantum")
    elif "up" in found.directions:
        yield "made by   nothing that is recorded here"
    if "up" in found.directions:
        yield "came from"
        yield from _tree(
            _quanta_lines(found.made_by, "by", found.run), _datasets_lines(found.reads, "by", found.run)
        )
    if "down" in found.directions:
        yield "led to"
        yield from _tree(
            _quanta_lines(found.read_by, "into", found.run), _datasets_lines(found.makes, "into", found.run)
        )


def _facts_lines(quantum: QuantumFacts, *, is_itself: bool) -> Iterable[str]:
    spent = (quantum.finished_ns - quantum.started_ns) / 1e9
    ran = f", {spent:.3g} s on {quantum.host}" if quantum.started_ns else ""
    tries = f", attempt {quantum.attempts}" if quantum.attempts > 1 else ""
    what = (
        quantum.status if is_itself else f"{quantum.task} {data_id_text(quantum.data_id)}: {quantum.status}"
    )
    yield f"{'status ' if is_itself else 'made by'}   {what}{ran}{tries}"
    if quantum.message:
        yield f"because   {_first_line(quantum.message)}"
    settings = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in quantum.settings.items()]
    for number, setting in enumerate(settings[:_SETTINGS_SHOWN]):
        yield f"{'' if number else 'settings':<9} {cell_text(setting)}"
    if len(settings) > _SETTINGS_SHOWN:
        yield f"{'':<9} and {len(settings) - _SETTINGS_SHOWN} more (--json)"
    known = [f"{name} {quantum.versions[name]}" for name in _VERSIONS if name in quantum.versions]
    if known:
        yield f"versions  {', '.join(known)}; of {count_text(len(quantum.versions), 'package')} with --json"


def _tree(*parts: Iterable[str]) -> Iterable[str]:
    lines = [line for part in parts for line in part]
    yield from (f"  {line}" for line in lines or ["nothing that is recorded here"])


def _quanta_lines(quanta: Sequence[Quanta], word: str, run: str) -> Iterable[str]:
    for each in quanta:
        what = data_id_text(each.data_id) if each.n == 1 else f"({count_text(each.n, 'quantum', 'quanta')})"
        other = {status: n for status, n in each.statuses.items() if status != "succeeded"}
        status = (
            ": " + ", ".join(f"{n:,} {s}" if each.n > 1 else s for s, n in other.items()) if other else ""
        )
        where = f" in {each.run}" if each.run != run else ""
        above = ", as above" if each.shown_above else ""
        yield f"{word} {each.task} {what}{where}{status}{above}"
        yield from (f"  {line}" for line in _datasets_lines(each.datasets, word, each.run))


def _datasets_lines(datasets: Sequence[Datasets], word: str, run: str) -> Iterable[str]:
    for each in datasets:
        what = data_id_text(each.data_id) if each.data_id != "null" else f"({count_text(each.n, 'dataset')})"
        unread = f", {each.n_unread:,} not read" if each.n > 1 else ", not read"
        yield f"{each.dataset_type} {what}{_where(each.runs, run)}{unread if each.n_unread else ''}"
        yield from (f"  {line}" for line in _quanta_lines(each.quanta, word, run))


def _where(runs: Mapping[str, int], run: str) -> str:
    others = [name for name in runs if name and name != run]
    if not others:
        return ""
    return f" in {', '.join(others[:3])}" + (f" and {len(others) - 3} more" if len(others) > 3 else "")


_ABSENT = {
    "failed": "{quantum} failed: {message}",
    "blocked": "{quantum} is blocked by",
    "no-work": "{quantum} found no work: {message}",
    "not-made": "{quantum} succeeded, and made none",
    "not-run": "{quantum} has not run",
    "removed": "{quantum} made it, and it was removed since",
    "input": "it is an input of the run's graph, which nothing in the run makes",
    "no-data-id": "never planned: the run's graph has {n} of this type, with other data IDs",
    "no-type": "never planned: no task of the run's graph makes or reads that dataset type",
}


def _absence_lines(absence: Absence) -> Iterable[str]:
    quantum = f"{absence.task} {data_id_text(absence.data_id)}" if absence.task else "its task"
    message = _first_line(absence.message)
    yield f"{absence.run}"
    yield "  " + _ABSENT[absence.why].format(quantum=quantum, message=message, n=f"{absence.n_planned:,}")
    for cause in absence.causes[:_CAUSES_SHOWN]:
        yield f"    {cause.task} {data_id_text(cause.data_id)}: {_first_line(cause.message)}"
    if len(absence.causes) > _CAUSES_SHOWN:
        yield "    and others (--json)"
    culprit = absence.causes[0] if absence.causes else absence if absence.why == "failed" else None
    if culprit is not None:
        yield f"  see: stage log {culprit.task} {_words(culprit.data_id)}--run {absence.run}"


def _words(data_id: str) -> str:
    return "".join(f"{name}={value} " for name, value in json.loads(data_id).items())


def _first_line(text: str) -> str:
    return cell_text(text.strip().split("\n", 1)[0])
