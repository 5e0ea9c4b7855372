"""`health`: faulty sensors in recorded traffic, and whether they are found."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure


def health(
    folder: Annotated[Path, typer.Argument(help="Folder with sensors.csv and readings*.csv[.gz].")],
    faulty: Annotated[int, typer.Option(min=1, help="Sensors that get each fault.")] = 10,
    road_class: Annotated[str, typer.Option(help="Roads on which they are: freeway, ramp or arterial.")] = "freeway",
    after_min: Annotated[float, typer.Option(min=0, help="Minutes of health before the fault.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the sensors and how they lie.")] = 1,
) -> None:
    """Put faulty sensors into recorded traffic and see whether the gateway finds them, and nobody else.

    Exit code 0 if at least nine of ten of each kind are caught and no healthy sensor is flagged, 1 if not.
    """
    from simulator.recorded.recording import Recording, RecordingError
    from simulator.recorded.sensor_health import SensorTrial, print_verdicts, try_all

    try:
        trial = SensorTrial(Recording(folder, 100.0))
    except (RecordingError, OSError) as error:
        raise failure(error) from error
    if not trial.sensors(road_class):
        raise failure(ValueError(f"--road-class {road_class}: the recording has no such sensor"))
    verdicts = try_all(trial, road_class, faulty, after_min=after_min, seed=seed)
    raise typer.Exit(0 if print_verdicts(verdicts, console) else 1)
