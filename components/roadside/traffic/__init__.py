"""Traffic on many roads at once: a cell-transmission model, incidents, weather, demand and the sensors that watch it.

Pure numpy, no clock and no I/O: time is a number the caller moves, chance is a generator the caller seeds.
The simulator drives a whole city with it and the sensor emulator one gateway.
"""

from roadside.traffic.cell_transmission import CellTransmission, TrafficState
from roadside.traffic.demand import HOLIDAY, WEEKDAY, DemandProfile, Peak, day_noise
from roadside.traffic.errors import (
    DemandError,
    IncidentError,
    NetworkError,
    SensorError,
    StepError,
    TrafficError,
    WeatherError,
)
from roadside.traffic.incidents import Incident, IncidentSchedule, capacity_share
from roadside.traffic.network import Cell, Corridor, Network, Signal
from roadside.traffic.sensors import SensorLayer, SensorLayout, SensorSample
from roadside.traffic.weather import WEATHER, Weather

__all__ = [
    "HOLIDAY",
    "WEATHER",
    "WEEKDAY",
    "Cell",
    "CellTransmission",
    "Corridor",
    "DemandError",
    "DemandProfile",
    "Incident",
    "IncidentError",
    "IncidentSchedule",
    "Network",
    "NetworkError",
    "Peak",
    "SensorError",
    "SensorLayer",
    "SensorLayout",
    "SensorSample",
    "Signal",
    "StepError",
    "TrafficError",
    "TrafficState",
    "Weather",
    "WeatherError",
    "capacity_share",
    "day_noise",
]
