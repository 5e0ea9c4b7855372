"""The bill of any city: no line below nothing, more sensors never cheaper, messages of two cities add."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.capacity.bill import first_design_bill, roadside_bill
from cloud.capacity.city import City, Operation
from cloud.capacity.prices import load_prices
from cloud.capacity.roadside import traffic

PRICES = load_prices()
SENSORS = st.integers(1, 50_000_000)
WINDOWS_S = st.sampled_from([1, 5, 10, 60, 300])
OPERATIONS = st.builds(
    Operation,
    windows_days=st.integers(1, 3650),
    retention_days=st.integers(1, 3650),
    stream_retention_h=st.sampled_from([24, 168]),
    segment_refresh_s=st.integers(10, 86_400),
    gather_acks=st.booleans(),
    provision_windows=st.booleans(),
    batching_s=st.integers(0, 60),
    heartbeat_s=st.integers(10, 3600),
    events_per_segment_day=st.floats(0, 100),
)


@given(SENSORS, WINDOWS_S, OPERATIONS)
def test_no_line_is_negative(sensors: int, window_s: int, operation: Operation) -> None:
    bill = roadside_bill(City.of_sensors(sensors, window_s), operation, PRICES)

    assert all(line.usd >= 0 and line.quantity >= 0 for line in bill.lines)
    assert bill.usd > 0


@given(SENSORS, st.integers(0, 1_000_000), WINDOWS_S, OPERATIONS)
def test_more_sensors_never_cost_less(sensors: int, more: int, window_s: int, operation: Operation) -> None:
    few, many = (City.of_sensors(count, window_s) for count in (sensors, sensors + more))

    assert roadside_bill(few, operation, PRICES).usd <= roadside_bill(many, operation, PRICES).usd * (1 + 1e-9)
    assert first_design_bill(few, PRICES).usd <= first_design_bill(many, PRICES).usd


@given(st.integers(1, 10_000), st.integers(1, 10_000), WINDOWS_S, OPERATIONS)
def test_messages_of_two_cities_add_and_together_they_cost_no_more(
    gateways: int, others: int, window_s: int, operation: Operation
) -> None:
    one, other, both = (City(250 * count, count, window_s) for count in (gateways, others, gateways + others))

    for name in ("windows", "summaries", "events", "heartbeats", "acks"):
        apart = getattr(traffic(one, operation), name) + getattr(traffic(other, operation), name)
        assert getattr(traffic(both, operation), name) == pytest.approx(apart)
    apart_usd = but_for_firehose_usd(one, operation) + but_for_firehose_usd(other, operation)
    assert but_for_firehose_usd(both, operation) <= apart_usd


def but_for_firehose_usd(city: City, operation: Operation) -> float:
    """Firehose counts every record in steps of 5 KB, so a larger record can just have begun a step more."""
    return sum(line.usd for line in roadside_bill(city, operation, PRICES).lines if line.service != "Firehose")


@given(SENSORS, WINDOWS_S, st.integers(2, 20))
def test_longer_windows_never_cost_more(sensors: int, window_s: int, times: int) -> None:
    operation = replace(Operation(), editions_per_window=1.0)
    short, long = (City.of_sensors(sensors, seconds) for seconds in (window_s, window_s * times))

    assert roadside_bill(long, operation, PRICES).usd <= roadside_bill(short, operation, PRICES).usd * (1 + 1e-9)
