"""The flags by which a command lets its traffic be chosen, and what they choose."""

import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from simulator.city.scenario import Scenario, ScenarioError, read_scenario

ScenarioFile = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel="Course",
        help="TOML file with weather, surges, closures, incidents: simulator/examples/scenarios has some.",
    ),
]
StartTimeOfDay = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM", rich_help_panel="Course", help="Local time at which the run starts; 07:54 or the scenario's."
    ),
]


def chosen_scenario(file: Path | None, start_time_of_day: str | None) -> Scenario:
    """The scenario in the file, or a working day; a time that is given wins over the scenario's.

    Raises
    ------
    ScenarioError
        with everything that is wrong.
    OSError
    """
    scenario = Scenario() if file is None else read_scenario(file)
    if start_time_of_day is None:
        return scenario
    try:
        time = datetime.time.fromisoformat(start_time_of_day)
    except ValueError as error:
        raise ScenarioError(
            "--start-time-of-day", (f"{start_time_of_day!r} is no time of day; give 00:00 to 23:59",)
        ) from error
    return msgspec.structs.replace(scenario, start_time_of_day=time)
