"""The settings of the readings function."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the readings function.

    Parameters
    ----------
    readings_table, parked_queue_url : where to write
    retention_days : how long a reading lives
    """

    readings_table: str
    parked_queue_url: str
    retention_days: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault at once."""
        environment = Environment(variables)
        settings = cls(
            readings_table=environment.text("READINGS_TABLE"),
            parked_queue_url=environment.text("PARKED_QUEUE_URL"),
            retention_days=environment.whole_number("RETENTION_DAYS", 1, 3650),
        )
        environment.check()
        return settings
