"""What a run found, gathered for its report."""

import time
from collections import Counter
from dataclasses import asdict
from typing import Final

from simulator.city.layout import City
from simulator.faults.reporting import fault_reports
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import REAL_TIME
from simulator.run.conducting import Conducted
from simulator.run.options import RunOptions
from simulator.run.report import Report, latency_summary, ratio
from simulator.run.settling import PATIENCE_S
from simulator.verification.accounting import Accounting
from simulator.verification.alerts import AlertVerdict
from simulator.verification.lake import LakeVerdict
from simulator.verification.sensors import SensorVerdict
from simulator.verification.windows import Verdict

NO_LATENCIES: Final = "latencies are measured in real time only: give --speed 1"


def compile_report(
    options: RunOptions,
    city: City,
    fleet: Fleet,
    conducted: Conducted,
    verdict: Verdict,
    alerts: AlertVerdict,
    sensors: SensorVerdict,
    lake: LakeVerdict | None,
    accounting: Accounting,
    settled: bool,
    alert_latencies_s: list[float],
) -> Report:
    """The report; `ok` if nothing is missing, wrong or left over. Figures of a lake that is not there are None."""
    feed, meter, faults = conducted.feed, fleet.meter, conducted.faults
    problems = alerts.problems() + sensors.findings + (lake.problems() if lake is not None else [])
    problems += accounting.problems
    if not settled:
        waiting = ", ".join(f"{gateway} {count}" for gateway, count in fleet.left.items() if count)
        problems.append(f"not all was acknowledged, and for {PATIENCE_S:g} s nothing more was: {waiting}")
    if options.soak:
        problems += [f"memory leaks: {each.in_words()}" for each in conducted.soak.memory.growth() if each.leaks]
    if too_late := conducted.oracle.excluded_too_late():
        problems.append(
            f"{len(too_late)} windows cannot be judged: gateways told of excluded sensors too late for them"
        )
    if meter.refused:
        problems.append(f"{meter.refused} publishes were refused by the cloud")
    ok = not (verdict.windows_missing or verdict.windows_wrong or verdict.windows_unexpected or problems)
    return {
        "ok": ok,
        "mode": str(options.mode),
        "target": str(options.target),
        "sensors": city.sensor_count,
        "gateways": len(city.gateways),
        "gateways_real": len(fleet.real),
        "duration_s": options.duration_s,
        "window_s": options.window_s,
        "seed": options.seed,
        "scenario": options.scenario.name,
        "start_time_of_day": options.scenario.start_time_of_day.isoformat(),
        "profile": str(options.profile),
        "chaos_kinds": sorted(options.chaos),
        "chaos": sorted([*faults.happened, *conducted.soak.happened], key=lambda entry: float(entry["at_s"])),
        "chaos_counts": faults.counts() | Counter(entry["fault"] for entry in conducted.soak.happened),
        "soak": options.soak,
        "memory": conducted.soak.memory.report(),
        "component_restarts": sum(real.restarts for real in fleet.real),
        "longest_stall_s": round(fleet.longest_stall_s, 2),
        "policies_enforced": options.auth,
        "faults": fault_reports(
            list(faults.records.values()),
            feed,
            [gateway.gateway_id for gateway in city.gateways],
            {real.gateway_id: accounting.by_gateway[real.gateway_id].lost_in_crash for real in fleet.real},
        ),
        "accounting": accounting.report(),
        "readings_generated": feed.generated,
        "readings_invalid": feed.invalid,
        "readings_repeated": feed.duplicates,
        "readings_accepted": verdict.readings_accepted,
        "readings_duplicate": verdict.readings_duplicate,
        "readings_late": verdict.readings_late,
        "readings_lost_in_crash": verdict.readings_lost_in_crash,
        "chapters_judged": conducted.rolling.chapters,
        "windows_expected": verdict.windows_expected,
        "windows_stored": verdict.windows_stored,
        "windows_missing": verdict.windows_missing,
        "windows_wrong": verdict.windows_wrong,
        "windows_unexpected": verdict.windows_unexpected,
        "windows_in_crash_second": verdict.windows_in_crash_second,
        "events_expected": alerts.expected,
        "events_delivered": alerts.delivered,
        "events_repeated": alerts.repeated,
        "events_of_killed_gateways": alerts.of_killed_gateways,
        "sensor_summaries_expected": sensors.expected,
        "sensor_summaries_stored": sensors.stored,
        "sensor_summaries_missing": sensors.missing,
        "sensor_summaries_wrong": sensors.wrong,
        **_of_lake(lake),
        "events_of_other_kinds": alerts.others,
        "messages_published": meter.messages,
        "bytes_published": meter.message_bytes,
        "metered": asdict(meter.metered),
        "raw_messages": feed.raw_messages,
        "raw_bytes": feed.raw_bytes,
        "message_reduction": ratio(feed.raw_messages, meter.messages),
        "byte_reduction": ratio(feed.raw_bytes, meter.message_bytes),
        "speed": "max" if options.speed is None else options.speed,
        "latency_missing_because": None if options.speed == REAL_TIME else NO_LATENCIES,
        "latency_s": latency_summary(meter.latencies_s),
        "alert_latency_s": latency_summary(alert_latencies_s),
        "alert_latency_from_closing_s": latency_summary([s - options.lateness_ms / 1000 for s in alert_latencies_s]),
        "realtime_factor": round(conducted.realtime_factor, 3),
        "verified_realtime_factor": round(options.duration_s / (time.monotonic() - conducted.began_s), 3),
        "fleet_cpu_cores": round(conducted.cpu_cores, 2),
        "aggregator_rss_mb": round(max((real.max_rss_bytes for real in fleet.real), default=0) / 1e6, 1),
        "findings": [asdict(finding) for finding in verdict.findings],
        "problems": problems,
    }


def _of_lake(lake: LakeVerdict | None) -> Report:
    return {
        "lake_rows_expected": lake and lake.rows.expected,
        "lake_rows_missing": lake and lake.rows.missing,
        "lake_rows_wrong": lake and lake.rows.wrong,
        "lake_events_missing": lake and len(lake.events_missing),
        "rollup_rows_expected": lake and lake.rollup.expected,
        "rollup_rows_missing": lake and lake.rollup.missing,
        "rollup_rows_wrong": lake and lake.rollup.wrong,
        "rollup_s": lake and round(lake.rollup_s, 2),
    }
