"""`plan`: what a city needs and costs."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure


def plan(
    sensors: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="Lane sensors in the city.")] = 50_000,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="Gateways that share them; 250 sensors each if not said.")
    ] = None,
    hz: Annotated[float, typer.Option(min=0.001, max=100, help="Readings of a sensor per second.")] = 1.0,
    window_s: Annotated[int, typer.Option(min=1, max=3600, help="Length of a window in seconds.")] = 10,
    lines: Annotated[bool, typer.Option(help="Every line of the bill.")] = False,
    prices: Annotated[
        Path | None, typer.Option(help="Another file like cloud/prices.json, as for another region.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="A run's report.json: its city and its messages as counted.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for the whole plan, assumptions included.")] = None,
) -> None:
    """Tell what a city costs a month on AWS, beside the design in which every reading goes there by itself."""
    from cloud.capacity.city import City, CityError
    from cloud.capacity.prices import FILE, PriceError, load_prices
    from simulator.planning.plan import as_measured, as_operated, make_plan, print_plan, write_plan
    from simulator.run.report import read_report

    operation = as_operated()
    try:
        city = City.of_sensors(sensors, window_s, hz) if gateways is None else City(sensors, gateways, window_s, hz)
        if report is not None:
            city, operation = as_measured(read_report(report), operation)
        made = make_plan(city, operation, load_prices(prices or FILE))
        print_plan(made, console, every_line=lines)
        if json is not None:
            write_plan(made, json)
            console.print(f"plan: {json}", highlight=False)
    except (CityError, PriceError, OSError, ValueError) as error:
        raise failure(error) from error
