"""Plans in words: lines for a person, made from the same facts as the JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sync.pushing.kinds import KINDS

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from sync.plan import Conflict, PushPlan

__all__ = ["conflict_lines", "human_bytes", "push_lines", "total_size", "winner_text"]

_NOUNS = {"dataset-type": "dataset type", "record": "dimension record"}
_PLURALS = {"quantum": "quanta", "metadata": "metadata"}
_ACCOUNTS = {"log": "log", "metadata": "metadata", "config": "config"}
"""What every task leaves besides its data: how its dataset types end, and what to call one."""
_MOST = 5
"""Conflicts of one kind that are shown."""


def push_lines(plan: PushPlan) -> list[str]:
    """Return a push plan as lines for a person.

    Parameters
    ----------
    plan : PushPlan
        The plan.

    Returns
    -------
    list of str
        One line a class of things, then the chain, the warnings and the conflicts.
    """
    out = []
    new = _new_datasets(plan)
    if new:
        new[-1] += f" ({human_bytes(plan.size_bytes)})"
    new += _numbers(plan.counts, "new", besides="dataset")
    if new:
        out.append(f"new {', '.join(new)}")
    same = _numbers(plan.counts, "same")
    if same:
        out.append(f"same {', '.join(same)}")
    kept = _numbers(plan.counts, "changed-upstream")
    if kept:
        out.append(f"changed upstream only, kept: {', '.join(kept)}")
    out += _skipped(plan)
    if plan.chain is not None:
        instead = f"; {plan.chain.replaced} gives up its place" if plan.chain.replaced else ""
        out.append(f"chain {plan.chain.name}: {', '.join(plan.chain.children)}{instead}")
    if plan.is_empty:
        all_there = " but what was left out" if "skipped" in plan.counts else ": upstream has it all"
        out.append(f"nothing to push{all_there if plan.runs else ''}")
    for note in plan.warnings:
        out.append(f"warning {note}")
        if note.hint:
            out.append(f"  {note.hint}")
    out.append(f"conflicts {len(plan.conflicts):,}" if plan.conflicts else "conflicts none")
    return out + [f"  {line}" for line in conflict_lines(plan.conflicts)]


def _skipped(plan: PushPlan) -> list[str]:
    """Say what policies leave out: of each kind how many, the first, and what that means."""
    first = {conflict.code: conflict for conflict in reversed(plan.skipped)}
    out = []
    for code, n in plan.counts.get("skipped", {}).items():
        example = f" (first: {first[code].what})" if code in first else ""
        out.append(f"skipped {n:,} {code}{example}: {KINDS[code].skip}")
    counts = {k: c for k, c in plan.counts.items() if k in {"dataset", "quantum"}}
    staying = _numbers(counts, "skipped")
    stay = "stays" if sum(c.get("skipped", 0) for c in counts.values()) == 1 else "stay"
    return [*out, f"  so {', '.join(staying)} {stay} here"] if staying else out


def conflict_lines(conflicts: Sequence[Conflict]) -> list[str]:
    """Return conflicts as lines for a person: those with the same way on together, and that once.

    Parameters
    ----------
    conflicts : sequence of Conflict
        All of them.

    Returns
    -------
    list of str
        Of each kind the first few and how many more, who was first, and the way on.
    """
    groups: dict[tuple[str, str, str], list[Conflict]] = {}
    for conflict in conflicts:
        groups.setdefault((conflict.code, conflict.hint, winner_text(conflict)), []).append(conflict)
    out = []
    for (code, hint, who), group in groups.items():
        if code == "dataset-type-unknown" and len(group) > 1:
            out.append(f"{code}: upstream lacks {_unknown_types(group)}")
        else:
            out += map(str, group[:_MOST])
            if len(group) > _MOST:
                out.append(f"{code}: and {len(group) - _MOST:,} more")
        if who:
            out.append(f"  Upstream's: {who}.")
        if hint:
            out.append(f"  {hint}")
    return out


def winner_text(conflict: Conflict) -> str:
    """Say who was first.

    Parameters
    ----------
    conflict : Conflict
        The conflict.

    Returns
    -------
    str
        As ``pushed by … from campaign '…' at …``; empty where upstream's ledger knows nobody.
    """
    return str(conflict.about.get("pushed_by", {}).get("text", ""))


def _unknown_types(conflicts: Sequence[Conflict]) -> str:
    """Name dataset types: data one by one, what every task leaves taken together."""
    names = [conflict.what.removeprefix("dataset type ").strip("'") for conflict in conflicts]
    labels = [n.removesuffix("_log") for n in names if n.endswith("_log")]
    labels = [label for label in labels if f"{label}_metadata" in names]
    accounts = {f"{label}_{suffix}" for label in labels for suffix in _ACCOUNTS}
    parts = [name for name in names if name not in accounts]
    if labels:
        parts.append(f"logs, metadata and configs of {', '.join(labels)}")
    return f"{len(names):,} dataset types: {', '.join(parts)}"


def _new_datasets(plan: PushPlan) -> list[str]:
    """Word the new datasets: data by name, then what every task leaves, taken together."""
    labels = plan.outgoing.quanta["task"].tolist() if plan.outgoing.quanta.n_rows else []
    noun_of = {f"{label}_{suffix}": noun for label in set(labels) for suffix, noun in _ACCOUNTS.items()}
    noun_of["packages"] = "package list"
    data, accounts = [], dict.fromkeys((*_ACCOUNTS.values(), "package list"), 0)
    for name, n in plan.datasets_by_type.items():
        if name in noun_of:
            accounts[noun_of[name]] += n
        else:
            data.append(f"{n:,} {name}")
    return data + [_number(n, noun) for noun, n in accounts.items() if n]


def _numbers(counts: Mapping[str, Mapping[str, int]], cls: str, besides: str = "") -> list[str]:
    """Word the counts of one class: ``38 dimension records``."""
    out = []
    for kind, classes in counts.items():
        n = classes.get(cls, 0)
        if n and kind != besides:
            out.append(_number(n, _NOUNS.get(kind, kind)))
    return out


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun if n == 1 else _PLURALS.get(noun, noun + 's')}"


def total_size(rows: Columns) -> int:
    """Add up the sizes of artifacts.

    Parameters
    ----------
    rows : Columns
        With or without ``size``; None where there is no artifact.

    Returns
    -------
    int
        Bytes.
    """
    if "size" not in rows or not rows.n_rows:
        return 0
    sizes = rows["size"]
    return int(sizes.sum()) if sizes.dtype != object else sum(s for s in sizes.tolist() if s is not None)


def human_bytes(size_bytes: float) -> str:
    """Return a number of bytes as people write it.

    Parameters
    ----------
    size_bytes : float
        Bytes.

    Returns
    -------
    str
        With a decimal prefix: ``1.2 GB``.
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} PB"
