"""`week`: a made-up week as a lake."""

import time
from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure


def week(
    out: Annotated[Path, typer.Option(help="Folder to write, laid out as the lake's bucket.")] = Path("out/week"),
    sensors: Annotated[int, typer.Option(min=1, help="Lane sensors in the city.")] = 2_000,
    gateways: Annotated[int, typer.Option(min=1, help="Roadside gateways that share them.")] = 36,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same week.")] = 4,
    time_zone: Annotated[str, typer.Option(help="The city's, as the tz database names it.")] = "Etc/UTC",
) -> None:
    """Make up a week of a city and write it as a lake, to look at `python -m cloud.dashboard --lake`.

    No reading is simulated. The week ends now, for dashboards look back from now.
    """
    from simulator.city.layout import CityError
    from simulator.city.made_up_lake import make_lake

    try:
        make_lake(
            out, sensors=sensors, gateways=gateways, seed=seed, now_ms=time.time_ns() // 10**6, time_zone=time_zone
        )
    except CityError as error:
        raise failure(error) from error
    console.print(f"{out}: look at it by python -m cloud.dashboard --lake {out} --time-zone {time_zone}")
