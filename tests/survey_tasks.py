"""Tasks of a small survey that use every kind of connection; light, as workers import them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output, PrerequisiteInput
from stage.pipeline.quanta import Quanta
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import Task

if TYPE_CHECKING:
    from stage.graph.hooks.ask import Ask
    from stage.pipeline.node import ConnectionDef

POINTING, NIGHT = ("night", "pointing"), ("night",)


def nearest_shards(_connection: ConnectionDef, quanta: Columns, ask: Ask) -> Mapping[str, Any]:
    """Find for each pointing the shards of the reference catalogue whose centre is within two degrees."""
    import numpy as np

    shards = ask.datasets()
    there, here = ask.records("shard", shards), ask.records("pointing", quanta)
    distance = np.hypot(
        here["ra"][:, None] - there["ra"][None, :], here["dec"][:, None] - there["dec"][None, :]
    )
    quantum, shard = np.nonzero(distance < 2)
    return {"quantum": quantum, "dataset": shards["id"][shard]}


class DetectConnections(Connections, dimensions=POINTING, default_templates={"prefix": ""}):
    """Frames to sources."""

    frame = Input("frame", "NumpyArray", doc="Counts.")
    limits = Input("limits", "Json", dimensions=(), doc="Stored as YAML, for all pointings.")
    bias = PrerequisiteInput("bias", "Json", dimensions=(), is_calibration=True, doc="Valid at the time.")
    dark = PrerequisiteInput(
        "dark", "Json", dimensions=NIGHT, lookup="closest_in_time", doc="Taken closest in time."
    )
    shards = PrerequisiteInput(
        "refcat", "Columns", dimensions=("shard",), multiple=True, deferred=True, minimum=0, lookup="nearest_shards",
        columns=("flux",), doc="Near on the sky; stored as Arrow tables.",
    )  # fmt: skip
    mask = Input("mask", "Json", minimum=0, doc="Of some pointings.")
    sources = Output("{prefix}sources", "ArrowTable", schema="schema", doc="What was detected.")
    quality = Output("{prefix}quality", "Json", minimum=0)
    schema = InitOutput("{prefix}sources_schema", "Json")


class DetectConfig(Config):
    """How sources are detected."""

    dead: list[int] = Field(default_factory=list, description="Pointings that are of no use.")


class DetectTask(Task):
    """Find what is bright."""

    ConfigClass = DetectConfig
    ConnectionsClass = DetectConnections
    default_label = "detect"
    config: DetectConfig

    @staticmethod
    def closest_in_time(_connection: ConnectionDef, quanta: Columns, ask: Ask) -> Mapping[str, Any]:
        """Find for each pointing the dark of whichever night began closest to it."""
        import numpy as np

        darks = ask.datasets(every=True)
        there = ask.records("night", darks)["timespan_begin"]
        here = ask.records("pointing", quanta)["timespan_begin"]
        nearest = np.abs(here[:, None] - there[None, :]).argmin(axis=1)
        return {"quantum": np.arange(quanta.n_rows), "dataset": darks["id"][nearest]}

    def adjust_quantum(
        self, inputs: Any, outputs: Any, data_id: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Leave dead pointings out."""
        if data_id["pointing"] in self.config.dead:
            raise NoWorkFound("the pointing is dead")
        return inputs, outputs

    def resources(self, data_id: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say that the first pointing of a night takes more."""
        return {"memory_mb": 3000 if data_id["pointing"] == 1 else 500}

    def init_outputs(self) -> dict[str, Any]:
        """Say what columns there are."""
        return {"schema": {"x": "int64", "flux": "float64"}}

    def run(self, frame: Any, limits: Any, bias: Any, dark: Any, shards: Any, mask: Any = None) -> Struct:
        """Detect."""
        import pyarrow as pa

        flux = frame - bias["level"] - dark["level"]
        limit = limits["limit"] + sum(float(s.get()["flux"].min()) for s in shards)
        bright = [i for i, f in enumerate(flux.tolist()) if f > limit and i not in (mask or [])]
        return Struct(
            sources=pa.table({"x": bright, "flux": [float(flux[i]) for i in bright]}),
            quality={"n": len(bright), "shards": [s.data_id["shard"] for s in shards], "dark": dark["night"]},
        )


class PairConnections(Connections, dimensions=POINTING, default_templates={"prefix": ""}):
    """Sources of two pointings to what changed."""

    sources = Input(
        "{prefix}sources", "DataFrame", dimensions=POINTING, multiple=True, minimum=2, columns=("x", "flux")
    )
    schema = InitInput("{prefix}sources_schema", "Json")
    change = Output("{prefix}change", "Json")


class PairTask(Task):
    """Compare each pointing with the one before it in its night."""

    ConnectionsClass = PairConnections
    default_label = "pair"

    def define_quanta(self, data_ids: Columns, existing: Mapping[str, Columns]) -> Quanta:
        """Pair pointings that follow each other, as far as they have sources."""
        there = existing["sources"].rows(POINTING)
        pairs = [(a, b) for a, b in zip(sorted(there), sorted(there)[1:], strict=False) if a[0] == b[0]]
        edges = [(i, *one) for i, pair in enumerate(pairs) for one in pair]
        return Quanta(
            Columns.from_rows(POINTING, [b for _, b in pairs]),
            {"sources": Columns.from_rows(("quantum", *POINTING), edges)},
        )

    def run(self, sources: Any) -> Struct:
        """Compare."""
        names = sorted(self.init_inputs["schema"])
        return Struct(
            change={"columns": names, "n": [len(s) for s in sources], "type": type(sources[0]).__name__}
        )


class NightConnections(Connections, dimensions=NIGHT, default_templates={"prefix": ""}):
    """Changes of a night to its report."""

    changes = Input("{prefix}change", "Json", dimensions=POINTING, multiple=True, minimum=2, deferred=True)
    report = Output("{prefix}report", "Json")


class NightTask(Task):
    """Report on a night with at least two changes."""

    ConnectionsClass = NightConnections
    default_label = "night"

    def run(self, changes: Any) -> Struct:
        """Report."""
        return Struct(
            report={
                "pointings": [c.data_id["pointing"] for c in changes],
                "n": [c.get()["n"] for c in changes],
            }
        )
