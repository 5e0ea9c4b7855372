"""What a run is asked to do. One value, so that the report can repeat it."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from simulator.city.scenario import Scenario
from simulator.faults.plan import FaultPlan


class Mode(StrEnum):
    """Who sends: gateways their summaries, or every sensor each of its readings, as in the first design."""

    EDGE = "edge"
    RAW = "raw"


class Break(StrEnum):
    """What is damaged before verification, to see that verification finds it: a stored window, or rows in the lake."""

    NONE = "none"
    MISSING = "missing"
    WRONG = "wrong"
    LAKE = "lake"


class TargetName(StrEnum):
    """What stands behind the gateways."""

    LOCAL = "local"
    MEMORY = "memory"
    AWS = "aws"


class NucleusProfile(StrEnum):
    """Which nucleus the real gateways stand on."""

    CLASSIC = "classic"
    LITE = "lite"


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """How a run finds a deployed stack, who its gateways are there, and what it may publish.

    Parameters
    ----------
    endpoint : HOST:PORT of the MQTT broker; None asks the account
    certificates : folder of `<gateway>.pem` and `<gateway>.key`; those that are made by claim are put there
    claim_certificate, claim_key : what a gateway without a certificate asks for one with
    root_ca : what the broker's certificate is checked against; None for the machine's own authorities
    max_messages, max_usd : caps of the run; None for twice what is estimated
    """

    stage: str = "dev"
    endpoint: str | None = None
    certificates: Path | None = None
    claim_certificate: Path | None = None
    claim_key: Path | None = None
    root_ca: Path | None = None
    max_messages: int | None = None
    max_usd: float | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """A run. `window_s`, `lateness_ms` and the interval are what the gateways are configured with.

    Parameters
    ----------
    soak : whether every part is restarted in turn; what the conductor of faults does of it is in `faults` already
    speed : seconds of readings in a second; None is as fast as it goes
    chaos : the words that were asked for, which are in `faults` already
    """

    mode: Mode = Mode.EDGE
    sensors: int = 50_000
    gateways: int = 200
    gateways_real: int = 2
    duration_s: int = 60
    soak: bool = False
    ramp_up_s: int = 0
    window_s: int = 10
    sensor_summary_s: int = 30
    lateness_ms: int = 2000
    seed: int = 1
    scenario: Scenario = field(default_factory=Scenario)
    profile: NucleusProfile = NucleusProfile.CLASSIC
    chaos: tuple[str, ...] = ()
    break_window: Break = Break.NONE
    target: TargetName = TargetName.LOCAL
    aws: AwsOptions | None = None
    speed: float | None = 1.0
    auth: bool = True
    archive: bool = True
    out: Path = Path("out")
    faults: FaultPlan = field(default_factory=FaultPlan)


def speed_of(text: str) -> float | None:
    """The speed that `N` or `max` asks for. Raises ValueError."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1.0 <= speed < math.inf:
        raise ValueError(f"{text!r} is no speed: give a number of at least 1, or max")
    return speed
