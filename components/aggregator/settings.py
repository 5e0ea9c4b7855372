"""What can be configured about the Aggregator; names, ranges and defaults.

In the component's configuration the keys are in camelCase (`windowSeconds`).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aggregator.health_settings import HealthSettings
from roadside.core.aggregator import AggregatorConfig
from roadside.core.incidents import IncidentRules
from roadside.core.registry import Registry, RoadClass, Segment
from roadside.runtime.segments import SegmentSettings
from roadside.runtime.uplink_settings import MAX_PUBLISHES_PER_SECOND, UplinkSettings

WindowSeconds = Annotated[int, Meta(ge=1, le=3600)]
MAX_SEGMENTS = 100  # more do not fit the 7,000 bytes of a message
MAX_SLOTS = 3600  # of a window; a grid takes 10 bytes a slot and sensor
CORRECTION_DELAY_MS = 5000  # late readings of a window rarely come alone
MIN_IDLE_GRACE_MS = 5000  # a busy machine is no silent city
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]


class AggregatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The whole configuration. Defaults stand in the recipe as well; a test holds the two together.

    Parameters
    ----------
    window_seconds : length of a window; divides an hour and holds at most 3,600 reading intervals
    reading_interval_ms : time between two readings of a sensor
    allowed_lateness_ms : how long a window waits for readings after its end
    correction_seconds : how long a closed window takes late readings, as corrections
    max_future_skew_ms : how far ahead of the clock a timestamp is believed
    publishes_per_second : most messages a second, resends included
    daily_budget_megabytes : most megabytes, payload and topic, handed to the bus on a UTC day; 0 sets no limit;
        25 segments and windows of 10 s need 9 to 10
    incident_detection : whether pairs of neighbouring freeway segments are judged
    incident_sensitivity : twice as sensitive needs half the evidence: earlier alerts, and more false ones
    incident_profile : file on the gateway with a learned profile to begin with (`python -m simulator learn`), read
        once; segments that have learned by themselves keep what they know
    sensor_summary_seconds : time that a summary of the sensors covers; 0 sends none
    health : when a sensor is not believed and left out of the statistics
    log_level : least severe lines that are logged
    segments : the segments of this gateway, at most 100; without any every reading is refused
    """

    window_seconds: WindowSeconds = 10
    reading_interval_ms: Annotated[int, Meta(ge=100, le=600_000)] = 1000
    allowed_lateness_ms: Milliseconds = 2000
    correction_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    max_future_skew_ms: Milliseconds = 5000
    publishes_per_second: Annotated[int, Meta(ge=1, le=MAX_PUBLISHES_PER_SECOND)] = 20
    daily_budget_megabytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # 0: no limit
    incident_detection: bool = True
    incident_sensitivity: Annotated[float, Meta(ge=0.2, le=5.0)] = 1.0
    incident_profile: str = ""
    sensor_summary_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    health: HealthSettings = HealthSettings()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    segments: list[SegmentSettings] = []

    def __post_init__(self) -> None:
        if len(self.segments) > MAX_SEGMENTS:
            raise ValueError(f"segments = {len(self.segments)}: must be at most {MAX_SEGMENTS}; add a gateway")
        if 3600 % self.window_seconds:
            raise ValueError(f"windowSeconds = {self.window_seconds}: must divide an hour, so that windows align")
        if self.window_seconds * 1000 > MAX_SLOTS * self.reading_interval_ms:
            raise ValueError(f"windowSeconds = {self.window_seconds}: must hold at most {MAX_SLOTS} reading intervals")

    def registry(self) -> Registry | None:
        """The gateway's segments; None before any are configured. Raises ConfigurationError if they contradict."""
        if not self.segments:
            return None
        return Registry(
            Segment(
                segment_id=segment.id,
                number=segment.number,
                road_class=RoadClass(segment.road_class),
                free_flow_kmh=segment.free_flow_kmh,
                lanes=segment.lanes,
                sensor_ids=tuple(segment.sensors),
                first_sensor_number=segment.first_sensor_number,
                downstream=segment.downstream,
            )
            for segment in self.segments
        )

    def aggregation(self) -> AggregatorConfig:
        """The core's view of these settings."""
        return AggregatorConfig(
            window_ms=self.window_seconds * 1000,
            reading_interval_ms=self.reading_interval_ms,
            allowed_lateness_ms=self.allowed_lateness_ms,
            correction_age_ms=self.correction_seconds * 1000,
            correction_delay_ms=CORRECTION_DELAY_MS,
            max_future_skew_ms=self.max_future_skew_ms,
            idle_grace_ms=max(MIN_IDLE_GRACE_MS, 2 * self.reading_interval_ms),
            incidents=IncidentRules(enabled=self.incident_detection, sensitivity=self.incident_sensitivity),
            sensor_interval_ms=self.sensor_summary_seconds * 1000,
            health=self.health.rules(),
        )

    def uplink(self) -> UplinkSettings:
        """The uplink's view of these settings."""
        return UplinkSettings(
            publishes_per_second=self.publishes_per_second,
            daily_budget_bytes=1_000_000 * self.daily_budget_megabytes,
        )
