"""Pictures of pipelines and graphs: what they show, and that no label can break out of any of the forms."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from registry.errors import UsageError
from registry.model.dataset_type import DatasetType
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.drawing import FORMATS, draw
from stage.graph.drawing.layers import place
from stage.graph.drawing.model import STATUSES, Box, Drawing, Link, standing, status_of
from stage.graph.drawing.pictures import collapsed, expanded, of_nodes
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from tests.graph_helpers import (
    SHOT_CHIP,
    MemoryView,
    camera_universe,
    chain_graph,
    chain_nodes,
    connection,
    found,
    node,
    product,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    'quo"te',
    "back\\slash\\",
    "new\nline",
    "arrow --> b",
    "cdata ]]> end",
    "<script>alert(1)</script>",
    "&amp; &lt;",
    '"]; x -> y; z["',
    "#quot; %% {{init}}",
    "\x1b[31mred\x00\x07",
    "\ud800\uffff",
    "ünïcödé 星",
)
STATUS = {0: "succeeded", 1: "done", 2: "failed", 3: "running", 5: "skipped", 6: "no-work", 8: "blocked"}


def hostile() -> Drawing:
    """Return a drawing with every bad label, beside one good one."""
    from stage.graph.drawing.model import printable

    boxes = [Box("t0", "task", ("good", "fine"), "done")]
    for i, text in enumerate(HOSTILE):
        boxes.append(Box(f"d{i}", "dataset", (printable(text), printable(text)), "", "output"))
    links = [Link("t0", box.key) for box in boxes[1:]]
    return Drawing(printable(" ".join(HOSTILE)), tuple(map(printable, HOSTILE)), boxes, links)


def texts(picture: str) -> list[str]:
    """Return all that an SVG file writes."""
    return [e.text or "" for e in ET.fromstring(picture).iter(f"{SVG}text")]


def edges_of(picture: str) -> set[tuple[str, str]]:
    """Return the arrows of a dot file."""
    return set(re.findall(r"^  (\w+) -> (\w+)", picture, re.MULTILINE))


# -- what is shown --------------------------------------------------------------------------------------------


def test_a_pipeline_shows_tasks_and_what_is_between_them():
    """Metadata, logs and configs, which every task makes, are left out."""
    drawing = of_nodes(chain_nodes(2), "chain")
    names = [box.lines[0] for box in drawing.boxes]

    assert ["raw", "task0", "stage0", "task1", "stage1", "gather", "whole"] == names
    assert 6 == len(drawing.links)
    assert ["overall-input", "intermediate", "output"] == [
        b.role for b in drawing.boxes if b.lines[0] in {"raw", "stage0", "whole"}
    ]


def test_a_pipeline_shows_what_became_of_its_tasks():
    """Each task has the look of the worst of its quanta, and the numbers; one that nothing is known of is as without."""
    status = {"task0": {"succeeded": 3, "failed": 1}, "task1": {"missing": 4}}
    tasks = {b.lines[0]: b for b in of_nodes(chain_nodes(2), "chain", status).boxes if b.kind == "task"}

    assert ("failed", "3 done, 1 failed") == (tasks["task0"].status, tasks["task0"].lines[-1])
    assert ("pending", "4 pending") == (tasks["task1"].status, tasks["task1"].lines[-1])
    assert "" == tasks["gather"].status


def test_dimensions_stand_in_the_order_in_which_the_pipeline_has_them():
    """In the picture of the pipeline and in that of its graph alike."""
    graph = chain_graph(2, 2, 1)
    drawn = {box.lines[0]: box.lines[1] for box in of_nodes(graph.tasks, "").boxes}

    assert drawn == {box.lines[0]: box.lines[1].partition(" · ")[2] for box in collapsed(graph).boxes}


def test_metadata_that_a_task_reads_are_shown():
    """Then they are a part of the pipeline like others."""
    reader = node(
        "timing",
        SHOT_CHIP,
        connection("times", "input", SHOT_CHIP, "task0_metadata"),
        connection("sums", "output", SHOT_CHIP),
    )
    drawing = of_nodes([*chain_nodes(1, gather=False), reader], "")

    assert "task0_metadata" in {box.lines[0] for box in drawing.boxes}


def test_a_small_graph_shows_each_quantum():
    """With what each reads and writes; values that all share are said once."""
    graph = chain_graph(2, 2, 1)
    drawing = expanded(graph)
    quanta = [box for box in drawing.boxes if box.kind == "task"]

    assert graph.n_quanta == len(quanta)
    assert ("task0", "shot=100 chip=0") in {box.lines for box in quanta}
    assert "all: camera=cam" in drawing.notes
    links = {(link.source, link.target) for link in drawing.links}
    edges = graph.inputs_of(np.arange(graph.n_quanta))
    assert {(f"d{d}", f"q{q}") for q, d in zip(edges.quantum, edges.dataset, strict=True)} <= links


def test_each_box_comes_after_those_that_it_depends_on():
    """Which the layout and the text rest on."""
    graph = chain_graph(3, 2, 2)
    for drawing in (of_nodes(chain_nodes(3), ""), collapsed(graph), expanded(graph)):
        place_of = {box.key: i for i, box in enumerate(drawing.boxes)}

        assert all(place_of[link.source] < place_of[link.target] for link in drawing.links)
        assert len(place_of) == len(drawing.boxes)


def test_a_large_graph_is_drawn_task_by_task(tmp_path):
    """With counts; of its file nothing but the header is needed."""
    graph = chain_graph(20, 10, 2)
    graph.save(tmp_path / "g.qg")
    with GraphFile.open(tmp_path / "g.qg") as file:
        picture = draw(file, "text")

    assert draw(graph, "text") == picture
    assert "task0  200 · camera, shot, chip" in picture
    assert "shot=" not in picture


def test_a_status_is_told_by_word_and_sign():
    """So that nothing depends on a colour."""
    graph = chain_graph(3, 2, 2)
    for form in FORMATS:
        picture = draw(graph, form, status=STATUS)

        assert all(word in unescape(picture) for word in STATUSES), form
    signs = [look.sign for look in STATUSES.values()]
    assert len(signs) == len(set(signs))


def test_statuses_of_a_task_are_counted():
    """The worst decides how the box looks; a quantum of which nothing is known is pending."""
    drawing = collapsed(chain_graph(3, 2, 2), STATUS)
    by_name = {box.lines[0]: box for box in drawing.boxes if box.kind == "task"}

    assert "failed" == by_name["task0"].status
    assert "2 done, 1 skipped, 1 pending, 1 running, 1 failed" == by_name["task0"].lines[2]
    assert ("pending", "3 pending") == (by_name["gather"].status, by_name["gather"].lines[2])
    assert ("done", "1 no work, 4 done") == standing({"done": 4, "no work": 1})
    assert ("pending", "done") == (status_of("unheard of"), status_of("succeeded"))


def test_prerequisites_and_init_inputs_look_different():
    """Their arrows are broken, in each form that has arrows, and the legend says what that means."""
    task = node(
        "only",
        SHOT_CHIP,
        connection("raw", "input", SHOT_CHIP),
        connection("flat", "prerequisite", ("camera", "chip")),
        connection("schema", "init_input", ()),
        connection("out", "output", SHOT_CHIP),
    )
    drawing = of_nodes([task], "")

    assert ("prerequisite", "init") == drawing.styles
    assert 1 == FORMATS["dot"](drawing).count("[style=dashed]")
    assert 2 == FORMATS["mermaid"](drawing).count("-.->")
    assert {"prerequisite", "before the first quantum"} <= set(texts(FORMATS["svg"](drawing)))


def test_an_unknown_form_is_refused():
    """The nearest is offered."""
    with pytest.raises(UsageError, match="'svgg'") as caught:
        draw(chain_graph(), "svgg")

    assert ("unknown-format", "Did you mean 'svg'?") == (caught.value.code, caught.value.hint)


def test_an_empty_graph_can_be_drawn():
    """A title, and boxes with zeros."""
    graph = build_empty()
    for form in FORMATS:
        assert draw(graph, form), form
        assert FORMATS[form](Drawing("nothing", (), (), ())), form


def build_empty() -> QuantumGraph:
    """Return a graph without quanta."""
    universe = camera_universe()
    raw = DatasetType("raw", universe.group(SHOT_CHIP), "Json")
    rows = product(2, 1)
    none = found(rows.take(np.zeros(0, dtype=np.int64)).select(SHOT_CHIP))
    view = MemoryView(universe, rows, {"raw": (raw, none)})
    return build_from_view(chain_nodes(1), view, Question(), Header(bytes(16)), allow_empty=True)


# -- forms ----------------------------------------------------------------------------------------------------


def test_svg_is_well_formed_whatever_the_labels():
    """An XML parser reads back each label; there is no script and no reference to anything outside."""
    picture = FORMATS["svg"](hostile())
    written = texts(picture)

    assert 2 <= written.count('quo"te')
    assert {"cdata ]]> end", "<script>alert(1)</script>", "&amp; &lt;", "new\\x0aline"} <= set(written)
    assert not {e.tag for e in ET.fromstring(picture).iter()} & {f"{SVG}script", f"{SVG}image", f"{SVG}a"}
    assert ["http://www.w3.org/2000/svg"] == re.findall(r"https?://[^\"' ]+", picture)


def test_svg_boxes_lie_within_the_picture_and_do_not_overlap():
    """Also in a graph with many of them."""
    picture = draw(chain_graph(6, 4, 2), "svg", status=STATUS)
    root = ET.fromstring(picture)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    boxes = [
        (*map(float, re.findall(r"[\d.]+", outer.get("transform", "") + " " + g.get("transform", ""))), g.find(f"{SVG}rect"))
        for outer in root.findall(f"{SVG}g")
        for g in outer.findall(f"{SVG}g")
        if g.find(f"{SVG}title") is not None
    ]  # fmt: skip
    areas = []
    for ox, oy, x, y, rect in boxes:
        areas.append((ox + x, oy + y, float(rect.get("width")), float(rect.get("height"))))  # type: ignore[union-attr, arg-type]

    assert len(areas) > 50
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in areas)
    apart = (
        a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        for a, b in itertools.combinations(areas, 2)
    )
    assert all(apart)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_what_is_written():
    """With exactly the boxes and arrows meant, also where labels try to end a string."""
    drawing = hostile()
    run = ["dot", "-Tsvg"]
    done = subprocess.run(
        run, input=FORMATS["dot"](drawing), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    groups = [g.get("class") for g in ET.fromstring(done.stdout).iter(f"{SVG}g")]

    assert "" == done.stderr
    assert (len(drawing.boxes) + 1, len(drawing.links)) == (groups.count("node"), groups.count("edge"))
    assert {'quo"te', "back\\slash\\", "cdata ]]> end", "arrow --> b"} <= set(texts(done.stdout))


def test_dot_has_all_arrows():
    """Of the graph, by the boxes' keys."""
    graph = chain_graph(2, 2, 1)
    drawing = expanded(graph)

    assert {(a, b) for a, b, _ in drawing.links} == edges_of(draw(graph, "dot"))


def test_mermaid_labels_cannot_end_early():
    """Between the quotes there are only letters, digits, plain signs, numbers of characters, and line breaks."""
    picture = FORMATS["mermaid"](hostile())
    labels = [
        m for line in picture.splitlines() for m in re.findall(r'^\s+\w+[\[(]+"(.*)"[\])]+:::\w+$', line)
    ]

    assert len(HOSTILE) + 2 == len(labels)
    assert all(re.fullmatch(r"(?:[\w .,=/·()✓-]|#\d+;|<br/>)*", label) for label in labels)
    assert re.sub(r"#(\d+);", lambda m: chr(int(m[1])), labels[1].split("<br/>")[0]) == 'quo"te'
    assert 2 + (1 + len(HOSTILE)) + len(HOSTILE) + 3 + 2 == len(picture.splitlines())


def test_text_is_one_line_a_box_and_drives_no_terminal():
    """Whatever the labels say."""
    picture = FORMATS["text"](hostile())

    assert all(line.isprintable() for line in picture.splitlines())
    assert "\\x1b[31mred" in picture


def test_text_carries_lines_to_what_needs_them():
    """A shared input stays open until its last reader; unrelated lanes pass over the line."""
    boxes = [
        Box("a", "dataset", ("a",), "", "overall-input"), Box("b", "dataset", ("b",), "", "overall-input"),
        Box("t", "task", ("t",)), Box("u", "task", ("u",)),
    ]  # fmt: skip
    links = [Link("a", "t"), Link("a", "u"), Link("b", "u")]
    lines = FORMATS["text"](Drawing("", (), boxes, links)).splitlines()

    assert ["", "●    a", "├─╮", "│ ■  t", "│ ●  b", "├─╯", "■    u"] == lines


# -- layout ---------------------------------------------------------------------------------------------------


def crossings(links: list[tuple[str, str]], centres: dict[str, Any]) -> int:
    """Count crossings of straight arrows between two layers."""
    pairs = [(centres[a][0], centres[b][0]) for a, b in links]
    return sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(pairs, 2))


def test_layout_uncrosses_what_can_be_uncrossed():
    """Two rows joined in reverse order end up without a crossing."""
    sizes = {f"{row}{i}": (30.0, 10.0) for row in "ab" for i in range(6)}
    links = [(f"a{i}", f"b{5 - i}") for i in range(6)]
    placed = place(sizes, links)

    assert 0 == crossings(links, placed.centres)
    assert all(abs(placed.centres[a][0] - placed.centres[b][0]) < 1e-6 for a, b in links)


def test_layout_leads_long_arrows_past_boxes():
    """An arrow that passes a layer keeps clear of the box there."""
    sizes = dict.fromkeys("abc", (40.0, 10.0))
    placed = place(sizes, [("a", "b"), ("b", "c"), ("a", "c")])
    route = placed.routes[2]
    x, y = placed.centres["b"]

    assert 4 == len(route)
    assert all(abs(px - x) > 20 for px, py in route if abs(py - y) <= 5)
    assert [p[1] for p in route] == sorted(p[1] for p in route)


def test_what_depends_on_nothing_is_put_near_what_needs_it():
    """Not all at the top."""
    sizes = dict.fromkeys(("a", "t", "b", "late", "u"), (10.0, 10.0))
    placed = place(sizes, [("a", "t"), ("t", "b"), ("b", "u"), ("late", "u")])

    assert placed.centres["b"][1] == placed.centres["late"][1]
