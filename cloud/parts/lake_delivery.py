"""How rows come into the lake: Firehose gathers JSON for some minutes and writes it as Parquet."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud import lake_tables
from cloud.lake_tables import Format, LakeTable
from cloud.parts.alerting import EVENT_SOURCE
from cloud.parts.lake import ERRORS_PREFIX, Lake
from cloud.parts.permissions import allow, make_role

# Few large objects are cheap to read; five minutes is how old a row may be before Athena knows of it.
_GATHER_S: Final = 300
_GATHER_MB: Final = 128
# What the path of an object holds, in Firehose's words.
_ARRIVAL: Final = {"dt": "!{timestamp:yyyy-MM-dd}", "hour": "!{timestamp:HH}"}


class LakeDelivery(Construct):
    """A delivery stream for each table that is written as Parquet.

    Attributes
    ----------
    streams : by the table's name
    """

    def __init__(self, scope: Construct, construct_id: str, *, lake: Lake) -> None:
        super().__init__(scope, construct_id)
        self.node.add_dependency(lake)  # and gone before it, so that nothing fills a bucket that has been emptied
        self._lake = lake
        self._logs = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        parquet = [table for table in lake_tables.TABLES if table.format is Format.PARQUET]
        self._role = self._delivery_role(parquet)
        self.streams: Mapping[str, firehose.CfnDeliveryStream] = {table.name: self._stream(table) for table in parquet}

    def take_events(self, bus: events.IEventBus, dead_letters: sqs.IQueue) -> None:
        """Send every event of the bus into the lake, as its detail tells it."""
        # Plain CloudFormation: CDK's own target for Firehose knows no queue for what could not be delivered in a day.
        stream = self.streams[lake_tables.EVENTS.name]
        role = make_role(
            self,
            "EventsRole",
            service="events.amazonaws.com",
            statements=[allow(stream.attr_arn, "firehose:PutRecord")],
        )
        rule = events.CfnRule(
            self,
            "EventsRule",
            description="Every event of Roadside, into the lake",
            event_bus_name=bus.event_bus_name,
            event_pattern={"source": [EVENT_SOURCE]},
            targets=[
                events.CfnRule.TargetProperty(
                    id="Lake",
                    arn=stream.attr_arn,
                    role_arn=role.role_arn,
                    input_path="$.detail",
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                )
            ],
        )
        dead_letters.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[dead_letters.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
            )
        )

    def _delivery_role(self, tables: list[LakeTable]) -> iam.Role:
        bucket, database = self._lake.bucket, self._lake.database_name
        glue = f"arn:{Aws.PARTITION}:glue:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        described = ["catalog", f"database/{database}", *(f"table/{database}/{table.name}" for table in tables)]
        return make_role(
            self,
            "Role",
            service="firehose.amazonaws.com",
            statements=[
                allow(bucket.bucket_arn, "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
                *(
                    allow(
                        self._lake.objects_arn(prefix),
                        "s3:AbortMultipartUpload",
                        "s3:GetObject",
                        "s3:PutObject",
                        because="Firehose makes the names of objects; these are all below one table's prefix",
                    )
                    for prefix in (*(table.prefix for table in tables), ERRORS_PREFIX)
                ),
                *(
                    allow(f"{glue}:{name}", "glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions")
                    for name in described
                ),
                # The streams of this one log group.
                allow(self._logs.log_group_arn, "logs:PutLogEvents"),
            ],
        )

    def _stream(self, table: LakeTable) -> firehose.CfnDeliveryStream:
        log_stream = logs.LogStream(
            self,
            f"{table.name}Log",
            log_group=self._logs,
            log_stream_name=table.name,
            removal_policy=RemovalPolicy.DESTROY,
        )
        folders = "/".join(f"{partition.name}={_ARRIVAL[partition.name]}" for partition in table.partitions)
        destination = firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=self._lake.bucket.bucket_arn,
            role_arn=self._role.role_arn,
            prefix=f"{table.prefix}{folders}/",
            error_output_prefix=f"{ERRORS_PREFIX}{table.name}/!{{firehose:error-output-type}}/dt={_ARRIVAL['dt']}/",
            buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                interval_in_seconds=_GATHER_S, size_in_m_bs=_GATHER_MB
            ),
            cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=self._logs.log_group_name, log_stream_name=log_stream.log_stream_name
            ),
            data_format_conversion_configuration=self._conversion(table),
        )
        stream = firehose.CfnDeliveryStream(
            self,
            table.name,
            delivery_stream_type="DirectPut",
            # A key of the service's own: free, and Firehose alone holds the rows.
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(key_type="AWS_OWNED_CMK")
            ),
            extended_s3_destination_configuration=destination,
        )
        stream.add_resource_dependency(self._lake.tables[table.name])
        return stream

    def _conversion(self, table: LakeTable) -> firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty:
        keys = {column.name: column.json_key for column in table.columns if column.key is not None}
        reader = firehose.CfnDeliveryStream.OpenXJsonSerDeProperty(column_to_json_key_mappings=keys or None)
        return firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty(
            enabled=True,
            input_format_configuration=firehose.CfnDeliveryStream.InputFormatConfigurationProperty(
                deserializer=firehose.CfnDeliveryStream.DeserializerProperty(open_x_json_ser_de=reader)
            ),
            output_format_configuration=firehose.CfnDeliveryStream.OutputFormatConfigurationProperty(
                serializer=firehose.CfnDeliveryStream.SerializerProperty(
                    parquet_ser_de=firehose.CfnDeliveryStream.ParquetSerDeProperty(compression="SNAPPY")
                )
            ),
            schema_configuration=firehose.CfnDeliveryStream.SchemaConfigurationProperty(
                role_arn=self._role.role_arn,
                catalog_id=Aws.ACCOUNT_ID,
                database_name=self._lake.database_name,
                table_name=table.name,
                region=Aws.REGION,
                version_id="LATEST",
            ),
        )
