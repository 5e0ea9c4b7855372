"""Which gateway gets a certificate. Pure.

The claim certificate is the same for all gateways and may leak, so it proves nothing. What is known of a gateway was
registered by a person, with the catalogue; a device has no say in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.functions.provisioning.settings import Settings


@dataclass(frozen=True, slots=True)
class Registration:
    """What the gateways table knows of a gateway.

    Parameters
    ----------
    district : None where the gateway was heard of and never registered
    provisioned : certificates it got so far
    """

    district: str | None
    provisioned: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a gateway is let in.

    Parameters
    ----------
    reason : why not; None lets it in
    group : thing group of its district
    """

    reason: str | None
    group: str = ""


def gateway_name(event: Mapping[str, Any]) -> str | None:
    """The name under which a device asks to be provisioned; None if it gives none."""
    parameters = event.get("parameters")
    name = parameters.get("ThingName") if isinstance(parameters, Mapping) else None
    return name if isinstance(name, str) and name else None


def judge(registration: Registration | None, settings: Settings) -> Verdict:
    """Whether the gateway with this registration may have a certificate."""
    if registration is None or registration.district is None:
        return Verdict("it is not registered: load the catalogue that names it")
    group = settings.district_groups.get(registration.district)
    if group is None:
        return Verdict(f"its district {registration.district!r} has no thing group: add it to the context's districts")
    if registration.provisioned >= settings.most_provisionings:
        return Verdict(
            f"it was provisioned {registration.provisioned} times: find out why, revoke its old certificates, and "
            "remove 'provisioned' from its item in the gateways table"
        )
    return Verdict(None, group)


def answer(verdict: Verdict) -> dict[str, Any]:
    """What IoT Core expects of a hook. The group is ours to say, whatever the device gave under that name."""
    if verdict.reason is not None:
        return {"allowProvisioning": False}
    return {"allowProvisioning": True, "parameterOverrides": {"DistrictGroup": verdict.group}}
