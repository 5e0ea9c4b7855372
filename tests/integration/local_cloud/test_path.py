"""Device -> rule -> stream -> function -> table, and what must not pass."""

from __future__ import annotations

import base64
import json

import pytest

from simulator.local_cloud.devices import DeviceIdentity
from tests.integration.local_cloud.conftest import Stack
from tests.integration.local_cloud.support import Device, eventually

BINARY = bytes([0xFF, 0xFE, 0x00, 0x80, 0x0A]) + b"window"
NOT_AUTHORIZED = 135

Gateways = tuple[DeviceIdentity, DeviceIdentity]


def windows_topic(stack: Stack, gateway: str) -> str:
    return f"$aws/rules/{stack.outputs['WindowsRuleName']}/roadside/v1/{gateway}/windows"


def events_topic(stack: Stack, gateway: str) -> str:
    return f"$aws/rules/{stack.outputs['EventsRuleName']}/roadside/v1/{gateway}/events"


def test_binary_window_reaches_the_table(stack: Stack, gateways: Gateways) -> None:
    with Device(stack.cloud, gateways[0]) as device:
        assert device.publish(windows_topic(stack, "gw1"), BINARY) == 0
    item = eventually(lambda: [each for each in stack.items("gw1") if each["payload"] == BINARY.hex()])[0]
    assert item["partition_key"] == "gw1/gw1"  # ${topic(3)}/${clientid()}
    assert int(item["received_ms"]) > 1_600_000_000_000


def test_window_of_another_gateway_is_refused(stack: Stack, gateways: Gateways) -> None:
    with Device(stack.cloud, gateways[0]) as device:
        assert device.publish(windows_topic(stack, "gw2"), b"forged") == NOT_AUTHORIZED
        assert device.publish(windows_topic(stack, "gw1"), b"honest") == 0
    eventually(lambda: b"honest" in stack.payloads("gw1"))
    assert stack.payloads("gw2") == []


def test_client_without_a_certificate_is_refused(stack: Stack) -> None:
    with pytest.raises(ConnectionError), Device(stack.cloud, None):
        pass


def test_client_with_a_certificate_of_another_authority_is_refused(stack: Stack, gateways: Gateways) -> None:
    foreign = DeviceIdentity("gw1", *_self_signed(), stack.cloud.ca_pem)
    with pytest.raises(ConnectionError), Device(stack.cloud, foreign):
        pass


def test_another_client_id_than_the_things_is_refused(stack: Stack, gateways: Gateways) -> None:
    with pytest.raises(ConnectionError, match=r"(?i)not.authorized"), Device(stack.cloud, gateways[0], client_id="gw2"):
        pass


def test_device_receives_binary_acks(stack: Stack, gateways: Gateways) -> None:
    with Device(stack.cloud, gateways[1]) as device:
        device.subscribe("roadside/v1/gw2/acks")
        stack.cloud.client("iot-data").publish(topic="roadside/v1/gw2/acks", qos=1, payload=BINARY)
        eventually(lambda: device.received)
    assert device.received == [("roadside/v1/gw2/acks", BINARY)]


def test_event_rule_invokes_its_function(stack: Stack, gateways: Gateways) -> None:
    with Device(stack.cloud, gateways[1]) as device:
        for number in range(40):  # more than the function's concurrency: they queue, none is lost
            assert device.publish(events_topic(stack, "gw2"), json.dumps({"event_id": f"e{number:02}"}).encode()) == 0
    eventually(lambda: len([item for item in stack.items("gw2") if item["payload"].startswith("e")]) == 40)


def test_rule_without_invoke_permission_takes_its_error_action(stack: Stack, gateways: Gateways) -> None:
    functions = stack.cloud.client("lambda")
    name = stack.outputs["AlertsName"]
    policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    statement = policy["Statement"][0]
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        with Device(stack.cloud, gateways[0]) as device:
            assert device.publish(events_topic(stack, "gw1"), b'{"event_id": "lost"}') == 0
        report = json.loads(eventually(lambda: stack.messages("RuleErrorsUrl"))[0])
    finally:
        functions.add_permission(
            FunctionName=name,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="iot.amazonaws.com",
            SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        )
    assert report["failures"][0]["failedAction"] == "LambdaAction"
    assert "no permission" in report["failures"][0]["errorMessage"]
    assert base64.b64decode(report["base64OriginalPayload"]) == b'{"event_id": "lost"}'


def _self_signed() -> tuple[str, str]:
    """A certificate and key that no authority of the local cloud has signed."""
    import datetime

    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gw1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), key_pem.decode()
