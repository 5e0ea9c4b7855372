"""Vendors' records become readings of ours: every unit, every preset, and what is refused with which reason."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadside.core import readings as core
from sensor_ingest import mapping as mapping_module
from sensor_ingest.mapping import Mapper, MappingRules, Reading
from sensor_ingest.settings import FieldSettings, MappingSettings

NOON_MS = 1_735_732_800_000  # 2025-01-01T12:00:00Z
ARRIVAL_MS = 1_735_732_800_777


def mapper(numbers: dict[str, int] | None = None, **settings: Any) -> Mapper:
    return Mapper(MappingSettings(name="own", **settings).rules(), numbers or {"s": 7})


def record(**changes: Any) -> bytes:
    values = {"sensor_id": "s", "timestamp": NOON_MS, "vehicle_count": 4, "average_speed_kmh": 50, "occupancy": 0.1}
    return json.dumps({name: value for name, value in (values | changes).items() if value != "absent"}).encode()


def one(mapper: Mapper, payload: bytes) -> Reading:
    mapped = mapper.read(payload, ARRIVAL_MS)
    assert not mapped.refused
    (reading,) = mapped.readings
    return reading


def reason(mapper: Mapper, payload: bytes) -> str:
    mapped = mapper.read(payload, ARRIVAL_MS)
    assert not mapped.readings
    ((told, times),) = mapped.refused.items()
    assert times == 1
    return told


@pytest.mark.parametrize(
    ("unit", "value", "permille"),
    [
        ("fraction", 0.125, 125), ("fraction", 0, 0), ("fraction", 1, 1000), ("fraction", "0.5", 500),
        ("percent", 12.5, 125), ("percent", 100, 1000), ("percent", 0.04, 0),
        ("permille", 125, 125), ("permille", 1000, 1000),
        ("halfPercent", 25, 125), ("halfPercent", 200, 1000), ("halfPercent", 1, 5),
        ("fraction", None, None), ("percent", "", None), ("halfPercent", "absent", None),
    ],
)  # fmt: skip
def test_occupancy_is_read_in_its_unit(unit: Any, value: Any, permille: int | None) -> None:
    assert one(mapper(occupancy_unit=unit), record(occupancy=value)).occupancy_permille == permille


@pytest.mark.parametrize(
    ("unit", "value"), [("fraction", 1.01), ("percent", 101), ("permille", 1001), ("halfPercent", 201), ("percent", -1)]
)
def test_occupancy_beyond_its_scale_is_refused(unit: Any, value: float) -> None:
    assert reason(mapper(occupancy_unit=unit), record(occupancy=value)) == "occupancy: out of range"


@pytest.mark.parametrize(
    ("code", "meaning"), [(210, "max presence"), (211, "no activity"), (212, "open loop"), (213, "shorted loop")]
)
def test_half_percent_codes_say_what_is_wrong_with_the_detector(code: int, meaning: str) -> None:
    told = reason(mapper(occupancy_unit="halfPercent"), record(occupancy=code))
    assert told == f"occupancy: the detector reports {meaning}"
    assert reason(mapper(occupancy_unit="halfPercent"), record(occupancy=214)) == "occupancy: out of range"


@pytest.mark.parametrize(
    ("unit", "value", "dkmh"),
    [("kmh", 88.8, 888), ("kmh", 255, 2550), ("mph", 55, 885), ("mph", 60.0, 966), ("mph", "70", 1127), ("kmh", 0, 0)],
)
def test_speed_is_read_in_its_unit(unit: Any, value: Any, dkmh: int) -> None:
    assert one(mapper(speed_unit=unit), record(average_speed_kmh=value)).speed_dkmh == dkmh


@pytest.mark.parametrize(("unit", "value"), [("kmh", 256), ("mph", 159), ("kmh", -1), ("kmh", -0.01)])
def test_speed_beyond_reason_is_refused(unit: Any, value: float) -> None:
    assert reason(mapper(speed_unit=unit), record(average_speed_kmh=value)) == "speed: out of range"


def test_zero_speed_of_no_vehicles_is_no_measurement_but_of_some_it_is_a_standstill() -> None:
    assert one(mapper(), record(vehicle_count=0, average_speed_kmh=0)).speed_dkmh is None
    assert one(mapper(), record(vehicle_count=2, average_speed_kmh=0)).speed_dkmh == 0


@pytest.mark.parametrize(
    ("unit", "zone", "value", "expected_ms"),
    [
        ("ms", None, NOON_MS, NOON_MS),
        ("ms", None, float(NOON_MS), NOON_MS),
        ("ms", None, str(NOON_MS), NOON_MS),
        ("s", None, NOON_MS / 1000 + 0.25, NOON_MS + 250),
        ("iso8601", None, "2025-01-01T12:00:00Z", NOON_MS),
        ("iso8601", None, "2025-01-01T13:00:00.500+01:00", NOON_MS + 500),
        ("iso8601", None, "2025-01-01 12:00:00", NOON_MS),
        ("iso8601", "Europe/Berlin", "2025-01-01T13:00:00", NOON_MS),
        ("iso8601", "Europe/Berlin", "2025-01-01T12:00:00Z", NOON_MS),
        ("iso8601", None, "2025-01-01T11:55:00Z/2025-01-01T12:00:00Z", NOON_MS),
        ("usDateTime", "America/Los_Angeles", "01/01/2025 04:00:00", NOON_MS),
        ("arrival", None, "whatever", ARRIVAL_MS),
    ],
)
def test_instants_are_read_in_their_unit(unit: Any, zone: str | None, value: Any, expected_ms: int) -> None:
    assert one(mapper(timestamp_unit=unit, time_zone=zone), record(timestamp=value)).timestamp_ms == expected_ms


@pytest.mark.parametrize(
    ("unit", "value", "told"),
    [
        ("ms", NOON_MS // 1000, "timestamp: out of range"),  # seconds taken for milliseconds
        ("s", NOON_MS, "timestamp: out of range"),
        ("s", 1e308, "timestamp: out of range"),
        ("ms", 10**40, "timestamp: out of range"),
        ("ms", "absent", "timestamp: missing"),
        ("ms", True, "timestamp: not a number"),
        ("iso8601", "yesterday", "timestamp: not a date and time"),
        ("iso8601", NOON_MS, "timestamp: not a date and time"),
        ("usDateTime", "13/01/2025 04:00:00", "timestamp: not a date and time"),
        ("iso8601", "0001-01-01T00:00:00+23:59", "timestamp: out of range"),
    ],
)
def test_instants_that_are_none_are_refused(unit: Any, value: Any, told: str) -> None:
    assert reason(mapper(timestamp_unit=unit), record(timestamp=value)) == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"vehicle_count": "absent"}, "vehicle count: missing"),
        ({"vehicle_count": 1.5}, "vehicle count: not whole"),
        ({"vehicle_count": -1}, "vehicle count: out of range"),
        ({"vehicle_count": 1001}, "vehicle count: out of range"),
        ({"vehicle_count": "1_0"}, "vehicle count: not a number"),
        ({"vehicle_count": "nan"}, "vehicle count: not a number"),
        ({"vehicle_count": [3]}, "vehicle count: not a number"),
        ({"average_speed_kmh": "inf"}, "speed: not a number"),
        ({"average_speed_kmh": {"a": 1}}, "speed: not a number"),
        ({"occupancy": True}, "occupancy: not a number"),
        ({"sensor_id": "absent"}, "sensor: missing"),
        ({"sensor_id": ["s"]}, "sensor: not a name"),
        ({"sensor_id": "stranger"}, "sensor: not configured"),
    ],
)
def test_wrong_fields_are_refused_with_the_reason(changes: dict[str, Any], told: str) -> None:
    assert reason(mapper(), record(**changes)) == told


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", record()[:-1], b"\xff\xfe", b"[" * 100_000, b'{"sensor_id":NaN}', b"hello", b'{"a":1}garbage'],
    ids=["empty", "brace", "truncated", "no text", "deep", "NaN", "word", "garbage behind"],
)
def test_what_is_not_json_is_refused_and_nothing_raised(payload: bytes) -> None:
    assert reason(mapper(), payload) == "record: not JSON"


def test_the_good_records_of_a_payload_are_taken_and_the_bad_counted() -> None:
    bad = record(vehicle_count=-1)
    as_list = b"[" + b",".join([record(), b"5", bad, b"[]", record(timestamp=NOON_MS + 1)]) + b"]"
    as_lines = b"\n".join([record(), b"5", b"", bad, b"oops", record(timestamp=NOON_MS + 1), b""])
    for payload, refused in (
        (as_list, {"record: not an object": 2, "vehicle count: out of range": 1}),
        (as_lines, {"record: not an object": 1, "vehicle count: out of range": 1, "record: not JSON": 1}),
    ):
        mapped = mapper().read(payload, ARRIVAL_MS)
        assert [reading.timestamp_ms for reading in mapped.readings] == [NOON_MS, NOON_MS + 1]
        assert mapped.refused == refused


def test_pretty_printed_json_is_one_record() -> None:
    assert one(mapper(), json.dumps(json.loads(record()), indent=2).encode()).sensor_number == 7


def test_unknown_sensors_are_told_by_name() -> None:
    mapped = mapper().read(b"[" + record(sensor_id="x") + b"," + record(sensor_id=12) + b"]", ARRIVAL_MS)
    assert mapped.unknown_sensors == ["x", "12"]


def test_own_field_names_may_be_nested_and_have_alternatives() -> None:
    fields = FieldSettings(
        sensor_id="device.id", lane="device.lane", timestamp="t | time", vehicle_count="n", speed="v", records="batch"
    )
    own = mapper({"cam4-2": 9}, fields=fields, speed_unit="mph", occupancy_unit="percent", timestamp_unit="s")
    item = {"device": {"id": "cam4", "lane": 2}, "time": NOON_MS // 1000, "n": 3, "v": 50, "occupancy": 7}
    expected = Reading(9, NOON_MS, 3, 805, 70)
    assert one(own, json.dumps({"batch": [item]}).encode()) == expected
    assert one(own, json.dumps(item).encode()) == expected


def test_channel_names_the_sensor_unless_the_record_does() -> None:
    both = Mapper(MappingRules(), {"topic": 1, "s": 2})
    assert both.read(record(sensor_id="absent"), ARRIVAL_MS, "topic").readings[0].sensor_number == 1
    assert both.read(record(), ARRIVAL_MS, "topic").readings[0].sensor_number == 2


# The first line is the example of the published format: flow, mph and thousandths for each of three lanes, local time.
PEMS_NUMBERS = {f"1018510-{lane}": lane for lane in (1, 2, 3)}
PEMS_MS = 1_292_000_803_000  # 2010-12-10 09:06:43 in Los Angeles


def test_pems_feed_works_as_it_is_sent() -> None:
    pems = mapper(PEMS_NUMBERS, preset="pems")
    mapped = pems.read(b"1018510,3,15,60,3,15,70,3,15,80,3,2010-12-10 09:06:43", ARRIVAL_MS)
    assert mapped.readings == [
        Reading(1, PEMS_MS, 15, 966, 3),
        Reading(2, PEMS_MS, 15, 1127, 3),
        Reading(3, PEMS_MS, 15, 1287, 3),
    ]
    assert not mapped.refused


def test_pems_missing_values_are_none_and_empty_lanes_are_not_there() -> None:
    pems = mapper(PEMS_NUMBERS, preset="pems")
    mapped = pems.read(b"1018510,3,0,0,,,,,,60,3,2010-12-10 09:06:43\r\n", ARRIVAL_MS)
    assert mapped.readings == [Reading(1, PEMS_MS, 0, None, None)]
    assert mapped.refused == {"vehicle count: missing": 1}


@pytest.mark.parametrize(
    "line",
    [b"1018510,3,15,60,3,2010-12-10 09:06:43", b"1018510,3,15,60,3,15,70,3,15,80", b"1018510", b"1,x,2", b"\xff,0,3"],
)
def test_pems_lines_cut_short_are_refused(line: bytes) -> None:
    assert reason(mapper(PEMS_NUMBERS, preset="pems"), line) == "line: not of this layout"


def test_pems_shaped_json_works_too() -> None:
    pems = mapper(PEMS_NUMBERS, preset="pems")
    shaped = {"station": 1018510, "lane": 2, "flow": 15, "speed": 70, "occupancy": 3}
    text = json.dumps(shaped | {"timestamp": "2010-12-10 09:06:43"}).encode()
    assert one(pems, text) == Reading(2, PEMS_MS, 15, 1127, 3)


def test_pems_archive_rows_have_fractions_and_empty_lanes() -> None:
    archive = mapper(PEMS_NUMBERS, preset="pemsArchive")
    row = b"12/10/2010 09:06:43,1018510,15,.003,60,7,.0412,65" + b",,," * 6
    mapped = archive.read(row, ARRIVAL_MS)
    assert mapped.readings == [Reading(1, PEMS_MS, 15, 966, 3), Reading(2, PEMS_MS, 7, 1046, 41)]
    assert not mapped.refused


NGSI_NUMBERS = {"urn:ngsi-ld:TrafficFlowObserved:A6-12-1": 5}
KEY_VALUES = {
    "id": "urn:ngsi-ld:TrafficFlowObserved:A6-12",
    "type": "TrafficFlowObserved",
    "laneId": 1,
    "dateObserved": "2025-01-01T11:59:00Z/2025-01-01T12:00:00Z",
    "dateObservedFrom": "2025-01-01T11:59:00Z",
    "dateObservedTo": "2025-01-01T12:00:00Z",
    "intensity": 19,
    "averageVehicleSpeed": 52.6,
    "occupancy": 0.76,
    "congested": False,
}


def normalised(entity: dict[str, Any]) -> dict[str, Any]:
    wrapped: dict[str, Any] = {name: {"type": "Property", "value": value} for name, value in entity.items()}
    for name in ("dateObservedFrom", "dateObservedTo"):
        wrapped[name] = {"type": "Property", "value": {"@type": "DateTime", "@value": entity[name]}}
    return wrapped | {name: entity[name] for name in ("id", "type")}


@pytest.mark.parametrize("entity", [KEY_VALUES, normalised(KEY_VALUES)], ids=["key-values", "normalised"])
def test_ngsi_ld_traffic_flow_observed_works_as_it_is(entity: dict[str, Any]) -> None:
    ngsi = mapper(NGSI_NUMBERS, preset="ngsiLd")
    expected = Reading(5, NOON_MS, 19, 526, 760)  # intensity is the count in the period, not a flow per hour
    notification = {"id": "urn:n", "type": "Notification", "subscriptionId": "urn:s", "data": [entity]}
    for body in (entity, [entity], notification):
        assert one(ngsi, json.dumps(body).encode()) == expected


def test_ngsi_ld_without_vehicles_has_no_speed_and_without_period_its_instant() -> None:
    entity = {name: value for name, value in KEY_VALUES.items() if not name.startswith("dateObservedT")}
    entity |= {"intensity": 0, "averageVehicleSpeed": 0}
    reading = one(mapper(NGSI_NUMBERS, preset="ngsiLd"), json.dumps(entity).encode())
    assert reading == Reading(5, NOON_MS, 0, None, 760)


def test_ranges_are_those_of_the_core() -> None:
    for name in ("MAX_VEHICLES", "MAX_SPEED_DKMH", "MAX_OCCUPANCY_PERMILLE"):
        assert getattr(mapping_module, name) == getattr(core, name)


measured = st.one_of(st.none(), st.floats(-2, 300, allow_nan=False), st.integers(-2, 300))


@given(st.one_of(st.integers(-2, 1002), st.floats(0, 9)), measured, st.one_of(st.none(), st.floats(-0.1, 1.1)))
def test_quantised_and_refused_as_the_aggregator_does_with_the_same_json(
    count: float, speed: float | None, occupancy: float | None
) -> None:
    mapped = mapper().read(record(vehicle_count=count, average_speed_kmh=speed, occupancy=occupancy), ARRIVAL_MS)
    batch = core.batch_from_measurements(
        np.array([0], dtype=np.intp),
        np.array([NOON_MS], dtype=np.float64),
        np.array([count], dtype=np.float64),
        np.array([speed or 0], dtype=np.float64),
        np.array([occupancy or 0], dtype=np.float64),
        has_speed=np.array([speed is not None]),
        has_occupancy=np.array([occupancy is not None]),
    )
    if batch.fault[0]:
        assert not mapped.readings
    elif count == 0 and speed is not None and not 0 <= round(speed * 10) <= core.MAX_SPEED_DKMH:
        pass  # the core does not look at the speed of no vehicles, this component refuses a nonsensical one
    elif mapped.readings:
        (reading,) = mapped.readings
        none = core.NONE
        assert reading.vehicle_count == batch.vehicle_count[0]
        assert (none if reading.speed_dkmh is None else reading.speed_dkmh) == batch.speed_dkmh[0]
        told = none if reading.occupancy_permille is None else reading.occupancy_permille
        assert told == batch.occupancy_permille[0]
    else:
        assert count == 0, mapped.refused
        assert speed is not None
        assert speed < 0


@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["sensor_id", "timestamp", "vehicle_count", "occupancy", "data", "value", "@value", "id"]),
            inner, max_size=4,
        ),
    ),
    max_leaves=12,
))  # fmt: skip
def test_no_json_makes_it_raise(tree: Any) -> None:
    payload = json.dumps(tree).encode()
    for preset in ("roadside", "pems", "ngsiLd"):
        for unit in ("ms", "iso8601"):
            mapper(preset=preset, timestamp_unit=unit).read(payload, ARRIVAL_MS)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    for preset in ("roadside", "pems", "pemsArchive", "ngsiLd"):
        mapper(preset=preset).read(payload, ARRIVAL_MS)
