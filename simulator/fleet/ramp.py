"""Which gateway is on from when: a fleet that comes up all at once is a herd that no city has."""

import numpy as np
import numpy.typing as npt


def first_seconds(gateways: int, ramp_up_s: int) -> npt.NDArray[np.int64]:
    """The second of the run from which each gateway is connected and its sensors measure, int64 [gateways].

    One after the other in order of their number, evenly over `ramp_up_s`; the first is on from second 0.
    """
    return np.arange(gateways, dtype=np.int64) * ramp_up_s // gateways
