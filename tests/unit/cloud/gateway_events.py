"""One event of each sort, as gateways tell them and as the cloud finds them out."""

from typing import Final

from roadside.contract.bus import DataNotice, GatewayNotice, IncidentNotice, cloud_event_id
from roadside.contract.events import CongestionEvent, IncidentEvent, SensorEvent
from tests.unit.cloud.messages import EPOCH_MS, START_MS

CONGESTION: Final = CongestionEvent(
    kind="CongestionStarted",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=12,
    segment_id="A100-3",
    segment_number=3,
    occurred_ms=START_MS,
    started_ms=START_MS,
    average_speed_kmh=21.5,
    occupancy=0.31,
    congestion_level=74,
)
INCIDENT: Final = IncidentEvent(
    kind="IncidentDetected",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=13,
    segment_id="A100-3",
    segment_number=3,
    downstream_segment_number=4,
    occurred_ms=START_MS,
    started_ms=START_MS,
    average_speed_kmh=21.5,
    downstream_speed_kmh=80.0,
    occupancy=0.31,
    score=3.5,
)
FAULT: Final = SensorEvent(
    kind="SensorFault",
    gateway="gw-0001",
    epoch_ms=EPOCH_MS,
    sequence=14,
    sensor_id="a100-3-2",
    sensor_number=32,
    segment_id="A100-3",
    segment_number=3,
    fault="stuck_on",
    occurred_ms=START_MS,
    started_ms=START_MS,
    effective_ms=START_MS,
)
BORDER_INCIDENT: Final = IncidentNotice(
    kind="IncidentSuspected",
    event_id=cloud_event_id("gw-0001", "IncidentSuspected", 3, START_MS),
    gateway="gw-0001",
    segment_id="A100-3",
    segment_number=3,
    downstream_segment_number=4,
    downstream_gateway="gw-0002",
    occurred_ms=START_MS,
    started_ms=START_MS,
    average_speed_kmh=21.5,
    downstream_speed_kmh=80.0,
    occupancy=0.31,
    score=3.5,
)
OFFLINE: Final = GatewayNotice("GatewayOffline", "gw-0001", "silent", START_MS + 75_000, START_MS)
GAP: Final = DataNotice(
    "DataGap", "gw-0001", EPOCH_MS, START_MS, START_MS + 30_000, 20_000, START_MS + 75_000, START_MS + 75_000
)
