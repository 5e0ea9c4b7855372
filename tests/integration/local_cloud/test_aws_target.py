"""A run's way to a stack that is deployed, with the local cloud as the account: found, claimed, capped, read again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cloud.deployment import NotDeployedError
from roadside.contract import topics
from roadside.contract.codec import encode_window
from simulator.city.layout import make_city
from simulator.fleet.capped import Cap
from simulator.fleet.claiming import CertificateError
from simulator.fleet.mqtt import DeviceOfflineError
from simulator.local_cloud.devices import DeviceIdentity
from simulator.run.aws_site import SiteError, discover, reach, refuse_foreign_city
from simulator.run.aws_target import AwsTarget
from simulator.run.options import AwsOptions
from tests.integration.local_cloud.conftest import Platform
from tests.integration.local_cloud.support import eventually
from tests.unit.cloud.messages import make_window

GATEWAY = "gw-aws-1"


@pytest.fixture
def options(platform: Platform, claim: DeviceIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsOptions:
    """Flags of a run against this account, whose credentials and endpoint are in the environment."""
    for name, value in platform.cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    files = {"claim.pem": claim.certificate_pem, "claim.key": claim.private_key_pem, "ca.pem": claim.ca_pem}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return AwsOptions(
        endpoint=f"{platform.cloud.mqtt_host}:{platform.cloud.mqtt_port}",
        claim_certificate=tmp_path / "claim.pem",
        claim_key=tmp_path / "claim.key",
        root_ca=tmp_path / "ca.pem",
    )


def test_gateway_gets_its_certificate_by_claim_and_its_windows_are_found_within_the_cap(
    platform: Platform, options: AwsOptions, tmp_path: Path
) -> None:
    item = {"gateway": {"S": GATEWAY}, "district": {"S": "Harbour"}, "segment_count": {"N": "2"}}
    platform.cloud.client("dynamodb").put_item(TableName=platform.outputs["GatewaysTable"], Item=item)
    site = discover(options)
    assert (site.account, site.region) == ("000000000000", "us-east-1")
    reach(site)
    target = AwsTarget(site, options, tmp_path / "certificates", Cap(2, reserve=1))
    try:
        target.admit([GATEWAY])
        assert sorted(path.name for path in (tmp_path / "certificates").iterdir()) == [
            f"{GATEWAY}.key",
            f"{GATEWAY}.pem",
        ]
        target.admit([GATEWAY])  # with the certificate that is there
        connection, now_ms = target.connect(GATEWAY), int(time.time() * 1000)
        start_ms = now_ms // 10_000 * 10_000
        of_run = make_window(gateway=GATEWAY, start_ms=start_ms, epoch_ms=now_ms)
        of_an_earlier_run = make_window(gateway=GATEWAY, start_ms=start_ms - 10_000, epoch_ms=1)
        for window in (of_an_earlier_run, of_run):
            assert not target.is_spent or window is of_run
            connection.publish(topics.uplink("windows", GATEWAY), encode_window(window)).result(10)
        refused = connection.publish(topics.uplink("windows", GATEWAY), encode_window(of_run))
        assert isinstance(refused.exception(), DeviceOfflineError)
        assert target.is_spent
        stored = eventually(target.windows, what="window in the table")
        assert stored == {(GATEWAY, start_ms): [of_run]}
        connection.close()
    finally:
        target.events.stop()


def test_gateway_that_the_catalogue_does_not_know_is_refused_with_what_to_do(
    options: AwsOptions, tmp_path: Path
) -> None:
    target = AwsTarget(discover(options), options, tmp_path / "certificates", Cap(9, reserve=1))
    try:
        with pytest.raises(CertificateError, match=r"gw-aws-9 was refused by claim \(AccessDenied.*in the catalogue"):
            target.admit(["gw-aws-9"])
    finally:
        target.events.stop()


def test_stack_of_another_city_is_left_alone(platform: Platform, options: AwsOptions) -> None:
    item = {"gateway": {"S": "gw-of-a-city"}, "district": {"S": "Harbour"}, "segment_count": {"N": "2"}}
    platform.cloud.client("dynamodb").put_item(TableName=platform.outputs["GatewaysTable"], Item=item)
    with pytest.raises(SiteError, match=r"stage dev serves another city .*deploy a stage for runs alone"):
        refuse_foreign_city(discover(options), make_city(40, 2, 1))


def test_wrong_stage_and_closed_port_are_one_sentence_each(options: AwsOptions) -> None:
    with pytest.raises(NotDeployedError, match="stack roadside-prod is not deployed in region us-east-1"):
        discover(AwsOptions(stage="prod"))
    site = discover(AwsOptions(endpoint="127.0.0.1:1"))
    with pytest.raises(SiteError, match=r"127\.0\.0\.1:1 does not answer \(.*refused\): see that the port is open"):
        reach(site)
