"""Commands that look at graphs and pipelines: qg show, qg draw, draw graph, draw pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import stage
from cli.data_ids import data_id_values
from cli.lazy import LazyGroup
from cli.options import READS, AsJson, add_command, campaign_command
from cli.render import count_text, emit, emit_json, size_text, table_text
from cli.rows import show_rows
from cli.wording import graph_lines

__all__ = ["add_to", "add_to_graphs", "explained"]

_MANY = 2
"""Of so many quanta the values that all share are told once."""

_Graph = Annotated[
    str | None, typer.Argument(metavar="GRAPH", help="A graph file; the campaign's by default.")
]
_Format = Annotated[
    str,
    typer.Option("--format", "-f", metavar="FORM", help="Form of the picture: text, dot, mermaid or svg."),
]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it, instead of here.")
]


def _show(
    *,
    campaign_dir: Path | None,
    uri: _Graph = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", metavar="LABEL", help="List the quanta of a task.")
    ] = None,
    data_id: Annotated[
        list[str] | None,
        typer.Option(
            "--data-id", metavar="NAME=VALUE", help="List the quanta that have this value; repeatable."
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="NAME[,NAME…]", help="Count quanta by values of dimensions, instead of listing."
        ),
    ] = None,
    quantum: Annotated[
        int | None,
        typer.Option("--quantum", metavar="N", help="Show one quantum with all it reads and writes."),
    ] = None,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Show of each dataset type how much is there already.")
    ] = False,
    explanation: Annotated[
        bool,
        typer.Option("--explanation", help="Show what 'build --explain' told: where the quanta come from."),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="List at most so many quanta.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what a quantum graph holds: tasks, quanta, dataset types; or search it.

    Without options nothing but the file's header is read, however large the graph is.

    Examples
    --------
        stage qg show

        stage qg show --by band

        stage qg show --task isr --data-id visit=903334 --data-id detector=12

        stage qg show --quantum 4711
    """
    from stage.graph import summary

    chosen = {"--quantum": quantum is not None, "--sizes": sizes, "--explanation": explanation}
    chosen["--by, --task, --data-id"] = bool(by or task is not None or data_id)
    if sum(chosen.values()) > 1:
        raise stage.UsageError(
            f"{' and '.join(name for name, is_given in chosen.items() if is_given)} do not go together",
            code="one-at-a-time",
            hint="Ask for one after the other.",
        )
    with _open(campaign_dir, uri) as graph:
        if quantum is not None:
            _show_quantum(graph, quantum, as_json)
        elif by:
            _show_rows(summary.count_by(graph.load(), by.split(","), task, data_id_values(data_id)), as_json)
        elif task is not None or data_id:
            _show_found(summary.found_quanta(graph.load(), task, data_id_values(data_id)), limit, as_json)
        elif sizes:
            _show_sizes(summary.dataset_sizes(graph.load()), as_json)
        elif explanation:
            _show_explanation(graph, as_json)
        else:
            _show_header(campaign_dir, uri, as_json)


def _open(campaign_dir: Path | None, uri: str | None) -> stage.GraphFile:
    return stage.GraphFile.open(uri) if uri else stage.Campaign.load(campaign_dir).open_graph()


def _show_header(campaign_dir: Path | None, uri: str | None, as_json: bool) -> None:
    report = stage.show_graph(uri) if uri else stage.Campaign.load(campaign_dir).show_graph()
    if as_json:
        emit_json(report.to_document())
    else:
        for line in graph_lines(report):
            emit(line)


def _show_rows(columns: stage.Columns, as_json: bool) -> None:
    show_rows(columns, "json" if as_json else "table")


def _show_sizes(found: stage.Columns, as_json: bool) -> None:
    if as_json:
        _show_rows(found, as_json)
        return
    rows = [
        (name, role, n, n_there, size_text(n_bytes) if n_there else "-")
        for name, role, n, n_there, n_bytes in found.rows()
    ]
    emit(table_text(("dataset type", "role", "datasets", "of these there already", "size of those"), rows))


def _show_found(found: stage.Columns, limit: int, as_json: bool) -> None:
    shown = stage.Columns({name: found[name][:limit] for name in found.names})
    if as_json:
        names = found.names
        rows = ({**dict(zip(names, row, strict=True)), "data_id": json.loads(row[2])} for row in shown.rows())
        emit_json({"n": found.n_rows, "quanta": list(rows)})
        return
    if not found.n_rows:
        emit("no quantum of the graph is about these")
        return
    data_ids = [json.loads(text) for text in shown["data_id"].tolist()]
    common = _common(data_ids)
    if common:
        emit(f"these have {_data_id(common)}")
    own = [_data_id({k: v for k, v in values.items() if k not in common}) for values in data_ids]
    columns = [shown["quantum"].tolist(), shown["task"].tolist(), own]
    columns += [shown["inputs"].tolist(), shown["outputs"].tolist()]
    emit(table_text(("quantum", "task", "data ID", "inputs", "outputs"), zip(*columns, strict=True)))
    if found.n_rows > limit:
        emit(f"the first {limit:,} of {count_text(found.n_rows, 'quantum', 'quanta')}; --limit shows more")


def _common(data_ids: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values that several data IDs share, so that they need not be repeated line by line."""
    if len(data_ids) < _MANY:
        return {}
    items = set(data_ids[0].items()).intersection(*(values.items() for values in data_ids[1:]))
    return {k: v for k, v in data_ids[0].items() if (k, v) in items}


def _data_id(values: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in values.items()) or "-"


def _show_quantum(graph: stage.GraphFile, ordinal: int, as_json: bool) -> None:
    from stage.graph.summary import quantum_document

    document = quantum_document(graph, ordinal)
    if as_json:
        emit_json(document)
        return
    emit(f"quantum {ordinal}   {document['id']}")
    emit(f"task    {document['task']}")
    emit(f"data ID {_data_id(document['data_id'])}")
    for way in ("inputs", "outputs"):
        for line in _dataset_lines(way, document[way]):
            emit(line)


def _dataset_lines(way: str, connections: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield ""
    yield f"{way}" if connections else f"{way}  -"
    for name, datasets in connections.items():
        for d in datasets:
            yield f"  {name}: {d['dataset_type']} {_data_id(d['data_id'])}"
            yield f"      {d['id']}  in {d['run'] or '(no run yet)'}"
            if d["uri"]:
                yield f"      {d['uri']}"
        if not datasets:
            yield f"  {name}: -"


def _show_explanation(graph: stage.GraphFile, as_json: bool) -> None:
    document = graph.header.metadata.get("explanation")
    if document is None:
        raise stage.NotFoundError(
            "the graph was built without an explanation",
            code="no-explanation",
            hint="Build it again: stage build --explain.",
        )
    if as_json:
        emit_json(document)
    else:
        _tell(document)


def _tell(document: Mapping[str, Any], *, causes: bool = True) -> None:
    from stage.graph.explaining.text import lines

    for line in lines(document, causes=causes):
        emit(line)


@contextmanager
def explained(*, is_shown: bool, as_json: bool = False) -> Iterator[dict[str, Any]]:
    """Show where quanta come from: of a graph that was built, and of one that could not be.

    Parameters
    ----------
    is_shown : bool
        Whether that was asked for.
    as_json : bool, optional
        Whether as JSON; that of a graph that was built is in its report.

    Yields
    ------
    dict
        To be filled with the explanation's document.

    Raises
    ------
    StageError
        That of the build, after its explanation was shown. The causes are left to it.
    """
    document: dict[str, Any] = {}
    try:
        yield document
    except stage.StageError as exc:
        found = exc.context.get("explanation") if is_shown else None
        if found and as_json:
            emit_json(
                {
                    "error": {"code": exc.code, "message": exc.message, "hint": exc.hint},
                    "explanation": found,
                }
            )
        elif found:
            _tell(found, causes=False)
            emit()
        raise
    if is_shown and document and not as_json:
        _tell(document)
        emit()


def _draw_graph(
    *,
    campaign_dir: Path | None,
    uri: _Graph = None,
    form: _Format = "text",
    output: _Output = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show what became of the quanta in the newest run.")
    ] = False,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Show what became of them in this run.")
    ] = None,
    max_nodes: Annotated[
        int,
        typer.Option(
            "--max-nodes",
            min=1,
            metavar="N",
            help="A graph of more quanta and datasets is drawn task by task.",
        ),
    ] = 200,
) -> None:
    """Draw a quantum graph: each quantum and dataset, or if these are many each task with counts.

    Examples
    --------
        stage qg draw

        stage qg draw --status --format svg -o graph.svg

        stage qg draw --format dot | dot -Tpng > graph.png
    """
    campaign = stage.Campaign.load(campaign_dir) if uri is None or status or run else None
    if campaign is not None:
        picture = campaign.draw_graph(form, uri=uri, status=status, run=run, max_nodes=max_nodes)
    else:
        from stage.graph.drawing import draw

        with stage.GraphFile.open(uri or "") as graph:
            picture = draw(graph, form, max_nodes=max_nodes)
    _write(picture, output)


def _draw_pipeline(
    *,
    campaign_dir: Path | None,
    uri: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="A pipeline file; the campaign's by default.")
    ] = None,
    form: _Format = "text",
    output: _Output = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show what became of the quanta of each task in the newest run.")
    ] = False,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Show what became of them in this run.")
    ] = None,
) -> None:
    """Draw a pipeline: its tasks, and the dataset types that they read and make.

    Examples
    --------
        stage draw pipeline

        stage draw pipeline --status

        stage draw pipeline detect.yaml --format svg -o detect.svg
    """
    if uri is None or status or run:
        campaign = stage.Campaign.load(campaign_dir)
        picture = campaign.draw_pipeline(form, uri=uri, status=status, run=run)
    else:
        from stage.graph.drawing import draw

        picture = draw(stage.Pipeline.load(uri), form, title=uri)
    _write(picture, output)


def _write(picture: str, output: Path | None) -> None:
    if output is None:
        emit(picture.rstrip("\n"))
        return
    try:
        output.write_text(picture, encoding="utf-8")
    except OSError as exc:
        raise stage.StorageError(
            f"{output} cannot be written: {exc.strerror or exc}",
            code="cannot-write",
            hint="Write it elsewhere.",
        ) from exc
    emit(f"picture {output}")


def add_to_graphs(graph_app: typer.Typer) -> None:
    """Add ``show`` and ``draw`` to the commands about graphs.

    Parameters
    ----------
    graph_app : typer.Typer
        The group ``qg``.
    """
    add_command(graph_app, "show", campaign_command(_show), READS)
    add_command(graph_app, "draw", campaign_command(_draw_graph), READS)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    draw_app = typer.Typer(
        cls=LazyGroup, help="Pictures of graphs and pipelines.", no_args_is_help=True, rich_markup_mode=None
    )
    add_command(draw_app, "graph", campaign_command(_draw_graph), READS)
    add_command(draw_app, "pipeline", campaign_command(_draw_pipeline), READS)
    app.add_typer(draw_app, name="draw")
