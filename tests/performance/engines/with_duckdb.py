"""DuckDB on one thread: one query over the file of readings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from tests.performance.engines import WINDOW_MS, Rows

VERSION = duckdb.__version__

# `list_resize` writes a reading's speed once for each of its vehicles.
QUERY = """
CREATE OR REPLACE TEMP TABLE result AS
WITH reading AS (
    SELECT DISTINCT
        sensor_id, timestamp, vehicle_count AS n,
        CAST(round(average_speed_kmh * 10) AS INTEGER) AS u, CAST(round(occupancy * 1000) AS INTEGER) AS o
    FROM read_json($readings, format = 'newline_delimited', columns = {
        sensor_id: 'VARCHAR', timestamp: 'BIGINT', vehicle_count: 'INTEGER', average_speed_kmh: 'DOUBLE',
        occupancy: 'DOUBLE'
    })
), grouped AS (
    SELECT
        timestamp // $window_ms * $window_ms AS start_ms, segment,
        count(*) AS readings, CAST(sum(n) AS BIGINT) AS vehicles, sum(n * u) AS speed_sum,
        sum(n * u * u) AS square_sum, min(u) FILTER (n > 0) AS slowest, max(u) FILTER (n > 0) AS fastest,
        sum(o) AS occupancy, list_sort(flatten(list(list_resize([u], n, u)))) AS speeds
    FROM reading JOIN sensor USING (sensor_id)
    GROUP BY ALL
)
SELECT
    * EXCLUDE (speeds), speeds[1 + (vehicles - 1) * 50 // 100] AS p50, speeds[1 + (vehicles - 1) * 85 // 100] AS p85
FROM grouped
"""


def prepare(directory: Path, variant: str) -> Callable[[], Any]:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("CREATE TABLE sensor AS SELECT * FROM read_csv(?)", [str(directory / "sensors.csv")])
    readings = str(directory / "readings.ndjson")

    def turn() -> Any:
        connection.execute(QUERY, {"readings": readings, "window_ms": WINDOW_MS})
        return connection

    return turn


def rows(connection: Any) -> Rows:
    found: Rows = {}
    for start_ms, segment, *values in connection.execute("FROM result").fetchall():
        found[f"{start_ms}/{segment}"] = [None if value is None else int(value) for value in values]
    return found
