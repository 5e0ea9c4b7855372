"""One run of the whole path, sensors to alerts, and the verdict on it."""

import resource
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
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
from cloud.deployment import Deployment
from roadside.contract.codec import decode_window, encode_window
from simulator.alerts import AlertVerdict, QueueReader, declared_exclusions, verify_alerts
from simulator.assembly import STACK, ensure_assembly
from simulator.chaos import ChaosConductor
from simulator.city import City, make_city
from simulator.city_catalogue import load_catalogue
from simulator.city_traffic import CityTraffic
from simulator.delivery import Delivery, DeliveryFaults
from simulator.faults import Chaos, ChaosParameters, delivery_faults, schedule
from simulator.feed import CityFeed
from simulator.fleet import Fleet
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import register_devices
from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.network import Network
from simulator.options import Break, RunOptions
from simulator.oracle import AlertTruth, Oracle, SegmentFacts
from simulator.report import Report, latency_summary, ratio
from simulator.sensor_verification import SensorVerdict, due_ends_ms, stored_sensors, verify_sensors
from simulator.verification import Verdict, stored_windows, verify

READING_INTERVAL_MS: Final = 1000
PATIENCE_S: Final = 240.0  # a message whose acknowledgement was lost is sent again after 30, 60, 120 s
FEED_TAIL_S: Final = 2  # what comes after the last second of measuring
PROCESSOR_LANES: Final = 2
ANSWER_S: Final = 3.0  # for what closes last to reach the table


def run(
    options: RunOptions,
    console: Console,
    conclude: Callable[[Report, LocalCloud, dict[str, str]], None] = lambda _report, _cloud, _outputs: None,
) -> Report:
    """Run, verify and report. Raises the errors of the parts; `ok` in the report says whether all was well.

    Parameters
    ----------
    conclude : called with the report, the local cloud and its stack's outputs while the cloud is still there
    """
    with _step(console, f"lay out a city of {options.sensors:,} sensors on {options.gateways:,} gateways"):
        city = make_city(options.sensors, options.gateways, options.seed)
        traffic = CityTraffic(city, options.seed)
    with _step(console, "synthesise the cloud"):
        assembly = ensure_assembly()
    work_dir = options.out.absolute() / "work"
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    with (
        LocalCloud(LocalCloudSettings(auth=options.auth, run_dir=work_dir / "cloud")) as cloud,
        _network(options, cloud) as network,
    ):
        with _step(console, "deploy the assembly to the local cloud"):
            outputs = deploy_assembly(cloud, assembly, [STACK])[STACK]
        with _step(console, "see that the processor answers"):
            _smoke_test(cloud, outputs["ProcessorFunction"])
        with _step(console, "load the city's catalogue"):
            load_catalogue(city, options.out / "catalogue.csv", Deployment("dev", outputs, cloud.client))
        with _step(console, "register the gateways"):
            names = [gateway.gateway_id for gateway in city.gateways]
            identities = register_devices(cloud, names, outputs["GatewayPolicy"])
        reader = QueueReader(cloud.client("sqs"), outputs["SystemsQueueUrl"])
        mqtt = (cloud.mqtt_host, cloud.mqtt_port if network is None else network.port)
        fleet = Fleet(options, city, identities, mqtt, work_dir, Path(sys.executable).parents[1])
        with _step(console, "connect the fleet"):
            fleet.__enter__()
        try:
            conducted = _conduct(options, city, traffic, fleet, network, reader, console)
            with _step(console, "wait for what is under way"):
                truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
                settled = _settle(options, fleet, conducted.start_ms, truth.keys(), alerts_due, reader)
        finally:
            fleet.__exit__()
            reader.stop()
        conducted.oracle.exclusions = declared_exclusions(reader.events())
        if conducted.oracle.exclusions:
            truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
        with _step(console, "compare the windows table with the oracle"):
            table = cloud.resource("dynamodb").Table(outputs["WindowsTable"])
            if options.break_window is not Break.NONE:
                _break_one(table, options.break_window)
            at_risk = {real.plan.gateway_id: real.at_risk() for real in fleet.real}
            verdict = verify(city, truth, stored_windows(table), at_risk, conducted.oracle.late())
            sensors = verify_sensors(
                city,
                conducted.oracle,
                truth.keys(),
                stored_sensors(cloud.resource("dynamodb").Table(outputs["SensorsTable"])),
                interval_ms=1000 * options.sensor_summary_s,
                uncertain={
                    gateway.plan.gateway_id for gateway in (fleet.gateways if _stood_still(fleet) else fleet.real)
                },
            )
            alerts = _verify_alerts(alerts_due, max(truth) + 1000 * options.window_s, fleet, verdict, reader)
        report = _report(options, city, fleet, conducted, verdict, alerts, sensors, settled)
        conclude(report, cloud, outputs)
    return report


@contextmanager
def _network(options: RunOptions, cloud: LocalCloud) -> Iterator[Network | None]:
    """The way to the cloud, where it is going to be cut."""
    if Chaos.CLOUD_OUTAGE not in options.chaos:
        yield None
        return
    with Network(cloud.mqtt_host, cloud.mqtt_port) as network:
        yield network


class _Conducted:
    """What came of the running part."""

    def __init__(self, oracle: Oracle, feed: CityFeed, chaos: ChaosConductor, start_ms: int) -> None:
        self.oracle = oracle
        self.feed = feed
        self.chaos = chaos
        self.start_ms = start_ms
        self.realtime_factor = 0.0
        self.cpu_cores = 0.0


def _conduct(
    options: RunOptions,
    city: City,
    traffic: CityTraffic,
    fleet: Fleet,
    network: Network | None,
    reader: QueueReader,
    console: Console,
) -> _Conducted:
    start_ms = (int(time.time()) + 1) * 1000
    lateness_s = -(-options.lateness_ms // 1000)
    oracle = _oracle(options, city)
    delivery = Delivery(
        _delivery_faults(options), options.seed, start_ms, options.duration_s, options.window_s, lateness_s
    )
    feed = CityFeed(city, traffic, delivery, oracle, start_ms)
    acts = schedule(
        options.chaos,
        seed=options.seed,
        duration_s=options.duration_s,
        gateways=options.gateways,
        gateways_real=options.gateways_real,
    )
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
        chaos = ChaosConductor(
            acts, fleet, network, start_ms / 1000, lambda line: progress.console.print(line, highlight=False)
        )
        fleet.on_poll = chaos.act
        conducted = _Conducted(oracle, feed, chaos, start_ms)

        def on_second(second: int) -> None:
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

    Silence closes the window of the last readings some time after its end; corrections wait for their companions. A
    machine that is behind hands the last readings over later, and silence begins then.
    """
    window_ms = options.window_s * 1000
    feed_end_s = start_ms / 1000 + options.duration_s + FEED_TAIL_S
    last_end_ms = -(-(start_ms + 1000 * options.duration_s) // window_ms) * window_ms
    closed_s = (last_end_ms + options.lateness_ms + MIN_IDLE_GRACE_MS) / 1000 + max(0.0, time.time() - feed_end_s)
    return max(closed_s + READING_INTERVAL_MS / 1000, time.time() + CORRECTION_DELAY_MS / 1000) + ANSWER_S


def _settle(
    options: RunOptions,
    fleet: Fleet,
    start_ms: int,
    window_starts_ms: Collection[int],
    alerts_due: list[AlertTruth],
    reader: QueueReader,
) -> bool:
    """Wait until all windows are closed, all is acknowledged and the expected events have come; False if they do not.

    A process that was killed near the end comes back first: readings wait for it, and silence begins after them. As
    long as there is progress nobody gives up: how fast it is, the machine decides.
    """
    back = _wait_for(fleet, lambda: sum(real.waiting for real in fleet.real))
    fleet.serve(_last_results_s(options, start_ms) - time.time())
    # Lost readings may have changed the alerts of a process that was interrupted: nobody waits for those.
    interrupted = {segment.number for real in fleet.real if real.was_interrupted for segment in real.plan.segments}
    expected = sum(alert.segment_number not in interrupted for alert in alerts_due)
    ends_ms = due_ends_ms(window_starts_ms, 1000 * options.sensor_summary_s)

    def left() -> int:
        return fleet.under_way(window_starts_ms, ends_ms) + max(0, expected - reader.count)

    while back and left():
        back = _wait_for(fleet, left)
        fleet.serve(ANSWER_S)  # a process may have waited for an acknowledgement before it sends a correction
    return back


def _wait_for(fleet: Fleet, left: Callable[[], int]) -> bool:
    """Serve the fleet until nothing is left; False if it does not get less for `PATIENCE_S`."""
    least, since_s = left(), time.monotonic()
    while now_left := left():
        if now_left < least:
            least, since_s = now_left, time.monotonic()
        elif time.monotonic() > since_s + PATIENCE_S:
            return False
        fleet.serve(0.5)
    return True


def _verify_alerts(
    due: list[AlertTruth], until_ms: int, fleet: Fleet, verdict: Verdict, reader: QueueReader
) -> AlertVerdict:
    """Compare the alerts; apart are those whose window lost readings, or got late ones otherwise than planned.

    That is no fault of a real process, which takes what has waited for it at one go, and none of any gateway on a
    machine that stood still for so long that a gateway takes it for silence. Elsewhere it excuses nothing.
    """
    gateways = fleet.gateways if _stood_still(fleet) else fleet.real
    excused = {s.number for gateway in gateways for s in gateway.plan.segments}
    uncertain = {segment: start_ms for segment, start_ms in verdict.unplanned.items() if segment in excused}
    return verify_alerts(due, reader.events(), until_ms=until_ms, uncertain=uncertain, repeated=reader.repeated)


def _stood_still(fleet: Fleet) -> bool:
    """Whether the machine stood still for so long that a gateway takes it for silence of its sensors."""
    return 1000 * fleet.longest_stall_s >= MIN_IDLE_GRACE_MS


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


def _delivery_faults(options: RunOptions) -> DeliveryFaults:
    return delivery_faults(options.chaos, options.faults, ChaosParameters())


def _oracle(options: RunOptions, city: City) -> Oracle:
    segments = list(city.segments())
    return Oracle(
        segments=_segment_facts(city),
        segment_of_sensor=np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments]),
        window_ms=options.window_s * 1000,
        reading_interval_ms=READING_INTERVAL_MS,
        lateness_ms=options.lateness_ms,
    )


def _segment_facts(city: City) -> list[SegmentFacts]:
    """What each gateway is configured to know of its segments; a neighbour on another gateway is none."""
    facts = []
    for gateway in city.gateways:
        own = {segment.number for segment in gateway.segments}
        facts += [
            SegmentFacts(
                number=segment.number,
                is_freeway=segment.road_class == "freeway",
                free_flow_kmh=segment.free_flow_kmh,
                downstream=segment.downstream if segment.downstream in own else None,
                has_unseen_lane=len(segment.sensor_ids) < segment.lanes,
            )
            for segment in gateway.segments
        ]
    return facts


def _report(
    options: RunOptions,
    city: City,
    fleet: Fleet,
    conducted: _Conducted,
    verdict: Verdict,
    alerts: AlertVerdict,
    sensors: SensorVerdict,
    settled: bool,
) -> Report:
    feed, meter, chaos = conducted.feed, fleet.meter, conducted.chaos
    problems = [
        f"alert missing: segment {s}, {'started' if up else 'cleared'}, {t}" for s, up, t in alerts.missing[:10]
    ]
    problems += [
        f"alert unexpected: segment {s}, {'started' if up else 'cleared'}, {t}" for s, up, t in alerts.unexpected[:10]
    ]
    problems += sensors.findings
    if not settled:
        waiting = ", ".join(f"{gateway} {count}" for gateway, count in fleet.left.items() if count)
        problems.append(f"not all was acknowledged, and for {PATIENCE_S:g} s nothing more was: {waiting}")
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
        "chaos_kinds": sorted(options.chaos),
        "chaos": chaos.happened,
        "chaos_counts": chaos.counts(),
        "component_restarts": sum(real.restarts for real in fleet.real),
        "longest_stall_s": round(fleet.longest_stall_s, 2),
        "policies_enforced": options.auth,
        "faults": asdict(_delivery_faults(options)),
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
        "sensor_summaries_expected": sensors.expected,
        "sensor_summaries_stored": sensors.stored,
        "sensor_summaries_missing": sensors.missing,
        "sensor_summaries_wrong": sensors.wrong,
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
