"""Starting and stopping: nothing stays behind, and a failure says why."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.errors import LocalCloudError, StartError
from simulator.local_cloud.local_cloud import REPOSITORY, LocalCloud, LocalCloudSettings
from tests.integration.local_cloud.support import eventually, traffic_stack, write_assembly


def group_members(group_id: int) -> list[int]:
    """Live processes of a process group (zombies do not count)."""
    members = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # not a process, or gone
        if entry.name.isdigit() and int(fields[2]) == group_id and fields[0] != "Z":
            members.append(int(entry.name))
    return members


def test_stop_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    cloud = LocalCloud()
    cloud.start()
    outputs = deploy_assembly(cloud, write_assembly(tmp_path, {"T": traffic_stack()}), ["T"])["T"]
    cloud.client("lambda").invoke(FunctionName=outputs["ProcessorName"], Payload=b'{"Records": []}')
    group_id = cloud.process_id
    assert list(temporary.iterdir())
    assert len(group_members(group_id)) >= 2  # the process and a Lambda worker
    cloud.stop()
    cloud.stop()  # again is harmless
    eventually(lambda: not group_members(group_id))
    assert not list(temporary.iterdir())
    with pytest.raises(LocalCloudError, match="not running"):
        _ = cloud.endpoint_url


def test_killed_owner_takes_the_cloud_with_it(tmp_path: Path) -> None:
    program = (
        "import time\nfrom simulator.local_cloud.local_cloud import LocalCloud\n"
        "cloud = LocalCloud()\ncloud.start()\nprint(cloud.process_id, flush=True)\ntime.sleep(60)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # nobody is left to remove its temporary files
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        group_id = int(owner.stdout.readline())
        assert group_members(group_id)
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not group_members(group_id))


def test_listens_on_loopback_only(cloud: LocalCloud) -> None:
    addresses = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        address, port = local.split(":")
        if state == "0A" and int(port, 16) in {cloud.mqtt_port, int(cloud.endpoint_url.rsplit(":", 1)[1])}:
            addresses.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]))
    assert addresses == {"127.0.0.1"}


def test_missing_interpreter_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="run: make test"):
        LocalCloud(LocalCloudSettings(python=tmp_path / "python")).start()


def test_process_that_dies_at_start_shows_its_log() -> None:
    with pytest.raises(StartError, match="ended at start") as caught:
        LocalCloud(LocalCloudSettings(python=Path(sys.executable))).start()  # an interpreter without MiniStack
    assert "ministack is not installed, expected" in caught.value.log_tail


def run_inside(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the local cloud's own interpreter."""
    command = [str(LocalCloudSettings().python), "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)


def test_changed_hook_is_refused() -> None:
    done = run_inside("""
        import sys
        from ministack.services import kinesis
        from simulator.local_cloud import launcher

        kinesis._put_record = lambda data, region: None
        sys.exit(launcher.main())
    """)
    assert done.returncode == 1
    assert "ministack.services.kinesis._put_record is (data, region), expected (data)" in done.stderr


def test_lanes_end_with_their_mapping_and_their_stream() -> None:
    done = run_inside("""
        from ministack.core.responses import request_scope
        from ministack.services import kinesis, lambda_svc
        from simulator.local_cloud.shims import kinesis_mapping

        kinesis_mapping.install()
        with request_scope("000000000000", "us-east-1"):
            for name in "ab":
                kinesis._create_stream({"StreamName": name, "ShardCount": 2})
                stream = kinesis._streams[name]
                stream["StreamStatus"] = "ACTIVE"
                lambda_svc._esms[name] = {
                    "UUID": name, "EventSourceArn": stream["StreamARN"], "FunctionName": "f", "ParallelizationFactor": 2
                }
            kinesis_mapping.start_lanes()
            lanes = list(kinesis_mapping._lanes.values())
            print(sum(lane.is_alive() for lane in lanes))
            del lambda_svc._esms["a"]
            del kinesis._streams["b"]
            for lane in lanes:
                lane.join(5)
            print(sum(lane.is_alive() for lane in lanes))
    """)
    assert done.stdout.split() == ["8", "0"], done.stderr


def test_policies_are_not_enforced_without_auth() -> None:
    with LocalCloud(LocalCloudSettings(auth=False)) as cloud:
        nobody = cloud.environment() | {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}
        program = "import boto3; print(boto3.client('kinesis').list_streams()['StreamNames'])"
        done = subprocess.run(
            [sys.executable, "-c", program], env=nobody, capture_output=True, text=True, check=True, timeout=30
        )
        assert done.stdout.strip() == "[]"


def test_unknown_key_is_refused_with_auth(cloud: LocalCloud) -> None:
    import boto3

    stranger = boto3.client(
        "kinesis",
        endpoint_url=cloud.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="AKIAUNKNOWN",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError, match="security token"):
        stranger.list_streams()


def test_reset_empties_the_account() -> None:
    with LocalCloud() as cloud:
        cloud.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        old_authority = cloud.ca_pem
        cloud.reset()
        assert cloud.client("kinesis").list_streams()["StreamNames"] == []
        assert cloud.ca_pem != old_authority


def test_environment_reaches_this_account_and_no_other(cloud: LocalCloud) -> None:
    environment = cloud.environment({"PATH": os.defpath, "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "x"})
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint_url
    assert environment["PATH"] == os.defpath
