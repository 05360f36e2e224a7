"""A drawing in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from stage.graph.drawing.model import STATUSES, Box, Drawing, Link

__all__ = ["dot"]

_ROLES = {"overall-input": "#e8edf5", "output": "#f3ecf7", "init": "#f4f4f0"}
_STYLES = {"": "", "prerequisite": " [style=dashed]", "init": " [style=dotted]"}


def dot(drawing: Drawing) -> str:
    """Write a drawing for Graphviz.

    Parameters
    ----------
    drawing : Drawing
        What to show.

    Returns
    -------
    str
        A ``digraph``; `dot -Tsvg` and others draw it.
    """
    return "\n".join(_lines(drawing)) + "\n"


def _lines(drawing: Drawing) -> Iterator[str]:
    yield "digraph stage {"
    yield f"  rankdir={'LR' if drawing.is_wide else 'TB'};"
    yield f'  label="{_text((drawing.title, *drawing.notes))}"; labelloc=t; labeljust=l;'
    yield '  fontname="Helvetica"; node [fontname="Helvetica", fontsize=11]; edge [color="#5b6878"];'
    for box in drawing.boxes:
        yield f"  {box.key} [{_look(box)}];"
    for link in drawing.links:
        yield f"  {_link(link)};"
    if drawing.statuses:
        yield '  subgraph cluster_legend { label="status"; color="#d9dfe6"; node [shape=box];'
        for i, status in enumerate(drawing.statuses):
            yield f"    legend{i} [{_status(status)}, label={_quoted((STATUSES[status].sign + ' ' + status,))}];"
        yield "  }"
    yield "}"


def _link(link: Link) -> str:
    return f"{link.source} -> {link.target}{_STYLES[link.style]}"


def _look(box: Box) -> str:
    first, *others = box.lines
    if box.kind == "task":
        sign = f"{STATUSES[box.status].sign} " if box.status else ""
        status = (box.status,) if box.status and not any(box.status in o for o in others) else ()
        look = _status(box.status) if box.status else 'style=filled, fillcolor="#ffffff", color="#1d2733"'
        return f"shape=box, label={_quoted((sign + first, *others, *status))}, {look}"
    fill = _ROLES.get(box.role, "#ffffff")
    return (
        f'shape=box, style="rounded,filled", fillcolor="{fill}", color="#6b7785", label={_quoted(box.lines)}'
    )


def _status(status: str) -> str:
    look = STATUSES[status]
    border = "filled,dashed" if look.dash else "filled"
    return f'style="{border}", fillcolor="{look.fill}", color="{look.line}", penwidth=1.6'


def _quoted(lines: tuple[str, ...]) -> str:
    return f'"{_text(lines)}"'


def _text(lines: tuple[str, ...]) -> str:
    # Within quotes dot reads a backslash as the beginning of an escape.
    return "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line)
