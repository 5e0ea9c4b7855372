"""For comparison: sensors that connect by themselves and send every reading, as the first design had it."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.capacity.sizing import size_raw
from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.ingest import STREAM_MODES
from cloud.parts.permissions import allow, make_role
from roadside.contract import topics

_THING: Final = "THING"  # topics.policy_resource puts the policy variable in its place


class DirectIngest(Construct):
    """A policy for sensors, a rule, a stream, a function and a table with an item for every reading.

    Attributes
    ----------
    readings : key sensor_id and timestamp_ms
    function : stores them
    policy, sensors : IoT policy for the certificate of every sensor, and the thing group of all
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, undelivered: sqs.IQueue, parked: sqs.IQueue
    ) -> None:
        super().__init__(scope, construct_id)
        removal_policy = RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY
        self.sensors = iot.CfnThingGroup(self, "Sensors")
        self.policy = self._add_policy()
        sized = size_raw(config.city)
        mode = STREAM_MODES[config.stream_mode]
        stream = kinesis.Stream(
            self,
            "Stream",
            stream_mode=mode,
            shard_count=sized.shards if mode is kinesis.StreamMode.PROVISIONED else None,
            retention_period=Duration.hours(config.stream_retention_h),
            encryption=kinesis.StreamEncryption.MANAGED,
            removal_policy=removal_policy,
        )
        self.readings = dynamodb.TableV2(
            self,
            "Readings",
            partition_key=dynamodb.Attribute(name="sensor_id", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="timestamp_ms", type=dynamodb.AttributeType.NUMBER),
            time_to_live_attribute="t",
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.aws_managed_key(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=config.keeps_data,
            removal_policy=removal_policy,
        )
        self._add_rule(stream, undelivered)
        self.function = self._add_function(config, stream, undelivered, parked, sized.parallelization)

    def _add_policy(self) -> iot.CfnPolicy:
        arn = f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        client, topic = topics.policy_resource(_THING), topics.policy_resource(topics.direct_reading(_THING))
        statements = [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": [f"{arn}:client/{client}"],
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            },
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": [f"{arn}:topic/{topic}"]},
        ]
        return iot.CfnPolicy(self, "SensorPolicy", policy_document={"Version": "2012-10-17", "Statement": statements})

    def _add_rule(self, stream: kinesis.IStream, undelivered: sqs.IQueue) -> None:
        role = make_role(
            self,
            "RuleRole",
            service="iot.amazonaws.com",
            statements=[
                allow(stream.stream_arn, "kinesis:PutRecord"),
                allow(undelivered.queue_arn, "sqs:SendMessage"),
            ],
        )
        to_stream = iot.CfnTopicRule.KinesisActionProperty(
            stream_name=stream.stream_name, partition_key="${topic(3)}", role_arn=role.role_arn
        )
        to_undelivered = iot.CfnTopicRule.SqsActionProperty(
            queue_url=undelivered.queue_url, role_arn=role.role_arn, use_base64=False
        )
        iot.CfnTopicRule(
            self,
            "Rule",
            rule_name=topics.rule_name("readings"),
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=topics.reading_rule_sql(),
                aws_iot_sql_version="2016-03-23",
                description="Readings of sensors without a gateway to their stream",
                actions=[iot.CfnTopicRule.ActionProperty(kinesis=to_stream)],
                error_action=iot.CfnTopicRule.ActionProperty(sqs=to_undelivered),
            ),
        )

    def _add_function(
        self,
        config: Config,
        stream: kinesis.IStream,
        undelivered: sqs.IQueue,
        parked: sqs.IQueue,
        parallelization: int,
    ) -> Function:
        function = Function(
            self,
            "Function",
            name="readings",
            config=config,
            timeout=Duration.seconds(60),
            memory_mb=512,
            environment={
                "READINGS_TABLE": self.readings.table_name,
                "PARKED_QUEUE_URL": parked.queue_url,
                "RETENTION_DAYS": str(config.retention_days),
            },
            statements=[
                allow(self.readings.table_arn, "dynamodb:BatchWriteItem"),
                allow(
                    stream.stream_arn,
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ),
                allow(parked.queue_arn, "sqs:SendMessage"),
                allow(undelivered.queue_arn, "sqs:SendMessage"),
            ],
        )
        lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=function,
            event_source_arn=stream.stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=500,
            parallelization_factor=parallelization,
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=5,
            max_record_age=Duration.hours(1),
            on_failure=sources.SqsDlq(undelivered),
        )
        return function
