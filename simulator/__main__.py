"""The simulator's command line: `python -m simulator --help`."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from simulator.faults import NEEDS_REAL_GATEWAY, Chaos, expand
from simulator.options import Break, NucleusProfile, RunOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run a city on this machine: sensors, gateways, cloud and alerts, checked against an oracle.",
)
console = Console()


def _fail(error: Exception) -> "typer.Exit":
    console.print(f"[red]{type(error).__name__}[/red]: {escape(str(error))}", highlight=False)
    return typer.Exit(2)


@app.command()
def run(
    sensors: Annotated[int, typer.Option(min=1, help="Lane sensors in the city, one reading a second each.")] = 50_000,
    gateways: Annotated[int, typer.Option(min=1, help="Roadside gateways that share them.")] = 200,
    gateways_real: Annotated[
        int, typer.Option(min=0, help="Gateways that run as real component processes over real IPC.")
    ] = 2,
    duration: Annotated[int, typer.Option(min=1, help="Seconds of traffic, in real time.")] = 60,
    window_s: Annotated[int, typer.Option(min=1, max=3600, help="Length of a window in seconds.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic and faults.")] = 1,
    profile: Annotated[NucleusProfile, typer.Option(help="Nucleus of the real gateways.")] = NucleusProfile.CLASSIC,
    chaos: Annotated[
        list[Chaos] | None, typer.Option(help="What to break on purpose in mid-run; give it several times, or all.")
    ] = None,
    break_window: Annotated[
        Break, typer.Option(help="Damage a stored window or the lake before verification, to see that it is found.")
    ] = Break.NONE,
    auth: Annotated[bool, typer.Option(help="Enforce IAM and IoT policies in the local cloud.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for report.json, logs and databases.")] = Path("out"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the cloud after the report, and tell what to ask it, until Ctrl-C.")
    ] = False,
) -> None:
    """Run the whole path in real time and verify every window and alert.

    Exit code 0 if nothing is missing or wrong, 1 if something is, 2 if the run could not take place.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from simulator import report as reports
    from simulator.assembly import AssemblyError
    from simulator.city import CityError
    from simulator.gateways import GatewayError
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.local_cloud.local_cloud import LocalCloud
    from simulator.local_nucleus import LocalNucleusError
    from simulator.mqtt import DeviceConnectionError
    from simulator.playground import CITY_QUESTIONS, keep_running
    from simulator.run import run as run_city

    options = RunOptions(
        sensors=sensors,
        gateways=gateways,
        gateways_real=min(gateways_real, gateways),
        duration_s=duration,
        window_s=window_s,
        seed=seed,
        profile=profile,
        chaos=expand(chaos or []),
        break_window=break_window,
        auth=auth,
        out=out,
    )
    for kind in sorted(NEEDS_REAL_GATEWAY & set(chaos or [])):
        if options.gateways_real == 0:
            raise _fail(ValueError(f"--chaos {kind} needs a real gateway: give --gateways-real 1 or more"))

    def conclude(result: reports.Report, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        path = reports.write_report(result, out)
        reports.print_report(result, console)
        console.print(f"report: {path}")
        if keep:
            keep_running(cloud, outputs, console, CITY_QUESTIONS)

    try:
        result = run_city(options, console, conclude)
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
    ) as error:
        raise _fail(error) from error
    raise typer.Exit(0 if result["ok"] else 1)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Folder with sensors.csv and readings*.csv[.gz].")],
    out: Annotated[
        Path, typer.Option(help="Folder for windows.csv, states.csv, events.csv, confirmations.csv, sensor_faults.csv.")
    ] = Path("out/replay"),
    window_s: Annotated[int, typer.Option(min=1, max=3600, help="Length of a window in seconds.")] = 10,
    lateness_s: Annotated[
        float, typer.Option(min=0, max=3600, help="How far a row may stand behind a newer one and be on time.")
    ] = 2.0,
    free_flow_kmh: Annotated[
        float, typer.Option(min=1, max=200, help="Free-flow speed of freeways; other roads take their limit.")
    ] = 100.0,
    profile: Annotated[
        str, typer.Option(help="What contrast of speed is usual: a file that `learn` wrote, `shipped`, or `none`.")
    ] = "shipped",
    stations_per_gateway: Annotated[
        int | None, typer.Option(min=1, help="Freeway stations on one gateway; without it a direction has one.")
    ] = None,
    sensor_fault: Annotated[
        str | None, typer.Option(help="Let freeway sensors lie: dead, stuck_on, constant, chatter, undercount, ...")
    ] = None,
    faulty: Annotated[int, typer.Option(min=1, help="How many of them do.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Chooses them and how they lie.")] = 1,
) -> None:
    """Feed recorded readings through the gateway's pipeline, in data time, and write what it made of them."""
    from aggregator.profile_file import load_profile
    from roadside.core.errors import ConfigurationError
    from roadside.traffic.errors import SensorError
    from simulator.learning import SHIPPED
    from simulator.recording import Recording, RecordingError
    from simulator.replay import replay as replay_recording
    from simulator.spoiled_recording import SpoiledRecording

    try:
        recording = Recording(folder, free_flow_kmh, stations_per_gateway)
        if sensor_fault is not None:
            recording = SpoiledRecording(
                folder, free_flow_kmh, stations_per_gateway, fault=sensor_fault, faulty=faulty, seed=seed
            )
            console.print(f"{sensor_fault}: {', '.join(recording.faulty)}", highlight=False)
        learned = None if profile == "none" else load_profile(SHIPPED if profile == "shipped" else Path(profile))
        if learned is None:
            console.print("profile: none", highlight=False)
        else:
            freeways = [s.id for plan in recording.gateways for s in plan.segments if s.road_class == "freeway"]
            console.print(
                f"profile: {profile}, learned from {len(learned.learned_from)} days "
                f"({', '.join(learned.learned_from)}); knows {sum(name in learned.segments for name in freeways)} "
                f"of {len(freeways)} freeway segments",
                highlight=False,
            )
        with Progress(console=console) as progress:
            task = progress.add_task("replay", total=None)
            collected, statistics = replay_recording(
                recording,
                out,
                window_s=window_s,
                allowed_lateness_ms=round(lateness_s * 1000),
                profile=learned,
                progress=lambda rows: progress.update(task, completed=rows, description=f"replay: {rows:,} rows"),
            )
    except (ConfigurationError, RecordingError, SensorError, OSError) as error:
        raise _fail(error) from error
    for gateway, counted in statistics.items():
        console.print(
            f"{gateway}: {counted.readings_accepted:,} readings accepted, {counted.readings_duplicate:,} repeated, "
            f"{counted.readings_late:,} late, rejected {counted.readings_rejected or 'none'}, "
            f"unreadable {counted.messages_unreadable or 'none'}",
            highlight=False,
        )
    console.print(
        f"{len(collected.windows):,} gateway-windows and {len(collected.events):,} events in "
        f"{collected.messages:,} messages, {collected.message_bytes:,} bytes; written to {out}",
        highlight=False,
    )


@app.command()
def learn(
    folders: Annotated[list[Path], typer.Argument(help="Folders like those of `replay`, a day each, the newest last.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("out/profile.json"),
    free_flow_kmh: Annotated[float, typer.Option(min=1, max=200, help="Free-flow speed of freeways.")] = 100.0,
) -> None:
    """Learn from recorded days what contrast of speed is usual between neighbouring stations, by the time of day."""
    from aggregator.profile_file import save_profile
    from simulator.learning import learn as learn_days
    from simulator.recording import RecordingError

    try:
        learned = learn_days(folders, free_flow_kmh, lambda folder: console.print(f"learning from {folder}"))
        out.parent.mkdir(parents=True, exist_ok=True)
        save_profile(out, learned)
    except (RecordingError, OSError) as error:
        raise _fail(error) from error
    console.print(f"{len(learned.segments)} segments, {len(folders)} days: {out}", highlight=False)


@app.command()
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
    from simulator.recording import Recording, RecordingError
    from simulator.sensor_health import SensorTrial, print_verdicts, try_all

    try:
        trial = SensorTrial(Recording(folder, 100.0))
    except (RecordingError, OSError) as error:
        raise _fail(error) from error
    if not trial.sensors(road_class):
        raise _fail(ValueError(f"--road-class {road_class}: the recording has no such sensor"))
    verdicts = try_all(trial, road_class, faulty, after_min=after_min, seed=seed)
    raise typer.Exit(0 if print_verdicts(verdicts, console) else 1)


@app.command()
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
    from simulator.plan import as_measured, as_operated, make_plan, print_plan, write_plan
    from simulator.report import read_report

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
        raise _fail(error) from error


@app.command()
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
    from simulator.city import CityError
    from simulator.made_up_lake import make_lake

    try:
        make_lake(
            out, sensors=sensors, gateways=gateways, seed=seed, now_ms=time.time_ns() // 10**6, time_zone=time_zone
        )
    except CityError as error:
        raise _fail(error) from error
    console.print(f"{out}: look at it by python -m cloud.dashboard --lake {out} --time-zone {time_zone}")


@app.command()
def local() -> None:
    """Start the local cloud, deploy the stack and keep it running until Ctrl-C."""
    from simulator.assembly import STACK, AssemblyError, ensure_assembly
    from simulator.local_cloud.deploy import deploy_assembly
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.local_cloud.local_cloud import LocalCloud
    from simulator.playground import keep_running

    try:
        assembly = ensure_assembly()
        with LocalCloud() as cloud:
            keep_running(cloud, deploy_assembly(cloud, assembly, [STACK])[STACK], console)
    except (AssemblyError, LocalCloudError, OSError) as error:
        raise _fail(error) from error


if __name__ == "__main__":
    sys.exit(app())
