"""The stack in an AWS account behind the gateways of a run. See target.py.

It is found, not made: `aws_site` looks for it, `aws_plan` tells beforehand what the run does to it. Gateways are who
their certificates say; those that have none ask for one by claim, as in the field.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from cloud.capacity.prices import load_prices
from cloud.deployment import in_words
from roadside.contract.sensors import SensorSummary, decode_sensors
from simulator.city.catalogue import load_catalogue
from simulator.city.layout import City
from simulator.fleet.capped import Cap, CappedConnection
from simulator.fleet.claiming import Claim, KeyPair, keep, read_folder, read_pair
from simulator.fleet.connecting import Broker
from simulator.fleet.link import Connection
from simulator.local_cloud.devices import DeviceIdentity
from simulator.run.aws_plan import estimate, reserve
from simulator.run.aws_site import Site, SiteError, discover, reach, refuse_foreign_city
from simulator.run.leaks import Process
from simulator.run.options import AwsOptions, Break, RunOptions
from simulator.run.steps import step
from simulator.run.stored import payloads
from simulator.run.target import StoredWindows
from simulator.verification.alerts import QueueReader
from simulator.verification.windows import by_place

CERTIFICATES: Final = "certificates"
_HOUR_MS: Final = 3_600_000


class AwsTarget:
    """A deployed stack; made by `aws_target`. Implements Target.

    Attributes
    ----------
    cap : what the run may publish
    """

    name = "aws"
    answers_at_once = False
    network = None
    lake = None  # Firehose gathers rows for minutes, and earlier runs' are among them

    def __init__(self, site: Site, options: AwsOptions, certificates: Path, cap: Cap) -> None:
        self.cap = cap
        self._site = site
        self._options = options
        self._certificates = certificates
        self._ca_pem = read_text(options.root_ca) if options.root_ca else ""
        self._broker = Broker(site.host, site.port)
        self._identities: dict[str, DeviceIdentity] = {}
        self._since_ms = int(time.time() * 1000)  # gateways whose memory begins later are of this run
        client = site.deployment.client
        self.events = QueueReader(client("sqs"), site.deployment.output("SystemsQueueUrl"), self._since_ms)

    @property
    def is_spent(self) -> bool:
        """Whether the cap leaves only what is kept for after the last reading."""
        return self.cap.is_near

    def admit(self, gateways: Collection[str]) -> None:
        """See that each gateway has a certificate of its own. Raises CertificateError, DeviceConnectionError."""
        pairs = read_folder(self._certificates, list(gateways))
        lacking = [gateway for gateway in gateways if gateway not in pairs]
        if lacking:
            pairs |= self._claimed(lacking)
        self._identities = {name: self._identity(name, pair) for name, pair in pairs.items()}

    def connect(self, gateway: str) -> Connection:
        return CappedConnection(self._broker.connect(self._identities[gateway]), gateway, self.cap)

    def end_of_readings(self) -> None:
        self.events.stop()

    def damage(self, how: Break) -> None:
        raise SiteError(f"--break-window {how}: nothing is damaged in an account; leave it out")

    def windows(self, since_ms: int = 0, until_ms: int | None = None) -> StoredWindows:
        found = by_place(self._payloads("WindowsTable", "w", since_ms, until_ms))
        of_run = {key: [window for window in windows if self._is_of_run(window)] for key, windows in found.items()}
        return {key: windows for key, windows in of_run.items() if windows}

    def sensors(self, since_ms: int = 0, until_ms: int | None = None) -> list[SensorSummary]:
        found = (decode_sensors(payload) for payload in self._payloads("SensorsTable", "s", since_ms, until_ms))
        return [summary for summary in found if self._is_of_run(summary)]

    def processes(self) -> dict[str, Process]:
        """None is on this machine."""
        return {}

    def restart_functions(self) -> int:
        """Nobody ends functions of an account."""
        return 0

    def forget(self, before_ms: int) -> None:
        """The tables are the account's, and keep what they hold."""

    def _is_of_run(self, message: Any) -> bool:
        """A table also holds what earlier runs have sent, by gateways of the same names."""
        return bool(message.epoch_ms >= self._since_ms)

    def _payloads(self, output: str, sort_key: str, since_ms: int, until_ms: int | None) -> Iterator[bytes]:
        deployment, since_ms = self._site.deployment, max(since_ms, self._since_ms - _HOUR_MS)
        with in_words():
            yield from payloads(
                deployment.client("dynamodb"),
                deployment.output(output),
                self._identities,
                sort_key,
                since_ms,
                until_ms,
            )

    def _claimed(self, gateways: list[str]) -> dict[str, KeyPair]:
        """Certificates by claim, each kept as soon as it is there."""
        pair = claim_pair(self._options, self._certificates, gateways)
        connection = self._broker.connect(self._identity("roadside-claim", pair))
        try:
            claim = Claim(connection, self._site.provisioning_template)
            pairs = {}
            for gateway in gateways:
                pairs[gateway] = claim.provision(gateway)
                keep(self._certificates, gateway, pairs[gateway])
        finally:
            connection.close()
        return pairs

    def _identity(self, name: str, pair: KeyPair) -> DeviceIdentity:
        return DeviceIdentity(name, pair.certificate_pem, pair.private_key_pem, self._ca_pem)


def claim_pair(aws: AwsOptions, certificates: Path, lacking: Sequence[str]) -> KeyPair:
    """The claim certificate, with which gateways that lack one of their own ask for it. Raises SiteError."""
    if aws.claim_certificate is None or aws.claim_key is None:
        raise SiteError(
            f"{certificates} has no certificate for {len(lacking)} gateways, the first {lacking[0]}: give "
            "--claim-certificate and --claim-key, or --certificates with <gateway>.pem and <gateway>.key"
        )
    return read_pair(aws.claim_certificate, aws.claim_key)


def certificates_folder(options: RunOptions, aws: AwsOptions) -> Path:
    """Where the gateways' certificates are and are put."""
    return aws.certificates or options.out / CERTIFICATES


def read_text(path: Path) -> str:
    """A file of PEM text. Raises SiteError."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"--root-ca {path} cannot be read ({error}): give a file of PEM text") from error


@contextmanager
def aws_target(options: RunOptions, city: City, console: Console) -> Iterator[AwsTarget]:
    """Find the stack, and bring the city's catalogue to it."""
    aws = options.aws or AwsOptions()
    cap = Cap(estimate(options, load_prices()).most_messages(aws), reserve(options))
    with step(console, "find the deployed stack"):
        site = discover(aws)
        reach(site)
        refuse_foreign_city(site, city)
    with step(console, "load the city's catalogue"):
        load_catalogue(city, options.out / "catalogue.csv", site.deployment)
    target = AwsTarget(site, aws, certificates_folder(options, aws), cap)
    try:
        yield target
    finally:
        target.events.stop()
