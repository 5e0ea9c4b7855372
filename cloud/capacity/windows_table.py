"""Capacity of the table of windows where it is provisioned and scales by itself. Pure.

All gateways write within the same second of a window, and the rollup reads hours at once. DynamoDB keeps up to five
minutes of capacity that was not used for such moments, so the average is what counts, and the largest single reading.
"""

import math
from dataclasses import dataclass
from typing import Final

from cloud.capacity.city import City
from cloud.capacity.metering import KB, write_units
from cloud.capacity.sizing import size

# Messages (docs/contract.md: at most 1,024 bytes as an item with 25 segments and 250 sensors).
WINDOW_BASE_BYTES: Final = 60
WINDOW_SEGMENT_BYTES: Final = 36
ITEM_KEYS_BYTES: Final = 60

UTILIZATION: Final = 0.7  # that auto scaling keeps to
_BURST_S: Final = 300
_HOURS_AT_ONCE: Final = 2  # that a rollup reads: the running one, and a last time the one before
_MOST_READS: Final = 10  # times the least: a day that is rolled up again


@dataclass(frozen=True, slots=True)
class Capacity:
    """Units a second between which auto scaling moves."""

    least: int
    most: int


def window_bytes(city: City) -> float:
    """Size of a window's message."""
    return WINDOW_BASE_BYTES + WINDOW_SEGMENT_BYTES * city.segments / city.gateways


def write_capacity(city: City) -> Capacity:
    """From all live windows on to as many as the processors can write, as after an outage."""
    units = write_units(window_bytes(city) + ITEM_KEYS_BYTES)
    least = math.ceil(city.windows_per_s * units / UTILIZATION)
    return Capacity(least, max(2 * least, units * size(city).processor_windows_per_s))


def read_capacity(city: City) -> Capacity:
    """So much that what is saved up is enough for a rollup."""
    hour_bytes = city.windows_per_s * 3600 * (window_bytes(city) + ITEM_KEYS_BYTES)
    least = math.ceil(_HOURS_AT_ONCE * hour_bytes / (8 * KB) / _BURST_S)
    return Capacity(least, _MOST_READS * least)
