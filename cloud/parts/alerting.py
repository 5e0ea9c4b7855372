"""From an event to whoever must know of it: the bus, the topic for people, the queue for systems."""

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.parts.dead_letters import DeadLetters

EVENT_SOURCE: Final = "roadside"


class Alerting(Construct):
    """Every event of Roadside goes to both; who wants fewer adds a rule of their own to the bus.

    Attributes
    ----------
    bus : takes events with source EVENT_SOURCE, the event's kind as detail type
    people : SNS topic
    key : encrypts what SNS holds
    systems : SQS queue; a message not deleted after 5 receptions moves to `dead_letters`
    dead_letters : also takes what the rule could not deliver
    """

    def __init__(self, scope: Construct, construct_id: str, *, keeps_data: bool) -> None:
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", description="What happens on the roads, told by Roadside")
        self.dead_letters = DeadLetters(self, "DeadLetters", keeps_data=keeps_data)
        self.systems = sqs.Queue(
            self,
            "Systems",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.RETAIN if keeps_data else RemovalPolicy.DESTROY,
            retention_period=Duration.days(4),
            visibility_timeout=Duration.seconds(60),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=5),
        )
        # SNS's own managed key would not let EventBridge in, hence a key of ours.
        self.key = kms.Key(
            self,
            "Key",
            description="Encrypts Roadside's alerts in SNS",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if keeps_data else RemovalPolicy.DESTROY,
        )
        self.people = sns.Topic(self, "People", display_name="Roadside alerts", master_key=self.key, enforce_ssl=True)
        events.Rule(
            self,
            "AllEvents",
            description="Every event of Roadside, to people and to systems",
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE]),
            targets=[
                targets.SnsTopic(self.people, dead_letter_queue=self.dead_letters, max_event_age=Duration.hours(2)),
                targets.SqsQueue(self.systems, dead_letter_queue=self.dead_letters, max_event_age=Duration.hours(24)),
            ],
        )

    def tell(self, *, email: str | None, sms: str | None) -> None:
        """Subscribe people; an e-mail address has to be confirmed by its owner."""
        if email:
            self.people.add_subscription(subscriptions.EmailSubscription(email))
        if sms:
            self.people.add_subscription(subscriptions.SmsSubscription(sms))
