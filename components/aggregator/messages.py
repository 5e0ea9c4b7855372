"""The core's results as messages of the contract. The only place where the two vocabularies meet."""

import math

import numpy as np
import numpy.typing as npt

from roadside.contract.events import CongestionEvent
from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch
from roadside.core.aggregator import ClosedWindow
from roadside.core.congestion import NO_LEVEL, CongestionChange
from roadside.core.readings import NONE
from roadside.core.registry import Registry


def segment_summaries(window: ClosedWindow, registry: Registry) -> tuple[SegmentSummary, ...]:
    """The window's columns as one summary a segment."""
    sums = window.sums
    occupied: npt.NDArray[np.bool_] = np.greater(sums.sketch, 0)
    first_bin = occupied.argmax(axis=1).tolist()
    after_last_bin = (sums.sketch.shape[1] - occupied[:, ::-1].argmax(axis=1)).tolist()
    has_vehicles = np.any(occupied, axis=1).tolist()
    return tuple(
        SegmentSummary(
            number=segment.number,
            sketch=SpeedSketch(first_bin[i], tuple(sums.sketch[i, first_bin[i] : after_last_bin[i]].tolist()))
            if has_vehicles[i]
            else SpeedSketch(),
            vehicles_without_speed=int(sums.vehicle_count[i] - sums.vehicles_with_speed[i]),
            clipped_vehicles=int(sums.clipped_vehicles[i]),
            speed_sum_dkmh=int(sums.speed_sum[i]),
            pace_sum_ms_per_km=int(sums.pace_sum[i]),
            speed_square_sum=int(sums.speed_square_sum[i]),
            speed_min_dkmh=_known(int(sums.speed_min[i]), NONE),
            speed_max_dkmh=_known(int(sums.speed_max[i]), NONE),
            occupied_ms=int(sums.occupied_ms[i]),
            observed_ms=int(sums.observed_ms[i]),
            congestion_level=_known(int(window.level[i]), NO_LEVEL),
            congestion_state=CongestionState(int(window.state[i])),
            sensors_reporting=int(sums.sensors_reporting[i]),
            readings_accepted=int(sums.readings_accepted[i]),
            readings_duplicate=int(window.duplicates[i]),
            readings_late=int(window.late[i]),
            readings_rejected=int(window.rejected[i]),
        )
        for i, segment in enumerate(registry.segments)
    )


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


def _known(value: int, unknown: int) -> int | None:
    return None if value == unknown else value


def _rounded(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)
