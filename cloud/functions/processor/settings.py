"""The processor's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the processor.

    Parameters
    ----------
    windows_table, sensors_table, segments_table, hours_table, parked_queue_url : where to write
    window_rows_stream, sensor_rows_stream : Firehose's streams into the lake
    windows_days : how long an item of a window lives
    retention_days : how long an item of sensors lives, and the note that an hour has windows
    segment_refresh_s : age at which an unchanged segment's state is written again
    gathers_acks : leave it to the sweep to acknowledge live windows, many at once
    """

    windows_table: str
    sensors_table: str
    segments_table: str
    hours_table: str
    window_rows_stream: str
    sensor_rows_stream: str
    parked_queue_url: str
    windows_days: int
    retention_days: int
    segment_refresh_s: int
    gathers_acks: bool

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault at once."""
        environment = Environment(variables)
        settings = cls(
            windows_table=environment.text("WINDOWS_TABLE"),
            sensors_table=environment.text("SENSORS_TABLE"),
            segments_table=environment.text("SEGMENTS_TABLE"),
            hours_table=environment.text("HOURS_TABLE"),
            window_rows_stream=environment.text("WINDOW_ROWS_STREAM"),
            sensor_rows_stream=environment.text("SENSOR_ROWS_STREAM"),
            parked_queue_url=environment.text("PARKED_QUEUE_URL"),
            windows_days=environment.whole_number("WINDOWS_DAYS", 1, 3650),
            retention_days=environment.whole_number("RETENTION_DAYS", 1, 3650),
            segment_refresh_s=environment.whole_number("SEGMENT_REFRESH_S", 10, 86_400),
            gathers_acks=environment.truth("GATHER_ACKS"),
        )
        environment.check()
        return settings
