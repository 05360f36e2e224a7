"""An explanation as lines for a person, from the document that a graph's header keeps."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.errors import IntegrityError

__all__ = ["lines", "named"]

_WIDEST = 40
"""Above this width of their heads columns are called by letters, so that all fits a terminal of 80 columns."""

_LETTERS = 26


def lines(document: Mapping[str, Any], *, causes: bool = True) -> list[str]:
    """Word an explanation.

    Parameters
    ----------
    document : mapping
        As `stage.graph.explaining.explain.Explanation.to_document` gives it.
    causes : bool, optional
        Whether to name the causes too; an error that follows names them itself.

    Returns
    -------
    list of str
        For each group of tasks what each constraint left, then what became of each task's quanta, and causes.

    Raises
    ------
    IntegrityError
        If it is no such document (``not-an-explanation``): it may come from a file of somebody else.
    """
    try:
        return _lines(document, causes=causes)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as exc:
        raise IntegrityError(
            f"the explanation kept in the graph cannot be read: {exc!r}",
            code="not-an-explanation",
            hint="Build the graph again: stage build --explain.",
        ) from exc


def _lines(document: Mapping[str, Any], *, causes: bool) -> list[str]:
    out: list[str] = []
    for group in document["groups"]:
        out += [*_group_lines(group), ""]
    out += _task_lines(document["tasks"])
    out += _dropped_lines(document["tasks"])
    out += _dataset_lines(document.get("datasets", {}))
    for cause in document["causes"] if causes else ():
        out += ["", *_wrapped(_one_line(f"{named(cause['tasks'])}: {cause['text']}."))]
        if cause["hint"]:
            out += _wrapped(_one_line(cause["hint"]), "    ")
    return out


def named(labels: Sequence[str], shown: int = 4) -> str:
    """List the first of some names.

    Parameters
    ----------
    labels : sequence of str
        The names.
    shown : int, optional
        At most so many.

    Returns
    -------
    str
        As ``a, b and 5 more``.
    """
    more = f" and {len(labels) - shown} more" if len(labels) > shown else ""
    return ", ".join(labels[:shown]) + more


def _group_lines(group: Mapping[str, Any]) -> Iterator[str]:
    """Word what each constraint left: a column for each kind of data ID that tasks have, and one for all together."""
    by_own: dict[tuple[str, ...], list[str]] = {}
    for label, own in group["tasks"].items():
        by_own.setdefault(tuple(own), []).append(label)
    yield from _wrapped(f"data IDs of {', '.join(group['tasks'])}")
    steps = group["steps"]
    if not steps:
        yield "  one, of no dimensions"
        return
    columns = [(" ".join(own) or "(none)", labels[0]) for own, labels in by_own.items()]
    has_all = not any(_counts_alike(steps, label) for _, label in columns)
    heads = [head for head, _ in columns]
    is_wide = sum(map(len, heads)) + 2 * len(heads) > _WIDEST
    if is_wide:
        heads = [chr(ord("A") + i) if i < _LETTERS else f"#{i}" for i in range(len(columns))]
    rows = []
    for step in steps:
        numbers = [_number(step["tasks"][label], step["more"]) for _, label in columns]
        if has_all:
            numbers.append(_number(step["data_ids"], step["more"]))
        rows.append((*numbers, _one_line(step["constraint"])))
    shown = [*heads, *(["all"] if has_all else [])]
    yield from (f"  {line}" for line in _table([*shown, ""], rows, {len(shown)}))
    if is_wide:
        for head, (own, labels) in zip(heads, by_own.items(), strict=True):
            yield from _wrapped(f"{head}: {' '.join(own) or '(none)'} ({', '.join(labels)})", "  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, 78, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False
    )


def _one_line(text: str) -> str:
    """Return text without line breaks and without what could drive a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def _counts_alike(steps: Sequence[Mapping[str, Any]], label: str) -> bool:
    return all(step["tasks"][label] == step["data_ids"] for step in steps)


def _number(n: int, is_more: bool) -> str:
    return f"{n:,}{'+' if is_more else ''}"


_COUNTED = (("skipped", "skipped"), ("adjusted", "no work"), ("trimmed", "trimmed"), ("pruned", "pruned"))


_AGAIN = (
    ("resolved", "found"),
    ("replaced", "others than before"),
    ("unresolved", "not there any more"),
)


def _task_lines(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = [(key, head) for key, head in _COUNTED if any(t.get(key) for t in tasks)]
    has_lacks = any(t.get("lacking") for t in tasks)
    heads = ["task", "data IDs", *(head for _, head in shown), "dropped", "quanta"]
    heads += ["lacking"] if has_lacks else []
    rows = [
        (
            t["task"],
            f"{t['data_ids']:,}",
            *(f"{t.get(key, 0):,}" for key, _ in shown),
            f"{sum(d['dropped'] for d in t['dropped']):,}",
            f"{t['quanta']:,}",
            *([f"{max((n['lacking'] for n in t.get('lacking', ())), default=0):,}"] if has_lacks else []),
        )
        for t in tasks
    ]
    return _table(heads, rows, {0})


def _dropped_lines(tasks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for task in tasks:
        for d in task["dropped"]:
            needs = (
                f"a '{d['dataset_type']}'" if d["minimum"] == 1 else f"{d['minimum']} '{d['dataset_type']}'"
            )
            yield from _wrapped(
                f"{task['task']}: {d['dropped']:,} of {d['of']:,} dropped, without {needs} for '{d['connection']}'"
                + _first_of(d),
                "  ",
            )
        for r in task.get("refused", ()):
            yield from _wrapped(
                f"{task['task']}: {r['dropped']:,} of {r['of']:,} dropped by its own {r['hook']}(): {r['reason']}"
                + _first_of(r),
                "  ",
            )
        for n in task.get("lacking", ()):
            needs = (
                f"no '{n['dataset_type']}'"
                if n["minimum"] == 1
                else f"fewer than {n['minimum']} '{n['dataset_type']}'"
            )
            shown = {"first": n["first"], "dropped": n["lacking"]}
            yield from _wrapped(
                f"{task['task']}: {n['lacking']:,} of {n['of']:,} have {needs} for '{n['connection']}'"
                + _first_of(shown),
                "  ",
            )


def _dataset_lines(datasets: Mapping[str, Any]) -> Iterator[str]:
    """Word what a refresh found of the datasets that are read."""
    for name, d in datasets.items():
        told = ", ".join(f"{d[key]:,} {word}" for key, word in _AGAIN if d[key] or key == "resolved")
        yield from _wrapped(f"'{name}': {told}", "  ")


def _first_of(dropped: Mapping[str, Any]) -> str:
    first = ", ".join(_data_id(i) for i in dropped["first"])
    more = dropped["dropped"] - len(dropped["first"])
    return f": {first}{f' and {more:,} more' if more else ''}" if first else ""


def _data_id(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{k}={v}" for k, v in values.items()) + "}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    """Align cells, those of some columns to the left."""
    widths = [max(len(r[i]) for r in (heads, *rows)) for i in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        cells = (
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return [line(heads), *map(line, rows)]
