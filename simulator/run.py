"""One run of the whole path, sensors to alerts, and the verdict on it."""

import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from boto3.dynamodb.types import Binary
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from aggregator.settings import CORRECTION_DELAY_MS, MIN_IDLE_GRACE_MS
from roadside.contract.codec import decode_window, encode_window
from simulator.alerts import AlertVerdict, QueueReader, verify_alerts
from simulator.assembly import STACK, ensure_assembly
from simulator.city import City, make_city
from simulator.city_traffic import CityTraffic
from simulator.delivery import Delivery
from simulator.feed import CityFeed
from simulator.fleet import Fleet
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import register_devices
from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.options import Break, Chaos, RunOptions
from simulator.oracle import AlertTruth, Oracle, SegmentFacts, SegmentTruth
from simulator.report import Report, latency_summary, ratio
from simulator.verification import Verdict, stored_windows, verify

READING_INTERVAL_MS: Final = 1000
SETTLE_TIMEOUT_S: Final = 60.0
PROCESSOR_LANES: Final = 2
ANSWER_S: Final = 3.0  # for what closes last to reach the table


def run(options: RunOptions, console: Console) -> Report:
    """Run, verify and report. Raises the errors of the parts; `ok` in the report says whether all was well."""
    with _step(console, f"lay out a city of {options.sensors:,} sensors on {options.gateways:,} gateways"):
        city = make_city(options.sensors, options.gateways, options.seed)
        traffic = CityTraffic(city, options.seed)
    with _step(console, "synthesise the cloud"):
        assembly = ensure_assembly()
    work_dir = options.out.absolute() / "work"
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    with LocalCloud(LocalCloudSettings(auth=options.auth, run_dir=work_dir / "cloud")) as cloud:
        with _step(console, "deploy the assembly to the local cloud"):
            outputs = deploy_assembly(cloud, assembly, [STACK])[STACK]
        with _step(console, "see that the processor answers"):
            _smoke_test(cloud, outputs["ProcessorFunction"])
        with _step(console, "register the gateways"):
            names = [gateway.gateway_id for gateway in city.gateways]
            identities = register_devices(cloud, names, outputs["GatewayPolicy"])
        reader = QueueReader(cloud.client("sqs"), outputs["SystemsQueueUrl"])
        fleet = Fleet(
            options, city, identities, (cloud.mqtt_host, cloud.mqtt_port), work_dir, Path(sys.executable).parents[1]
        )
        with _step(console, "connect the fleet"):
            fleet.__enter__()
        try:
            conducted = _conduct(options, city, traffic, fleet, reader, console)
            with _step(console, "wait for what is under way"):
                alerts_due = conducted.oracle.alerts()
                _settle(fleet, _last_results_s(options, conducted.start_ms), len(alerts_due), reader)
        finally:
            fleet.__exit__()
            reader.stop()
        with _step(console, "compare the windows table with the oracle"):
            table = cloud.resource("dynamodb").Table(outputs["WindowsTable"])
            if options.break_window is not Break.NONE:
                _break_one(table, options.break_window)
            truth = conducted.oracle.windows()
            verdict = _verify_windows(city, truth, table, fleet)
            alerts = _verify_alerts(alerts_due, max(truth) + 1000 * options.window_s, fleet, reader)
    return _report(options, city, fleet, conducted, verdict, alerts)


class _Conducted:
    """What came of the running part."""

    def __init__(self, oracle: Oracle, feed: CityFeed, start_ms: int) -> None:
        self.oracle = oracle
        self.feed = feed
        self.start_ms = start_ms
        self.realtime_factor = 0.0
        self.cpu_cores = 0.0


def _conduct(
    options: RunOptions, city: City, traffic: CityTraffic, fleet: Fleet, reader: QueueReader, console: Console
) -> _Conducted:
    start_ms = (int(time.time()) + 1) * 1000
    lateness_s = -(-options.lateness_ms // 1000)
    oracle = _oracle(options, city)
    delivery = Delivery(options.faults, options.seed, start_ms, options.duration_s, options.window_s, lateness_s)
    feed = CityFeed(city, traffic, delivery, oracle, start_ms)
    conducted = _Conducted(oracle, feed, start_ms)
    fleet.meter.latency_until_s = start_ms / 1000 + options.duration_s - lateness_s - 1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[readings]:,} readings, {task.fields[messages]:,} messages, "),
        TextColumn("{task.fields[stored]:,} windows stored, {task.fields[events]:,} events"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("run", total=options.duration_s, readings=0, messages=0, stored=0, events=0)

        def on_second(second: int) -> None:
            if options.chaos is Chaos.KILL_GATEWAY and second == options.duration_s // 2:
                fleet.serve(0.4)  # in the middle of a second, between two writes of the journal
                fleet.real[0].kill()
            for real in fleet.real:
                real.measure()
            progress.update(
                task,
                completed=second + 1,
                readings=feed.generated,
                messages=fleet.meter.messages,
                stored=fleet.meter.stored_windows,
                events=reader.count,
            )

        cpu_s = _cpu_s()
        conducted.realtime_factor = fleet.run(feed, start_ms, on_second)
        conducted.cpu_cores = (_cpu_s() - cpu_s) / (time.time() - start_ms / 1000)
    return conducted


def _last_results_s(options: RunOptions, start_ms: int) -> float:
    """Wall time by which the gateways have sent all that they ever will, if every sensor is silent from now on.

    Silence closes the window of the last readings some time after its end; corrections wait for their companions.
    """
    window_ms = options.window_s * 1000
    last_end_ms = -(-(start_ms + 1000 * options.duration_s) // window_ms) * window_ms
    closed_s = (last_end_ms + options.lateness_ms + MIN_IDLE_GRACE_MS) / 1000
    return max(closed_s + READING_INTERVAL_MS / 1000, time.time() + CORRECTION_DELAY_MS / 1000) + ANSWER_S


def _settle(fleet: Fleet, last_results_s: float, expected: int, reader: QueueReader) -> None:
    """Wait until all windows are closed, all is acknowledged and the expected events have come."""
    fleet.serve(last_results_s - time.time())
    deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
    while (fleet.waiting or reader.count < expected) and time.monotonic() < deadline_s:
        fleet.serve(0.5)


def _verify_windows(city: City, truth: Mapping[int, Mapping[int, SegmentTruth]], table: Any, fleet: Fleet) -> Verdict:
    at_risk = {real.plan.gateway_id: real.at_risk() for real in fleet.real}
    return verify(city, truth, stored_windows(table), at_risk)


def _verify_alerts(due: list[AlertTruth], until_ms: int, fleet: Fleet, reader: QueueReader) -> AlertVerdict:
    killed = {segment.number for real in fleet.real if real.kills_ms for segment in real.plan.segments}
    return verify_alerts(due, reader.events(), until_ms=until_ms, killed_segments=killed, repeated=reader.repeated)


def _break_one(table: Any, how: Break) -> None:
    """Damage one stored window, so that a run shows that damage is found."""
    item = table.scan(Limit=1)["Items"][0]
    key = {"g": item["g"], "w": item["w"]}
    if how is Break.MISSING:
        table.delete_item(Key=key)
        return
    window = decode_window(bytes(item["b"]))
    segments = list(window.segments)
    place = next(i for i, segment in enumerate(segments) if segment.sketch.counts)
    values = {name: getattr(segments[place], name) for name in segments[place].__dataclass_fields__}
    segments[place] = type(segments[place])(**{**values, "speed_sum_dkmh": values["speed_sum_dkmh"] + 1})
    fields = {name: getattr(window, name) for name in window.__dataclass_fields__}
    damaged = type(window)(**{**fields, "segments": tuple(segments)})
    table.put_item(Item={**item, "b": Binary(encode_window(damaged))})


def _smoke_test(cloud: LocalCloud, function: str) -> None:
    """Give the processor an empty batch on as many lanes as its stream has, as one does after a deployment.

    It fails here and by name if code or settings are broken; and a city's functions are warm, so the run's are.
    """
    client = cloud.client("lambda")
    with ThreadPoolExecutor(PROCESSOR_LANES) as pool:
        answers = list(
            pool.map(lambda _: client.invoke(FunctionName=function, Payload=b'{"Records": []}'), range(PROCESSOR_LANES))
        )
    for answer in answers:
        if "FunctionError" in answer:
            raise LocalCloudError(f"{function} fails at an empty batch: {answer['Payload'].read().decode()[:2000]}")


def _oracle(options: RunOptions, city: City) -> Oracle:
    segments = list(city.segments())
    return Oracle(
        segments=[SegmentFacts(s.number, s.road_class == "freeway", s.free_flow_kmh) for s in segments],
        segment_of_sensor=np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments]),
        window_ms=options.window_s * 1000,
        reading_interval_ms=READING_INTERVAL_MS,
        lateness_ms=options.lateness_ms,
    )


def _report(
    options: RunOptions, city: City, fleet: Fleet, conducted: _Conducted, verdict: Verdict, alerts: AlertVerdict
) -> Report:
    feed, meter = conducted.feed, fleet.meter
    problems = [
        f"alert missing: segment {s}, {'started' if up else 'cleared'}, {t}" for s, up, t in alerts.missing[:10]
    ]
    problems += [
        f"alert unexpected: segment {s}, {'started' if up else 'cleared'}, {t}" for s, up, t in alerts.unexpected[:10]
    ]
    if meter.refused:
        problems.append(f"{meter.refused} publishes were refused by the local cloud")
    ok = not (verdict.windows_missing or verdict.windows_wrong or verdict.windows_unexpected or problems)
    return {
        "ok": ok,
        "sensors": city.sensor_count,
        "gateways": len(city.gateways),
        "gateways_real": len(fleet.real),
        "duration_s": options.duration_s,
        "window_s": options.window_s,
        "seed": options.seed,
        "profile": str(options.profile),
        "chaos": str(options.chaos),
        "policies_enforced": options.auth,
        "faults": asdict(options.faults),
        "readings_generated": feed.generated,
        "readings_invalid": feed.invalid,
        "readings_repeated": feed.duplicates,
        "readings_accepted": verdict.readings_accepted,
        "readings_duplicate": verdict.readings_duplicate,
        "readings_late": verdict.readings_late,
        "readings_lost_in_crash": verdict.readings_lost_in_crash,
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
        "events_of_other_kinds": alerts.others,
        "messages_published": meter.messages,
        "bytes_published": meter.message_bytes,
        "raw_messages": feed.raw_messages,
        "raw_bytes": feed.raw_bytes,
        "message_reduction": ratio(feed.raw_messages, meter.messages),
        "byte_reduction": ratio(feed.raw_bytes, meter.message_bytes),
        "latency_s": latency_summary(meter.latencies_s),
        "realtime_factor": round(conducted.realtime_factor, 3),
        "fleet_cpu_cores": round(conducted.cpu_cores, 2),
        "aggregator_rss_mb": round(max((real.max_rss_bytes for real in fleet.real), default=0) / 1e6, 1),
        "findings": [asdict(finding) for finding in verdict.findings],
        "problems": problems,
    }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    """Say what is going on and how long it took."""
    began_s = time.monotonic()
    with console.status(what):
        yield
    console.print(f"[green]done[/green] {what} ({time.monotonic() - began_s:.1f} s)", highlight=False)
