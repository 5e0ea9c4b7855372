"""What can go wrong in a run: every kind of fault, what it strikes, and the numbers that it takes.

One table, from which the reader of plans, the ready-made plans and the manual's test take what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A kind of fault, as a plan and `--chaos` name it."""

    LOSS = "loss"
    DUPLICATES = "duplicates"
    DISORDER = "disorder"
    DELAY = "delay"
    POISON = "poison"
    CLOCK_SKEW = "clock-skew"
    SENSOR_SILENT = "sensor-silent"
    SENSOR_DEAD = "sensor-dead"
    SENSOR_STUCK = "sensor-stuck"
    SENSOR_CONSTANT = "sensor-constant"
    SENSOR_CHATTER = "sensor-chatter"
    SENSOR_MIS_SCALED = "sensor-mis-scaled"
    SENSOR_UNDERCOUNT = "sensor-undercount"
    CLOCK_STEP = "clock-step"
    GATEWAY_CRASH = "gateway-crash"
    POWER_CUT = "power-cut"
    IPC_DROP = "ipc-drop"
    CLOUD_OUTAGE = "cloud-outage"
    NETWORK_PARTITION = "network-partition"
    THROTTLING = "throttling"


class Strikes(StrEnum):
    """What a kind of fault is aimed at."""

    READINGS = "readings"  # on their way from a sensor to its gateway
    SENSORS = "sensors"
    GATEWAYS = "gateways"
    CLOUD = "cloud"  # all gateways at once


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a kind of fault takes, from `least` to `most`; without a default it must be given."""

    least: float
    most: float
    default: float | None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What is true of a kind.

    Parameters
    ----------
    does : in one line, for people
    numbers : what it takes beside name, kind, times and target, with units in the names
    sensor_fault : the fault of `roadside.traffic.sensor_faults` that it is, and the number that is its parameter
    needs_process : whether only a gateway that is a process of its own can suffer it
    """

    strikes: Strikes
    does: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    sensor_fault: str = ""
    sensor_parameter: str = ""
    needs_process: bool = False


_SHARE: Final = Number(0.0, 1.0, None)
_EVERY: Final = Number(0.0, 3600.0, 0.0)
HOUR_MS: Final = 3_600_000

RULES: Final[Mapping[Kind, Rules]] = {
    Kind.LOSS: Rules(Strikes.READINGS, "a share of the readings never reaches its gateway", {"share": _SHARE}),
    Kind.DUPLICATES: Rules(Strikes.READINGS, "a share of the readings comes again a second later", {"share": _SHARE}),
    Kind.DISORDER: Rules(
        Strikes.READINGS, "a share of the readings comes a second late, on time for its window", {"share": _SHARE}
    ),
    Kind.DELAY: Rules(
        Strikes.READINGS,
        "a share of the readings comes seconds late, after its window may have closed",
        {"share": _SHARE, "least_delay_s": Number(3, 60, 5, whole=True), "most_delay_s": Number(3, 60, 8, whole=True)},
    ),
    Kind.POISON: Rules(
        Strikes.READINGS,
        "readings that cannot be (a share more of them), and messages that are none: garbage, torn, oversize, of wrong "
        "types",
        {"share": Number(0.0, 1.0, 0.0), "messages_per_s": Number(0.0, 100.0, 0.0)},
    ),
    Kind.CLOCK_SKEW: Rules(
        Strikes.SENSORS,
        "sensors date their readings by a clock that is off",
        {"skew_ms": Number(-1e9, 1e9, None, whole=True)},
    ),
    Kind.SENSOR_SILENT: Rules(Strikes.SENSORS, "sensors tell nothing", sensor_fault="silent"),
    Kind.SENSOR_DEAD: Rules(Strikes.SENSORS, "sensors tell of an empty road", sensor_fault="dead"),
    Kind.SENSOR_STUCK: Rules(Strikes.SENSORS, "sensors tell of a vehicle that stands", sensor_fault="stuck_on"),
    Kind.SENSOR_CONSTANT: Rules(Strikes.SENSORS, "sensors repeat one reading for ever", sensor_fault="constant"),
    Kind.SENSOR_CHATTER: Rules(
        Strikes.SENSORS,
        "sensors count vehicles that are none",
        {"vehicles_per_30s": Number(1.0, 1000.0, 60.0)},
        sensor_fault="chatter",
        sensor_parameter="vehicles_per_30s",
    ),
    Kind.SENSOR_MIS_SCALED: Rules(
        Strikes.SENSORS,
        "sensors tell occupancy by a wrong scale",
        {"factor": Number(0.0, 100.0, 2.5)},
        sensor_fault="occupancy_scale",
        sensor_parameter="factor",
    ),
    Kind.SENSOR_UNDERCOUNT: Rules(
        Strikes.SENSORS,
        "sensors miss a share of the vehicles",
        {"share_missed": Number(0.0, 1.0, 0.5)},
        sensor_fault="undercount",
        sensor_parameter="share_missed",
    ),
    Kind.CLOCK_STEP: Rules(
        Strikes.GATEWAYS,
        "the wall clocks of gateways step, and back at the end",
        {"step_ms": Number(-HOUR_MS, HOUR_MS, HOUR_MS, whole=True)},
    ),
    Kind.GATEWAY_CRASH: Rules(
        Strikes.GATEWAYS, "the Aggregator is killed (SIGKILL): once, or again and again", {"every_s": _EVERY}
    ),
    Kind.POWER_CUT: Rules(
        Strikes.GATEWAYS,
        "the gateway is dark; what its sensors say meanwhile is lost, its store is as the last sync left it",
    ),
    Kind.IPC_DROP: Rules(
        Strikes.GATEWAYS,
        "the nucleus ends the Aggregator's connection: once, or again and again",
        {"every_s": _EVERY},
        needs_process=True,
    ),
    Kind.CLOUD_OUTAGE: Rules(Strikes.CLOUD, "every connection to the cloud is cut, and new ones are refused"),
    Kind.NETWORK_PARTITION: Rules(
        Strikes.GATEWAYS, "the connections of some gateways are cut, and new ones are refused"
    ),
    Kind.THROTTLING: Rules(
        Strikes.GATEWAYS,
        "publishes are refused (delay_ms = 0) or each taken so much later",
        {"delay_ms": Number(0.0, 10_000.0, 0.0)},
    ),
}
"""Every kind, in the order in which they are told of."""
