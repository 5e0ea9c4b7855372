"""The catalogue's command line: `python -m cloud.catalogue --help`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cloud.catalogue.loading import load as load_segments
from cloud.catalogue.profile import ProfileError, load_profile, read_profile
from cloud.catalogue.segments import CatalogueError, CatalogueSegment, read_catalogue
from cloud.deployment import CloudError, find

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The city's segments: check the CSV that lists them, and load it into a deployed stack. "
    "docs/contract.md explains the columns.",
)
console = Console(highlight=False)
File = Annotated[Path, typer.Argument(help="The CSV.", metavar="FILE")]


@app.command()
def check(file: File) -> None:
    """Say whether the file is a catalogue, and what is wrong with it; asks no cloud.

    Exit code 0 if it is, 2 if not.
    """
    _summarise(_read(file))


@app.command()
def load(
    file: File,
    stage: Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")] = "dev",
) -> None:
    """Make a deployment know these segments: change what differs, retire those that are no longer in the file.

    May be repeated. The AWS_* variables name the account, or the local cloud.
    """
    segments = _read(file)
    try:
        of_segments, of_gateways = load_segments(segments, find(stage))
    except CloudError as error:
        raise _fail(error) from error
    for what, told in (("segments", of_segments), ("gateways", of_gateways)):
        console.print(
            f"{what}: {told.added} added, {told.updated} updated, {told.retired} retired, {told.unchanged} as they were"
        )


@app.command()
def profile(
    file: Annotated[Path, typer.Argument(help="What `python -m simulator learn` wrote.", metavar="FILE")],
    stage: Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")] = "dev",
) -> None:
    """Let the pairs of stations that lie on two gateways begin with the contrast of speed that was learned elsewhere.

    Load the catalogue first. Pairs that have learned a day by themselves keep what they know.
    """
    try:
        begun, pairs = load_profile(read_profile(file.read_bytes()), find(stage))
    except (CloudError, ProfileError, OSError) as error:
        raise _fail(error) from error
    console.print(f"{begun} of {pairs} pairs across gateways begin with it")


def _read(file: Path) -> tuple[CatalogueSegment, ...]:
    try:
        return read_catalogue(file.read_bytes())
    except (CatalogueError, OSError) as error:
        raise _fail(error) from error


def _summarise(segments: tuple[CatalogueSegment, ...]) -> None:
    gateways = {segment.gateway for segment in segments}
    districts = {segment.district for segment in segments}
    length_km = sum(segment.length_m for segment in segments) / 1000
    console.print(
        f"{len(segments)} segments of {len(gateways)} gateways in {len(districts)} districts, {length_km:,.1f} km"
    )


def _fail(error: Exception) -> typer.Exit:
    Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), markup=False)
    return typer.Exit(2)


if __name__ == "__main__":
    sys.exit(app())
