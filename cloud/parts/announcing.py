"""The function that announces gateways' events, and the queue in which a burst of them waits."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.permissions import allow
from cloud.parts.tables import Tables
from roadside.contract import topics

_EVERY_ACKS_TOPIC: Final = topics.acks("GATEWAY").replace("GATEWAY", "*")
_TIMEOUT: Final = Duration.seconds(10)
_RECEPTIONS: Final = 5
_LANES: Final = 4  # batches at once; ten events a batch


class Announcing(Construct):
    """Gateways' events on their way to the bus.

    The queue keeps what the function cannot take at once or fails at, for four days; a batch is one invocation, one
    call to the bus and one ack for each gateway. Of a batch only what failed comes again.

    Attributes
    ----------
    events : queue of events as their rule wraps them; what fails five times moves to `undelivered`
    alerts : the function
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
            timeout=_TIMEOUT,
            memory_mb=512,
            environment={
                "ALERTS_TABLE": tables.alerts.table_name,
                "EVENT_BUS": bus.event_bus_name,
                "PARKED_QUEUE_URL": parked.queue_url,
                "RETENTION_DAYS": str(config.retention_days),
            },
            statements=[
                allow(tables.alerts.table_arn, "dynamodb:BatchGetItem", "dynamodb:PutItem"),
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
        lambda_.EventSourceMapping(
            self,
            "EventsMapping",
            target=self.alerts,
            event_source_arn=self.events.queue_arn,
            batch_size=10,
            max_concurrency=_LANES,
            report_batch_item_failures=True,
        )
