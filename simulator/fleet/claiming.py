"""How a gateway gets a certificate of its own: by a claim certificate, as it does in the field, or from a folder.

docs/operations.md tells how a claim certificate is made; decision 054 what it proves.
"""

import json
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from simulator.fleet.mqtt import DeviceConnection, DeviceConnectionError

ANSWER_S: Final = 15.0
CREATE: Final = "$aws/certificates/create/json"
_KEY_MODE: Final = 0o600


class CertificateError(Exception):
    """A certificate or key that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, as PEM text."""

    certificate_pem: str
    private_key_pem: str


def read_pair(certificate: Path, key: Path) -> KeyPair:
    """The pair in two files. Raises CertificateError."""
    try:
        pair = KeyPair(certificate.read_text(encoding="ascii"), key.read_text(encoding="ascii"))
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read ({error.strerror}): give the file's path") from error
    except UnicodeDecodeError as error:
        raise CertificateError(f"{certificate} and {key} must be PEM: text that begins with -----BEGIN") from error
    try:
        ends = x509.load_pem_x509_certificate(pair.certificate_pem.encode()).not_valid_after_utc
    except ValueError as error:
        raise CertificateError(f"{certificate} is no certificate in PEM: {error}") from error
    if ends < datetime.now(UTC):
        raise CertificateError(f"{certificate} has expired on {ends:%Y-%m-%d}: make a new one")
    return pair


def read_folder(folder: Path, gateways: Sequence[str]) -> dict[str, KeyPair]:
    """The pairs `<gateway>.pem` and `<gateway>.key` that the folder holds for these gateways."""
    return {
        gateway: read_pair(folder / f"{gateway}.pem", folder / f"{gateway}.key")
        for gateway in gateways
        if (folder / f"{gateway}.pem").exists()
    }


def keep(folder: Path, gateway: str, pair: KeyPair) -> None:
    """Write a pair where `read_folder` finds it: a gateway may be provisioned three times, and then no more."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / f"{gateway}.key"
    key.touch(_KEY_MODE)
    key.write_text(pair.private_key_pem, encoding="ascii")
    (folder / f"{gateway}.pem").write_text(pair.certificate_pem, encoding="ascii")


class Claim:
    """Asks for certificates over a connection that was made with a claim certificate.

    Parameters
    ----------
    connection : connected, under any client id
    template : name of the provisioning template
    """

    def __init__(self, connection: DeviceConnection, template: str) -> None:
        self._connection = connection
        self._provision = f"$aws/provisioning-templates/{template}/provision/json"
        self._answers: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        for topic in (CREATE, self._provision):
            for answer in ("accepted", "rejected"):
                connection.subscribe(f"{topic}/{answer}", self._hear).result(ANSWER_S)

    def provision(self, gateway: str) -> KeyPair:
        """Make a thing and a certificate of the gateway.

        Raises
        ------
        CertificateError
            AWS refuses; the message says what it said.
        """
        made = self._ask(gateway, CREATE, {})
        token = made["certificateOwnershipToken"]
        request = {"certificateOwnershipToken": token, "parameters": {"ThingName": gateway}}
        self._ask(gateway, self._provision, request)
        return KeyPair(made["certificatePem"], made["privateKey"])

    def _ask(self, gateway: str, topic: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._connection.publish(topic, json.dumps(request).encode()).result(ANSWER_S)
            answered, body = self._answers.get(timeout=ANSWER_S)
        except (DeviceConnectionError, TimeoutError, queue.Empty) as error:
            raise CertificateError(
                f"{gateway} got no answer to its claim at {topic}: see that the claim certificate has the fleet "
                f"stack's ClaimPolicy ({error or 'nothing came'})"
            ) from error
        if answered.endswith("/rejected"):
            raise CertificateError(
                f"{gateway} was refused by claim ({body.get('errorCode')}: {body.get('errorMessage')}): it must stand "
                "in the catalogue, in a district with a thing group, and have been provisioned less than three times"
            )
        return body

    def _hear(self, topic: str, payload: bytes) -> None:
        self._answers.put((topic, json.loads(payload)))
