"""The sweep's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the sweep.

    Parameters
    ----------
    windows_table, sensors_table, segments_table, alerts_table, gateways_table : what it reads and writes
    event_bus : where to publish
    window_s : length of the fleet's windows
    windows_days, retention_days : how long windows live, and alerts
    segment_refresh_s : age at which the processor writes an unchanged segment's state again
    gathers_acks : acknowledge live windows, which the processor leaves to the sweep
    """

    windows_table: str
    sensors_table: str
    segments_table: str
    alerts_table: str
    gateways_table: str
    event_bus: str
    window_s: int
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
            alerts_table=environment.text("ALERTS_TABLE"),
            gateways_table=environment.text("GATEWAYS_TABLE"),
            event_bus=environment.text("EVENT_BUS"),
            window_s=environment.whole_number("WINDOW_S", 1, 3600),
            windows_days=environment.whole_number("WINDOWS_DAYS", 1, 3650),
            retention_days=environment.whole_number("RETENTION_DAYS", 1, 3650),
            segment_refresh_s=environment.whole_number("SEGMENT_REFRESH_S", 10, 86_400),
            gathers_acks=environment.truth("GATHER_ACKS"),
        )
        environment.check()
        return settings
