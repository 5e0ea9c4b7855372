"""The processor, and the mapping that feeds it from the stream."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Aws, Duration
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud import lake_tables
from cloud.config import Config
from cloud.parts.dead_letters import DeadLetters
from cloud.parts.function import Function
from cloud.parts.permissions import allow
from cloud.parts.tables import Tables
from roadside.contract import topics

_EVERY_ACKS_TOPIC: Final = topics.acks("GATEWAY").replace("GATEWAY", "*")


class Processing(Construct):
    """The processor, fed by the stream.

    Attributes
    ----------
    processor : the function
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
        rows: Mapping[str, firehose.CfnDeliveryStream],
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._tables = tables
        self._rows = rows
        self.parked = DeadLetters(self, "Parked", keeps_data=config.keeps_data)
        self.processor = self._add_processor(stream, undelivered)

    def _add_processor(self, stream: kinesis.IStream, undelivered: sqs.IQueue) -> Function:
        windows, sensors, segments = self._tables.windows, self._tables.sensors, self._tables.segments
        hours = self._tables.hours
        window_rows = self._rows[lake_tables.SEGMENT_WINDOWS.name]
        sensor_rows = self._rows[lake_tables.SENSOR_INTERVALS.name]
        function = Function(
            self,
            "Processor",
            name="processor",
            config=self._config,
            busy=True,
            timeout=Duration.seconds(60),
            memory_mb=768,
            environment={
                "WINDOWS_TABLE": windows.table_name,
                "SENSORS_TABLE": sensors.table_name,
                "SEGMENTS_TABLE": segments.table_name,
                "HOURS_TABLE": hours.table_name,
                "WINDOW_ROWS_STREAM": window_rows.ref,
                "SENSOR_ROWS_STREAM": sensor_rows.ref,
                "SEGMENT_REFRESH_S": str(self._config.segment_refresh_s),
                "GATHER_ACKS": "true" if self._config.gather_acks else "false",
                "PARKED_QUEUE_URL": self.parked.queue_url,
                "WINDOWS_DAYS": str(self._config.windows_days),
                "RETENTION_DAYS": str(self._config.retention_days),
            },
            statements=[
                allow(windows.table_arn, "dynamodb:PutItem"),
                allow(sensors.table_arn, "dynamodb:PutItem"),
                allow(segments.table_arn, "dynamodb:BatchGetItem", "dynamodb:UpdateItem"),
                allow(hours.table_arn, "dynamodb:PutItem", "dynamodb:UpdateItem"),
                allow(window_rows.attr_arn, "firehose:PutRecordBatch"),
                allow(sensor_rows.attr_arn, "firehose:PutRecordBatch"),
                allow(
                    stream.stream_arn,
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ),
                allow(undelivered.queue_arn, "sqs:SendMessage"),
                allow(self.parked.queue_arn, "sqs:SendMessage"),
                allow(
                    f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:topic/{_EVERY_ACKS_TOPIC}",
                    "iot:Publish",
                    because="Acks go to whichever gateway sent the message: every gateway's acks topic and no other",
                ),
            ],
        )
        # Whatever is given up before it is stored has not been acknowledged, so its gateway sends it again. What is
        # stored and misses in the lake alone can be sent there from the table (`python -m cloud.lake resend`). So
        # giving up early costs little, while holding on would hold back every other gateway of the shard.
        lambda_.EventSourceMapping(
            self,
            "ProcessorMapping",
            target=function,
            event_source_arn=stream.stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=200,
            max_batching_window=Duration.seconds(self._config.batching_s) if self._config.batching_s else None,
            parallelization_factor=2,
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=5,
            max_record_age=Duration.hours(1),
            on_failure=sources.SqsDlq(undelivered),
        )
        return function
