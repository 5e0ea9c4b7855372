"""Faults on the way of readings, as the tests of delivery and feed want them."""

from collections.abc import Sequence

import numpy as np

from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault
from simulator.faults.schedule import Struck


def always(kind: Kind, **numbers: float) -> Struck:
    """A fault of the whole run and the whole city."""
    return Struck(Fault(f"always {kind}", kind, whole_run=True, numbers=numbers), (0,))


def shares(
    *, duplicate: float = 0.0, disordered: float = 0.0, late: float = 0.0, invalid: float = 0.0, late_s: int = 5
) -> list[Struck]:
    """Faults that strike these shares of the readings."""
    return [
        always(Kind.DELAY, share=late, least_delay_s=late_s, most_delay_s=late_s + 3),
        always(Kind.DISORDER, share=disordered),
        always(Kind.DUPLICATES, share=duplicate),
        always(Kind.POISON, share=invalid),
    ]


def at_some_sensors(kind: Kind, sensors: Sequence[int], of: int, **numbers: float) -> Struck:
    """A fault of the whole run at some sensors."""
    is_struck = np.zeros(of, dtype=bool)
    is_struck[list(sensors)] = True
    return Struck(Fault(f"some {kind}", kind, whole_run=True, numbers=numbers), (0,), is_struck)
