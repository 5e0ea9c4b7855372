"""Mapping rules that work as they are, by name; a mapping of one's own starts from one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sensor_ingest.mapping import MappingRules


@dataclass(frozen=True, slots=True)
class Preset:
    """Rules, and the name of the zone in which the vendor writes times without one."""

    rules: MappingRules
    time_zone: str = "UTC"


PRESETS: Final[Mapping[str, Preset]] = {
    # The JSON readings of design and contract, as the Aggregator takes them too.
    "roadside": Preset(MappingRules()),
    # The real-time feed to PeMS: integer mph, occupancy 0 to 1000.
    "pems": Preset(
        MappingRules(
            sensor_id="station | station_id",
            lane="lane",
            vehicle_count="flow",
            speed="speed",
            lines="pemsFeed",
            occupancy_unit="permille",
            speed_unit="mph",
            timestamp_unit="iso8601",
        ),
        "America/Los_Angeles",
    ),
    # Files "station raw" of the PeMS clearinghouse, for replays: mph, occupancy 0 to 1.
    "pemsArchive": Preset(
        MappingRules(
            sensor_id="station | station_id",
            lane="lane",
            vehicle_count="flow",
            speed="speed",
            lines="pemsArchive",
            speed_unit="mph",
            timestamp_unit="usDateTime",
        ),
        "America/Los_Angeles",
    ),
    # TrafficFlowObserved of the smart data models, key-values or normalised, alone or in a notification.
    # `intensity` is the number of vehicles in the period, in spite of its name.
    "ngsiLd": Preset(
        MappingRules(
            sensor_id="id",
            lane="laneId",
            timestamp="dateObservedTo | dateObserved",
            vehicle_count="intensity",
            speed="averageVehicleSpeed",
            records="data",
            timestamp_unit="iso8601",
        )
    ),
}
