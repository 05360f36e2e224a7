"""A drawing as one SVG file: no script, no font and no other file is needed."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from stage.graph.drawing.layers import Placed, place
from stage.graph.drawing.model import STATUSES, Box, Drawing, Link

__all__ = ["svg"]

_LINE, _PAD, _MARGIN, _SIGN = 15.0, 12.0, 24.0, 18.0
_LONGEST = 64
"""Characters of a line that are drawn; the whole text appears when one points at the box."""

_SIGNS = {
    "done": '<path d="M2.5 6.5 5 9 9.8 3.4" fill="none" stroke-width="1.9"/>',
    "failed": '<path d="M3 3 9 9M9 3 3 9" fill="none" stroke-width="1.9"/>',
    "blocked": '<circle cx="6" cy="6" r="4.4" fill="none" stroke-width="1.5"/><path d="M3 9 9 3" stroke-width="1.5"/>',
    "running": '<path d="M3.5 2 10 6 3.5 10Z" stroke-width="1"/>',
    "pending": '<circle cx="6" cy="6" r="4" fill="none" stroke-width="1.5"/>',
    "skipped": '<path d="M2 3 5 6 2 9M6.5 3 9.5 6 6.5 9" fill="none" stroke-width="1.6"/>',
    "no work": '<path d="M2.5 6H9.5" fill="none" stroke-width="1.9"/>',
}
_ROLES = {"overall-input": "#e8edf5", "output": "#f3ecf7", "init": "#f4f4f0"}
_DASHES = {"": "", "prerequisite": ' stroke-dasharray="7 4"', "init": ' stroke-dasharray="2 3"'}
_MEANINGS = {"prerequisite": "prerequisite", "init": "before the first quantum"}
_CSS = (
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1d2733}"
    ".h{font-size:16px;font-weight:600}.b{font-weight:600}.s{fill:#5b6878;font-size:11px}"
    ".e{fill:none;stroke:#7a8794;stroke-width:1.2}"
)


class _Size(NamedTuple):
    width: float
    height: float


def svg(drawing: Drawing) -> str:
    """Write a drawing as SVG.

    Parameters
    ----------
    drawing : Drawing
        What to show.

    Returns
    -------
    str
        A whole SVG document.
    """
    sizes = {box.key: _size(box) for box in drawing.boxes}
    wide = drawing.is_wide
    swapped = {k: (s.height, s.width) if wide else (s.width, s.height) for k, s in sizes.items()}
    gaps = (10.0, 64.0) if wide else (22.0, 40.0)
    placed = place(
        swapped, [(link.source, link.target) for link in drawing.links], gap=gaps[0], layer_gap=gaps[1]
    )
    head = 30.0 + _LINE * len(drawing.notes)
    legend, legend_width = _legend(drawing)
    across, along = (placed.depth, placed.breadth) if wide else (placed.breadth, placed.depth)
    heads = [_width(drawing.title) * 1.45, *(_width(n) for n in drawing.notes)]
    width = max(across, legend_width, *heads) + 2 * _MARGIN
    left = (width - across) / 2
    height = head + along + 2 * _MARGIN + (44.0 if legend else 0.0)
    body = [
        _head(drawing),
        f'<g transform="translate({left:.1f} {_MARGIN + head:.1f})">',
        *_links(drawing.links, placed, wide=wide),
        *_boxes(drawing.boxes, sizes, placed, wide=wide),
        "</g>",
    ]
    if legend:
        body.append(f'<g transform="translate({_MARGIN} {height - _MARGIN - 8:.1f})">{legend}</g>')
    return _document(width, height, drawing.title, body)


def _document(width: float, height: float, title: str, body: Sequence[str]) -> str:
    inside = "\n".join(body)
    arrow = (
        '<marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 .8 7.5 4 0 7.2Z" fill="#7a8794"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title><style>{_CSS}</style><defs>{arrow}</defs>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )


def _head(drawing: Drawing) -> str:
    lines = [f'<text class="h" x="{_MARGIN}" y="{_MARGIN + 12}">{escape(drawing.title)}</text>']
    for i, note in enumerate(drawing.notes):
        lines.append(
            f'<text class="s" x="{_MARGIN}" y="{_MARGIN + 30 + _LINE * i:.0f}">{escape(note)}</text>'
        )
    return "".join(lines)


# -- boxes ----------------------------------------------------------------------------------------------------


def _width(text: str) -> float:
    """Return about how wide a text is at 12 pixels; letters of East Asia are twice as wide as others."""
    return sum(12.4 if unicodedata.east_asian_width(c) in "WF" else _LETTERS.get(c, 6.9) for c in text)


_LETTERS = {
    **dict.fromkeys("iljtfI.,:;'|!() ", 3.9),
    **dict.fromkeys("mwMW@%", 10.2),
    **dict.fromkeys("ABCDEGHKNOPQRSUVXY", 8.3),
}


def _lines(box: Box) -> list[str]:
    first, *others = box.lines
    status = [box.status] if box.status and not any(box.status in o for o in others) else []
    return [
        line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in (first, *others, *status)
    ]


def _size(box: Box) -> _Size:
    first, *others = _lines(box)
    widest = max(_width(first) * 1.07, *(_width(line) * 0.93 for line in others), 40.0)
    return _Size(
        widest + 2 * _PAD + (_SIGN if box.status else 0),
        _LINE * (1 + len(others)) + _PAD + (box.kind == "task") * 3,
    )


def _boxes(boxes: Sequence[Box], sizes: dict[str, _Size], placed: Placed, *, wide: bool) -> Iterator[str]:
    for box in boxes:
        breadth, depth = placed.centres[box.key]
        x, y = (depth, breadth) if wide else (breadth, depth)
        size = sizes[box.key]
        yield _box(box, x - size.width / 2, y - size.height / 2, size)


def _box(box: Box, left: float, top: float, size: _Size) -> str:
    whole = escape(" · ".join((*box.lines, *([box.status] if box.status else []))))
    shift = _SIGN if box.status else 0.0
    middle = (size.width + shift) / 2
    first, *others = _lines(box)
    at = (size.height - _LINE * (1 + len(others))) / 2 + 11.5
    parts = [
        f'<g transform="translate({left:.1f} {top:.1f})"><title>{whole}</title>',
        _frame(box, size),
        f'<text class="b" x="{middle:.1f}" y="{at:.1f}" text-anchor="middle">{escape(first)}</text>',
    ]
    for i, line in enumerate(others, 1):
        parts.append(
            f'<text class="s" x="{middle:.1f}" y="{at + _LINE * i:.1f}" text-anchor="middle">{escape(line)}</text>'
        )
    if box.status:
        parts.append(_sign(box.status, 8.0, size.height / 2 - 6))
    return "".join((*parts, "</g>"))


def _frame(box: Box, size: _Size) -> str:
    area = f'width="{size.width:.1f}" height="{size.height:.1f}"'
    if box.kind == "task":
        return f'<rect {area} rx="3" {_look(box.status)}/>'
    dash = ' stroke-dasharray="3 3"' if box.role == "init" else ""
    fill = _ROLES.get(box.role, "#ffffff")
    return f'<rect {area} rx="{min(size.height / 2, 16):.1f}" fill="{fill}" stroke="#8a97a6"{dash}/>'


def _look(status: str) -> str:
    if not status:
        return 'fill="#ffffff" stroke="#1d2733" stroke-width="1.5"'
    look = STATUSES[status]
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    return f'fill="{look.fill}" stroke="{look.line}" stroke-width="1.8"{dash}'


def _sign(status: str, x: float, y: float) -> str:
    line = STATUSES[status].line
    return (
        f'<g transform="translate({x:.1f} {y:.1f})" stroke="{line}" fill="{line}" stroke-linecap="round" '
        f'stroke-linejoin="round">{_SIGNS[status]}</g>'
    )


# -- arrows ---------------------------------------------------------------------------------------------------


def _links(links: Sequence[Link], placed: Placed, *, wide: bool) -> Iterator[str]:
    for link, route in zip(links, placed.routes, strict=True):
        yield f'<path class="e" d="{_curve(route, wide=wide)}"{_DASHES[link.style]} marker-end="url(#a)"/>'


def _curve(route: Sequence[tuple[float, float]], *, wide: bool) -> str:
    """Bend from point to point; straight on where an arrow passes a layer."""

    def at(breadth: float, depth: float) -> str:
        return f"{depth:.1f} {breadth:.1f}" if wide else f"{breadth:.1f} {depth:.1f}"

    out = [f"M{at(*route[0])}"]
    for i, ((b0, d0), (b1, d1)) in enumerate(itertools.pairwise(route)):
        if i % 2 or abs(b0 - b1) < 0.5:
            out.append(f"L{at(b1, d1)}")
        else:
            half = (d0 + d1) / 2
            out.append(f"C{at(b0, half)} {at(b1, half)} {at(b1, d1)}")
    return "".join(out)


def _legend(drawing: Drawing) -> tuple[str, float]:
    parts, x = [], 0.0
    for status in drawing.statuses:
        width = _width(status) + 34
        parts.append(
            f'<g transform="translate({x:.1f} -13)"><rect width="{width - 8:.1f}" height="20" rx="3" {_look(status)}/>'
            f'{_sign(status, 5, 4)}<text x="22" y="14" class="s">{escape(status)}</text></g>'
        )
        x += width + 4
    for style in drawing.styles:
        parts.append(
            f'<path class="e" d="M{x:.1f} -3H{x + 30:.1f}"{_DASHES[style]}/>'
            f'<text class="s" x="{x + 36:.1f}" y="1">{_MEANINGS[style]}</text>'
        )
        x += _width(_MEANINGS[style]) + 52
    return "".join(parts), x
