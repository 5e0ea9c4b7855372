"""The first design of this platform, which sent every reading by itself, metered like ours. Pure.

Every sensor holds a connection to IoT Core and publishes each reading; a rule puts it on Kinesis; a function writes one
item for each. Only this way of a reading is counted: indexes, recovery, the lake and alarms would come on top.
"""

import math
from collections.abc import Iterator
from typing import Final

from cloud.capacity import metering
from cloud.capacity.city import MONTH_HOURS, MONTH_S, City
from cloud.capacity.metering import Use
from cloud.capacity.sizing import SHARD_RECORDS_PER_S

_READING_BYTES: Final = 147
_ITEM_BYTES: Final = 100  # and what DynamoDB adds to it
_BATCH: Final = 500
_READING_S: Final = 0.0008
_MEMORY_MB: Final = 512


def uses(city: City) -> Iterator[Use]:
    """As it was designed: metered messages, tables on demand."""
    readings = city.readings_per_s * MONTH_S
    yield from metering.connections(city.sensors, "sensors")
    yield from metering.messages(readings, _READING_BYTES, "readings")
    yield from _behind_the_broker(city, readings)
    yield from metering.writes("readings", readings, _ITEM_BYTES)


def fairer_uses(city: City) -> Iterator[Use]:
    """As it is at its best: Basic Ingest, and write capacity provisioned for exactly its rate."""
    readings = city.readings_per_s * MONTH_S
    yield from metering.connections(city.sensors, "sensors")
    yield from _behind_the_broker(city, readings)
    capacity = math.ceil(city.readings_per_s) * MONTH_HOURS
    yield Use("DynamoDB", "readings, write capacity", "dynamodb_provisioned_write_hours", capacity)


def _behind_the_broker(city: City, readings: float) -> Iterator[Use]:
    yield from metering.rule(readings, _READING_BYTES, "readings")
    shards = max(1, math.ceil(city.readings_per_s / SHARD_RECORDS_PER_S))
    yield from metering.stream(shards, readings, _READING_BYTES, 24)
    yield from metering.function("processor", readings / _BATCH, readings * _READING_S, _MEMORY_MB)
    yield from metering.stored_items("readings", readings, _ITEM_BYTES, recoverable=False)
