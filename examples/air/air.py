"""Tasks on hourly air-quality tables: three plain functions and nothing of astronomy.

Each is called in a notebook as ``clean(hourly=raw_bytes)``; a quantum of it is one station, or one station's month.
"""

from __future__ import annotations

import gzip
import io
from typing import Any

from stage.pipeline.connections import Input, Output
from stage.tasks.function import task

STATION, STATION_MONTH = ("station",), ("station", "month")


def describe(path: str) -> dict[str, Any]:
    """Read the station from a file's name: ``PRSA_Data_Dongsi_20130301-20170228.csv.gz``."""
    return {"data_id": {"station": path.rsplit("/", 1)[-1].split("_")[2]}}


@task(
    dimensions=STATION,
    inputs={"hourly": Input(dataset_type="hourly", storage_class="Bytes", dimensions=STATION)},
    outputs={"clean": Output(dataset_type="clean", storage_class="ArrowTable", dimensions=STATION)},
)
def clean(hourly: bytes) -> Any:
    """Parse a station's file; keep the hour and PM2.5, nulls where nothing was measured."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    text = gzip.decompress(hourly) if hourly[:2] == b"\x1f\x8b" else hourly
    options = csv.ConvertOptions(
        null_values=["NA"], include_columns=["year", "month", "day", "hour", "PM2.5"]
    )
    table = csv.read_csv(io.BytesIO(text), convert_options=options)
    month = pc.add(pc.multiply(table["year"], 100), table["month"])
    return pa.table({"month": month, "day": table["day"], "hour": table["hour"], "pm25": table["PM2.5"]})


@task(
    dimensions=STATION_MONTH,
    inputs={"clean": Input(dataset_type="clean", storage_class="ArrowTable", dimensions=STATION)},
    outputs={"daily": Output(dataset_type="daily", storage_class="ArrowTable", dimensions=STATION_MONTH)},
)
def daily(clean: Any, data_id: dict[str, Any], min_hours: int = 18) -> Any:
    """Average the days of one month that have at least `min_hours` hours."""
    import pyarrow.compute as pc

    rows = clean.filter(pc.equal(clean["month"], data_id["month"]))
    days = rows.group_by("day").aggregate([("pm25", "count"), ("pm25", "mean")])
    return days.filter(pc.greater_equal(days["pm25_count"], min_hours)).sort_by("day")


@task(
    dimensions=STATION,
    inputs={
        "daily": Input(
            dataset_type="daily", storage_class="ArrowTable", dimensions=STATION_MONTH, multiple=True
        )
    },
    outputs={"summary": Output(dataset_type="station_summary", storage_class="Json", dimensions=STATION)},
)
def summarise(daily: list[Any], data_id: dict[str, Any]) -> dict[str, Any]:
    """Average a station's daily means."""
    means = [value for month in daily for value in month["pm25_mean"].to_pylist()]
    return {"station": data_id["station"], "days": len(means), "pm25": sum(means) / len(means)}


@task(
    dimensions=(),
    inputs={
        "summaries": Input(
            dataset_type="station_summary", storage_class="Json", dimensions=STATION, multiple=True
        )
    },
    outputs={"table": Output(dataset_type="city_table", storage_class="Json", dimensions=())},
)
def city(summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the stations into one table, the most polluted first."""
    return sorted(summaries, key=lambda row: -row["pm25"])
