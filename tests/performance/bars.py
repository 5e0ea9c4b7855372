"""The bars that the figures are held against."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure of bench.json and what it has to reach; `at_least` False: what it must not exceed."""

    figure: str
    limit: float
    says: str
    at_least: bool = True

    def met(self, figures: Mapping[str, float | None]) -> bool | None:
        """None where the figure could not be measured."""
        value = figures.get(self.figure)
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


BARS = (
    Bar("ratio_vs_bytewax", 8, "JSON, 2,500 readings a message, against bytewax"),
    Bar("ratio_vs_duckdb", 1.2, "the same against DuckDB on one thread"),
    Bar("frames_vs_json", 5, "packed frames against JSON, 2,500 readings a message"),
    Bar("frames_vs_duckdb", 10, "packed frames against DuckDB on one thread (a goal)"),
    Bar("message_item_bytes", 1024, "largest stored window of a day, 25 segments, 250 sensors", at_least=False),
    Bar("processor_windows_per_s", 300, "gateway-windows a second, one Lambda of 768 MB without its network"),
    Bar("processor_import_ms", 250, "CPU time of the first import of the processor's code", at_least=False),
    Bar("processor_package_mb", 5, "its code and layer, zipped", at_least=False),
    Bar("steady_cpu_percent", 2, "of one core, a gateway of 250 sensors at 1 Hz", at_least=False),
    Bar("rss_mb", 60, "memory of the Aggregator's process", at_least=False),
    Bar("generator_50000_readings_per_cpu_s", 5_000_000, "readings of traffic and sensors a second of one core"),
    Bar("generator_50000_realtime", 100, "the same, 50,000 sensors, in seconds of readings a second"),
    Bar("edge_50000_realtime", 10, "edge of 200 gateways and 50,000 sensors, in seconds of readings a second"),
    Bar("edge_50000_verified_realtime", 10, "the same to the verdict, with settling and verification"),
    Bar("generator_growth", 1.25, "cost of 500,000 sensors against 100 x that of 5,000: generator", at_least=False),
    Bar("edge_growth", 1.25, "the same: edge", at_least=False),
    Bar("first_window_s", 3, "from the start of the process to its first window in the cloud", at_least=False),
)
