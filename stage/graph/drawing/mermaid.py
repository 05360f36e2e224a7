"""A drawing in the language of Mermaid, which Markdown pages show."""

from __future__ import annotations

from collections.abc import Iterator

from stage.graph.drawing.model import STATUSES, Box, Drawing

__all__ = ["mermaid"]

_ARROWS = {"": "-->", "prerequisite": "-.->", "init": "-.->"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _.,=-/()")
_ROLES = {"overall-input": "given", "intermediate": "between", "output": "result", "init": "init"}
_CLASSES = {
    "task": "fill:#ffffff,stroke:#1d2733,stroke-width:1.6px",
    "given": "fill:#e8edf5,stroke:#6b7785",
    "between": "fill:#ffffff,stroke:#6b7785",
    "result": "fill:#f3ecf7,stroke:#6b7785",
    "init": "fill:#f4f4f0,stroke:#6b7785,stroke-dasharray:3 3",
}


def mermaid(drawing: Drawing) -> str:
    """Write a drawing for Mermaid.

    Parameters
    ----------
    drawing : Drawing
        What to show.

    Returns
    -------
    str
        A ``flowchart``.
    """
    return "\n".join(_lines(drawing)) + "\n"


def _lines(drawing: Drawing) -> Iterator[str]:
    yield f"flowchart {'LR' if drawing.is_wide else 'TB'}"
    yield f"  %% {_comment(' | '.join((drawing.title, *drawing.notes)))}"
    for box in drawing.boxes:
        yield f"  {_box(box)}"
    for link in drawing.links:
        yield f"  {link.source} {_ARROWS[link.style]} {link.target}"
    if drawing.statuses:
        yield '  subgraph legend["status"]'
        for status in drawing.statuses:
            name = _class(status)
            yield f'    {name}0["{_text(f"{STATUSES[status].sign} {status}")}"]:::{name}'
        yield "  end"
    for name in sorted({_class_of(box) for box in drawing.boxes}):
        if name in _CLASSES:
            yield f"  classDef {name} {_CLASSES[name]}"
    for status in drawing.statuses:
        look = STATUSES[status]
        dash = f",stroke-dasharray:{look.dash}" if look.dash else ""
        yield f"  classDef {_class(status)} fill:{look.fill},stroke:{look.line},stroke-width:2px,color:#1d2733{dash}"


def _class(status: str) -> str:
    return "is" + "".join(word.title() for word in status.split())


def _class_of(box: Box) -> str:
    if box.kind == "task":
        return _class(box.status) if box.status else "task"
    return _ROLES.get(box.role, "between")


def _box(box: Box) -> str:
    first, *others = box.lines
    if box.status:
        status = [] if any(box.status in o for o in others) else [box.status]
        first, others = f"{STATUSES[box.status].sign} {first}", [*others, *status]
    text = "<br/>".join(_text(line) for line in (first, *others))
    opened, closed = ('["', '"]') if box.kind == "task" else ('("', '")')
    return f"{box.key}{opened}{text}{closed}:::{_class_of(box)}"


def _text(line: str) -> str:
    """Write all that could mean something to Mermaid, HTML or Markdown by its number."""
    return "".join(c if c in _PLAIN else f"#{ord(c)};" for c in line)


def _comment(line: str) -> str:
    # Braces in a comment may be taken for the beginning of a directive.
    return "".join(c if c not in "{}%" else " " for c in line)
