"""What people read fits where they read it, whatever a city calls its segments."""

from dataclasses import replace

import pytest

from cloud.functions.shared import wording
from roadside.contract.bus import Announcement, BusEvent, IncidentNotice, from_gateway
from tests.unit.cloud.gateway_events import BORDER_INCIDENT, CONGESTION, FAULT, GAP, INCIDENT, OFFLINE

LONG = "x" * 128
BEYOND_ANY_CALENDAR = (1 << 53) - 1


@pytest.mark.parametrize(
    "event",
    [
        replace(CONGESTION, segment_id=LONG, gateway=LONG, started_ms=BEYOND_ANY_CALENDAR),
        replace(CONGESTION, segment_id=LONG, kind="CongestionCleared", started_ms=0, occurred_ms=BEYOND_ANY_CALENDAR),
        replace(BORDER_INCIDENT, segment_id=LONG, average_speed_kmh=None, downstream_speed_kmh=None),
        replace(BORDER_INCIDENT, segment_id=LONG, kind="IncidentConfirmed", average_speed_kmh=249.6),
        replace(FAULT, sensor_id=LONG, segment_id=LONG, fault="occupancy_scale"),
        replace(FAULT, sensor_id=LONG, segment_id=LONG, kind="SensorRecovered", started_ms=0),
        replace(OFFLINE, gateway=LONG),
        replace(GAP, gateway=LONG, first_ms=0, until_ms=BEYOND_ANY_CALENDAR, missing_ms=BEYOND_ANY_CALENDAR),
    ],
    ids=lambda event: event.kind,
)
def test_longest_names_and_numbers_fit_into_one_sms_with_its_quotes(event: BusEvent) -> None:
    announced = Announcement(event, wording.severity(event), wording.headline(event), wording.text(event), notify=True)

    assert len(announced.text) <= 158


def test_name_cannot_break_out_of_its_line() -> None:
    hostile = replace(CONGESTION, segment_id='A1"\n<kind>\\')

    assert wording.headline(hostile) == "Congestion on A1???kind??"
    assert wording.headline(replace(CONGESTION, segment_id="Straße 7 (Süd)")) == "Congestion on Straße 7 (Süd)"


def test_heavy_congestion_is_major_and_an_end_is_information() -> None:
    assert wording.severity(CONGESTION) == "minor"
    assert wording.severity(replace(CONGESTION, congestion_level=80)) == "major"
    assert wording.severity(replace(CONGESTION, congestion_level=None)) == "minor"
    assert wording.severity(replace(CONGESTION, kind="CongestionCleared", congestion_level=90)) == "info"


def test_confirmed_incident_is_worse_than_a_suspected_one() -> None:
    suspected = from_gateway(INCIDENT)
    assert isinstance(suspected, IncidentNotice)
    assert wording.severity(suspected) == "major"
    assert wording.severity(replace(suspected, kind="IncidentConfirmed")) == "critical"
