"""The functions, each with a role of its own, and the mapping that feeds the processor from the stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import AssetHashType, Aws, Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud import layer, staging
from cloud.config import Config
from cloud.parts.alerting import EVENT_SOURCE
from cloud.parts.tables import Tables
from roadside.contract import topics

_EVERY_ACKS_TOPIC: Final = topics.acks("GATEWAY").replace("GATEWAY", "*")
_RETENTION: Final = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


@dataclass(frozen=True, slots=True)
class _Asynchronous:
    """How Lambda treats an asynchronous invocation that fails."""

    retry_attempts: int
    max_event_age: Duration
    on_failure: sqs.IQueue


class Processing(Construct):
    """The processor, fed by the stream, and the alerts function, invoked by its IoT rule.

    Attributes
    ----------
    processor, alerts : the functions
    parked : queue of messages that no retry will make acceptable, each with its reason
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        tables: Tables,
        stream: kinesis.IStream,
        bus: events.IEventBus,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._tables = tables
        self.parked = sqs.Queue(
            self, "Parked", encryption=sqs.QueueEncryption.SQS_MANAGED, retention_period=Duration.days(14)
        )
        self._layer = lambda_.LayerVersion(
            self,
            "Dependencies",
            description="Powertools and protobuf; the runtime brings boto3",
            code=lambda_.Code.from_asset(
                str(layer.require()), asset_hash=layer.requirements_hash(), asset_hash_type=AssetHashType.CUSTOM
            ),
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_11],
            compatible_architectures=[lambda_.Architecture.X86_64],
        )
        self.processor = self._add_processor(stream, undelivered)
        self.alerts = self._add_alerts(bus, undelivered)

    def _add_processor(self, stream: kinesis.IStream, undelivered: sqs.IQueue) -> lambda_.Function:
        windows, sensors, segments = self._tables.windows, self._tables.sensors, self._tables.segments
        function = self._function(
            "processor",
            timeout=Duration.seconds(60),
            memory_mb=512,
            environment={
                "WINDOWS_TABLE": windows.table_name,
                "SENSORS_TABLE": sensors.table_name,
                "SEGMENTS_TABLE": segments.table_name,
                "SEGMENT_REFRESH_S": str(self._config.segment_refresh_s),
            },
            statements=[
                _allow(windows.table_arn, "dynamodb:PutItem"),
                _allow(sensors.table_arn, "dynamodb:PutItem"),
                _allow(segments.table_arn, "dynamodb:BatchGetItem", "dynamodb:PutItem"),
                _allow(
                    stream.stream_arn,
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ),
                _allow(undelivered.queue_arn, "sqs:SendMessage"),
            ],
        )
        # Whatever is given up here has not been acknowledged, so its gateway sends it again: giving up early
        # costs a message more, while holding on would hold back every other gateway of the shard.
        lambda_.EventSourceMapping(
            self,
            "ProcessorMapping",
            target=function,
            event_source_arn=stream.stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=200,
            parallelization_factor=2,
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=5,
            max_record_age=Duration.hours(1),
            on_failure=sources.SqsDlq(undelivered),
        )
        return function

    def _add_alerts(self, bus: events.IEventBus, undelivered: sqs.IQueue) -> lambda_.Function:
        alerts = self._tables.alerts
        return self._function(
            "alerts",
            timeout=Duration.seconds(30),
            memory_mb=256,
            environment={
                "ALERTS_TABLE": alerts.table_name,
                "EVENT_BUS": bus.event_bus_name,
                "EVENT_SOURCE": EVENT_SOURCE,
            },
            statements=[
                _allow(alerts.table_arn, "dynamodb:PutItem", "dynamodb:UpdateItem"),
                _allow(bus.event_bus_arn, "events:PutEvents"),
                _allow(undelivered.queue_arn, "sqs:SendMessage"),
            ],
            asynchronous=_Asynchronous(retry_attempts=2, max_event_age=Duration.hours(1), on_failure=undelivered),
        )

    def _function(
        self,
        name: str,
        *,
        timeout: Duration,
        memory_mb: int,
        environment: Mapping[str, str],
        statements: list[iam.PolicyStatement],
        asynchronous: _Asynchronous | None = None,
    ) -> lambda_.Function:
        title = name.title()
        log_group = logs.LogGroup(
            self,
            f"{title}Logs",
            retention=_RETENTION[self._config.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        code = staging.stage(name)
        return lambda_.Function(
            self,
            title,
            handler=f"cloud.functions.{name}.handler.handle",
            code=lambda_.Code.from_asset(
                str(code.folder), asset_hash=code.source_hash, asset_hash_type=AssetHashType.CUSTOM
            ),
            layers=[self._layer],
            runtime=lambda_.Runtime.PYTHON_3_11,
            architecture=lambda_.Architecture.X86_64,
            timeout=timeout,
            memory_size=memory_mb,
            log_group=log_group,
            environment={
                **environment,
                "PARKED_QUEUE_URL": self.parked.queue_url,
                "RETENTION_DAYS": str(self._config.retention_days),
                "POWERTOOLS_LOG_LEVEL": "INFO",
            },
            # Every statement stands above; CDK shall add none of its own.
            role=self._role(title, log_group, statements).without_policy_updates(),
            retry_attempts=asynchronous.retry_attempts if asynchronous else None,
            max_event_age=asynchronous.max_event_age if asynchronous else None,
            on_failure=destinations.SqsDestination(asynchronous.on_failure) if asynchronous else None,
        )

    def _role(self, title: str, log_group: logs.ILogGroup, statements: list[iam.PolicyStatement]) -> iam.Role:
        everyone = [
            _allow(self.parked.queue_arn, "sqs:SendMessage"),
            # Acks go to whichever gateway sent the message, hence every gateway's acks topic and no other.
            _allow(f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:topic/{_EVERY_ACKS_TOPIC}", "iot:Publish"),
            # The streams of this one log group.
            _allow(log_group.log_group_arn, "logs:CreateLogStream", "logs:PutLogEvents"),
        ]
        return iam.Role(
            self,
            f"{title}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"Work": iam.PolicyDocument(statements=[*statements, *everyone])},
        )


def _allow(resource: str, *actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=[resource])
