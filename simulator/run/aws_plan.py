"""What a run on AWS would do, before it does it: messages, bytes, money, and what it leaves behind. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloud.capacity import roadside
from cloud.capacity.bill import Bill, price
from cloud.capacity.city import MONTH_S, City, Operation
from cloud.capacity.metering import Use
from cloud.capacity.prices import Prices
from roadside.contract import topics
from simulator.run.aws_site import Site
from simulator.run.options import AwsOptions, RunOptions

EDITIONS: Final = 2.0  # of a window: a gateway's late readings correct nearly every one of them once
EVENTS_PER_SEGMENT: Final = 0.2
SETTLING_S: Final = 60
RESERVED_PER_GATEWAY: Final = 6  # windows, their corrections and a summary, which are sent after the last reading
_REGISTRY_OPERATIONS: Final = 10  # of provisioning a gateway
_NOT_CHARGED: Final = frozenset({"Greengrass"})  # simulated gateways are devices, not core devices


class CapError(ValueError):
    """A cap that the run would exceed, or that nobody has agreed to."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run publishes at most on a good day, and what that costs.

    Parameters
    ----------
    windows, summaries, events : messages, editions of a window each by itself
    bill : the run's share of a month's bill of such a city, and what it costs once
    """

    windows: int
    summaries: int
    events: int
    message_bytes: int
    bill: Bill

    @property
    def messages(self) -> int:
        return self.windows + self.summaries + self.events

    @property
    def usd(self) -> float:
        return self.bill.usd

    def messages_for(self, usd: float) -> int:
        """How many messages may be published for so much money."""
        return math.floor(usd * self.messages / self.usd)

    def most_messages(self, aws: AwsOptions) -> int:
        """The cap: the lower one of those that are given, or twice what is estimated."""
        given = [] if aws.max_messages is None else [aws.max_messages]
        given += [] if aws.max_usd is None else [self.messages_for(aws.max_usd)]
        return min(given, default=2 * self.messages)


def estimate(options: RunOptions, prices: Prices) -> Estimate:
    """The estimate of a run: the city's month by the model of `plan`, for as long as the run takes."""
    city = City(options.sensors, options.gateways, options.window_s)
    operation = Operation(
        windows_days=14, sensor_summary_s=options.sensor_summary_s, gather_acks=False, editions_per_window=EDITIONS
    )
    month = roadside.traffic(city, operation)
    windows = math.ceil((math.ceil(options.duration_s / options.window_s) + 1) * EDITIONS) * options.gateways
    parts = month.summaries * operation.sensor_summary_s / (MONTH_S * options.gateways)
    summaries = math.ceil((math.ceil(options.duration_s / options.sensor_summary_s) + 1) * parts) * options.gateways
    events = math.ceil(city.segments * EVENTS_PER_SEGMENT)
    share = (options.duration_s + SETTLING_S) / MONTH_S
    return Estimate(
        windows=windows,
        summaries=summaries,
        events=events,
        message_bytes=round(windows * month.window_bytes + summaries * month.summary_bytes + events * 700),
        bill=price(_uses(city, operation, share), prices),
    )


def refuse_caps_too_low(estimate: Estimate, aws: AwsOptions) -> None:
    """Raise CapError where the run is known beforehand to need more than it may."""
    if aws.max_messages is not None and aws.max_messages < estimate.messages:
        raise CapError(
            f"--max-messages {aws.max_messages}: the run would publish about {estimate.messages:,}; "
            "allow as many, or ask for fewer gateways or seconds"
        )
    if aws.max_usd is not None and aws.max_usd < estimate.usd:
        raise CapError(
            f"--max-usd {aws.max_usd:g}: the run would cost about ${_usd(estimate.usd)}; allow as much, or ask for "
            "fewer gateways or seconds"
        )


def explanation(
    options: RunOptions, site: Site, estimate: Estimate, prices: Prices, certificates: Path, held: int
) -> list[tuple[str, str]]:
    """What the run would do and leave behind, as lines of a name and words.

    Parameters
    ----------
    certificates : folder of the gateways' certificates
    held : gateways that have one there
    """
    aws = options.aws or AwsOptions()
    names = f"gw-000 to gw-{options.gateways - 1:03d}" if options.gateways > 1 else "gw-000"
    lacking = options.gateways - held
    claim = f"{lacking} would get one by claim ({site.provisioning_template}), kept in {certificates}"
    segments = City(options.sensors, options.gateways).segments
    dearest = ", ".join(f"{name} ${_usd(usd)}" for name, usd in list(estimate.bill.by_service().items())[:3])
    most = estimate.most_messages(aws)
    return [
        ("stack", f"roadside-{aws.stage} in account {site.account}, region {site.region}"),
        ("broker", f"{site.host}:{site.port}, MQTT with mutual TLS"),
        ("things", f"{options.gateways} gateways, {names}"),
        ("certificates", f"{held} are in {certificates}" + (f"; {claim}" if lacking else "")),
        ("topics", ", ".join(topics.uplink(kind, "gw-000") for kind in ("windows", "sensors", "events"))),
        ("heard", f"{topics.acks('gw-000')}; the systems' queue is read and emptied"),
        (
            "messages",
            f"about {estimate.messages:,}: {estimate.windows:,} of windows and their corrections, "
            f"{estimate.summaries:,} summaries of sensors, {estimate.events:,} events; "
            f"{estimate.message_bytes:,} bytes",
        ),
        (
            "cost",
            f"about ${_usd(estimate.usd)} by {prices.region} prices of {prices.as_of}, the stack's own share of these "
            f"{options.duration_s + SETTLING_S} s included ({dearest}, ...)",
        ),
        ("cap", f"{most:,} messages, about ${_usd(estimate.usd * most / estimate.messages)}; then the readings end"),
        (
            "changes",
            f"the catalogue gets {segments:,} segments and {options.gateways} gateways; tables and lake get what these "
            "send; whoever is subscribed to alerts is told of congestion, and of gateways that fall silent afterwards",
        ),
        (
            "leaves behind",
            f"{options.gateways} things with a certificate each, the catalogue, items until their time to live is "
            "over, rows in the lake",
        ),
        (
            "to remove",
            f"cdk destroy roadside-{aws.stage}, where it is a stage for runs alone; and of each thing: aws iot "
            "list-thing-principals, detach-thing-principal, update-certificate --new-status INACTIVE, "
            "delete-certificate --force-delete, delete-thing",
        ),
    ]


def _usd(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 1 else f"{usd:.2g}" if usd >= 0.0001 else "0"


def reserve(options: RunOptions) -> int:
    """Messages that a cap must keep for what follows the last reading."""
    return RESERVED_PER_GATEWAY * options.gateways


def _uses(city: City, operation: Operation, share: float) -> Iterator[Use]:
    for use in roadside.uses(city, operation):
        if use.service not in _NOT_CHARGED:
            yield replace(use, quantity=use.quantity * share)
    yield Use("IoT Core", "registry, once", "iot_registry_operations", _REGISTRY_OPERATIONS * city.gateways)
