"""The flags of `run`: type, bounds and help of each, in the order of `--help`. Their defaults stand in `run.py`.

A flag is a key of `--config` at once. Those of `--target aws` are in `aws_flags.py`.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from simulator.commands.config import from_file
from simulator.commands.windows import window_option
from simulator.faults.ready_made import WORDS
from simulator.run.options import Break as BreakKind
from simulator.run.options import Mode as ModeKind
from simulator.run.options import NucleusProfile, TargetName, speed_of

_CITY: Final = "City"
_COURSE: Final = "Course"
_FAULTS: Final = "What goes wrong"
_TARGET: Final = "Behind the gateways"
_RESULTS: Final = "Results"

ChaosWord = StrEnum("ChaosWord", {word.upper().replace("-", "_"): word for word in WORDS})  # type: ignore[misc]


def _checked_speed(speed: str) -> str:
    """The flag as it is, if it is a speed."""
    try:
        speed_of(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return speed


Config = Annotated[
    Path | None,
    typer.Option(is_eager=True, callback=from_file, help="TOML file with any of these flags; a flag given here wins."),
]
Sensors = Annotated[
    int, typer.Option(min=1, rich_help_panel=_CITY, help="Lane sensors in the city, one reading a second each.")
]
Gateways = Annotated[int, typer.Option(min=1, rich_help_panel=_CITY, help="Roadside gateways that share them.")]
GatewaysReal = Annotated[
    int | None,
    typer.Option(
        min=0,
        rich_help_panel=_CITY,
        help="Gateways that run as real component processes over real IPC: 2, or none where these cannot be "
        "(--target memory, --speed) and on AWS.",
    ),
]
Profile = Annotated[NucleusProfile, typer.Option(rich_help_panel=_CITY, help="Nucleus of the real gateways.")]
Mode = Annotated[
    ModeKind,
    typer.Option(
        rich_help_panel=_CITY, help="edge: gateways send summaries. raw: every sensor sends each of its readings."
    ),
]
WindowS = Annotated[int, window_option(rich_help_panel=_CITY)]
Seed = Annotated[
    int, typer.Option(min=0, rich_help_panel=_CITY, help="The same seed gives the same traffic and faults.")
]
Duration = Annotated[int, typer.Option(min=1, rich_help_panel=_COURSE, help="Seconds of traffic.")]
Hours = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        rich_help_panel=_COURSE,
        help="Instead of --duration: a soak of so many hours. Restarts every part in turn and looks for leaks.",
    ),
]
RampUpS = Annotated[
    int,
    typer.Option(
        min=0,
        rich_help_panel=_COURSE,
        help="Seconds of these over which the gateways connect and begin, one after the other.",
    ),
]
Speed = Annotated[
    str,
    typer.Option(
        callback=_checked_speed,
        metavar="N|max",
        rich_help_panel=_COURSE,
        help="Let the time of the readings go N times as fast, or as fast as work allows.",
    ),
]
Chaos = Annotated[
    list[ChaosWord] | None,
    typer.Option(
        rich_help_panel=_FAULTS, help="A ready-made plan of faults by its kind; give it several times, or all."
    ),
]
Faults = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_FAULTS,
        help="A plan of faults (TOML), such as simulator/examples/bad-day.toml; see docs/faults.md.",
    ),
]
BreakWindow = Annotated[
    BreakKind,
    typer.Option(
        rich_help_panel=_FAULTS,
        help="Damage a stored window or the lake before verification, to see that it is found.",
    ),
]
Target = Annotated[
    TargetName,
    typer.Option(
        rich_help_panel=_TARGET,
        help="What stands behind the gateways: the local cloud, its rules alone in this process, or a stack on AWS.",
    ),
]
Auth = Annotated[bool, typer.Option(rich_help_panel=_TARGET, help="Enforce IAM and IoT policies in the local cloud.")]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        rich_help_panel=_TARGET,
        help="Keep the cloud in the background after the report, and tell what to ask it.",
    ),
]
Out = Annotated[
    Path, typer.Option(rich_help_panel=_RESULTS, help="Folder for reports, the archive, logs and databases.")
]
Archive = Annotated[
    bool,
    typer.Option(
        rich_help_panel=_RESULTS, help="Keep the raw readings in the folder, for `verify` to judge the run again."
    ),
]
Html = Annotated[bool, typer.Option(rich_help_panel=_RESULTS, help="Draw the run into report.html, to be looked at.")]
