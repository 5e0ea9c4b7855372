"""The local cloud behind the gateways: the unmodified assembly, deployed on this machine. See target.py."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from boto3.dynamodb.types import Binary
from rich.console import Console

from cloud.deployment import Deployment
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.sensors import SensorSummary, decode_sensors
from roadside.contract.summary import WindowSummary
from simulator.city.catalogue import load_catalogue
from simulator.city.layout import City
from simulator.faults.network import Network
from simulator.fleet.connecting import Broker
from simulator.fleet.link import Connection
from simulator.local_cloud.assembly import STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import DeviceIdentity, register_devices
from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.local_cloud.schedules import end_schedule
from simulator.run.leaks import Process
from simulator.run.options import Break, RunOptions
from simulator.run.steps import step
from simulator.run.stored import payloads
from simulator.run.target import StoredWindows
from simulator.verification.alerts import QueueReader
from simulator.verification.lake import Lake
from simulator.verification.windows import by_place

CLOUD_MB_PER_HOUR: Final = 400.0  # its tables, stream and lake are in memory, and hold all that a run sends
FUNCTION_MB_PER_HOUR: Final = 20.0
LANES: Final = {"ProcessorFunction": 2, "AlertsFunction": 4}  # batches that each takes at once


class LocalTarget:
    """The stack on the local cloud; made by `local_target`. Implements Target.

    Attributes
    ----------
    cloud, outputs : the cloud, and what the deployed stack says of itself
    """

    name = "local"
    answers_at_once = False
    is_spent = False

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str], network: Network | None) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.network = network
        self.events = QueueReader(cloud.client("sqs"), outputs["SystemsQueueUrl"])
        self.lake = Lake(cloud.client, outputs)
        self._broker = Broker(cloud.mqtt_host, cloud.mqtt_port)
        self._identities: dict[str, DeviceIdentity] = {}
        self._ports: dict[str, int] = {}

    def admit(self, gateways: Collection[str]) -> None:
        identities = register_devices(self.cloud, list(gateways), self.outputs["GatewayPolicy"])
        self._identities |= {identity.thing_name: identity for identity in identities}
        direct = [self.cloud.mqtt_port] * len(gateways)
        self._ports |= dict(zip(gateways, direct if self.network is None else self.network.ports, strict=True))

    def connect(self, gateway: str) -> Connection:
        return self._broker.connect(self._identities[gateway], self._ports[gateway])

    def end_of_readings(self) -> None:
        end_schedule(self.cloud, self.outputs["SweepFunction"])
        self.events.stop()

    def damage(self, how: Break) -> None:
        table = self._table("WindowsTable")
        item = table.scan(Limit=1)["Items"][0]
        if how is Break.MISSING:
            table.delete_item(Key={"g": item["g"], "w": item["w"]})
        else:
            table.put_item(Item={**item, "b": Binary(damaged_window(bytes(item["b"])))})

    def windows(self, since_ms: int = 0, until_ms: int | None = None) -> StoredWindows:
        return by_place(self._payloads("WindowsTable", "w", since_ms, until_ms))

    def sensors(self, since_ms: int = 0, until_ms: int | None = None) -> list[SensorSummary]:
        return [decode_sensors(payload) for payload in self._payloads("SensorsTable", "s", since_ms, until_ms)]

    def processes(self) -> dict[str, Process]:
        workers = {f"function {name}": Process(pid, FUNCTION_MB_PER_HOUR) for pid, name in self.cloud.workers().items()}
        return {"local cloud": Process(self.cloud.process_id, CLOUD_MB_PER_HOUR), **workers}

    def restart_functions(self) -> int:
        return self.cloud.kill_workers()

    def forget(self, before_ms: int) -> None:
        """The tables are the cloud's, and keep what they hold."""

    def _payloads(self, output: str, sort_key: str, since_ms: int, until_ms: int | None) -> Iterator[bytes]:
        client, table = self.cloud.client("dynamodb"), self.outputs[output]
        return payloads(client, table, self._identities, sort_key, since_ms, until_ms)

    def _table(self, output: str) -> Any:
        return self.cloud.resource("dynamodb").Table(self.outputs[output])


@contextmanager
def local_target(options: RunOptions, city: City, work_dir: Path, console: Console) -> Iterator[LocalTarget]:
    """Start the local cloud with the stack and the city's catalogue; all of it ends with the context."""
    with step(console, "synthesise the cloud"):
        assembly = ensure_assembly()
    with (
        LocalCloud(LocalCloudSettings(auth=options.auth, run_dir=work_dir / "cloud")) as cloud,
        _network(options, cloud, len(city.gateways)) as network,
    ):
        with step(console, "deploy the assembly to the local cloud"):
            outputs = deploy_assembly(cloud, assembly, [STACK])[STACK]
        with step(console, "see that the functions answer"):
            smoke_test(cloud, outputs, LANES)
        with step(console, "load the city's catalogue"):
            load_catalogue(city, options.out / "catalogue.csv", Deployment("dev", outputs, cloud.client))
        target = LocalTarget(cloud, outputs, network)
        try:
            yield target
        finally:
            target.events.stop()


def damaged_window(payload: bytes) -> bytes:
    """The window with one sum of its first segment with speeds one too high."""
    window = decode_window(payload)
    segments = list(window.segments)
    place = next(i for i, segment in enumerate(segments) if segment.sketch.counts)
    values = {name: getattr(segments[place], name) for name in segments[place].__dataclass_fields__}
    segments[place] = type(segments[place])(**{**values, "speed_sum_dkmh": values["speed_sum_dkmh"] + 1})
    fields = {name: getattr(window, name) for name in window.__dataclass_fields__}
    return encode_window(WindowSummary(**{**fields, "segments": tuple(segments)}))


@contextmanager
def _network(options: RunOptions, cloud: LocalCloud, gateways: int) -> Iterator[Network | None]:
    """The ways to the cloud, where one is going to be cut."""
    if not options.faults.cuts_ways:
        yield None
        return
    with Network(cloud.mqtt_host, cloud.mqtt_port, gateways) as network:
        yield network


def smoke_test(cloud: LocalCloud, outputs: Mapping[str, str], lanes: Mapping[str, int]) -> None:
    """Give each function an empty batch on as many lanes as it has, as one does after a deployment.

    It fails here and by name if code or settings are broken; and a city's functions are warm, so the run's are.
    """
    client = cloud.client("lambda")

    def invoke(function: str) -> None:
        answer = client.invoke(FunctionName=outputs[function], Payload=b'{"Records": []}')
        if "FunctionError" in answer:
            body = answer["Payload"].read().decode()[:2000]
            raise LocalCloudError(f"{function} fails at an empty batch: {body}")

    with ThreadPoolExecutor(max(lanes.values())) as pool:
        for function, count in lanes.items():
            list(pool.map(invoke, [function] * count))
