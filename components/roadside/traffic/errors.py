"""Errors of the traffic model: one base, a class for each thing a caller can get wrong."""

from __future__ import annotations


class TrafficError(ValueError):
    """A value the traffic model cannot work with.

    Attributes
    ----------
    field : name of the offending parameter.
    value : what was given for it.
    """

    def __init__(self, field: str, value: object, advice: str) -> None:
        super().__init__(f"{field} = {value!r}: {advice}")
        self.field = field
        self.value = value


class NetworkError(TrafficError):
    """A road description that no road can have."""


class StepError(TrafficError):
    """A time step or an input of a step that the scheme cannot take."""


class IncidentError(TrafficError):
    """An incident that does not fit the network or the capacity table."""


class DemandError(TrafficError):
    """A demand profile without meaning."""


class WeatherError(TrafficError):
    """Weather that would make roads faster than they are, or impassable."""


class SensorError(TrafficError):
    """A sensor that stands on no road, a sampling interval without length, or a fault that is none."""
