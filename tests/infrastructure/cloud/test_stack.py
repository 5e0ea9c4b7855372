"""What the template promises: topics from the contract, data kept safe, failures kept visible, least privilege."""

from typing import Any

import pytest

from cloud.app import PLATFORM
from cloud.capacity.city import City
from cloud.capacity.windows_table import read_capacity, write_capacity
from roadside.contract import topics
from roadside.runtime.outbox import OutboxLimits
from tests.infrastructure.cloud.conftest import Synthesised

IOT = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"
THING = "${iot:Connection.Thing.ThingName}"


def test_what_holds_data_keeps_its_logical_id(stack: Synthesised) -> None:
    # A changed id makes CloudFormation replace the resource, and what it held is gone.
    held = ("DynamoDB", "Kinesis::", "S3::Bucket", "SQS::Queue", "SNS::Topic", "Events::EventBus")
    assert {
        name
        for name, resource in stack.resources.items()
        if any(kind in resource["Type"] for kind in held) and "Policy" not in resource["Type"]
    } == {
        "TablesWindowsCD3BB695",
        "TablesSensors036939C3",
        "TablesSegments7C22257B",
        "TablesHours517EA000",
        "TablesAlertsF4292B9D",
        "TablesGateways6D31259B",
        "IngestWindows27AA46C5",
        "IngestUndeliveredE032DDE9",
        "ProcessingParkedB2433DD6",
        "AlertingBus52AB2737",
        "AlertingDeadLetters7BD9F919",
        "AlertingSystemsC4BC70EF",
        "AlertingPeopleF5B937DE",
        "LakeBucketB1D32E10",
        "LakeAccessLogs4431AB8D",
        "ObservabilityOperatorsC2613CA5",
        "AlertingPhonesE84E1918",
        "AnnouncingEventsDE4D47A6",
    }


def test_outputs_name_everything_a_simulator_needs(stack: Synthesised) -> None:
    # An output with a name for others is there for another stack of ours.
    outputs = {
        name: stack.resolve(output["Value"])
        for name, output in stack.template["Outputs"].items()
        if "Export" not in output
    }
    assert outputs == {
        "WindowsTable": "<TablesWindows>",
        "SensorsTable": "<TablesSensors>",
        "SegmentsTable": "<TablesSegments>",
        "HoursTable": "<TablesHours>",
        "AlertsTable": "<TablesAlerts>",
        "GatewaysTable": "<TablesGateways>",
        "WindowsStream": "<IngestWindows>",
        "EventBus": "<AlertingBus>",
        "AlertsTopic": "<AlertingPeople>",
        "OperationsTopic": "<ObservabilityOperators>",
        "UrgentAlertsTopic": "<AlertingPhones>",
        "SystemsQueueUrl": "<AlertingSystems>",
        "AlertDeadLettersUrl": "<AlertingDeadLetters>",
        "ParkedQueueUrl": "<ProcessingParked>",
        "UndeliveredQueueUrl": "<IngestUndelivered>",
        "ProcessorFunction": "<ProcessingProcessor>",
        "GatewayEventsQueueUrl": "<AnnouncingEvents>",
        "AlertsFunction": "<AnnouncingAlerts>",
        "RollupFunction": "<Rollup>",
        "WindowRowsStream": "<LakeDeliverysegmentwindows>",
        "SensorRowsStream": "<LakeDeliverysensorintervals>",
        "LakeBucket": "<LakeBucket>",
        "LakeDatabase": "<LakeDatabase>",
        "Workgroup": "<LakeWorkgroup>",
        "SweepFunction": "<AnnouncingSweep>",
        "GatewayPolicy": "<DeviceAccessGatewayPolicy>",
        "GatewayGroup": "<DeviceAccessGateways>",
    }


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (
            "windows",
            {
                "Kinesis": {
                    "StreamName": "<IngestWindows>",
                    "PartitionKey": "${topic(3)}",
                    "RoleArn": "<IngestWindowsRuleRole.Arn>",
                }
            },
        ),
        (
            "sensors",
            {
                "Kinesis": {
                    "StreamName": "<IngestWindows>",
                    "PartitionKey": "${topic(3)}",
                    "RoleArn": "<IngestSensorsRuleRole.Arn>",
                }
            },
        ),
        (
            "events",
            {
                "Sqs": {
                    "QueueUrl": "<AnnouncingEvents>",
                    "RoleArn": "<IngestEventsRuleRole.Arn>",
                    "UseBase64": False,
                }
            },
        ),
    ],
)
def test_rule_is_the_contracts_and_its_failures_go_to_a_queue(
    stack: Synthesised, kind: topics.CloudKind, action: dict[str, Any]
) -> None:
    rule = stack.resolve(stack.one("AWS::IoT::TopicRule", kind.title()))

    assert rule["RuleName"] == topics.rule_name(kind)
    payload = rule["TopicRulePayload"]
    assert payload["Sql"] == topics.rule_sql(kind)
    assert payload["AwsIotSqlVersion"] == "2016-03-23"
    assert payload["Actions"] == [action]
    assert payload["ErrorAction"]["Sqs"]["QueueUrl"] == "<IngestUndelivered>"


def test_partition_key_is_what_the_rule_calls_gateway() -> None:
    assert "topic(3) AS gateway" in topics.rule_sql("windows")


def test_gateway_may_be_itself_and_no_more(stack: Synthesised) -> None:
    policy = stack.resolve(stack.one("AWS::IoT::Policy")["PolicyDocument"])

    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": [f"{IOT}:client/{THING}"],
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            },
            {
                "Effect": "Allow",
                "Action": "iot:Publish",
                "Resource": [
                    f"{IOT}:topic/$aws/rules/roadside_windows/roadside/v1/{THING}/windows",
                    f"{IOT}:topic/$aws/rules/roadside_sensors/roadside/v1/{THING}/sensors",
                    f"{IOT}:topic/$aws/rules/roadside_events/roadside/v1/{THING}/events",
                    f"{IOT}:topic/$aws/rules/roadside_heartbeat/roadside/v1/{THING}/heartbeat",
                ],
            },
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": [
                    f"{IOT}:topicfilter/roadside/v1/{THING}/acks",
                    f"{IOT}:topicfilter/roadside/v1/{THING}/commands",
                ],
            },
            {
                "Effect": "Allow",
                "Action": "iot:Receive",
                "Resource": [f"{IOT}:topic/roadside/v1/{THING}/acks", f"{IOT}:topic/roadside/v1/{THING}/commands"],
            },
        ],
    }


EVERY_FUNCTION = {("xray:PutTelemetryRecords", "*"), ("xray:PutTraceSegments", "*")}
TAKES_MESSAGES = {
    ("sqs:SendMessage", "<ProcessingParked.Arn>"),
    ("iot:Publish", f"{IOT}:topic/roadside/v1/*/acks"),
}
ROLES = {
    "ProcessorRole": {
        ("dynamodb:PutItem", "<TablesWindows.Arn>"),
        ("dynamodb:PutItem", "<TablesSensors.Arn>"),
        ("dynamodb:UpdateItem", "<TablesSegments.Arn>"),
        ("dynamodb:PutItem", "<TablesHours.Arn>"),
        ("dynamodb:UpdateItem", "<TablesHours.Arn>"),
        ("firehose:PutRecordBatch", "<LakeDeliverysegmentwindows.Arn>"),
        ("firehose:PutRecordBatch", "<LakeDeliverysensorintervals.Arn>"),
        ("dynamodb:BatchGetItem", "<TablesSegments.Arn>"),
        ("kinesis:DescribeStream", "<IngestWindows.Arn>"),
        ("kinesis:DescribeStreamSummary", "<IngestWindows.Arn>"),
        ("kinesis:GetRecords", "<IngestWindows.Arn>"),
        ("kinesis:GetShardIterator", "<IngestWindows.Arn>"),
        ("kinesis:ListShards", "<IngestWindows.Arn>"),
        ("sqs:SendMessage", "<IngestUndelivered.Arn>"),
        ("logs:CreateLogStream", "<ProcessingProcessorLogs.Arn>"),
        ("logs:PutLogEvents", "<ProcessingProcessorLogs.Arn>"),
        *EVERY_FUNCTION,
        *TAKES_MESSAGES,
    },
    "AlertsRole": {
        ("dynamodb:BatchGetItem", "<TablesAlerts.Arn>"),
        ("dynamodb:PutItem", "<TablesAlerts.Arn>"),
        ("dynamodb:UpdateItem", "<TablesGateways.Arn>"),
        ("events:PutEvents", "<AlertingBus.Arn>"),
        ("sqs:ChangeMessageVisibility", "<AnnouncingEvents.Arn>"),
        ("sqs:DeleteMessage", "<AnnouncingEvents.Arn>"),
        ("sqs:GetQueueAttributes", "<AnnouncingEvents.Arn>"),
        ("sqs:ReceiveMessage", "<AnnouncingEvents.Arn>"),
        ("logs:CreateLogStream", "<AnnouncingAlertsLogs.Arn>"),
        ("logs:PutLogEvents", "<AnnouncingAlertsLogs.Arn>"),
        *EVERY_FUNCTION,
        *TAKES_MESSAGES,
    },
    "SweepRole": {
        ("dynamodb:Query", "<TablesWindows.Arn>"),
        ("dynamodb:Scan", "<TablesSegments.Arn>"),
        ("dynamodb:UpdateItem", "<TablesSegments.Arn>"),
        ("dynamodb:Query", "<TablesSegments.Arn>/index/ByCongestion"),
        ("dynamodb:BatchGetItem", "<TablesAlerts.Arn>"),
        ("dynamodb:Query", "<TablesAlerts.Arn>/index/Open"),
        ("dynamodb:PutItem", "<TablesAlerts.Arn>"),
        ("dynamodb:GetItem", "<TablesGateways.Arn>"),
        ("dynamodb:PutItem", "<TablesGateways.Arn>"),
        ("dynamodb:Scan", "<TablesGateways.Arn>"),
        ("dynamodb:UpdateItem", "<TablesGateways.Arn>"),
        ("events:PutEvents", "<AlertingBus.Arn>"),
        ("iot:Publish", f"{IOT}:topic/roadside/v1/*/commands"),
        ("logs:CreateLogStream", "<AnnouncingSweepLogs.Arn>"),
        ("logs:PutLogEvents", "<AnnouncingSweepLogs.Arn>"),
        *EVERY_FUNCTION,
    },
    "SweepScheduleRole": {("lambda:InvokeFunction", "<AnnouncingSweep.Arn>")},
    "SensorsRuleRole": {("kinesis:PutRecord", "<IngestWindows.Arn>"), ("sqs:SendMessage", "<IngestUndelivered.Arn>")},
    "WindowsRuleRole": {("kinesis:PutRecord", "<IngestWindows.Arn>"), ("sqs:SendMessage", "<IngestUndelivered.Arn>")},
    "EventsRuleRole": {("sqs:SendMessage", "<AnnouncingEvents.Arn>"), ("sqs:SendMessage", "<IngestUndelivered.Arn>")},
}


@pytest.mark.parametrize("name", ROLES)
def test_role_may_do_this_and_no_more(stack: Synthesised, name: str) -> None:
    role = stack.resolve(stack.one("AWS::IAM::Role", name))
    granted = set()
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement.keys() == {"Action", "Effect", "Resource"}
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            granted |= {(a, statement["Resource"]) for a in ([actions] if isinstance(actions, str) else actions)}

    assert granted == ROLES[name]
    assert "ManagedPolicyArns" not in role


def test_production_has_capacity_for_its_windows_and_is_billed_by_use_of_all_else(prod: dict[str, Synthesised]) -> None:
    platform = prod[PLATFORM]
    windows = platform.one("AWS::DynamoDB::GlobalTable", "TablesWindows")
    city = City(50_000, 200)
    for settings, name, capacity in (
        (windows["WriteProvisionedThroughputSettings"], "Write", write_capacity(city)),
        (windows["Replicas"][0]["ReadProvisionedThroughputSettings"], "Read", read_capacity(city)),
    ):
        scaling = settings[f"{name}CapacityAutoScalingSettings"]
        assert (scaling["MinCapacity"], scaling["MaxCapacity"]) == (capacity.least, capacity.most)
        assert scaling["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70
    modes = [table["BillingMode"] for table in platform.of_type("AWS::DynamoDB::GlobalTable").values()]
    assert sorted(modes) == ["PAY_PER_REQUEST"] * (len(modes) - 1) + ["PROVISIONED"]


def test_tables_are_encrypted_recoverable_and_billed_by_use(stack: Synthesised) -> None:
    for table in stack.of_type("AWS::DynamoDB::GlobalTable").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"]["SSEEnabled"] is True
        (replica,) = table["Replicas"]
        assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize(
    ("name", "keys", "ttl"),
    [
        ("Windows", [("g", "HASH", "S"), ("w", "RANGE", "S")], "t"),
        ("Sensors", [("g", "HASH", "S"), ("s", "RANGE", "S")], "t"),
        ("Segments", [("segment", "HASH", "N")], None),
        ("Alerts", [("event_id", "HASH", "S")], "t"),
        ("Gateways", [("gateway", "HASH", "S")], None),
    ],
)
def test_table_has_its_keys_and_forgets(
    stack: Synthesised, name: str, keys: list[tuple[str, str, str]], ttl: str | None
) -> None:
    table = stack.one("AWS::DynamoDB::GlobalTable", f"Tables{name}")
    types = {d["AttributeName"]: d["AttributeType"] for d in table["AttributeDefinitions"]}

    assert [(k["AttributeName"], k["KeyType"], types[k["AttributeName"]]) for k in table["KeySchema"]] == keys
    assert table.get("TimeToLiveSpecification") == ({"AttributeName": ttl, "Enabled": True} if ttl else None)


def test_segments_are_found_by_location_at_no_cost_and_by_congestion_while_congested(stack: Synthesised) -> None:
    indexes = stack.one("AWS::DynamoDB::GlobalTable", "TablesSegments")["GlobalSecondaryIndexes"]

    assert {
        index["IndexName"]: (
            [key["AttributeName"] for key in index["KeySchema"]],
            index["Projection"]["ProjectionType"],
        )
        for index in indexes
    } == {
        "ByLocation": (["district", "segment"], "KEYS_ONLY"),
        "ByCongestion": (["band", "congestion_level"], "ALL"),
    }


def test_mapping_isolates_what_fails_and_gives_up_visibly(stack: Synthesised) -> None:
    mapping = stack.resolve(stack.one("AWS::Lambda::EventSourceMapping", "ProcessorMapping"))
    mapping.pop("Tags")

    assert mapping == {
        "EventSourceArn": "<IngestWindows.Arn>",
        "FunctionName": "<ProcessingProcessor>",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 200,
        "ParallelizationFactor": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 5,
        "MaximumRecordAgeInSeconds": 3600,
        "DestinationConfig": {"OnFailure": {"Destination": "<IngestUndelivered.Arn>"}},
    }


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (
            "processor",
            {
                "WINDOWS_TABLE": "<TablesWindows>",
                "SENSORS_TABLE": "<TablesSensors>",
                "SEGMENTS_TABLE": "<TablesSegments>",
                "HOURS_TABLE": "<TablesHours>",
                "WINDOW_ROWS_STREAM": "<LakeDeliverysegmentwindows>",
                "SENSOR_ROWS_STREAM": "<LakeDeliverysensorintervals>",
                "SEGMENT_REFRESH_S": "900",
                "WINDOWS_DAYS": "14",
                "GATHER_ACKS": "false",
            },
        ),
        (
            "alerts",
            {
                "ALERTS_TABLE": "<TablesAlerts>",
                "GATEWAYS_TABLE": "<TablesGateways>",
                "EVENT_BUS": "<AlertingBus>",
            },
        ),
    ],
)
def test_function_is_configured(stack: Synthesised, name: str, own: dict[str, str]) -> None:
    function = stack.resolve(stack.one("AWS::Lambda::Function", name.title()))

    assert function["Handler"] == f"cloud.functions.{name}.handler.handle"
    assert (function["Runtime"], function["Architectures"]) == ("python3.11", ["x86_64"])
    assert function["Environment"]["Variables"] == own | {
        "PARKED_QUEUE_URL": "<ProcessingParked>",
        "RETENTION_DAYS": "14",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    logs = stack.one("AWS::Logs::LogGroup", f"{name.title()}Logs")
    assert logs["RetentionInDays"] == 14


def test_production_keeps_windows_a_day_longer_than_gateways_keep_messages(prod: dict[str, Synthesised]) -> None:
    days = OutboxLimits().max_age_ms // 86_400_000 + 1
    for name in ("ProcessingProcessor", "AnnouncingSweep", "Rollup"):
        variables = prod[PLATFORM].one("AWS::Lambda::Function", name)["Environment"]["Variables"]
        assert variables["WINDOWS_DAYS"] == str(days)


def test_production_calls_the_processor_half_as_often(prod: dict[str, Synthesised]) -> None:
    mapping = prod[PLATFORM].one("AWS::Lambda::EventSourceMapping", "ProcessorMapping")
    assert mapping["MaximumBatchingWindowInSeconds"] == 2


def test_production_leaves_the_acks_of_live_windows_to_the_sweep(prod: dict[str, Synthesised]) -> None:
    platform = prod[PLATFORM]
    for name in ("ProcessingProcessor", "AnnouncingSweep"):
        assert platform.one("AWS::Lambda::Function", name)["Environment"]["Variables"]["GATHER_ACKS"] == "true"
    work = platform.resolve(platform.one("AWS::IAM::Role", "SweepRole")["Policies"][0]["PolicyDocument"])
    published = {each["Resource"] for each in work["Statement"] if each["Action"] == "iot:Publish"}
    assert {topic.rsplit("/", 1)[1] for topic in published} == {"acks", "commands"}
    queried = {each["Resource"] for each in work["Statement"] if each["Action"] == "dynamodb:Query"}
    assert {"<TablesWindows.Arn>", "<TablesSensors.Arn>"} <= queried
