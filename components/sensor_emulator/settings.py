"""What can be configured about the SensorEmulator; names, ranges and defaults.

In the component's configuration the keys are in camelCase (`lateShare`).
"""

from collections import Counter
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from roadside.runtime.segments import SegmentSettings

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]


class FaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A sensor that lies.

    Parameters
    ----------
    sensor : its id
    fault : what it tells instead of the truth: nothing at all, no vehicle ever, always covered, one reading for ever,
        too many vehicles, a wrong occupancy, too few vehicles
    parameter : vehicles in 30 s of chatter (60), factor of the occupancy (2.5), share of the vehicles missed (0.5)
    """

    sensor: Name
    fault: Literal["silent", "dead", "stuck_on", "constant", "chatter", "occupancy_scale", "undercount"]
    parameter: Annotated[float, Meta(ge=0, le=1000)] | None = None


class IncidentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Lanes blocked in the middle of a segment.

    Parameters
    ----------
    segment : its id
    after_seconds : time from the emulation's start to the incident's
    seconds : how long it lasts
    lanes_blocked : 0 is an accident on the shoulder; some lanes of a road need it to have 2 to 4 in all
    """

    segment: Name
    after_seconds: Seconds = 120
    seconds: Annotated[int, Meta(ge=1, le=86_400)] = 600
    lanes_blocked: Annotated[int, Meta(ge=0, le=20)] = 1


class EmulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The whole configuration. Defaults stand in the recipe as well; a test holds the two together.

    Parameters
    ----------
    minutes : for how long a run goes on; restarts of the component or the gateway do not lengthen it
    run : name of the run; another one begins another, and the same one never begins again
    seed : of all chance; the same seed at the same times gives the same readings
    demand_share : traffic as a share of what the roads are built for; 0 follows a working day's clock
    late_share, late_seconds : readings that are handed over so much later
    duplicate_share : readings that are handed over twice
    log_level : least severe lines that are logged
    faults : sensors that lie
    incidents : lanes that are blocked for a while
    segments : the Aggregator's; none are no roads
    """

    minutes: Annotated[int, Meta(ge=0, le=1440)] = 60
    run: Annotated[str, Meta(min_length=1, max_length=64)] = "1"
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 1
    demand_share: Annotated[float, Meta(ge=0, le=1.5)] = 0.0
    late_share: Share = 0.0
    late_seconds: Annotated[int, Meta(ge=1, le=600)] = 5
    duplicate_share: Share = 0.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    faults: list[FaultSettings] = []
    incidents: list[IncidentSettings] = []
    segments: list[SegmentSettings] = []

    def __post_init__(self) -> None:
        faults = []
        sensors = {sensor for segment in self.segments for sensor in segment.sensors}
        for sensor, times in Counter(each.sensor for each in self.faults).items():
            if sensor not in sensors:
                faults.append(f"faults: there is no sensor {sensor!r} in the segments")
            if times > 1:
                faults.append(f"faults: sensor {sensor!r} has {times}; a sensor lies in one way")
        lanes = {segment.id: segment.lanes for segment in self.segments}
        for incident in self.incidents:
            if incident.segment not in lanes:
                faults.append(f"incidents: there is no segment {incident.segment!r}")
            elif incident.lanes_blocked > lanes[incident.segment]:
                faults.append(f"incidents: {incident.segment!r} has only {lanes[incident.segment]} lanes")
        if faults:
            raise ValueError("; ".join(faults))
