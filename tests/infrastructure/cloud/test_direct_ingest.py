"""What `ingest=raw` adds for sensors without a gateway, and that nothing of it is there otherwise."""

from collections import Counter
from pathlib import Path

from cloud.app import PLATFORM
from cloud.capacity.city import City
from cloud.capacity.sizing import size, size_raw
from roadside.contract import topics
from tests.infrastructure.cloud.conftest import Synthesised, synthesise

IOT = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"
THING = "${iot:Connection.Thing.ThingName}"


def test_the_way_of_single_readings_is_an_addition(raw: Synthesised, stack: Synthesised) -> None:
    added = Counter(r["Type"] for r in raw.resources.values()) - Counter(r["Type"] for r in stack.resources.values())

    assert stack.resources.keys() < raw.resources.keys()
    assert added == {
        "AWS::DynamoDB::GlobalTable": 1,
        "AWS::IAM::Role": 2,
        "AWS::IoT::Policy": 1,
        "AWS::IoT::ThingGroup": 1,
        "AWS::IoT::TopicRule": 1,
        "AWS::Kinesis::Stream": 1,
        "AWS::Lambda::EventSourceMapping": 1,
        "AWS::Lambda::Function": 1,
        "AWS::Logs::LogGroup": 1,
    }


def test_a_sensor_may_publish_its_own_readings_and_no_more(raw: Synthesised) -> None:
    policy = raw.resolve(raw.one("AWS::IoT::Policy", "SensorPolicy")["PolicyDocument"])

    assert policy["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": [f"{IOT}:client/{THING}"],
            "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
        },
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": [f"{IOT}:topic/$aws/rules/roadside_readings/roadside/v1/{THING}/readings"],
        },
    ]


def test_its_rule_is_the_contracts_and_keeps_a_sensors_readings_in_order(raw: Synthesised) -> None:
    rule = raw.resolve(raw.one("AWS::IoT::TopicRule", "DirectIngest"))

    assert rule["RuleName"] == topics.rule_name("readings")
    assert rule["TopicRulePayload"]["Sql"] == topics.reading_rule_sql()
    assert rule["TopicRulePayload"]["Actions"][0]["Kinesis"]["PartitionKey"] == "${topic(3)}"
    assert rule["TopicRulePayload"]["ErrorAction"]["Sqs"]["QueueUrl"] == "<IngestUndelivered>"


def test_its_table_has_an_item_per_reading(raw: Synthesised) -> None:
    table = raw.one("AWS::DynamoDB::GlobalTable", "DirectIngest")

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["sensor_id", "timestamp_ms"]


def test_streams_keep_messages_for_a_week_and_have_the_shards_of_the_city(stack: Synthesised) -> None:
    stream = stack.one("AWS::Kinesis::Stream")

    assert stream["RetentionPeriodHours"] == 168
    assert stream["ShardCount"] == size(City(50_000, 200)).shards
    assert stream["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}


def test_streams_on_demand_have_no_number_of_shards(raw: Synthesised) -> None:
    streams = raw.of_type("AWS::Kinesis::Stream").values()

    assert [stream["StreamModeDetails"] for stream in streams] == [{"StreamMode": "ON_DEMAND"}] * 2
    assert not any("ShardCount" in stream for stream in streams)


def test_its_stream_takes_every_reading_where_shards_are_provisioned(tmp_path: Path) -> None:
    platform = synthesise(tmp_path, {"ingest": "raw", "sensors": 3000, "gateways": 12})[PLATFORM]

    assert platform.one("AWS::Kinesis::Stream", "DirectIngest")["ShardCount"] == size_raw(City(3000, 12)).shards > 3
