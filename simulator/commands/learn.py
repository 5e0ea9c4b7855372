"""`learn`: what contrast of speed is usual, from recorded days."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.terminal import console, failure


def learn(
    folders: Annotated[list[Path], typer.Argument(help="Folders like those of `replay`, a day each, the newest last.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("out/profile.json"),
    free_flow_kmh: Annotated[float, typer.Option(min=1, max=200, help="Free-flow speed of freeways.")] = 100.0,
) -> None:
    """Learn from recorded days what contrast of speed is usual between neighbouring stations, by the time of day."""
    from aggregator.profile_file import save_profile
    from simulator.recorded.learning import learn as learn_days
    from simulator.recorded.recording import RecordingError

    try:
        learned = learn_days(folders, free_flow_kmh, lambda folder: console.print(f"learning from {folder}"))
        out.parent.mkdir(parents=True, exist_ok=True)
        save_profile(out, learned)
    except (RecordingError, OSError) as error:
        raise failure(error) from error
    console.print(f"{len(learned.segments)} segments, {len(folders)} days: {out}", highlight=False)
