"""`city`: what a made-up city looks like, before anything runs in it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from simulator.commands.terminal import console, failure


def city(
    sensors: Annotated[int, typer.Option(help="Lane sensors in the city.")] = 50_000,
    gateways: Annotated[int, typer.Option(help="Roadside gateways that share them.")] = 200,
    seed: Annotated[int, typer.Option(help="Decides speeds, demands, signals and bends; the same gives the same.")] = 1,
    geojson: Annotated[Path | None, typer.Option(help="File for the map: segments, gateways and districts.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="File for the catalogue, as `cloud.catalogue load` reads it.")
    ] = None,
) -> None:
    """Lay out a city, the one that `run` with the same numbers has, and tell what it is made of.

    For a map that any GIS opens: python -m simulator city --sensors 2000 --gateways 8 --geojson city.geojson
    """
    from cloud.catalogue.segments import write_catalogue
    from simulator.city.catalogue import catalogue_of
    from simulator.city.geojson import write_geojson
    from simulator.city.layout import CityError, make_city
    from simulator.run.folder import write_whole

    for file in (geojson, csv):
        if file is not None and not file.absolute().parent.is_dir():
            raise failure(FileNotFoundError(f"{file}: its folder does not exist; make it, or name another file"))
    try:
        with console.status(f"lay out {sensors:,} sensors on {gateways:,} gateways"):
            made = make_city(sensors, gateways, seed)
        catalogue = catalogue_of(made)
        table = Table(title=f"{made.sensor_count:,} sensors, seed {seed}", title_justify="left")
        for column in ("district", "gateways", "segments", "freeway km", "street km"):
            table.add_column(column, justify="left" if column == "district" else "right")
        for district in [*sorted({row.district for row in catalogue}), None]:
            rows = [row for row in catalogue if district in (None, row.district)]
            freeway_m = sum(row.length_m for row in rows if row.road_class == "freeway")
            street_m = sum(row.length_m for row in rows) - freeway_m
            table.add_row(
                district or "all",
                f"{len({row.gateway for row in rows}):,}",
                f"{len(rows):,}",
                f"{freeway_m / 1000:,.1f}",
                f"{street_m / 1000:,.1f}",
                end_section=district is not None and district == max(row.district for row in catalogue),
            )
        console.print(table)
        if geojson is not None:
            with console.status(f"write {geojson}"):
                count = write_geojson(made, geojson)
            console.print(f"map: {geojson}, {count:,} features, {geojson.stat().st_size:,} bytes", highlight=False)
        if csv is not None:
            write_whole(csv, write_catalogue(catalogue).decode())
            console.print(f"catalogue: {csv}, {len(catalogue):,} segments", highlight=False)
    except (CityError, OSError) as error:
        raise failure(error) from error
