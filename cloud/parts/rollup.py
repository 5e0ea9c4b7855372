"""The rollup: every quarter of an hour, hours and days of every segment from the windows table into the lake."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud import lake_tables
from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.lake import Lake
from cloud.parts.permissions import allow, make_role
from cloud.parts.tables import Tables

_EVERY_MINUTES: Final = 15
# One processor core whole, which Lambda gives from here on: the rollup decodes and adds, and little else.
_MEMORY_MB: Final = 1769


class Rollup(Construct):
    """The function and its schedule.

    Attributes
    ----------
    function : also invoked by hand, with a day or an hour (`python -m cloud.lake rollup`)
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        tables: Tables,
        lake: Lake,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        objects = "a rollup is an object for each hour and day; these are all below one table's prefix"
        self.function = Function(
            self,
            "Rollup",
            name="rollup",
            config=config,
            timeout=Duration.minutes(15),
            memory_mb=_MEMORY_MB,
            environment={
                "WINDOWS_TABLE": tables.windows.table_name,
                "HOURS_TABLE": tables.hours.table_name,
                "LAKE_BUCKET": lake.bucket.bucket_name,
                "WINDOWS_DAYS": str(config.windows_days),
            },
            statements=[
                allow(tables.windows.table_arn, "dynamodb:Query"),
                allow(tables.hours.table_arn, "dynamodb:Query", "dynamodb:UpdateItem"),
                allow(lake.objects_arn(lake_tables.HOURLY.prefix), "s3:GetObject", "s3:PutObject", because=objects),
                allow(lake.objects_arn(lake_tables.DAILY.prefix), "s3:PutObject", because=objects),
                # Without it S3 answers "denied" instead of "no such object" for an hour without a rollup.
                allow(lake.bucket.bucket_arn, "s3:ListBucket"),
            ],
        )
        scheduler.CfnSchedule(
            self,
            "Schedule",
            description="Rolls up the hours that got windows",
            schedule_expression=f"rate({_EVERY_MINUTES} minutes)",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self.function.function_arn,
                role_arn=make_role(
                    self,
                    "ScheduleRole",
                    service="scheduler.amazonaws.com",
                    statements=[
                        allow(self.function.function_arn, "lambda:InvokeFunction"),
                        allow(undelivered.queue_arn, "sqs:SendMessage"),
                    ],
                ).role_arn,
                # The next run does what this one did not.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=0, maximum_event_age_in_seconds=60
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=undelivered.queue_arn),
            ),
        )
