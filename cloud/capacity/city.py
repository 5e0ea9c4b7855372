"""A city and what is chosen for it: the input of all that is computed here."""

import math
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400
MONTH_DAYS: Final = 30
MONTH_S: Final = MONTH_DAYS * DAY_S
MONTH_HOURS: Final = MONTH_DAYS * 24

SENSORS_PER_GATEWAY: Final = 250
SENSORS_PER_SEGMENT: Final = 10


class CityError(ValueError):
    """A city that cannot be."""


@dataclass(frozen=True, slots=True)
class City:
    """Sensors, and the gateways that summarise them.

    Parameters
    ----------
    sensors, gateways : how many
    window_s : length of the gateways' windows
    reading_hz : readings of a sensor per second
    """

    sensors: int
    gateways: int
    window_s: int = 10
    reading_hz: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("sensors", self.sensors), ("gateways", self.gateways), ("window_s", self.window_s)):
            if value < 1:
                raise CityError(f"{name} = {value}: must be 1 or more")
        if self.gateways > self.sensors:
            raise CityError(f"gateways = {self.gateways}: must not outnumber the {self.sensors} sensors")
        if not 0 < self.reading_hz <= 100:
            raise CityError(f"reading_hz = {self.reading_hz}: must be above 0 and at most 100")

    @classmethod
    def of_sensors(cls, sensors: int, window_s: int = 10, reading_hz: float = 1.0) -> "City":
        """A city with the usual number of sensors on a gateway."""
        return cls(sensors, max(1, math.ceil(sensors / SENSORS_PER_GATEWAY)), window_s, reading_hz)

    @property
    def segments(self) -> int:
        return math.ceil(self.sensors / SENSORS_PER_SEGMENT)

    @property
    def readings_per_s(self) -> float:
        return self.sensors * self.reading_hz

    @property
    def windows_per_s(self) -> float:
        return self.gateways / self.window_s


@dataclass(frozen=True, slots=True)
class Operation:
    """How the platform is run, and how lively its traffic is.

    Parameters
    ----------
    windows_days : how long windows stay in DynamoDB
    retention_days : how long summaries of sensors and alerts stay there
    stream_retention_h : how long the stream keeps messages
    segment_refresh_s : age at which an unchanged segment's state is written again
    running_months : for how long the platform has been running, which tells how much lies in the lake
    log_retention_days : how long logs stay
    sensor_summary_s, heartbeat_s : periods of the gateways' slower messages
    sweep_s, rollup_s : periods of the scheduled functions
    batching_s : for how long a processor waits for more records before it is called
    provision_windows : whether the table of windows has provisioned capacity, which scales by itself
    gather_acks : whether live windows are acknowledged many at once, or each by itself
    editions_per_window : messages of a window, corrections by late readings and resends included
    events_per_segment_day : congestion, incidents, faults of sensors, all told
    state_changes_per_segment_day : changes of state or level that are written at once
    congested_share : part of the time that a segment is congested, and stands in the index of the congested
    people : who is told of an event by e-mail
    notified_share : part of the events that people are told of
    athena_gb_per_day : what queries scan, dashboards' refreshes included
    archived_gb_read_per_month : what queries scan of rows that lie in the archive
    query_reads_per_s : items that readers (the query library, dashboards) read
    trace_busy_functions : whether X-Ray records those as well that run every second
    """

    windows_days: int = 90
    retention_days: int = 90
    stream_retention_h: int = 168
    segment_refresh_s: int = 300
    running_months: int = 12
    log_retention_days: int = 14
    sensor_summary_s: int = 300
    heartbeat_s: int = 300
    sweep_s: int = 60
    rollup_s: int = 900
    batching_s: int = 0
    provision_windows: bool = False
    gather_acks: bool = True
    editions_per_window: float = 1.02
    events_per_segment_day: float = 4.0
    state_changes_per_segment_day: float = 12.0
    congested_share: float = 0.05
    people: int = 5
    notified_share: float = 0.01
    athena_gb_per_day: float = 5.0
    archived_gb_read_per_month: float = 10.0
    query_reads_per_s: float = 1.0
    trace_busy_functions: bool = False
