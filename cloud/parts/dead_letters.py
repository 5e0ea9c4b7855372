"""The queue for what nobody could take."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.parts.permissions import accept


class DeadLetters(sqs.Queue):
    """Keeps messages for as long as SQS can, until a person has judged them."""

    def __init__(self, scope: Construct, construct_id: str, *, keeps_data: bool) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.RETAIN if keeps_data else RemovalPolicy.DESTROY,
        )
        accept(
            self,
            "It is a dead-letter queue itself, also where no other queue but a rule or a function feeds it",
            "SQS3",
        )
