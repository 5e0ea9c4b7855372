"""The provisioning hook's settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cloud.functions.shared.environment import Environment, SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the hook.

    Parameters
    ----------
    gateways_table : where gateways are registered
    district_groups : thing group of each district
    most_provisionings : how often a gateway may get a certificate before a person must look
    """

    gateways_table: str
    district_groups: Mapping[str, str]
    most_provisionings: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault at once."""
        environment = Environment(variables)
        gateways_table = environment.text("GATEWAYS_TABLE")
        groups = environment.text("DISTRICT_GROUPS")
        most_provisionings = environment.whole_number("MOST_PROVISIONINGS", 1, 1000)
        environment.check()
        return cls(gateways_table, _groups(groups), most_provisionings)


def _groups(text: str) -> dict[str, str]:
    try:
        groups = json.loads(text)
    except ValueError:
        groups = None
    if not isinstance(groups, dict) or not all(isinstance(group, str) for group in groups.values()):
        raise SettingsError((f"DISTRICT_GROUPS = {text!r:.100}: must be a JSON object of districts and thing groups",))
    return groups
