"""Stored summaries of sensors against the oracle: right ones pass, and whatever is missing or wrong is named."""

from dataclasses import replace

import numpy as np

from roadside.contract.sensors import SensorRecord, SensorSummary
from simulator.city.layout import City, make_city
from simulator.verification.oracle import Exclusion, Oracle, SegmentFacts
from simulator.verification.sensors import SensorVerdict, verify_sensors

CITY: City = make_city(8, 2, 1)
SEGMENT_OF = np.repeat([s.number for s in CITY.segments()], [len(s.sensor_ids) for s in CITY.segments()])
SENSORS = len(SEGMENT_OF)
WINDOWS, WINDOW_MS, INTERVAL_MS = 5, 10_000, 20_000  # so two intervals end before the last window


def make_oracle(late: bool = False) -> Oracle:
    """Each sensor says once a window that two vehicles passed at 50 km/h; if `late`, sensor 0 says it too late once."""
    oracle = Oracle([SegmentFacts(0, True, 100.0)], SEGMENT_OF, WINDOW_MS, 1000, lateness_ms=2000)
    for window in range(WINDOWS):
        sensor = np.arange(SENSORS)
        timestamp_ms = np.full(SENSORS, window * WINDOW_MS + 500)
        delivered_ms = timestamp_ms + 500
        if late and window == 0:
            delivered_ms[0] = 35_000
        oracle.note(
            sensor, timestamp_ms, np.full(SENSORS, 2), np.full(SENSORS, 500), np.full(SENSORS, 100), delivered_ms
        )
    return oracle


def summaries(readings: int = 2) -> list[SensorSummary]:
    """What gateways must have stored of the first two intervals."""
    return [
        SensorSummary(
            gateway=gateway.gateway_id,
            epoch_ms=1,
            sequence=start_ms,
            interval_start_ms=start_ms,
            interval_ms=INTERVAL_MS,
            sensors=tuple(
                SensorRecord(
                    segment.first_sensor_number + place,
                    readings,
                    2 * readings,
                    0,
                    144_000 * readings,
                    100 * readings,
                    2000,
                )
                for segment in gateway.segments
                for place in range(len(segment.sensor_ids))
            ),
        )
        for gateway in CITY.gateways
        for start_ms in (0, INTERVAL_MS)
    ]


def judged(stored: list[SensorSummary], oracle: Oracle | None = None, uncertain: tuple[str, ...] = ()) -> SensorVerdict:
    starts = {gateway.gateway_id: range(0, WINDOWS * WINDOW_MS, WINDOW_MS) for gateway in CITY.gateways}
    return verify_sensors(CITY, oracle or make_oracle(), starts, stored, interval_ms=INTERVAL_MS, uncertain=uncertain)


def changed(stored: list[SensorSummary], place: int, **changes: int) -> list[SensorSummary]:
    first, *others = stored[place].sensors
    spoiled = replace(stored[place], sensors=(replace(first, **changes), *others))  # type: ignore[arg-type]
    return [*stored[:place], spoiled, *stored[place + 1 :]]


def test_right_summaries_pass() -> None:
    verdict = judged(summaries())

    assert verdict.ok, verdict.findings
    assert (verdict.expected, verdict.stored) == (4, 4)


def test_parts_of_one_interval_are_seen_together() -> None:
    first, *others = summaries()
    parts = [
        replace(first, sensors=first.sensors[:1], part=0, part_count=2),
        replace(first, sensors=first.sensors[1:], part=1, part_count=2),
    ]

    assert judged([*parts, *others]).ok
    assert judged([parts[0], *others]).wrong == 1


def test_missing_interval_is_named() -> None:
    verdict = judged(summaries()[1:])

    assert (verdict.missing, verdict.wrong) == (1, 0)
    assert CITY.gateways[0].gateway_id in verdict.findings[0]


def test_every_wrong_sum_is_named() -> None:
    for name in ("readings_accepted", "vehicle_count", "pace_sum_ms_per_km", "occupied_ms"):
        value = getattr(summaries()[2].sensors[0], name)
        for other in (value - 1, value + 1):
            verdict = judged(changed(summaries(), 2, **{name: other}))
            assert (verdict.missing, verdict.wrong) == (0, 1)
            assert name in verdict.findings[0]


def test_late_reading_may_be_in_a_summary_or_not() -> None:
    assert judged(summaries(), make_oracle(late=True)).ok
    without = changed(summaries(), 0, readings_accepted=1, vehicle_count=2, pace_sum_ms_per_km=144_000, occupied_ms=100)
    assert judged(without, make_oracle(late=True)).ok
    assert judged(without).wrong == 1


def test_killed_gateway_may_have_lost_readings_but_not_made_them_up() -> None:
    killed = (CITY.gateways[0].gateway_id,)

    assert judged(changed(summaries(), 0, readings_accepted=1), uncertain=killed).ok
    assert judged(changed(summaries(), 0, readings_accepted=3), uncertain=killed).wrong == 1
    assert judged(changed(summaries(), 2, readings_accepted=1), uncertain=killed).wrong == 1


def test_summaries_hold_excluded_sensors_too() -> None:
    oracle = make_oracle()
    oracle.exclusions = [Exclusion(0, 0)]

    assert judged(summaries(), oracle).ok
