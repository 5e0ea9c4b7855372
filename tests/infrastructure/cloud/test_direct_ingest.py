"""What `ingest=raw` adds for sensors without a gateway, and that nothing of it is there otherwise."""

from collections import Counter

from roadside.contract import topics
from tests.infrastructure.cloud.conftest import Synthesised

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
            "Resource": f"{IOT}:client/{THING}",
            "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
        },
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": f"{IOT}:topic/$aws/rules/roadside_readings/roadside/v1/{THING}/readings",
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
