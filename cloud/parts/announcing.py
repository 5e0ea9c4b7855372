"""What announces events: the alerts function with the queue in which a burst waits, and the sweep over the fleet."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.permissions import allow, make_role
from cloud.parts.tables import Tables
from roadside.contract import topics

_EVERY_ACKS_TOPIC: Final = topics.acks("GATEWAY").replace("GATEWAY", "*")
_EVERY_COMMANDS_TOPIC: Final = topics.commands("GATEWAY").replace("GATEWAY", "*")
_TIMEOUT: Final = Duration.seconds(10)
_RECEPTIONS: Final = 5
_LANES: Final = 4  # batches at once; ten events a batch


class Announcing(Construct):
    """Gateways' events on their way to the bus, and what the cloud finds out by itself.

    The queue keeps what the alerts function cannot take at once or fails at, for four days; a batch is one invocation,
    one call to the bus and one ack for each gateway. Of a batch only what failed comes again. The sweep runs once a
    minute; a pass that fails is not repeated, since the next one does what is left.

    Attributes
    ----------
    events : queue of events as their rule wraps them; what fails five times moves to `undelivered`
    alerts, sweep : the functions
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        tables: Tables,
        bus: events.IEventBus,
        parked: sqs.IQueue,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        self.events = sqs.Queue(
            self,
            "Events",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY,
            retention_period=Duration.days(4),
            visibility_timeout=Duration.seconds(6 * int(_TIMEOUT.to_seconds())),  # as Lambda advises
            dead_letter_queue=sqs.DeadLetterQueue(queue=undelivered, max_receive_count=_RECEPTIONS),
        )
        self.alerts = Function(
            self,
            "Alerts",
            name="alerts",
            config=config,
            busy=True,
            timeout=_TIMEOUT,
            memory_mb=512,
            environment={
                "ALERTS_TABLE": tables.alerts.table_name,
                "GATEWAYS_TABLE": tables.gateways.table_name,
                "EVENT_BUS": bus.event_bus_name,
                "PARKED_QUEUE_URL": parked.queue_url,
                "RETENTION_DAYS": str(config.retention_days),
            },
            statements=[
                allow(tables.alerts.table_arn, "dynamodb:BatchGetItem", "dynamodb:PutItem"),
                allow(tables.gateways.table_arn, "dynamodb:UpdateItem"),
                allow(bus.event_bus_arn, "events:PutEvents"),
                allow(parked.queue_arn, "sqs:SendMessage"),
                allow(
                    self.events.queue_arn,
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ),
                allow(
                    f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:topic/{_EVERY_ACKS_TOPIC}",
                    "iot:Publish",
                    because="Acks go to whichever gateway sent the event: every gateway's acks topic and no other",
                ),
            ],
        )
        # Signs of life do not wait in a queue: what is lost or late the next one makes good.
        self.alerts.configure_async_invoke(retry_attempts=2, max_event_age=Duration.minutes(5))
        lambda_.EventSourceMapping(
            self,
            "EventsMapping",
            target=self.alerts,
            event_source_arn=self.events.queue_arn,
            batch_size=10,
            max_concurrency=_LANES,
            report_batch_item_failures=True,
        )
        self.sweep = self._add_sweep(config, tables, bus)

    def _add_sweep(self, config: Config, tables: Tables, bus: events.IEventBus) -> Function:
        sweep = Function(
            self,
            "Sweep",
            name="sweep",
            config=config,
            timeout=Duration.seconds(55),
            memory_mb=1024,
            environment={
                "WINDOWS_TABLE": tables.windows.table_name,
                "SENSORS_TABLE": tables.sensors.table_name,
                "SEGMENTS_TABLE": tables.segments.table_name,
                "ALERTS_TABLE": tables.alerts.table_name,
                "GATEWAYS_TABLE": tables.gateways.table_name,
                "EVENT_BUS": bus.event_bus_name,
                "WINDOW_S": str(config.window_s),
                "WINDOWS_DAYS": str(config.windows_days),
                "RETENTION_DAYS": str(config.retention_days),
                "SEGMENT_REFRESH_S": str(config.segment_refresh_s),
                "GATHER_ACKS": "true" if config.gather_acks else "false",
            },
            statements=[
                allow(tables.windows.table_arn, "dynamodb:Query"),
                *([allow(tables.sensors.table_arn, "dynamodb:Query")] if config.gather_acks else []),
                allow(tables.segments.table_arn, "dynamodb:Scan", "dynamodb:UpdateItem"),
                allow(f"{tables.segments.table_arn}/index/ByCongestion", "dynamodb:Query"),
                allow(f"{tables.alerts.table_arn}/index/Open", "dynamodb:Query"),
                allow(tables.alerts.table_arn, "dynamodb:BatchGetItem", "dynamodb:PutItem"),
                allow(
                    tables.gateways.table_arn,
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Scan",
                    "dynamodb:UpdateItem",
                ),
                allow(bus.event_bus_arn, "events:PutEvents"),
                allow(
                    f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:topic/{_EVERY_COMMANDS_TOPIC}",
                    "iot:Publish",
                    because="Any gateway may have to send again: every gateway's commands topic and no other",
                ),
                *([_acknowledge_live_windows()] if config.gather_acks else []),
            ],
        )
        sweep.configure_async_invoke(retry_attempts=0, max_event_age=Duration.minutes(1))
        role = make_role(
            self,
            "SweepScheduleRole",
            service="scheduler.amazonaws.com",
            statements=[allow(sweep.function_arn, "lambda:InvokeFunction")],
        )
        scheduler.Schedule(
            self,
            "SweepSchedule",
            description="Who is silent, what is missing, what neighbours tell",
            schedule=scheduler.ScheduleExpression.rate(Duration.minutes(1)),
            target=scheduler_targets.LambdaInvoke(
                sweep,
                input=scheduler.ScheduleTargetInput.from_object({}),
                retry_attempts=0,
                role=role.without_policy_updates(),
            ),
        )
        return sweep


def _acknowledge_live_windows() -> iam.PolicyStatement:
    return allow(
        f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:topic/{_EVERY_ACKS_TOPIC}",
        "iot:Publish",
        because="Live windows of any gateway are acknowledged: every gateway's acks topic and no other",
    )
