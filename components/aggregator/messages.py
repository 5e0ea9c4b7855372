"""The core's results as messages of the contract. The only place where the two vocabularies meet."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.contract.event_fields import SensorFaultName
from roadside.contract.events import CongestionEvent, IncidentEvent, SensorEvent
from roadside.contract.sensors import SensorRecord
from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch
from roadside.core.aggregator import ClosedWindow
from roadside.core.congestion import NO_LEVEL, CongestionChange
from roadside.core.health import SensorChange, SensorFault
from roadside.core.incidents import IncidentChange
from roadside.core.readings import NONE
from roadside.core.registry import Registry
from roadside.core.sensor_tally import SensorInterval

FAULT_NAMES: Final[Mapping[SensorFault, SensorFaultName]] = {
    SensorFault.SILENT: "silent",
    SensorFault.CHATTER: "chatter",
    SensorFault.STUCK_ON: "stuck_on",
    SensorFault.CONSTANT: "constant",
    SensorFault.DEAD: "dead",
    SensorFault.OCCUPANCY_SCALE: "occupancy_scale",
    SensorFault.UNDERCOUNT: "undercount",
}


def segment_summaries(window: ClosedWindow, registry: Registry) -> tuple[SegmentSummary, ...]:
    """The window's columns as one summary a segment."""
    sums = window.sums
    occupied: npt.NDArray[np.bool_] = np.greater(sums.sketch, 0)
    columns = zip(
        registry.segments,
        sums.sketch,
        np.any(occupied, axis=1).tolist(),
        occupied.argmax(axis=1).tolist(),
        (sums.sketch.shape[1] - occupied[:, ::-1].argmax(axis=1)).tolist(),
        (sums.vehicle_count - sums.vehicles_with_speed).tolist(),
        sums.clipped_vehicles.tolist(),
        sums.speed_sum.tolist(),
        sums.pace_sum.tolist(),
        sums.speed_square_sum.tolist(),
        sums.speed_min.tolist(),
        sums.speed_max.tolist(),
        sums.occupied_ms.tolist(),
        sums.observed_ms.tolist(),
        window.level.tolist(),
        window.state.tolist(),
        sums.sensors_reporting.tolist(),
        sums.readings_accepted.tolist(),
        window.duplicates.tolist(),
        window.late.tolist(),
        window.rejected.tolist(),
        window.excluded.tolist(),
        [window.lanes[i].tolist() if i in window.lanes else () for i in range(len(registry.segments))],
        strict=True,
    )
    return tuple(
        SegmentSummary(
            number=segment.number,
            sketch=SpeedSketch(first, tuple(bins[first:last].tolist())) if any_vehicle else SpeedSketch(),
            vehicles_without_speed=without_speed,
            clipped_vehicles=clipped,
            speed_sum_dkmh=speed_sum,
            pace_sum_ms_per_km=pace_sum,
            speed_square_sum=square_sum,
            speed_min_dkmh=_known(slowest, NONE),
            speed_max_dkmh=_known(fastest, NONE),
            occupied_ms=occupied_ms,
            observed_ms=observed_ms,
            congestion_level=_known(level, NO_LEVEL),
            congestion_state=CongestionState(state),
            sensors_reporting=sensors,
            readings_accepted=accepted,
            readings_duplicate=duplicate,
            readings_late=late,
            readings_rejected=rejected,
            sensors_excluded=excluded,
            lane_vehicles=tuple(_known(vehicles, NONE) for vehicles in lanes),
        )
        for (
            segment, bins, any_vehicle, first, last, without_speed, clipped, speed_sum, pace_sum, square_sum, slowest,
            fastest, occupied_ms, observed_ms, level, state, sensors, accepted, duplicate, late, rejected, excluded,
            lanes,
        ) in columns
    )  # fmt: skip


def congestion_event(
    change: CongestionChange, registry: Registry, gateway: str, epoch_ms: int, sequence: int
) -> CongestionEvent:
    """The change as the event that people and systems are told."""
    segment = registry.segments[change.segment]
    return CongestionEvent(
        kind="CongestionStarted" if change.congested else "CongestionCleared",
        gateway=gateway,
        epoch_ms=epoch_ms,
        sequence=sequence,
        segment_id=segment.segment_id,
        segment_number=segment.number,
        occurred_ms=change.occurred_ms,
        started_ms=change.started_ms,
        average_speed_kmh=_rounded(change.average_speed_kmh, 1),
        occupancy=_rounded(change.occupancy, 3),
        congestion_level=_known(change.level, NO_LEVEL),
    )


def incident_event(
    change: IncidentChange, registry: Registry, gateway: str, epoch_ms: int, sequence: int
) -> IncidentEvent:
    """The change as the event that people and systems are told."""
    segment = registry.segments[change.segment]
    return IncidentEvent(
        kind="IncidentDetected" if change.detected else "IncidentCleared",
        gateway=gateway,
        epoch_ms=epoch_ms,
        sequence=sequence,
        segment_id=segment.segment_id,
        segment_number=segment.number,
        downstream_segment_number=registry.segments[change.downstream].number,
        occurred_ms=change.occurred_ms,
        started_ms=change.started_ms,
        average_speed_kmh=_rounded(change.speed_kmh, 1),
        downstream_speed_kmh=_rounded(change.downstream_speed_kmh, 1),
        occupancy=_rounded(change.occupancy, 3),
        score=_rounded(change.score, 2),
    )


def sensor_event(change: SensorChange, registry: Registry, gateway: str, epoch_ms: int, sequence: int) -> SensorEvent:
    """The change as the event that people and systems are told."""
    segment = registry.segments[registry.sensor_segment[change.sensor]]
    number = int(registry.sensor_numbers[change.sensor])
    return SensorEvent(
        kind="SensorFault" if change.faulty else "SensorRecovered",
        gateway=gateway,
        epoch_ms=epoch_ms,
        sequence=sequence,
        sensor_id=segment.sensor_ids[number - segment.first_sensor_number],
        sensor_number=number,
        segment_id=segment.segment_id,
        segment_number=segment.number,
        fault=FAULT_NAMES[change.fault],
        occurred_ms=change.occurred_ms,
        started_ms=change.started_ms,
        effective_ms=change.occurred_ms,  # windows from there on
    )


def sensor_records(interval: SensorInterval, registry: Registry) -> tuple[SensorRecord, ...]:
    """The interval's columns as one record a sensor, in the order of their city-wide numbers."""
    columns = zip(
        registry.sensor_numbers.tolist(),
        interval.readings.tolist(),
        interval.vehicle_count.tolist(),
        (interval.vehicle_count - interval.vehicles_with_speed).tolist(),
        interval.pace_sum.tolist(),
        interval.occupied_ms.tolist(),
        interval.observed_ms.tolist(),
        [FAULT_NAMES.get(SensorFault(fault)) for fault in interval.fault.tolist()],
        strict=True,
    )
    return tuple(sorted((SensorRecord(*values) for values in columns), key=lambda sensor: sensor.number))


def _known(value: int, unknown: int) -> int | None:
    return None if value == unknown else value


def _rounded(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)
