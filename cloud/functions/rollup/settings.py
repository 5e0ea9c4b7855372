"""The rollup's settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the rollup.

    Parameters
    ----------
    windows_table, hours_table : what to read
    lake_bucket : where to write
    windows_days : how long windows are kept
    """

    windows_table: str
    hours_table: str
    lake_bucket: str
    windows_days: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault at once."""
        environment = Environment(variables)
        settings = cls(
            windows_table=environment.text("WINDOWS_TABLE"),
            hours_table=environment.text("HOURS_TABLE"),
            lake_bucket=environment.text("LAKE_BUCKET"),
            windows_days=environment.whole_number("WINDOWS_DAYS", 1, 3650),
        )
        environment.check()
        return settings
