"""What can be configured about the health of sensors: how long which sign must last, by road class."""

from typing import Annotated

import msgspec
from msgspec import Meta

from roadside.core.health import ClassRules, HealthRules

Minutes = Annotated[int, Meta(ge=0, le=43_200)]  # 0: the rule is off


class FreewayHealth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Patience with sensors on freeways; minutes count while the sensor is heard, and 0 switches a rule off.

    Parameters
    ----------
    silent_minutes : no reading, while other sensors send
    dead_minutes : no vehicle, whatever the others count
    dead_proven_minutes : no vehicle, while `proofVehicles` passed beside it
    stuck_minutes : no vehicle and covered all the time, whatever the others count
    stuck_proven_minutes : the same, while `proofVehicles` passed beside it
    proof_vehicles : vehicles that prove traffic
    constant_minutes : one reading again and again that is not that of an empty road
    chatter_vehicles : vehicles in 30 s that no lane carries
    chatter_clear_minutes : time without chatter after which the sensor is believed again
    length_minutes : vehicles longer or shorter than those of the gateway's other sensors
    undercount_minutes : fewer vehicles than pass the neighbouring stations
    clear_minutes : time without signs of another fault after which the sensor is believed again
    """

    silent_minutes: Minutes = 10
    dead_minutes: Minutes = 240
    dead_proven_minutes: Minutes = 45
    stuck_minutes: Minutes = 240
    stuck_proven_minutes: Minutes = 30
    proof_vehicles: Annotated[int, Meta(ge=1, le=100_000)] = 100
    constant_minutes: Minutes = 10
    chatter_vehicles: Annotated[int, Meta(ge=0, le=1000)] = 38
    chatter_clear_minutes: Minutes = 60
    length_minutes: Minutes = 10
    undercount_minutes: Minutes = 15
    clear_minutes: Minutes = 1

    def rules(self) -> ClassRules:
        """The core's view of these settings."""
        return ClassRules(
            silent_ms=self.silent_minutes * 60_000,
            dead_ms=self.dead_minutes * 60_000,
            dead_proven_ms=self.dead_proven_minutes * 60_000,
            stuck_ms=self.stuck_minutes * 60_000,
            stuck_proven_ms=self.stuck_proven_minutes * 60_000,
            proof_vehicles=self.proof_vehicles,
            constant_ms=self.constant_minutes * 60_000,
            chatter_vehicles=self.chatter_vehicles,
            chatter_clear_ms=self.chatter_clear_minutes * 60_000,
            length_ms=self.length_minutes * 60_000,
            undercount_ms=self.undercount_minutes * 60_000,
            clear_ms=self.clear_minutes * 60_000,
        )


class RampHealth(FreewayHealth, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Patience with sensors on ramps, which have no neighbours that carry the same vehicles."""

    dead_minutes: Minutes = 480
    dead_proven_minutes: Minutes = 120
    stuck_minutes: Minutes = 60
    stuck_proven_minutes: Minutes = 0
    undercount_minutes: Minutes = 0


class ArterialHealth(FreewayHealth, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Patience with sensors on streets, which are empty at night and covered at red lights."""

    dead_minutes: Minutes = 1440
    dead_proven_minutes: Minutes = 60
    stuck_proven_minutes: Minutes = 60
    proof_vehicles: Annotated[int, Meta(ge=1, le=100_000)] = 40
    undercount_minutes: Minutes = 0


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether sensors are judged, and with how much patience on each class of road.

    Parameters
    ----------
    enabled : whether sensors are judged; otherwise all are believed
    freeway, ramp, arterial : patience by road class
    """

    enabled: bool = True
    freeway: FreewayHealth = FreewayHealth()
    ramp: RampHealth = RampHealth()
    arterial: ArterialHealth = ArterialHealth()

    def rules(self) -> HealthRules:
        """The core's view of these settings."""
        return HealthRules(
            enabled=self.enabled,
            freeway=self.freeway.rules(),
            ramp=self.ramp.rules(),
            arterial=self.arterial.rules(),
        )
