"""The board without QuickSight: `python -m cloud.dashboard --help`."""

import datetime as dt
import sys
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from cloud import deployment
from cloud.dashboard.page import render
from cloud.dashboard.sums import Row
from cloud.deployment import CloudError
from cloud.insights import queries
from cloud.insights.queries import CITY_ZONE, Query

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_OUT: Final = Path("out/dashboard.html")


def _known_zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise typer.BadParameter(f"{name!r} is no time zone; give one such as Europe/Berlin")
    return name


class Source(Protocol):
    """Whoever can answer the queries."""

    def answer(self, query: Query) -> list[Row]:
        """The rows of the query's result."""


@app.command()
def dashboard(
    out: Annotated[Path, typer.Option(help="The page to write.")] = _OUT,
    stage: Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")] = "dev",
    lake: Annotated[
        Path | None, typer.Option(help="Ask a copy of the lake's bucket in this folder.", exists=True, file_okay=False)
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="The city's, as the tz database names it.", callback=_known_zone)
    ] = CITY_ZONE,
) -> None:
    """Ask the lake what QuickSight's dashboard shows, and write it into one HTML page.

    The AWS_* variables name the account; without any, the local cloud of `python -m simulator local up` is asked.
    """
    try:
        source, place = _source(stage, lake, time_zone)
        answers = _ask(source)
    except CloudError as error:
        print(f"dashboard: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(answers, place=place, now=dt.datetime.now(dt.UTC)), encoding="utf-8")
    print(f"{out}: {sum(len(rows) for rows in answers.values()):,} rows of {len(answers)} queries")


def _ask(source: Source) -> Mapping[str, list[Row]]:
    return {query.name: source.answer(query) for query in queries.load_all()}


def _source(stage: str, lake: Path | None, time_zone: str) -> tuple[Source, str]:
    if lake is not None:
        from cloud.dashboard.files import Files  # noqa: PLC0415 - needs DuckDB, which asking Athena does not

        return Files(lake, time_zone=time_zone), f"Lake in {lake.name}"
    from cloud.dashboard.athena import Athena  # noqa: PLC0415

    found = deployment.find(stage)
    return (
        Athena(
            found.client("athena"),
            database=found.output("LakeDatabase"),
            workgroup=found.output("Workgroup"),
            time_zone=time_zone,
        ),
        f"Stage {stage}",
    )


if __name__ == "__main__":
    app()
