"""What breaks first when a city grows: quotas of an AWS account and limits of our own design. Pure.

Quotas are the defaults of an account in a large region such as us-east-1; smaller regions begin with less. AWS raises
those that are marked so on request.
"""

from dataclasses import dataclass
from typing import Final

from cloud.capacity.city import City, Operation
from cloud.capacity.roadside import ROW_JSON_BYTES, sweep_pass_s, traffic
from cloud.capacity.sizing import size

_QUOTAS: Final = "https://docs.aws.amazon.com/general/latest/gr"
_IOT: Final = f"{_QUOTAS}/iot-core.html"
_CONTRACT: Final = "docs/contract.md"
CONNECTIONS: Final = 500_000
PUBLISHES_PER_S: Final = 20_000


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and what the city needs of it.

    Parameters
    ----------
    need, quota : both in `unit`
    raisable : whether AWS raises it on request
    source : page that states it
    shared : whether all gateways of an account share it, so that more accounts relieve it
    """

    name: str
    need: float
    quota: float
    unit: str
    raisable: bool
    source: str
    shared: bool = True

    @property
    def used(self) -> float:
        """Part of the limit that is needed; above 1 it breaks."""
        return self.need / self.quota


def limits(city: City, operation: Operation) -> tuple[Limit, ...]:
    """All limits, the one that breaks first before the others."""
    sized = size(city)
    sent = traffic(city, operation)
    windows_per_s = city.windows_per_s * operation.editions_per_window
    rows_per_s = windows_per_s * city.segments / city.gateways
    found = (
        Limit("IoT Core: connections", city.gateways, CONNECTIONS, "connections", True, _IOT),
        Limit("IoT Core: inbound publishes", windows_per_s, PUBLISHES_PER_S, "a second", True, _IOT),
        Limit("IoT Core: rules evaluated", windows_per_s, 20_000, "a second", True, _IOT),
        Limit("IoT Core: size of a message", sent.window_bytes, 128 * 1024, "bytes", False, _IOT, shared=False),
        Limit("Kinesis: shards", sized.shards, 20_000, "shards", True, f"{_QUOTAS}/ak.html"),
        Limit(
            "Lambda: concurrency", sized.processor_concurrency, 1000, "at once", True, f"{_QUOTAS}/lambda-service.html"
        ),
        Limit("DynamoDB: writes to a table", windows_per_s, 40_000, "units a second", True, f"{_QUOTAS}/ddb.html"),
        Limit(
            "Firehose: rows by direct put",
            rows_per_s * ROW_JSON_BYTES / 1024**2,
            5,
            "MiB a second",
            True,
            f"{_QUOTAS}/fh.html",
        ),
        Limit("EventBridge: events put", _busiest_events_per_s(city), 10_000, "a second", True, f"{_QUOTAS}/ev.html"),
        Limit(
            "contract: segments on a gateway",
            city.segments / city.gateways,
            4096,
            "segments",
            False,
            _CONTRACT,
            shared=False,
        ),
        Limit(
            "sweep: one pass over all gateways",
            sweep_pass_s(city),
            operation.sweep_s,
            "seconds",
            False,
            "cloud/capacity",
        ),
    )
    return tuple(sorted(found, key=lambda limit: -limit.used))


def first_design_limits(city: City) -> tuple[Limit, ...]:
    """What the broker sees of a design in which every sensor connects and publishes by itself."""
    return (
        Limit("IoT Core: connections", city.sensors, CONNECTIONS, "connections", True, _IOT),
        Limit("IoT Core: inbound publishes", city.readings_per_s, PUBLISHES_PER_S, "a second", True, _IOT),
    )


def _busiest_events_per_s(city: City) -> float:
    """A tenth of all segments changing state within one window, as when the rush hour or a storm begins."""
    return 0.1 * city.segments / city.window_s
