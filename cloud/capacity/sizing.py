"""How much of each thing a city needs: shards, concurrency, and where alarms begin. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from cloud.capacity.city import City

# A shard takes 1,000 records or 1 MiB each second.
SHARD_RECORDS_PER_S: Final = 1000
SHARD_BYTES_PER_S: Final = 1024 * 1024
# Design budget of a window's message: 1,024 bytes for 250 sensors; base64 and wrapper add half.
STREAM_BYTES_PER_SENSOR: Final = 6.2
# Gateways that come back after an outage send their backlog on top of the live windows.
HEADROOM: Final = 2
# A raw reading as the sensor-direct variant puts it on the stream: 147 bytes of JSON, in base64 with a wrapper.
RAW_RECORD_BYTES: Final = 320

PROCESSOR_WINDOWS_PER_S: Final = 100  # of one processor, waiting for DynamoDB included
MAX_PARALLELIZATION: Final = 10  # of a stream's mapping
MAX_RESERVED: Final = 100  # of a new account's 1,000


@dataclass(frozen=True, slots=True)
class Sizing:
    """What the stacks take from the model.

    Parameters
    ----------
    shards : of the stream
    parallelization : processors at work on one shard
    alerts_concurrency : alerts functions at once
    """

    shards: int
    parallelization: int
    alerts_concurrency: int

    @property
    def processor_concurrency(self) -> int:
        return self.shards * self.parallelization

    @property
    def processor_windows_per_s(self) -> int:
        """What all processors together store, at most."""
        return self.processor_concurrency * PROCESSOR_WINDOWS_PER_S


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where alarms begin.

    Parameters
    ----------
    iterator_age_ms : age of the oldest record that the processor has not seen
    acks_failed_per_5min : acks that could not be published in five minutes
    silent_gateways : gateways without a sign of life
    open_gaps : gaps in gateways' data that nothing has filled yet
    congested_segments : segments congested at once, as many as should wake somebody
    """

    iterator_age_ms: int
    acks_failed_per_5min: int
    silent_gateways: int
    open_gaps: int
    congested_segments: int


def size(city: City) -> Sizing:
    """Capacity for windows of all gateways within the one second in which they all close."""
    shards = _shards(city.gateways, city.sensors * STREAM_BYTES_PER_SENSOR)
    return Sizing(
        shards=shards,
        # Two at least, so that a failing batch does not hold back every gateway of its shard.
        parallelization=_bounded(
            HEADROOM * city.windows_per_s / PROCESSOR_WINDOWS_PER_S / shards, 2, MAX_PARALLELIZATION
        ),
        alerts_concurrency=_bounded(city.gateways / 10, 10, MAX_RESERVED),
    )


def size_raw(city: City) -> Sizing:
    """Capacity for every reading by itself, as the sensor-direct variant sends it."""
    shards = _shards(city.readings_per_s, city.readings_per_s * RAW_RECORD_BYTES)
    return Sizing(
        shards=shards,
        parallelization=MAX_PARALLELIZATION if city.readings_per_s > SHARD_RECORDS_PER_S else 2,
        alerts_concurrency=_bounded(city.gateways / 10, 10, MAX_RESERVED),
    )


def thresholds(city: City) -> Thresholds:
    """Alarms for a city of that size: a fault of one gateway is no alarm, one of many is."""
    windows_per_5min = 300 * city.windows_per_s
    return Thresholds(
        iterator_age_ms=max(60_000, 6 * 1000 * city.window_s),
        acks_failed_per_5min=max(5, math.ceil(0.05 * windows_per_5min)),
        silent_gateways=max(1, math.ceil(0.02 * city.gateways)),
        open_gaps=max(1, math.ceil(0.02 * city.gateways)),
        congested_segments=max(1, math.ceil(0.2 * city.segments)),
    )


def _shards(records_per_s: float, bytes_per_s: float) -> int:
    return max(1, math.ceil(HEADROOM * max(records_per_s / SHARD_RECORDS_PER_S, bytes_per_s / SHARD_BYTES_PER_S)))


def _bounded(value: float, least: int, most: int) -> int:
    return min(max(math.ceil(value), least), most)
