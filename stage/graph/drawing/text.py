"""A drawing for a terminal: one line a box, and lines beside them that lead to what needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stage.graph.drawing.model import STATUSES, Box, Drawing

__all__ = ["text"]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_CORNERS = {
    0: " ", _UP: "╵", _DOWN: "╷", _LEFT: "╴", _RIGHT: "╶", _UP | _DOWN: "│", _LEFT | _RIGHT: "─",
    _UP | _LEFT: "╯", _UP | _RIGHT: "╰", _DOWN | _LEFT: "╮", _DOWN | _RIGHT: "╭",
    _UP | _DOWN | _LEFT: "┤", _UP | _DOWN | _RIGHT: "├", _UP | _LEFT | _RIGHT: "┴", _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}  # fmt: skip


def text(drawing: Drawing) -> str:
    """Write a drawing for a terminal.

    Parameters
    ----------
    drawing : Drawing
        What to show.

    Returns
    -------
    str
        Lines: tasks are squares, datasets are circles, full ones where there is something before anything runs.
    """
    lines = [*(line for line in (drawing.title, *drawing.notes) if line), ""]
    rows = _rows(drawing)
    width = max((len(lanes) for lanes, _ in rows), default=0)
    lines += [f"{lanes.ljust(width)}  {label}".rstrip() for lanes, label in rows]
    if drawing.statuses:
        lines += ["", "  ".join(f"{STATUSES[s].sign} {s}" for s in drawing.statuses)]
    return "\n".join(lines) + "\n"


def _rows(drawing: Drawing) -> list[tuple[str, str]]:
    """Carry a line from each box down to the last one that needs it."""
    left: dict[str, set[str]] = {box.key: set() for box in drawing.boxes}
    needs: dict[str, list[str]] = {box.key: [] for box in drawing.boxes}
    for link in drawing.links:
        left[link.source].add(link.target)
        needs[link.target].append(link.source)
    lanes: list[str] = []  # which box each lane comes from; empty where it is free
    rows = []
    for box in _in_turn(drawing, needs):
        before = list(lanes)
        own = [lanes.index(key) for key in needs[box.key]]
        for key in needs[box.key]:
            left[key].discard(box.key)
            if not left[key]:
                lanes[lanes.index(key)] = ""
        at = _free(lanes, own)
        joined = _joined(before, lanes, own, at)
        if joined:
            rows.append((joined, ""))
        if at == len(lanes):
            lanes.append("")
        lanes[at] = box.key
        rows.append((_line(lanes, at, box), _label(box)))
        if not left[box.key]:
            lanes[at] = ""
        while lanes and not lanes[-1]:
            lanes.pop()
    return rows


def _in_turn(drawing: Drawing, needs: Mapping[str, Sequence[str]]) -> list[Box]:
    """Put before each box what it needs and was not there yet, so that few lanes are open at a time."""
    boxes = {box.key: box for box in drawing.boxes}
    needed = {key for keys in needs.values() for key in keys}
    out: dict[str, Box] = {}
    todo = [(key, False) for key in reversed(boxes) if key not in needed]
    while todo:
        key, is_ready = todo.pop()
        if is_ready:
            out.setdefault(key, boxes[key])
        elif key not in out:
            todo.append((key, True))
            todo += [(k, False) for k in reversed(needs[key]) if k not in out]
    return list(out.values())


def _free(lanes: list[str], own: list[int]) -> int:
    """Choose a lane: one that ends here, else the first that is free."""
    ended = [i for i in own if not lanes[i]]
    if ended:
        return min(ended)
    return next((i for i, key in enumerate(lanes) if not key), len(lanes))


def _joined(before: list[str], after: list[str], own: list[int], at: int) -> str:
    """Draw how the lanes that a box needs lead to its own."""
    if not own or own == [at]:
        return ""
    low, high = min([*own, at]), max([*own, at])
    cells = []
    for i in range(max(len(before), high + 1)):
        up = i < len(before) and bool(before[i])
        down = (i < len(after) and bool(after[i])) or i == at
        if i in own or i == at:
            arms = up * _UP | down * _DOWN | (i > low) * _LEFT | (i < high) * _RIGHT
        elif up:
            arms = _UP | _DOWN  # a lane that has nothing to do with it passes over the line
        else:
            arms = (_LEFT | _RIGHT) if low < i < high else 0
        cells.append(_CORNERS[arms] + ("─" if low <= i < high else " "))
    return "".join(cells).rstrip()


def _line(lanes: list[str], at: int, box: Box) -> str:
    return " ".join(_sign(box) if i == at else "│" if key else " " for i, key in enumerate(lanes)).rstrip()


def _sign(box: Box) -> str:
    if box.status:
        return STATUSES[box.status].sign
    if box.kind == "task":
        return "■"
    return "●" if box.role == "overall-input" else "○"


def _label(box: Box) -> str:
    first, *others = box.lines
    words = "  ".join([first, *others])
    # A drawing is also read without colours and without knowing the signs.
    return f"{words}  [{box.status}]" if box.status and not any(box.status in o for o in others) else words
