"""The city's readings, second by second, as each gateway receives them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from roadside.contract import topics
from simulator.city.layout import City
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import NO_SPEED, REASONS, Delivery, IntColumn, Readings, Second, slice_of
from simulator.faults.schedule import SLICES
from simulator.fleet.packing import packed_frame
from simulator.verification.witnesses import Witness

READINGS_PER_JSON_MESSAGE = 45  # nucleus lite takes 7,299 bytes
DIRECT_TOPIC_BYTES = len(topics.direct_reading("X")) - 1


class CityFeed:
    """Draws readings from the traffic, plans their delivery and tells the witness of the valid ones.

    Attributes
    ----------
    generated, invalid, duplicates : readings so far; `generated` counts valid and invalid ones once
    slices : of a second, at whose ends readings are handed over
    raw_messages, raw_bytes : what the same readings are when every sensor publishes its own JSON, topics included
    seconds : that were drawn
    made, repeated, lost, noted, refused : readings by gateway, int64 [gateways], `refused` by reason as well: what the
        account of a run begins with; `noted` are those that the oracle was told of
    struck, lost_to : likewise, by name of a fault

    Parameters
    ----------
    first_seconds : int64 [gateways], from when each gateway's sensors measure; None for the start
    """

    def __init__(
        self,
        city: City,
        traffic: CityTraffic,
        delivery: Delivery,
        witness: Witness,
        start_ms: int,
        slices: int = SLICES,
        first_seconds: IntColumn | None = None,
    ) -> None:
        self.generated = self.invalid = self.duplicates = self.seconds = 0
        self.raw_messages = self.raw_bytes = 0
        self._traffic = traffic
        self._delivery = delivery
        self._witness = witness
        self._start_ms = start_ms
        self.slices = slices
        self._later: dict[int, list[Readings]] = defaultdict(list)
        self._first_sensor = np.array([gateway.first_sensor_number for gateway in city.gateways])
        self._gateway_of_sensor = gateway_of_sensor(city)
        self._on_from = None if first_seconds is None else first_seconds[self._gateway_of_sensor]
        self._id_bytes = np.array(
            [len(sensor) for gateway in city.gateways for segment in gateway.segments for sensor in segment.sensor_ids]
        )
        nothing = self._by_gateway_count(np.zeros(0, dtype=np.int64))
        self.made, self.repeated, self.lost, self.noted = (nothing.copy() for _ in range(4))
        self.refused = {reason: nothing.copy() for reason in REASONS}
        self.struck: dict[str, IntColumn] = {}
        self.lost_to: dict[str, IntColumn] = {}

    def draw(self, second: int) -> None:
        """Let the sensors measure for one second."""
        plan = self._delivery.plan(self._traffic.tick())
        if self._on_from is not None and second < self._on_from[-1]:
            plan = plan.of_sensors(self._on_from <= second)
        self.seconds = second + 1
        valid = plan.valid
        self._witness.note(
            valid.sensor,
            valid.timestamp_ms,
            valid.vehicle_count,
            valid.speed_dkmh,
            valid.occupancy_permille,
            self._start_ms + 1000 * (plan.delivered_second + 1),
        )
        for readings, seconds in ((valid, plan.delivered_second), (plan.refused, plan.refused_second)):
            for due in np.unique(seconds).tolist():
                self._later[due].append(readings.rows(seconds == due))
        self._later[second + 1].append(plan.duplicates)
        self._count(plan)

    def _count(self, plan: Second) -> None:
        self.generated += len(plan.made)
        self.invalid += len(plan.refused)
        self.duplicates += len(plan.duplicates)
        self.made += self._by_gateway_count(plan.made.sensor)
        self.repeated += self._by_gateway_count(plan.repeated)
        self.lost += self._by_gateway_count(plan.lost)
        self.noted += self._by_gateway_count(plan.valid.sensor)
        for place, reason in enumerate(REASONS):
            self.refused[reason] += self._by_gateway_count(plan.refused.sensor[plan.refused_as == place])
        for told, of_second in ((self.struck, plan.struck), (self.lost_to, plan.lost_to)):
            for name, sensors in of_second.items():
                told[name] = told.get(name, 0) + self._by_gateway_count(sensors)
        self.raw_messages += len(plan.made)
        self.raw_bytes += int(self._raw_bytes(plan.made).sum())

    def _by_gateway_count(self, sensors: IntColumn) -> IntColumn:
        return np.bincount(self._gateway_of_sensor[sensors], minlength=len(self._first_sensor))

    def deliver(self, second: int) -> list[Iterator[tuple[int, Readings]]]:
        """What reaches the gateways in each slice of that second: index of the gateway and its readings.

        A reading of this second comes in the slice in which it was measured, an older one in the first.
        """
        arrived = self.arrivals(second)
        slice_of_row = slice_of(arrived.timestamp_ms, second, self._start_ms, self.slices)
        return [self._by_gateway(arrived.rows(np.flatnonzero(slice_of_row == part))) for part in range(self.slices)]

    def arrivals(self, second: int) -> Readings:
        """All that leaves the sensors in that second, or reaches its end then after a detour."""
        parts = self._later.pop(second, [])
        columns = ([getattr(part, name) for part in parts] for name in Readings.__dataclass_fields__)
        return Readings(*(np.concatenate([_NONE, *column]) for column in columns))

    def _by_gateway(self, arrived: Readings) -> Iterator[tuple[int, Readings]]:
        gateway = np.searchsorted(self._first_sensor, arrived.sensor, side="right") - 1
        order = np.argsort(gateway, kind="stable")
        bounds = np.searchsorted(gateway[order], np.arange(len(self._first_sensor) + 1))
        for index in range(len(self._first_sensor)):
            rows = order[bounds[index] : bounds[index + 1]]
            if len(rows):
                yield index, arrived.rows(rows)

    def cut(self) -> None:
        """Let the readings end with the last second that was drawn: what is under way comes in the two after it."""
        for second in [second for second in self._later if second > self.seconds + 1]:
            self._later[self.seconds + 1] += self._later.pop(second)

    @property
    def exhausted(self) -> bool:
        """Whether everything drawn has been delivered."""
        return not self._later

    def _raw_bytes(self, readings: Readings) -> IntColumn:
        """Length of each reading as the JSON of `json_readings` on a topic of its own, int64 [n]."""
        fixed = len('{"sensor_id":"","timestamp":,"vehicle_count":,"average_speed_kmh":,"occupancy":}') + 13
        share = readings.occupancy_permille
        share_bytes = np.where(share % 100 == 0, 3, np.where(share % 10 == 0, 4, 5))
        speed_bytes = np.where(readings.speed_dkmh == NO_SPEED, 4, 2 + _digits(readings.speed_dkmh // 10))
        identity = 2 * self._id_bytes[readings.sensor] + DIRECT_TOPIC_BYTES
        lengths: IntColumn = fixed + identity + _digits(readings.vehicle_count) + speed_bytes + share_bytes
        return lengths


_NONE = np.zeros(0, dtype=np.int64)


def gateway_of_sensor(city: City) -> IntColumn:
    """Index of the gateway of each sensor number."""
    counts = [gateway.sensor_count for gateway in city.gateways]
    return np.repeat(np.arange(len(counts)), counts)


def _digits(values: IntColumn) -> IntColumn:
    counts: IntColumn = 1 + sum((values >= 10**power).astype(np.int64) for power in range(1, 5))
    return counts


def frame(readings: Readings, source: str) -> bytes:
    """The readings as one packed frame."""
    return packed_frame(
        source,
        int(readings.timestamp_ms.min()),
        readings.sensor,
        readings.timestamp_ms,
        readings.vehicle_count,
        readings.speed_dkmh,
        readings.occupancy_permille,
    )


def json_readings(readings: Readings, sensor_ids: dict[int, str]) -> Iterator[bytes]:
    """The readings as JSON arrays, as an MQTT bridge of chatty sensors would bring them."""
    rows = list(documents(readings, sensor_ids))
    for first in range(0, len(rows), READINGS_PER_JSON_MESSAGE):
        yield compact_json(rows[first : first + READINGS_PER_JSON_MESSAGE])


def documents(readings: Readings, sensor_ids: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """Each reading as the contract's JSON has it."""
    for sensor, timestamp_ms, count, speed, share in zip(
        *(getattr(readings, name).tolist() for name in Readings.__dataclass_fields__), strict=True
    ):
        yield {
            "sensor_id": sensor_ids[sensor],
            "timestamp": timestamp_ms,
            "vehicle_count": count,
            "average_speed_kmh": None if speed == NO_SPEED else speed / 10,
            "occupancy": share / 1000,
        }


def compact_json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
