"""From an event to whoever must know of it: the bus, the topic for people, the queue for systems."""

from typing import Any, Final

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


# SNS takes one line of text for a telephone and several for an e-mail; each line arrives in quotes.
_MAIL: Final = (
    "<text>",
    "Kind <kind>, severity <severity>, gateway <gateway>, known at <time>",
    "Acknowledge: python -m cloud.query ack <event_id> --by NAME",
)
_SMS: Final = ("<text>",)
_TOLD: Final = {
    "text": "$.detail.text",
    "kind": "$.detail-type",
    "severity": "$.detail.severity",
    "gateway": "$.detail.gateway",
    "time": "$.time",
    "event_id": "$.detail.event_id",
}


class Alerting(Construct):
    """Every event goes to the systems' queue; people are told of those that ask for it, in words.

    Who wants others adds a rule of their own to the bus.

    Attributes
    ----------
    bus : takes events with source EVENT_SOURCE, the event's kind as detail type
    people : SNS topic of all that people shall be told, as an e-mail reads well
    phones : SNS topic of what is major or critical, as one SMS
    key : encrypts what SNS holds
    systems : SQS queue; a message not deleted after 5 receptions moves to `dead_letters`
    dead_letters : also takes what the rules could not deliver
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
        self.phones = sns.Topic(self, "Phones", display_name="Roadside", master_key=self.key, enforce_ssl=True)
        events.Rule(
            self,
            "AllEvents",
            description="Every event of Roadside to systems",
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE]),
            targets=[
                targets.SqsQueue(self.systems, dead_letter_queue=self.dead_letters, max_event_age=Duration.hours(24))
            ],
        )
        self._tell(self.people, "PeoplesEvents", "What people shall be told, as e-mail", {"notify": [True]}, _MAIL)
        urgent = {"notify": [True], "severity": ["major", "critical"]}
        self._tell(self.phones, "UrgentEvents", "What people shall be told at once, as SMS", urgent, _SMS)

    def tell(self, *, email: str | None, sms: str | None) -> None:
        """Subscribe people; an e-mail address has to be confirmed by its owner."""
        if email:
            self.people.add_subscription(subscriptions.EmailSubscription(email))
        if sms:
            self.phones.add_subscription(subscriptions.SmsSubscription(sms))

    def _tell(
        self, topic: sns.Topic, construct_id: str, description: str, detail: dict[str, Any], lines: tuple[str, ...]
    ) -> None:
        rule = events.Rule(
            self,
            construct_id,
            description=description,
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE], detail=detail),
            targets=[targets.SnsTopic(topic, dead_letter_queue=self.dead_letters, max_event_age=Duration.hours(2))],
        )
        # CDK's own input makers cannot write several quoted lines.
        template = "\n".join(f'"{line}"' for line in lines)
        used = {name: path for name, path in _TOLD.items() if f"<{name}>" in template}
        resource = rule.node.default_child
        assert isinstance(resource, events.CfnRule)  # noqa: S101 - what an L2 rule is made of
        resource.add_property_override("Targets.0.InputTransformer", {"InputPathsMap": used, "InputTemplate": template})
