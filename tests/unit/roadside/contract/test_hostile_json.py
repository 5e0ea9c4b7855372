"""Whatever JSON arrives, its decoder answers with a message or a DecodeError that names the field."""

import dataclasses
import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.contract.errors import ContractError, UnsupportedSchemaError
from roadside.contract.events import decode_event
from roadside.contract.heartbeat import decode_heartbeat
from roadside.contract.status import decode_status
from tests.unit.roadside.contract.hostile import (
    EVENT,
    HEARTBEAT,
    INCIDENT,
    SENSOR,
    STATUS,
    Decoder,
    error_of,
    readable,
)

# --- Events ---


def event_with(event: bytes = EVENT, **changes: object) -> bytes:
    return json.dumps(json.loads(event) | changes).encode()


each_event = pytest.mark.parametrize("event", [EVENT, INCIDENT, SENSOR], ids=["congestion", "incident", "sensor"])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"17",
        EVENT + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        EVENT.replace(b"21.4", b"NaN"),
        EVENT.replace(b"21.4", b"-Infinity"),
        EVENT.replace(b"}", b',"of_the_future":Infinity}'),
        b"\xff\xfe" + EVENT.decode().encode("utf-16-le")[:-1],
    ],
)
def test_what_is_no_json_object_is_no_event(payload: bytes) -> None:
    assert error_of(decode_event, payload).field == "event"


@each_event
def test_event_that_lacks_a_field_is_refused_by_its_name(event: bytes) -> None:
    for field in [name for name in json.loads(event) if name not in ("schema", "event_id")]:
        body = json.loads(event)
        del body[field]

        assert field in error_of(decode_event, json.dumps(body).encode()).value


def test_event_of_an_unknown_kind_is_refused_and_the_known_ones_are_told() -> None:
    error = error_of(decode_event, event_with(kind="SensorMelted"))

    assert error.field == "kind"
    assert "CongestionStarted" in error.reason
    assert "SensorRecovered" in error.reason


@each_event
def test_event_with_the_kind_of_another_is_refused(event: bytes) -> None:
    kinds = {json.loads(other)["kind"] for other in (EVENT, INCIDENT, SENSOR)} - {json.loads(event)["kind"]}

    for kind in kinds:
        assert error_of(decode_event, event_with(event, kind=kind)).field == "event"


def test_event_cannot_be_made_with_the_kind_of_another() -> None:
    with pytest.raises(ContractError, match="SensorFault, SensorRecovered"):
        dataclasses.replace(decode_event(SENSOR), kind="IncidentDetected")  # type: ignore[arg-type]


NO_NAMES: Final[list[object]] = ["", 7, None, ["a"], {}, True, "\ud800", "a\udfff"]
NO_INTEGERS: Final[list[object]] = [-1, 1.0, "1", None, True, [1], {}, 1 << 53, 1 << 64, 10**400, -(10**400)]
NO_SPEEDS: Final[list[object]] = [-0.1, 255.1, "1", True, [1], {}, 1 << 64, 10**400, 1e308]
WRONG: Final[dict[str, list[object]]] = {
    **dict.fromkeys(("gateway", "sensor_id", "segment_id", "kind"), NO_NAMES),
    **dict.fromkeys(("epoch_ms", "sequence", "sensor_number", "segment_number"), NO_INTEGERS),
    **dict.fromkeys(("occurred_ms", "started_ms", "effective_ms"), NO_INTEGERS),
    **dict.fromkeys(("average_speed_kmh", "downstream_speed_kmh"), NO_SPEEDS),
    "downstream_segment_number": [value for value in NO_INTEGERS if value is not None],
    "occupancy": [-0.1, 1.001, "1", False, [], 10**400],
    "congestion_level": [-1, 101, 12.5, "1", True, [], 10**400],
    "score": [-0.1, 1000.1, "1", True, [], 10**400],
    "fault": [*NO_NAMES, "Dead", "tired"],
}


@each_event
def test_event_with_a_wrong_value_is_refused_by_its_field(event: bytes) -> None:
    wrong = {field: WRONG[field] for field in json.loads(event) if field not in ("schema", "event_id")}

    for field, values in wrong.items():
        for value in values:
            assert error_of(decode_event, event_with(event, **{field: value})).field == field


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
def test_number_too_large_for_a_float_is_refused(number: bytes) -> None:
    assert error_of(decode_event, EVENT.replace(b"21.4", number)).field == "average_speed_kmh"


@pytest.mark.parametrize("schema", [0, 2, 1.0, True, "1", None, [1], 10**400])
def test_event_of_an_unknown_schema_is_refused(schema: object) -> None:
    error = error_of(decode_event, event_with(schema=schema))

    assert isinstance(error, UnsupportedSchemaError)
    assert error.field == "schema"


def test_nesting_of_any_depth_is_refused() -> None:
    """At some depth the JSON can just be read, and what is to name the value in the error comes to its limit."""
    for depth in [*range(700, 1050), 5000]:
        nested = b"[" * depth + b"]" * depth
        error_of(decode_event, EVENT.replace(b'"CongestionStarted"', nested))
        error_of(decode_event, EVENT.replace(b'"schema":1', b'"schema":' + nested))


@each_event
@settings(max_examples=100)
@given(st.data())
def test_any_values_make_an_event_or_a_decode_error(event: bytes, data: st.DataObject) -> None:
    values = st.integers() | st.floats() | st.text(max_size=5)
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(json.loads(event))), values))

    readable(decode_event, event_with(event, **changes))


def test_error_shows_the_value_cut_to_a_length_fit_for_logs() -> None:
    assert "x" * 20 in error_of(decode_event, event_with(kind="x" * 10_000)).value


# --- Status and heartbeat ---


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("component", {"component": ""}),
        ("version", {"version": None}),
        ("state", {"state": "splendid"}),
        ("sequence", {"sequence": -1}),
        ("uptime_ms", {"uptime_ms": 1.0}),
        ("started_ms", {"started_ms": True}),
        ("counters", {"counters": []}),
        ("counters", {"counters": {"No Name": 1}}),
        ("counters.n", {"counters": {"n": -1}}),
        ("counters", {"counters": {f"n{number}": 1 for number in range(81)}}),
        ("schema", {"schema": 2}),
    ],
)
def test_status_that_no_component_tells_is_refused_by_its_field(field: str, changes: dict[str, Any]) -> None:
    assert error_of(decode_status, event_with(STATUS, **changes)).field == field


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("gateway", {"gateway": ""}),
        ("reason", {"reason": None}),
        ("backlog_bytes", {"backlog_bytes": -1}),
        ("components", {"components": {}}),
        ("components", {"components": [1]}),
        ("components", {"components": [{"component": "c"}]}),
        ("components", {"components": [json.loads(HEARTBEAT)["components"][0]] * 17}),
        ("state", {"components": [json.loads(HEARTBEAT)["components"][0] | {"state": "well"}]}),
        ("age_ms", {"components": [json.loads(HEARTBEAT)["components"][0] | {"age_ms": -1}]}),
        ("system", {"system": None}),
        ("cpu_share", {"system": json.loads(HEARTBEAT)["system"] | {"cpu_share": 1.1}}),
        ("temperature_c", {"system": json.loads(HEARTBEAT)["system"] | {"temperature_c": "hot"}}),
        ("clock_synchronised", {"system": json.loads(HEARTBEAT)["system"] | {"clock_synchronised": 0}}),
        ("root_free_bytes", {"system": json.loads(HEARTBEAT)["system"] | {"root_free_bytes": 1.5}}),
        ("schema", {"schema": "1"}),
    ],
)
def test_heartbeat_that_no_gateway_sends_is_refused_by_its_field(field: str, changes: dict[str, Any]) -> None:
    assert error_of(decode_heartbeat, event_with(HEARTBEAT, **changes)).field == field


@pytest.mark.parametrize(("decode", "payload"), [(decode_status, STATUS), (decode_heartbeat, HEARTBEAT)])
def test_what_a_later_version_adds_to_a_json_message_is_passed_over(decode: Decoder, payload: bytes) -> None:
    assert decode(event_with(payload, of_the_future=1)) == decode(payload)
