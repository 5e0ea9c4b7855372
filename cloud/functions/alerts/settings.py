"""The alerts function's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the alerts function.

    Parameters
    ----------
    alerts_table, gateways_table, parked_queue_url : where to write
    event_bus : where to publish
    retention_days : how long an alert's item lives
    """

    alerts_table: str
    gateways_table: str
    parked_queue_url: str
    event_bus: str
    retention_days: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault at once."""
        environment = Environment(variables)
        settings = cls(
            alerts_table=environment.text("ALERTS_TABLE"),
            gateways_table=environment.text("GATEWAYS_TABLE"),
            parked_queue_url=environment.text("PARKED_QUEUE_URL"),
            event_bus=environment.text("EVENT_BUS"),
            retention_days=environment.whole_number("RETENTION_DAYS", 1, 3650),
        )
        environment.check()
        return settings
