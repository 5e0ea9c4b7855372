"""One run of the whole path, sensors to alerts, and the verdict on it."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from boto3.dynamodb.types import Binary
from rich.console import Console

from aggregator.settings import MIN_IDLE_GRACE_MS
from cloud.deployment import Deployment
from roadside.contract.codec import decode_window, encode_window
from simulator.city.catalogue import load_catalogue
from simulator.city.layout import make_city
from simulator.city.traffic import CityTraffic
from simulator.faults.network import Network
from simulator.faults.schedule import Chaos
from simulator.fleet.fleet import Fleet
from simulator.local_cloud.assembly import STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import register_devices
from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.local_cloud.schedules import end_schedule
from simulator.run.compiling import compile_report
from simulator.run.conducting import conduct
from simulator.run.options import Break, RunOptions
from simulator.run.report import Report
from simulator.run.series import write_recording
from simulator.run.settling import settle
from simulator.verification.alerts import AlertVerdict, QueueReader, declared_exclusions, verify_alerts
from simulator.verification.lake import Lake, verify_lake
from simulator.verification.oracle import AlertTruth
from simulator.verification.sensors import stored_sensors, verify_sensors
from simulator.verification.windows import Verdict, stored_windows, verify

LANES: Final = {"ProcessorFunction": 2, "AlertsFunction": 4}  # batches that each takes at once


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
        with _step(console, "see that the functions answer"):
            _smoke_test(cloud, outputs)
        with _step(console, "load the city's catalogue"):
            load_catalogue(city, options.out / "catalogue.csv", Deployment("dev", outputs, cloud.client))
        with _step(console, "register the gateways"):
            identities = register_devices(cloud, [g.gateway_id for g in city.gateways], outputs["GatewayPolicy"])
        reader = QueueReader(cloud.client("sqs"), outputs["SystemsQueueUrl"])
        mqtt = (cloud.mqtt_host, cloud.mqtt_port if network is None else network.port)
        fleet = Fleet(options, city, identities, mqtt, work_dir, Path(sys.executable).parents[1])
        with _step(console, "connect the fleet"):
            fleet.__enter__()
        try:
            conducted = conduct(options, city, traffic, fleet, network, reader, console)
            with _step(console, "wait for what is under way"):
                truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
                settled = settle(options, fleet, conducted.start_ms, truth.keys(), alerts_due, reader)
            # From here on the fleet is silent because the run is over, which is no news for anybody.
            end_schedule(cloud, outputs["SweepFunction"])
        finally:
            fleet.__exit__()
            reader.stop()
        conducted.oracle.exclusions = declared_exclusions(reader.events())
        if conducted.oracle.exclusions:
            truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
        with _step(console, "compare the windows table with the oracle"):
            table = cloud.resource("dynamodb").Table(outputs["WindowsTable"])
            _break_one(table, options.break_window)
            at_risk = {real.plan.gateway_id: real.at_risk() for real in fleet.real}
            stored = stored_windows(table)
            write_recording(options.out, conducted.recorder, city, traffic, reader.received(), stored)
            verdict = verify(city, truth, stored, at_risk, conducted.oracle.late())
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
        with _step(console, "roll up, and compare the lake with the oracle"):
            at_risk_segments = {
                s.number for real in fleet.real if at_risk[real.plan.gateway_id] for s in real.plan.segments
            }
            lake = verify_lake(
                Lake(cloud.client, outputs),
                conducted.oracle.hours(),
                stored,
                {event["event_id"] for event in reader.events()},
                uncertain=at_risk_segments,
                damaged=options.break_window is Break.LAKE,
            )
        report = compile_report(
            options,
            city,
            fleet,
            conducted,
            verdict,
            alerts,
            sensors,
            lake,
            settled,
            reader.latencies_s(1000 * fleet.meter.latency_until_s),
        )
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
    """Damage one stored window, if so asked, so that a run shows that damage is found."""
    if how not in (Break.MISSING, Break.WRONG):
        return
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


def _smoke_test(cloud: LocalCloud, outputs: Mapping[str, str]) -> None:
    """Give each function an empty batch on as many lanes as it has, as one does after a deployment.

    It fails here and by name if code or settings are broken; and a city's functions are warm, so the run's are.
    """
    client = cloud.client("lambda")

    def invoke(function: str) -> None:
        answer = client.invoke(FunctionName=outputs[function], Payload=b'{"Records": []}')
        if "FunctionError" in answer:
            body = answer["Payload"].read().decode()[:2000]
            raise LocalCloudError(f"{function} fails at an empty batch: {body}")

    with ThreadPoolExecutor(max(LANES.values())) as pool:
        for function, lanes in LANES.items():
            list(pool.map(invoke, [function] * lanes))


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    """Say what is going on and how long it took."""
    began_s = time.monotonic()
    with console.status(what):
        yield
    console.print(f"[green]done[/green] {what} ({time.monotonic() - began_s:.1f} s)", highlight=False)
