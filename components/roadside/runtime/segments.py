"""The segments of a gateway as they stand in configurations: one form for every component that needs them.

So an operator pastes the same list everywhere, and a fault in it is told in the same words.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SegmentSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """One segment and its sensors, which carry consecutive city-wide numbers.

    Parameters
    ----------
    id : name of the segment, unique in the city
    number : number of the segment, unique in the city; it is what travels
    road_class : decides the rules of congestion, incidents and sensor health
    free_flow_kmh : speed of free traffic, against which congestion is measured
    lanes : all lanes of the segment, with a sensor or not
    first_sensor_number : city-wide number of the first of `sensors`; the others follow it
    sensors : ids of the sensors as they stand in readings
    downstream : number of the next segment in driving direction on the same road, on this gateway or not; left out
        where there is none, since nuclei do not keep a null
    """

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    number: Annotated[int, Meta(ge=0, lt=2**32)]
    road_class: Literal["freeway", "ramp", "arterial"]
    free_flow_kmh: Annotated[float, Meta(gt=0, le=200)]
    lanes: Annotated[int, Meta(ge=1, le=20)]
    first_sensor_number: Annotated[int, Meta(ge=0, lt=2**32)]
    sensors: list[Annotated[str, Meta(min_length=1, max_length=128)]]
    downstream: Annotated[int, Meta(ge=0, lt=2**32)] | None = None

    def sensor_numbers(self) -> Iterator[tuple[str, int]]:
        """Each sensor's id and its city-wide number."""
        return zip(
            self.sensors, range(self.first_sensor_number, self.first_sensor_number + len(self.sensors)), strict=True
        )
