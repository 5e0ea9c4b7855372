"""What goes wrong in the real stack raises its alarm, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from roadside.contract.codec import encode_window
from simulator.local_cloud.local_cloud import LocalCloud
from tests.integration.local_cloud.conftest import deploy_platform
from tests.integration.local_cloud.support import eventually
from tests.unit.cloud.messages import make_window, wrap


@pytest.fixture
def alone() -> Iterator[LocalCloud]:
    """A cloud in which nobody else has raised an alarm yet."""
    with LocalCloud() as started:
        yield started


def queue_of(cloud: LocalCloud, topic: str) -> str:
    """A queue that takes what the topic tells, as an operator's mailbox would."""
    sqs = cloud.client("sqs")
    url: str = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may_send = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**may_send, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def take(cloud: LocalCloud, url: str) -> list[dict[str, Any]]:
    messages = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]


def test_poison_record_raises_the_alarm_that_says_what_to_do(alone: LocalCloud) -> None:
    cloud, outputs = alone, deploy_platform(alone).outputs
    mailbox = queue_of(cloud, outputs["OperationsTopic"])
    cloud.client("kinesis").put_record(
        StreamName=outputs["WindowsStream"], Data=b'{"gateway": "gw-poison"}', PartitionKey="gw-poison"
    )
    told: dict[str, dict[str, Any]] = {}

    def parked_is_told() -> bool:
        told.update({alarm["AlarmName"]: alarm for alarm in take(cloud, mailbox)})
        return "roadside-dev-messages-parked" in told

    eventually(parked_is_told)

    alarm = told["roadside-dev-messages-parked"]
    assert alarm["NewStateValue"] == "ALARM"
    assert "docs/operations/runbook.md#messages-parked" in alarm["AlarmDescription"]
    assert told.keys().isdisjoint({"roadside-dev-messages-undelivered", "roadside-dev-alerts-undelivered"})


def test_healthy_stack_raises_none_but_those_of_what_has_not_begun(alone: LocalCloud) -> None:
    outputs = deploy_platform(alone).outputs
    data = json.dumps(wrap(encode_window(make_window(gateway="gw-well")), "gw-well")).encode()
    alone.client("kinesis").put_record(StreamName=outputs["WindowsStream"], Data=data, PartitionKey="gw-well")

    def alarms(state: str) -> set[str]:
        found = alone.client("cloudwatch").describe_alarms(StateValue=state, MaxRecords=100)["MetricAlarms"]
        return {alarm["AlarmName"].removeprefix("roadside-dev-") for alarm in found}

    eventually(lambda: not alarms("INSUFFICIENT_DATA"))

    # Nobody has called the sweep and the rollup yet, and the local stream does not measure what arrives.
    assert alarms("ALARM") <= {"nothing-arrives", "sweep-stopped", "rollup-stopped"}
    assert len(alarms("OK")) > 25
