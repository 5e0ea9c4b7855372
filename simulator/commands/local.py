"""`local`: the local cloud and gateways as a lasting playground in the background."""

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from simulator.commands.terminal import console, failure
from simulator.commands.windows import window_option

app = typer.Typer(
    no_args_is_help=True,
    help="""The local cloud and gateways as a lasting playground in the background.

    python -m simulator local up --sensors 2000 --gateways 8
    python -m cloud.query top
    python -m simulator local down
""",
)

_TAIL_BYTES: Final = 4000
_POLL_S: Final = 0.5


@app.command()
def up(
    sensors: Annotated[int, typer.Option(min=1, help="Lane sensors in the city, one reading a second each.")] = 2000,
    gateways: Annotated[int, typer.Option(min=1, help="Roadside gateways that share them.")] = 8,
    gateways_real: Annotated[
        int, typer.Option(min=0, help="Gateways that run as real component processes over real IPC.")
    ] = 0,
    window_s: Annotated[int, window_option()] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic.")] = 1,
    auth: Annotated[bool, typer.Option(help="Enforce IAM and IoT policies in the local cloud.")] = True,
    hours: Annotated[
        float, typer.Option(min=0.01, max=168, help="It ends by itself after so long, in case it is forgotten.")
    ] = 12.0,
) -> None:
    """Start local cloud, stack and gateways; traffic flows in the background until `down`.

    Example: python -m simulator local up --sensors 2000 --gateways 8
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from cloud import playground
    from simulator.city.layout import CityError
    from simulator.fleet.gateways import GatewayError
    from simulator.fleet.mqtt import DeviceConnectionError
    from simulator.local_cloud.assembly import AssemblyError
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.local_nucleus import LocalNucleusError
    from simulator.playground import background
    from simulator.playground.keeping import PlaygroundError, refuse_a_second
    from simulator.playground.lasting import last
    from simulator.run.interruption import EXIT_CODE
    from simulator.run.options import RunOptions

    try:
        refuse_a_second()
        if not background.is_second():
            shutil.rmtree(playground.folder(), ignore_errors=True)  # of one that was killed
            raise typer.Exit(background.start(sys.argv[1:]))
        last(
            RunOptions(
                sensors=sensors,
                gateways=gateways,
                gateways_real=min(gateways_real, gateways),
                duration_s=max(1, round(3600 * hours)),
                window_s=window_s,
                seed=seed,
                auth=auth,
                out=playground.folder(),
            ),
            console,
        )
    except KeyboardInterrupt:
        console.print("Interrupted before it ran: nothing is left running.")
        raise typer.Exit(EXIT_CODE) from None
    except (
        AssemblyError,
        BotoCoreError,
        CityError,
        ClientError,
        DeviceConnectionError,
        GatewayError,
        LocalCloudError,
        LocalNucleusError,
        OSError,
        PlaygroundError,
    ) as error:
        raise failure(error) from error


@app.command()
def status() -> None:
    """Tell how the playground is, or a run's cloud that is kept: gateways, windows, alerts, memory, addresses.

    Example: python -m simulator local status
    """
    from cloud.deployment import CloudError, of_playground
    from simulator.local_cloud.assembly import STAGE
    from simulator.playground.keeping import PlaygroundError, the_one
    from simulator.playground.status import look, table

    try:
        found = the_one()
        console.print(table(look(found, of_playground(found, STAGE))))
    except (CloudError, PlaygroundError) as error:
        raise failure(error) from error


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="Which log; without one they are listed.", metavar="PART")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C or its end.")] = False,
) -> None:
    """Show the end of a log of the playground.

    Example: python -m simulator local logs cloud --follow
    """
    from simulator.playground.keeping import PlaygroundError, the_one

    try:
        found = the_one()
        paths = {path.relative_to(found.logs).with_suffix("").as_posix(): path for path in _logs(Path(found.logs))}
        if part is None:
            for name, path in sorted(paths.items()):
                console.print(f"{name}  {path.stat().st_size:,} bytes", highlight=False, markup=False)
            return
    except PlaygroundError as error:
        raise failure(error) from error
    named = [path for name, path in sorted(paths.items()) if part in (name, path.stem)]
    if not named:
        raise failure(PlaygroundError(f"there is no log {part}; those there are: {', '.join(sorted(paths))}"))
    with named[0].open("rb") as file:
        file.seek(max(0, named[0].stat().st_size - _TAIL_BYTES))
        _copy(file.read())
        try:
            while follow and found.is_alive:
                time.sleep(_POLL_S)
                _copy(file.read())
        except KeyboardInterrupt:
            return


@app.command()
def down() -> None:
    """End the playground, or a run's cloud that is kept, and everything that it started; nothing of it stays.

    Example: python -m simulator local down
    """
    from cloud import playground
    from simulator.playground.keeping import PlaygroundError, the_one
    from simulator.playground.processes import stop

    try:
        found = the_one()
    except PlaygroundError as error:
        shutil.rmtree(playground.folder(), ignore_errors=True)  # of one that was killed
        raise failure(error) from error
    with console.status("end what it started"):
        killed = stop(found)
    shutil.rmtree(playground.folder(), ignore_errors=True)
    how = f"; {killed} processes would not end and were killed" if killed else ""
    console.print(f"ended: {found.what}{how}", highlight=False)


def _logs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.log") if path.is_file()]


def _copy(text: bytes) -> None:
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()
