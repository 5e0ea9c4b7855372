"""The command line of the tables: `python -m cloud.query --help`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType

from cloud.deployment import CloudError, find
from cloud.query import render
from cloud.query.city import City
from cloud.query.errors import QueryError
from cloud.query.history import in_steps
from cloud.query.instants import HOW, instant_ms, written
from cloud.query.sensors import health_since_ms
from roadside.contract.errors import ContractError

_WIDTH_WHERE_NOBODY_LOOKS: Final = 160  # of what goes into a file or a pipe

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Ask a deployed stack how the traffic is and was.

The AWS_* variables name the account; without any, the local cloud of `python -m simulator local up` is asked.

    python -m cloud.query top                     the most congested now
    python -m cloud.query district Harbour        one district, or all
    python -m cloud.query latest 117 gw-003-seg05 by number or name
    python -m cloud.query history 117 --from 24h --every 900
    python -m cloud.query sensor 1170 --from 2d   believed or not
    python -m cloud.query alerts --open           what is wrong now
    python -m cloud.query ack EVENT_ID --by Kim   I take care of it
    python -m cloud.query gateways                alive or silent

With --json every command prints one JSON document; instants are epoch milliseconds there.
""",
)
Stage = Annotated[str, typer.Option(help="Which deployment, as in the CDK context.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
From = Annotated[str, typer.Option("--from", help=f"Beginning: {HOW}.", metavar="INSTANT")]
To = Annotated[str, typer.Option("--to", help="End, which is not included; likewise.", metavar="INSTANT")]


@app.command()
def latest(
    segments: Annotated[list[str], typer.Argument(help="Numbers or names.", metavar="SEGMENT...")],
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """The newest window of each segment: speed, occupancy, congestion, and how old that is."""
    with _asking(stage) as city:
        answers = city.latest(segments)
        _show(as_json, [answer.as_dict() for answer in answers], lambda: render.latest_table(answers, city.now_ms))


@app.command()
def history(
    segment: Annotated[str, typer.Argument(help="Number or name.", metavar="SEGMENT")],
    from_: From = "1h",
    to: To = "now",
    every: Annotated[int, typer.Option(help="Merge rows into steps of so many seconds.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many rows; the last line tells how to go on.", min=1)] = 400,
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """A segment's windows in a span of time, decoded, the latest editions; percentiles are of the vehicles themselves.

    Windows of two epochs of a gateway (it lost its disk) add. After an outage rows may be longer than a window.
    """
    with _asking(stage) as city:
        from_ms, to_ms = _span(from_, to, city.now_ms)
        rows = city.history(segment, from_ms, to_ms)
        some = list(islice(in_steps(rows, every * 1000) if every else rows, limit + 1))
        shown, more = some[:limit], some[limit:]
        _show(as_json, [row.as_dict() for row in shown], lambda: render.history_table(shown))
        if more:
            _note(f"there is more: --from {more[0].start_ms} ({written(more[0].start_ms)})")
        elif not shown:
            _note(
                f"no window of {segment} from {written(from_ms)} to {written(to_ms)}; those that the table no longer "
                "keeps lie in the lake: ask Athena for segment_windows, or hourly"
            )


@app.command()
def sensor(
    sensor: Annotated[int, typer.Argument(help="City-wide number.", metavar="SENSOR", min=0)],
    from_: From = "24h",
    to: To = "now",
    gateway: Annotated[str | None, typer.Option(help="Ask of this gateway only; quicker.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows, the newest.", min=1)] = 100,
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """What one sensor said, interval by interval (5 minutes), and whether its gateway believes it."""
    with _asking(stage) as city:
        from_ms, to_ms = _span(from_, to, city.now_ms)
        rows = city.sensor(sensor, from_ms, to_ms, gateway)
        shown = rows[-limit:]
        _show(as_json, [row.as_dict() for row in shown], lambda: render.sensor_table(shown))
        if not rows:
            _note(f"no summary of sensor {sensor} from {written(from_ms)} to {written(to_ms)}")
            return
        health = rows[-1].record.fault or "well"
        _note(f"sensor {sensor} on {rows[-1].gateway}: {health} since {written(health_since_ms(rows))} or before")
        if len(rows) > limit:
            _note(f"{len(rows) - limit} earlier intervals are not shown: give a higher --limit")


@app.command()
def top(
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1)] = 10,
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """The most congested segments now, the worst first.

    Level and speed are of the last change by 20 levels, or of the last refresh; `latest` has the newest window's.
    """
    with _asking(stage) as city:
        segments, stale = city.top(count)
        _show(as_json, [segment.as_dict() for segment in segments], lambda: render.top_table(segments, city.now_ms))
        if not segments:
            _note("nothing is congested")
        if stale:
            _note(f"left out: {stale} congested segments of which nothing was heard for half an hour")


@app.command()
def district(
    name: Annotated[str | None, typer.Argument(help="Its name; without one, all are listed.", metavar="NAME")] = None,
    segments: Annotated[bool, typer.Option("--segments", help="Its segments one by one, as `latest` does.")] = False,
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """A district summed over its segments' newest windows: vehicles, speeds, how much of it is congested."""
    with _asking(stage) as city:
        if name is None:
            districts = city.districts()
            listed = [{"district": each, "segments": len(members)} for each, members in districts.items()]
            _show(as_json, listed, lambda: render.districts_table(districts))
            return
        summary = city.district(name)
        if segments:
            answers = summary.segments
            _show(as_json, [each.as_dict() for each in answers], lambda: render.latest_table(answers, city.now_ms))
        else:
            _show(as_json, summary.as_dict(), lambda: render.district_table(summary))


@app.command()
def alerts(
    open_: Annotated[bool, typer.Option("--open", help="Only what is wrong now, whenever it began.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="A kind of event, or its beginning: Congestion, Incident, Sensor, Gateway, Data.")
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Number or name.")] = None,
    gateway: Annotated[str | None, typer.Option(help="Name of its thing.")] = None,
    since: Annotated[str, typer.Option(help=f"Beginning: {HOW}.", metavar="INSTANT")] = "24h",
    limit: Annotated[int, typer.Option(help="At most so many, the latest.", min=1)] = 50,
    stage: Stage = "dev",
    as_json: AsJson = False,
) -> None:
    """Events, the latest first: congestion, incidents, sensors, gateways, gaps in the data."""
    with _asking(stage) as city:
        found = (
            iter(city.open_alerts(kind=kind, segment=segment, gateway=gateway))
            if open_
            else city.alerts(instant_ms(since, city.now_ms), kind=kind, segment=segment, gateway=gateway)
        )
        some = list(islice(found, limit + 1))
        _show(as_json, some[:limit], lambda: render.alerts_table(some[:limit]))
        if not some:
            _note("nothing is wrong" if open_ else f"no such event since {since}")
        elif len(some) > limit:
            _note(f"there are more: give a higher --limit than {limit}")


@app.command()
def ack(
    event_id: Annotated[str, typer.Argument(help="As `alerts` and the e-mail tell it.", metavar="EVENT_ID")],
    by: Annotated[str, typer.Option(help="Who takes care of it.")],
    note: Annotated[str, typer.Option(help="What others should know.")] = "",
    stage: Stage = "dev",
) -> None:
    """Acknowledge an event: everybody then sees who takes care of it."""
    with _asking(stage) as city:
        city.acknowledge(event_id, by, note)
    _note(f"{event_id} is taken on by {by}")


@app.command()
def gateways(stage: Stage = "dev", as_json: AsJson = False) -> None:
    """Every gateway: online or not, its newest window and heartbeat, what waits there, and what is missing of it."""
    with _asking(stage) as city:
        found = city.gateways()
        _show(as_json, [each.as_dict() for each in found], lambda: render.gateways_table(found, city.now_ms))


@contextmanager
def _asking(stage: str) -> Iterator[City]:
    """The city of a stage; what goes wrong ends the program with one sentence and exit code 2."""
    try:
        yield City(find(stage))
    except (CloudError, QueryError) as error:
        raise _fail(str(error)) from error
    except ContractError as error:
        raise _fail(f"a stored message is newer than this program: {error}; update it") from error


def _span(from_: str, to: str, now_ms: int) -> tuple[int, int]:
    from_ms, to_ms = instant_ms(from_, now_ms), instant_ms(to, now_ms)
    if from_ms >= to_ms:
        raise QueryError(f"--from {from_} is not before --to {to}")
    return from_ms, to_ms


def _show(as_json: bool, document: Any, table: Any) -> None:
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    rendered: RenderableType = table()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_WHERE_NOBODY_LOOKS)
    console.print(rendered)


def _note(text: str) -> None:
    """Beside the answer, so that it is not in a machine's way."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def _fail(text: str) -> typer.Exit:
    _note(text)
    return typer.Exit(2)


if __name__ == "__main__":
    sys.exit(app())
