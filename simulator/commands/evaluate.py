"""`evaluate`: how good detection is, on simulated and on recorded traffic."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simulator.commands.terminal import console, failure
from simulator.commands.windows import window_option


def evaluate(
    seeds: Annotated[
        int | None,
        typer.Option(min=0, max=10_000, help="Simulated mornings: seeds 1 to N. 20 if there is no recording."),
    ] = None,
    seed_list: Annotated[str | None, typer.Option(help="These seeds instead, as 3,7,20-29.")] = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a labelled recording; may be given often."),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.5, max=16, help="Length of a simulated morning from 06:30.")] = 2.5,
    history_days: Annotated[
        int, typer.Option(min=0, max=14, help="Other mornings that the gateways of a seed have learned from.")
    ] = 0,
    window_s: Annotated[int, window_option(max_s=300)] = 10,
    stations_per_gateway: Annotated[
        int, typer.Option(min=1, max=1000, help="Stations on one gateway; the cloud judges pairs across two.")
    ] = 10,
    profile: Annotated[
        str, typer.Option(help="What contrast is usual on recordings: a file that `learn` wrote, `shipped`, or `none`.")
    ] = "shipped",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at work; as many as cores if not said, and never more.")
    ] = None,
    min_detection_rate: Annotated[float | None, typer.Option(min=0, max=1, help="Bar: exit code 1 below it.")] = None,
    max_false_alerts: Annotated[
        float | None, typer.Option(min=0, help="Bar, per station-hour: exit code 1 above it.")
    ] = None,
    min_f1: Annotated[float | None, typer.Option(min=0, max=1, help="Bar: exit code 1 below it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.json and evaluation.svg.")] = Path("out/evaluation"),
) -> None:
    """Judge detection on many simulated mornings and on labelled recordings, with 95 % confidence intervals.

    Every seed is a freeway corridor of two directions with 40 stations and incidents of known truth. Its readings
    go through the gateways' own pipeline and the cloud's judge of pairs, in data time. The same seeds give the same
    evaluation.json, byte for byte, whatever the number of workers.

    Example: python -m simulator evaluate --seeds 20
    Example: python -m simulator evaluate --recording simulator/examples/sumo-morning --min-f1 0.85

    Exit code 0: judged, and every bar is met. 1: a bar is missed. 2: nothing could be judged.
    """
    from roadside.core.errors import ConfigurationError
    from simulator.evaluation.judging import Case, Settings, check
    from simulator.evaluation.parallel import WorkerError, cores, judge_all
    from simulator.evaluation.picture import draw
    from simulator.evaluation.results import groups, missed_bars, print_results, write_results
    from simulator.evaluation.scoring import Score
    from simulator.evaluation.seeds import SeedError, seeds_of
    from simulator.recorded.recording import RecordingError
    from simulator.run.folder import write_whole

    folders = recording or []
    try:
        chosen = seeds_of(seed_list, (0 if folders else 20) if seeds is None else seeds)
        cases = [*(Case(seed) for seed in chosen), *(Case(folder) for folder in folders)]
        if not cases:
            raise failure(SeedError("nothing to judge: give --seeds of at least 1, or a --recording"))
        settings = Settings(hours, history_days, window_s, stations_per_gateway, profile)
        for case in cases:
            check(case, settings)
        out.mkdir(parents=True, exist_ok=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(f"judging {len(cases)} cases", total=len(cases))

            def done(case: Case, score: Score) -> None:
                said = f"{score.detected} of {score.incidents} incidents, {score.false_alerts} false alerts"
                progress.update(task, advance=1, description=f"{case.name}: {said}")

            scores = judge_all(cases, settings, workers or cores(), done)
        found = groups(cases, scores)
        print_results(found, console)
        write_results(found, settings, out / "evaluation.json")
        write_whole(out / "evaluation.svg", draw(found))
    except (SeedError, ConfigurationError, RecordingError, WorkerError, OSError, ValueError) as error:
        raise failure(error) from error
    console.print(f"figures: {out / 'evaluation.json'}, picture: {out / 'evaluation.svg'}", highlight=False)
    missed = missed_bars(found, min_detection_rate, max_false_alerts, min_f1)
    for sentence in missed:
        console.print(f"[red]bar missed[/red]: {sentence}", highlight=False)
    if missed:
        raise typer.Exit(1)
