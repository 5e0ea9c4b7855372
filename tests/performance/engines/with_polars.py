"""Polars on one thread: one lazy query over the file of readings."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"  # read once, at import

import polars as pl

from tests.performance.engines import WINDOW_MS, Rows

VERSION = pl.__version__
SCHEMA = {
    "sensor_id": pl.String,
    "timestamp": pl.Int64,
    "vehicle_count": pl.Int64,
    "average_speed_kmh": pl.Float64,
    "occupancy": pl.Float64,
}


def prepare(directory: Path, variant: str) -> Callable[[], pl.DataFrame]:
    sensors = pl.read_csv(directory / "sensors.csv")
    n, u = pl.col("vehicle_count"), pl.col("u")
    # A reading's speed once for each of its vehicles.
    speeds = u.repeat_by(n).explode().drop_nulls().sort()
    last = n.sum() - 1

    def turn() -> pl.DataFrame:
        return (
            pl.scan_ndjson(directory / "readings.ndjson", schema=SCHEMA)
            .unique(["sensor_id", "timestamp"])
            .join(sensors.lazy(), on="sensor_id")
            .with_columns(
                start_ms=pl.col("timestamp") // WINDOW_MS * WINDOW_MS,
                u=(pl.col("average_speed_kmh") * 10).round().cast(pl.Int64),
                o=(pl.col("occupancy") * 1000).round().cast(pl.Int64),
            )
            .group_by("start_ms", "segment")
            .agg(
                readings=pl.len(),
                vehicles=n.sum(),
                speed_sum=(n * u).sum(),
                square_sum=(n * u * u).sum(),
                slowest=u.filter(n > 0).min(),
                fastest=u.filter(n > 0).max(),
                occupancy=pl.col("o").sum(),
                p50=speeds.get(pl.max_horizontal(last, 0) * 50 // 100, null_on_oob=True),
                p85=speeds.get(pl.max_horizontal(last, 0) * 85 // 100, null_on_oob=True),
            )
            .collect()
        )

    return turn


def rows(result: pl.DataFrame) -> Rows:
    return {f"{start_ms}/{segment}": values for start_ms, segment, *values in result.iter_rows()}
