"""`run`: the whole path, in real time, and the verdict on it."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from simulator.commands import aws_flags
from simulator.commands import run_flags as flags
from simulator.commands.scenario import ScenarioFile, StartTimeOfDay, chosen_scenario
from simulator.commands.terminal import console, failure
from simulator.faults.plan import FaultPlan, joined, read_plan
from simulator.faults.ready_made import ready_made
from simulator.fleet.pace import REAL_TIME
from simulator.run.options import Break, Mode, NucleusProfile, RunOptions, TargetName, speed_of


def run(
    config: flags.Config = None,  # noqa: ARG001 - `from_file` has made defaults of it
    sensors: flags.Sensors = 50_000,
    gateways: flags.Gateways = 200,
    gateways_real: flags.GatewaysReal = None,
    profile: flags.Profile = NucleusProfile.CLASSIC,
    mode: flags.Mode = Mode.EDGE,
    window_s: flags.WindowS = 10,
    seed: flags.Seed = 1,
    duration: flags.Duration = 60,
    hours: flags.Hours = None,
    ramp_up_s: flags.RampUpS = 0,
    speed: flags.Speed = "1",
    scenario: ScenarioFile = None,
    start_time_of_day: StartTimeOfDay = None,
    chaos: flags.Chaos = None,
    faults: flags.Faults = None,
    break_window: flags.BreakWindow = Break.NONE,
    target: flags.Target = TargetName.LOCAL,
    auth: flags.Auth = True,
    keep: flags.Keep = False,
    out: flags.Out = Path("out"),
    archive: flags.Archive = True,
    html: flags.Html = True,
    stage: aws_flags.Stage = None,
    endpoint: aws_flags.Endpoint = None,
    certificates: aws_flags.Certificates = None,
    claim_certificate: aws_flags.ClaimCertificate = None,
    claim_key: aws_flags.ClaimKey = None,
    root_ca: aws_flags.RootCa = None,
    max_messages: aws_flags.MaxMessages = None,
    max_usd: aws_flags.MaxUsd = None,
    dry_run: aws_flags.DryRun = False,
    yes: aws_flags.Yes = False,
) -> None:
    """Run the whole path, sensors to alerts, and verify every window and alert.

    For example: run --sensors 2000 --gateways 8 --duration 30 --ramp-up-s 5 --chaos all

    Exit code 0 if nothing is missing or wrong, 1 if something is, 2 if the run could not take place, 130 if it was
    interrupted: Ctrl-C ends the readings, and verifies and reports those that there were.
    """
    from simulator.city.scenario import ScenarioError
    from simulator.playground import background
    from simulator.playground.keeping import keep as keep_cloud
    from simulator.playground.keeping import refuse_a_second
    from simulator.run.contradictions import refuse_contradictions
    from simulator.run.folder import prepare
    from simulator.run.interruption import EXIT_CODE, Interruption
    from simulator.run.local_target import LocalTarget
    from simulator.run.raw import run_raw
    from simulator.run.report import Report
    from simulator.run.run import run as run_city
    from simulator.run.target import Target

    if gateways_real is None:
        can_be_real = mode is Mode.EDGE and target is TargetName.LOCAL and speed_of(speed) == REAL_TIME
        gateways_real = min(2, gateways) if can_be_real else 0
    try:
        day = chosen_scenario(scenario, start_time_of_day)
    except (OSError, ScenarioError) as error:
        raise failure(error) from error
    options = RunOptions(
        mode=mode,
        sensors=sensors,
        gateways=gateways,
        gateways_real=gateways_real,
        duration_s=duration if hours is None else max(1, round(3600 * hours)),
        soak=hours is not None,
        ramp_up_s=ramp_up_s,
        window_s=window_s,
        seed=seed,
        scenario=day,
        profile=profile,
        chaos=tuple(sorted({str(word) for word in chaos or []})),
        break_window=break_window,
        target=target,
        aws=aws_flags.aws_options(
            stage, endpoint, certificates, claim_certificate, claim_key, root_ca, max_messages, max_usd
        ),
        speed=speed_of(speed),
        auth=auth,
        archive=archive,
        out=out,
    )

    def conclude(result: Report, used: Target) -> None:
        _tell(result, options, html=html)
        if keep and isinstance(used, LocalTarget) and not result["interrupted"]:
            keep_cloud(used.cloud, out, console, 0 if result["ok"] else 1)

    try:
        options = _with_faults(options, faults)
        refuse_contradictions(options, keep=keep, dry_run=dry_run)
        if target is TargetName.AWS and not aws_flags.may_begin(options, dry_run=dry_run, yes=yes):
            raise typer.Exit(0)
        prepare(out, sensors * options.duration_s)
        if keep:
            refuse_a_second()
            if not background.is_second():
                raise typer.Exit(background.start(sys.argv[1:]))
        with Interruption(lambda words: console.print(words, style="yellow", soft_wrap=True)) as interruption:
            if mode is Mode.RAW:
                result = run_raw(options, console, partial(_tell, options=options, html=html), interruption)
            else:
                result = run_city(options, console, conclude, interruption)
    except KeyboardInterrupt:
        console.print(
            "Interrupted before anything was measured: there is no report, and nothing is left running.", soft_wrap=True
        )
        raise typer.Exit(EXIT_CODE) from None
    except expected_errors() as error:
        raise failure(error) from error
    raise typer.Exit(EXIT_CODE if result["interrupted"] else 0 if result["ok"] else 1)


def _tell(result: dict[str, Any], options: RunOptions, *, html: bool) -> None:
    """Write down what was found, and show it."""
    from simulator.report.writing import PAGE, write_page
    from simulator.run.raw_report import print_raw_report
    from simulator.run.report import print_report, write_report

    path = write_report(result, options.out)
    (print_raw_report if options.mode is Mode.RAW else print_report)(result, console)
    console.print(f"report: {path}")
    if html:
        console.print(f"to look at: {write_page(options.out, options.out / PAGE)}")


def _with_faults(options: RunOptions, file: Path | None) -> RunOptions:
    """The run with the plan in a file, what `--chaos` stands for and a soak's restarts.

    Raises FaultPlanError and OSError.
    """
    from simulator.run.soak import restarts

    read = FaultPlan() if file is None else read_plan(file).fitted(options.duration_s)
    made = ready_made(
        options.chaos,
        duration_s=options.duration_s,
        gateways=options.gateways,
        gateways_real=options.gateways_real,
    )
    return replace(options, faults=joined(read, made, restarts(options) if options.soak else FaultPlan()))


def expected_errors() -> tuple[type[Exception], ...]:
    """What a run raises with a message that is enough for a person."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cloud.deployment import CloudError
    from simulator.city.layout import CityError
    from simulator.city.scenario import ScenarioError
    from simulator.faults.plan import FaultPlanError
    from simulator.fleet.claiming import CertificateError
    from simulator.fleet.gateways import GatewayError
    from simulator.fleet.mqtt import DeviceConnectionError
    from simulator.local_cloud.assembly import AssemblyError
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.local_nucleus import LocalNucleusError
    from simulator.playground.keeping import PlaygroundError
    from simulator.report.errors import ReportError
    from simulator.run.aws_plan import CapError
    from simulator.run.aws_site import SiteError
    from simulator.run.contradictions import ContradictionError
    from simulator.run.folder import FolderError

    return (
        AssemblyError,
        BotoCoreError,
        CapError,
        CertificateError,
        CityError,
        ClientError,
        CloudError,
        ContradictionError,
        DeviceConnectionError,
        FaultPlanError,
        FolderError,
        GatewayError,
        LocalCloudError,
        LocalNucleusError,
        OSError,
        PlaygroundError,
        ReportError,
        ScenarioError,
        SiteError,
    )
