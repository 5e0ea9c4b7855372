"""How bad a congestion is: bands of the congestion level, by which the segments table's index finds the worst. Pure.

A segment is in a band while its state is congested, and in none otherwise, so the index holds congested segments only.
"""

from typing import Final

BANDS: Final = (("severe", 80), ("heavy", 60), ("moderate", 0))
"""Name and lowest congestion level of each band, the worst first; a band ends where the one before it begins."""


def band_of(congestion_state: str, congestion_level: int | None) -> str | None:
    """The band of a segment; None unless it is congested and its level is known."""
    if congestion_state != "congested" or congestion_level is None:
        return None
    return next(name for name, lowest in BANDS if congestion_level >= lowest)
