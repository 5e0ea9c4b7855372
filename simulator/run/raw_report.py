"""What a run without gateways found: for `report.json`, and as a table on the terminal."""

from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.city.layout import City
from simulator.fleet.direct_sensors import DirectSensors
from simulator.run.options import RunOptions
from simulator.run.raw_course import PATIENCE_S, RawCourse
from simulator.run.report import Report, latency_summary
from simulator.run.saturation import Part, saturation
from simulator.verification.readings import ReadingsVerdict

WHO: Final = {
    Part.CLIENT: "the simulator could not publish faster",
    Part.BROKER: "the local cloud's broker could not take more",
    Part.FUNCTION: "the function could not store more",
}


def compile_raw_report(
    options: RunOptions,
    city: City,
    course: RawCourse,
    sensors: DirectSensors,
    verdict: ReadingsVerdict,
    *,
    settled: bool,
    interrupted: bool,
) -> Report:
    """The report; `ok` if no reading is missing, altered or unexpected, however long it took."""
    feed = course.feed
    parked, undelivered = course.parked(), course.undelivered()
    problems = []
    if not settled:
        problems.append(f"not every reading came, and for {PATIENCE_S:g} s no more did")
    if sensors.failed and verdict.missing:
        problems.append(f"{sensors.failed} publishes were refused, or their connections ended before an answer")
    if parked != feed.invalid:
        problems.append(f"{parked} messages were parked, should be {feed.invalid}: the invalid readings")
    if undelivered:
        problems.append(f"{undelivered} messages were given up on by the rule or the stream")
    found = saturation(course.seconds, course.reached_s)
    return {
        "ok": not (problems or verdict.missing or verdict.altered or verdict.unexpected),
        "mode": str(options.mode),
        "sensors": city.sensor_count,
        "gateways": len(city.gateways),
        "interrupted": interrupted,
        "duration_s": feed.seconds,
        "duration_planned_s": options.duration_s,
        "start_ms": course.start_ms,
        "seed": options.seed,
        "policies_enforced": options.auth,
        "readings_generated": feed.generated,
        "readings_invalid": feed.invalid,
        "readings_repeated": feed.duplicates,
        "readings_expected": verdict.expected,
        "readings_stored": verdict.stored,
        "readings_missing": verdict.missing,
        "readings_altered": verdict.altered,
        "readings_unexpected": verdict.unexpected,
        "readings_parked": parked,
        "publishes_failed": sensors.failed,
        "messages_published": sensors.meter.messages,
        "bytes_published": sensors.meter.message_bytes,
        "metered": asdict(sensors.meter.metered),
        "latency_s": latency_summary(course.latencies_s),
        "acknowledged_after_s": latency_summary(sensors.acknowledged_after_s),
        "rate_asked_per_s": found.asked_per_s,
        "rate_answered_per_s": None if found.answered_per_s is None else round(found.answered_per_s, 1),
        "rate_reached_per_s": round(found.reached_per_s, 1),
        "bottleneck": str(found.behind[0].part) if found.behind else None,
        "behind": [asdict(each) for each in found.behind],
        "cloud_cores": round(found.cloud_cores, 2),
        "client_cores": round(found.client_cores, 2),
        "settled_after_s": round(course.reached_s - feed.seconds, 1),
        "seconds": [asdict(second) for second in course.seconds],
        "findings": list(verdict.findings),
        "problems": problems,
    }


def print_raw_report(report: Report, console: Console) -> None:
    """The summary a person looks at first."""
    table = Table(title="Roadside run, every reading by itself", show_header=False, title_justify="left")
    table.add_column(style="cyan")
    table.add_column(justify="right")
    latency, answered, metered = report["latency_s"], report["acknowledged_after_s"], report["metered"]
    for name, value in (
        ("sensors, a connection each", f"{report['sensors']:,}"),
        ("readings generated, invalid", f"{report['readings_generated']:,}, {report['readings_invalid']:,}"),
        ("readings stored of expected", f"{report['readings_stored']:,} of {report['readings_expected']:,}"),
        (
            "readings missing, altered, unexpected",
            f"{report['readings_missing']}, {report['readings_altered']}, {report['readings_unexpected']}",
        ),
        ("messages, bytes published", f"{report['messages_published']:,}, {report['bytes_published']:,}"),
        (
            "metered: rules (5 KB), stream (25 KB), writes (1 KB)",
            f"{metered['rule_units']:,}, {metered['stream_units']:,}, {metered['write_units']:,}",
        ),
        ("reading to table (s)", f"p50 {latency['p50']}, p95 {latency['p95']}, max {latency['max']}"),
        ("reading to the broker's answer (s)", f"p50 {answered['p50']}, p95 {answered['p95']}, max {answered['max']}"),
        ("readings a second, asked", f"{report['rate_asked_per_s']:,}"),
        ("readings a second, reached", f"{report['rate_reached_per_s']:,}"),
        ("processors busy: local cloud, simulator", f"{report['cloud_cores']}, {report['client_cores']}"),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print(verdict_on_rate(report), highlight=False)
    for line in (*report["findings"][:10], *report["problems"]):
        console.print(f"[red]{escape(line)}[/red]", highlight=False)
    console.print("[bold green]OK[/bold green]" if report["ok"] else "[bold red]NOT OK[/bold red]")


def verdict_on_rate(report: Report) -> str:
    """Whether this machine kept up, in words."""
    if report["bottleneck"] is None:
        return f"Kept up with {report['rate_asked_per_s']:,} readings a second."
    fell = "; ".join(
        f"{WHO[Part(each['part'])]} from second {each['from_s']} on, when {each['asked_per_s']:,} a second were asked"
        for each in report["behind"]
    )
    answered = report["rate_answered_per_s"]
    broker = "" if answered is None else f" The broker took {answered:,.0f} a second while it was behind."
    ended = ""
    if report["duration_s"] < report["duration_planned_s"] and not report["interrupted"]:
        ended = f" It measured no further after {report['duration_s']} s, so that nothing was lost."
    return (
        f"Did not keep up: {fell}.{broker} {report['rate_reached_per_s']:,.0f} readings a second came through; the "
        f"last was in the table {report['settled_after_s']:,.0f} s after the end.{ended}"
    )
