"""What a pull changes, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cli.render import count_text, table_text

if TYPE_CHECKING:
    from stage.campaign.comparing_upstream import FetchedDifferences
    from stage.campaign.pulling import PullReport
    from sync.pulling.plan import Difference

__all__ = ["class_lines", "fetched_lines", "pull_lines"]

_SHOWN, _ROWS = 10, 100
_THINGS = {
    "dataset-type": "dataset type", "record": "dimension record", "dataset": "dataset", "collection": "collection",
    "member": "membership",
}  # fmt: skip
_WORDS = {
    "new": "new", "taken": "changed upstream", "removed": "gone upstream: removed here", "kept": "changed or made here: kept",
    "kept as used": "changed or gone upstream: kept, quanta have read it", "gone upstream": "gone upstream: kept",
    "conflict": "changed on both sides",
}  # fmt: skip


def pull_lines(report: PullReport) -> Iterable[str]:
    """Word a pull.

    Parameters
    ----------
    report : PullReport
        What it did, or would do.

    Yields
    ------
    str
        Lines.
    """
    for kind, counts in report.plan.counts.items():
        yield from class_lines(kind, counts)
    yield from _difference_lines(report.plan.differences)
    yield from (f"note    {line}" for line in report.collections)
    for name, counts in report.newer.items():
        text = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
        yield f"newer   {name}: {text}; past quanta stay as they were"
    for note in report.plan.notes:
        yield f"note    {note.what}"
        if note.hint:
            yield f"        {note.hint}"
    if report.plan.conflicts:
        from sync.wording import conflict_lines

        yield f"conflicts: {len(report.plan.conflicts):,}"
        yield from (f"  {line}" for line in conflict_lines(report.plan.conflicts))
    yield _end(report)
    if report.next_commands:
        yield ""
        yield "next"
        yield from (f"  {command}" for command in report.next_commands)


def fetched_lines(found: FetchedDifferences) -> Iterable[str]:
    """Word in what staging and upstream differ.

    Parameters
    ----------
    found : FetchedDifferences
        What differs.

    Yields
    ------
    str
        Lines; one where nothing does.
    """
    n_same = sum(classes.get("same", 0) for classes in found.counts.values())
    if found.same:
        yield f"the same: all {n_same:,} things that were fetched from {found.upstream}"
        return
    yield f"{n_same:,} things that were fetched are the same in {found.upstream}"
    for kind, counts in found.counts.items():
        yield from class_lines(kind, counts)
    rows = [(d["kind"], d["what"], d["ours"], d["upstream"]) for d in found.differences]
    if rows:
        yield table_text(("kind", "what", "here", "upstream"), rows[:_ROWS])
    if len(rows) > _ROWS:
        yield f"and {len(rows) - _ROWS:,} more (--json)"
    for command in found.next_commands:
        yield f"next: {command}"


def _end(report: PullReport) -> str:
    if report.plan.conflicts:
        return "would be refused: nothing would be written"
    if report.plan.is_empty or report.plan.is_settled:
        return f"nothing to pull   {report.seconds:.1f} s"
    if report.dry_run:
        return "nothing was written (dry run)"
    removed = f", {count_text(report.removed_files, 'file')} removed" if report.removed_files else ""
    return f"pulled{removed}   {report.seconds:.1f} s"


def class_lines(kind: str, counts: Mapping[str, int]) -> Iterable[str]:
    """Say how many things of a kind are in which class, but for those that are the same.

    Parameters
    ----------
    kind : str
        ``record``, ``dataset``, ….
    counts : mapping of str to int
        Class to number.

    Yields
    ------
    str
        A line a class.
    """
    for what, word in _WORDS.items():
        if counts.get(what):
            yield f"{count_text(counts[what], _THINGS[kind])}: {word}"


def _difference_lines(differences: Iterable[Difference]) -> Iterable[str]:
    """Name some of each kind and action, with both values."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for each in differences:
        groups.setdefault((each.kind, each.action), []).append(each)
    for (_, action), found in groups.items():
        for each in found[:_SHOWN]:
            yield f"  {action}: {each.what}: here {each.ours}; upstream {each.upstream}"
        if len(found) > _SHOWN:
            yield f"  {action}: and {len(found) - _SHOWN:,} more (--json)"
