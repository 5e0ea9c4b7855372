"""Readings as packed frames, for all that the simulator hands to a gateway."""

import numpy as np
import numpy.typing as npt

from roadside.contract.codec import encode_frame
from roadside.contract.summary import ReadingFrame

IntColumn = npt.NDArray[np.int64]


def packed_frame(
    source: str,
    base_ms: int,
    sensor_number: IntColumn,
    timestamp_ms: IntColumn,
    vehicle_count: IntColumn,
    speed_dkmh: IntColumn,
    occupancy_permille: IntColumn,
) -> bytes:
    """The columns as one frame, timestamps as offsets from `base_ms`; a speed or occupancy below 0 was not measured."""
    return encode_frame(
        ReadingFrame(
            source=source,
            base_ms=base_ms,
            sensor_number=sensor_number.astype("<u4").tobytes(),
            offset_ms=(timestamp_ms - base_ms).astype("<u4").tobytes(),
            vehicle_count=vehicle_count.astype("<u2").tobytes(),
            speed_dkmh=_measured(speed_dkmh),
            occupancy_permille=_measured(occupancy_permille),
        )
    )


def _measured(values: IntColumn) -> bytes:
    return np.where(values < 0, ReadingFrame.NO_SPEED, values).astype("<u2").tobytes()
