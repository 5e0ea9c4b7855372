"""`replay`: recorded readings through the gateway's pipeline."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from simulator.commands.terminal import console, failure
from simulator.commands.windows import shortest_window_s, window_option
from simulator.recorded.formats import Format


def replay(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with sensors.csv and readings*.csv[.gz], files of PeMS, or NGSI-LD TrafficFlowObserved."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for windows.csv, states.csv, events.csv, confirmations.csv, sensor_faults.csv.")
    ] = Path("out/replay"),
    file_format: Annotated[
        Format, typer.Option("--format", help="What the folder holds; the names of its files tell by themselves.")
    ] = Format.AUTO,
    window_s: Annotated[
        int | None, window_option("Length of a window in seconds; 10, or one reading, if not said.")
    ] = None,
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
    """Feed recorded readings through the gateway's pipeline, in data time, and write what it made of them.

    For example: python -m simulator replay simulator/examples/pems-5min --out out/pems
    """
    from aggregator.profile_file import load_profile
    from roadside.core.errors import ConfigurationError
    from roadside.traffic.errors import SensorError
    from simulator.recorded.learning import SHIPPED
    from simulator.recorded.recording import Recording, RecordingError
    from simulator.recorded.replay import replay as replay_recording
    from simulator.recorded.replay_files import write_files
    from simulator.recorded.spoiled_recording import SpoiledRecording

    try:
        recording = Recording(folder, free_flow_kmh, stations_per_gateway, file_format=file_format)
        if sensor_fault is not None:
            recording = SpoiledRecording(
                folder,
                free_flow_kmh,
                stations_per_gateway,
                file_format=file_format,
                fault=sensor_fault,
                faulty=faulty,
                seed=seed,
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
                window_s=window_s or shortest_window_s(recording.interval_ms()),
                allowed_lateness_ms=round(lateness_s * 1000),
                profile=learned,
                progress=lambda rows: progress.update(task, completed=rows, description=f"replay: {rows:,} rows"),
            )
        write_files(collected, recording.gateways, out)
    except (ConfigurationError, RecordingError, SensorError, OSError) as error:
        raise failure(error) from error
    if recording.rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in recording.rejected.most_common())
        console.print(f"{recording.file_format}: left out {reasons}", highlight=False)
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
