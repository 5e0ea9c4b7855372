"""Register devices with the local cloud through the IoT API, as an operator would on AWS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import REPOSITORY, LocalCloud

_THREADS = 4


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What a device needs to connect. All three documents are PEM text."""

    thing_name: str
    certificate_pem: str
    private_key_pem: str
    ca_pem: str


def register_device(
    cloud: LocalCloud, thing_name: str, policy_name: str, thing_group: str | None = None
) -> DeviceIdentity:
    """Create a thing with an active certificate, attach the policy to it and put the thing into the group.

    Registering a name again gives it one more certificate. A policy or group that does not exist raises botocore's
    `ClientError` with ResourceNotFoundException.
    """
    return register_devices(cloud, [thing_name], policy_name, thing_group)[0]


def register_devices(
    cloud: LocalCloud,
    thing_names: Sequence[str],
    policy_name: str,
    thing_group: str | None = None,
    on_registered: Callable[[], None] = lambda: None,
) -> tuple[DeviceIdentity, ...]:
    """Register many devices at once, `on_registered` after each; the identities come in the order of the names."""
    iot = cloud.client("iot")
    ca_pem = cloud.ca_pem

    def register(thing_name: str, request: dict[str, str]) -> DeviceIdentity:
        iot.create_thing(thingName=thing_name)
        certificate = iot.create_certificate_from_csr(certificateSigningRequest=request["request"], setAsActive=True)
        iot.attach_policy(policyName=policy_name, target=certificate["certificateArn"])
        iot.attach_thing_principal(thingName=thing_name, principal=certificate["certificateArn"])
        if thing_group is not None:
            iot.add_thing_to_thing_group(thingName=thing_name, thingGroupName=thing_group)
        on_registered()
        return DeviceIdentity(thing_name, certificate["certificatePem"], request["key"], ca_pem)

    requests = _signing_requests(cloud.settings.python, thing_names)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="register-device") as pool:
        return tuple(pool.map(register, thing_names, requests))


def _signing_requests(python: Path, names: Sequence[str]) -> list[dict[str, str]]:
    command = [str(python), "-m", "simulator.local_cloud.signing_requests", *names]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    except subprocess.CalledProcessError as error:
        raise LocalCloudError(f"device keys could not be made: {error.stderr.strip()}") from error
    requests: list[dict[str, str]] = json.loads(done.stdout)
    return requests
