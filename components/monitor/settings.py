"""What can be configured about the Monitor; names, ranges and defaults.

In the component's configuration the keys are in camelCase (`heartbeatSeconds`).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from roadside.contract.heartbeat import INTERVAL_S, MAX_COMPONENTS
from roadside.contract.status import INTERVAL_MS

ComponentName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_\-.]+$")]


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The whole configuration. Defaults stand in the recipe as well; a test holds the two together.

    Parameters
    ----------
    heartbeat_seconds : time between two heartbeats
    silent_after_intervals : a component is silent once that many statuses, of 10 s, have not come
    expected : components that are to be there, heard or not; others are watched from their first status on
    restart_silent : have the nucleus restart a component that is silent or missing
    log_level : least severe lines that are logged
    """

    heartbeat_seconds: Annotated[int, Meta(ge=10, le=3600)] = INTERVAL_S
    silent_after_intervals: Annotated[int, Meta(ge=3, le=360)] = 6
    expected: Annotated[tuple[ComponentName, ...], Meta(max_length=MAX_COMPONENTS - 1)] = ("city.roadside.Aggregator",)
    restart_silent: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def silent_after_ms(self) -> int:
        return self.silent_after_intervals * INTERVAL_MS
