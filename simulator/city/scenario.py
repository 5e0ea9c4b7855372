"""A scenario: a day's weather, demand, events and incidents as data, read from one TOML file and checked whole.

Times are times of day, as TOML writes them: `start = 07:30:00`, without quotes. Whatever ends before it starts goes on
past midnight. Each thing happens once: it is under way when the run starts, or comes within the 24 hours after.
docs/simulator.md explains every key; simulator/examples has ready-made files.
"""

import datetime
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from roadside.runtime.settings import SettingsError, load_settings
from roadside.traffic import HOLIDAY, WEATHER, WEEKDAY, DemandProfile

WeatherKind = Literal["clear", "rain", "heavy-rain", "snow", "heavy-snow", "fog"]
Share = Annotated[float, Meta(gt=0, le=1)]
Name = Annotated[str, Meta(max_length=80)]
PROFILES = {"weekday": WEEKDAY, "holiday": HOLIDAY}


class ScenarioError(ValueError):
    """A scenario that cannot be played; says everything that is wrong with it.

    Attributes
    ----------
    faults : tuple of str, one for each thing
    """

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__(f"{source}: {'; '.join(faults)}")


class _Timed(msgspec.Struct, frozen=True, kw_only=True):
    """What happens from one time of day to another."""

    start: datetime.time
    end: datetime.time

    def span_s(self, start_time_of_day_s: float) -> tuple[float, float]:
        """When it happens, in seconds after the start of a run that starts at that time of day."""
        begins_s = seconds_of(self.start) - start_time_of_day_s
        lasts_s = (seconds_of(self.end) - seconds_of(self.start)) % 86_400.0 or 86_400.0
        if begins_s + lasts_s <= 0.0:
            begins_s += 86_400.0
        elif begins_s - 86_400.0 + lasts_s > 0.0:
            begins_s -= 86_400.0
        return begins_s, begins_s + lasts_s


class WeatherSpell(_Timed, frozen=True, kw_only=True):
    """Weather over the whole city, or over some districts.

    Parameters
    ----------
    kind : one of `WEATHER`, where the shares and their sources stand
    districts : where; everywhere without
    free_flow_share, capacity_share : instead of those of the kind
    """

    kind: WeatherKind
    districts: tuple[Name, ...] = ()
    free_flow_share: Share | None = None
    capacity_share: Share | None = None

    @property
    def shares(self) -> tuple[float, float]:
        """What is left of free-flow speed and of capacity."""
        usual = WEATHER[self.kind]
        return (
            self.free_flow_share or usual.free_flow_share,
            self.capacity_share or usual.capacity_share,
        )


class Surge(_Timed, frozen=True, kw_only=True):
    """More demand than usual, or less: a match is over, a ramp is fed by a diversion, a school is closed.

    Parameters
    ----------
    factor : on the demand of the time of day
    at : where vehicles come from: on-ramps, entries of roads, or both
    districts : those in which the ramp or entry lies; everywhere without
    rise_min : minutes in which it rises at its start, and falls at its end
    """

    factor: Annotated[float, Meta(ge=0, le=100)]
    name: Name = "surge"
    at: Literal["everywhere", "entries", "on-ramps"] = "everywhere"
    districts: tuple[Name, ...] = ()
    rise_min: Annotated[float, Meta(ge=0, le=720)] = 0.0


class Closure(_Timed, frozen=True, kw_only=True):
    """A segment on which no lane is open.

    Parameters
    ----------
    diverted_share : of those who would enter its road upstream of it, the share that takes another way meanwhile
    """

    segment: Name
    name: Name = "closure"
    diverted_share: Annotated[float, Meta(ge=0, le=1)] = 0.0


class PlannedIncident(_Timed, frozen=True, kw_only=True):
    """A crash or breakdown; `lanes_blocked` 0 is one on the shoulder."""

    segment: Name
    lanes_blocked: Annotated[int, Meta(ge=0, le=4)]


class RandomIncidents(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents on freeways that the seed decides.

    Parameters
    ----------
    per_hour_per_1000_segments : rate
    opening : whether several strike busy segments in the first seconds, so that a short run has something to detect
    """

    per_hour_per_1000_segments: Annotated[float, Meta(ge=0, le=10_000)] = 60.0
    opening: bool = True


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a day that the city and its seed do not decide; without any key it is a working day's morning.

    Parameters
    ----------
    start_time_of_day : of the run, where nothing else is said
    demand : how demand goes over the day
    demand_factor : on all of it
    weather, surge, closure, incident : what happens, any number of each
    """

    name: Name = "working day"
    about: str = ""
    start_time_of_day: datetime.time = datetime.time(7, 54)
    demand: Literal["weekday", "holiday"] = "weekday"
    demand_factor: Annotated[float, Meta(ge=0, le=5)] = 1.0
    weather: tuple[WeatherSpell, ...] = ()
    surge: tuple[Surge, ...] = ()
    closure: tuple[Closure, ...] = ()
    incident: tuple[PlannedIncident, ...] = ()
    random_incidents: RandomIncidents = RandomIncidents()

    @property
    def profile(self) -> DemandProfile:
        """Demand over the day."""
        return PROFILES[self.demand]


def seconds_of(time: datetime.time) -> float:
    """Seconds after midnight."""
    return time.hour * 3600.0 + time.minute * 60.0 + time.second + time.microsecond / 1e6


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file.

    Raises
    ------
    ScenarioError
        With every fault: no TOML, unknown or missing keys, values that cannot be.
    OSError
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), (f"is no TOML: {error}",)) from error
    try:
        return load_settings(Scenario, tree)
    except SettingsError as error:
        faults = tuple(
            f"{fault}; write a time of day as 07:30:00, without quotes" if "time" in fault.reason else str(fault)
            for fault in error.faults
        )
        raise ScenarioError(str(path), faults) from error
