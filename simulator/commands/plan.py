"""`plan`: what a city needs and costs."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure
from simulator.commands.windows import window_option


def plan(
    sensors: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="Lane sensors in the city.")] = 50_000,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="Gateways that share them; 250 sensors each if not said.")
    ] = None,
    hz: Annotated[float, typer.Option(min=0.001, max=100, help="Readings of a sensor per second.")] = 1.0,
    window_s: Annotated[int, window_option()] = 10,
    lines: Annotated[bool, typer.Option(help="Every line of the bill.")] = False,
    prices: Annotated[
        list[Path] | None,
        typer.Option(help="Another file like cloud/prices.json, as for another region; several share out the city."),
    ] = None,
    fill: Annotated[float, typer.Option(min=0.01, max=1, help="How far a limit may be used; the rest is left.")] = 0.8,
    raised: Annotated[bool, typer.Option(help="Take it that AWS raises what it raises on request.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="A run's report.json: its city and its messages as counted.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="SVG file for the cost of cities like it, 5,000 to 50 million sensors.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for the whole plan, assumptions included.")] = None,
) -> None:
    """Tell what a city needs and costs a month on AWS, beside the design in which every reading goes there by itself.

    A city that breaks a limit of one account is shared out: how many accounts, what each is, what the split adds.

    Example: python -m simulator plan --sensors 50000000 --picture out/plan.svg
    """
    from cloud.capacity.city import City, CityError
    from cloud.capacity.prices import FILE, PriceError, load_prices
    from simulator.planning.curve import Point, curve, draw
    from simulator.planning.plan import as_measured, as_operated, make_plan, write_plan
    from simulator.planning.plan_tables import print_plan
    from simulator.run.report import read_report

    operation = as_operated()
    try:
        city = City.of_sensors(sensors, window_s, hz) if gateways is None else City(sensors, gateways, window_s, hz)
        if report is not None:
            city, operation = as_measured(read_report(report), operation)
        regions = [load_prices(file) for file in prices or [FILE]]
        made = make_plan(city, operation, *regions, fill=fill, raised=raised)
        print_plan(made, console, every_line=lines)
        if picture is not None:
            marked = Point(city.sensors, made.split.parts, made.ours.usd, made.first.usd, made.fairer.usd)
            points = curve(city, operation, regions, fill, raised=raised)
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(draw(points, made.breaks, marked), encoding="utf-8")
            console.print(f"picture: {picture}", highlight=False)
        if json is not None:
            write_plan(made, json)
            console.print(f"plan: {json}", highlight=False)
    except (CityError, PriceError, OSError, ValueError) as error:
        raise failure(error) from error
