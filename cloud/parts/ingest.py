"""How messages come in: IoT rules take them from Basic Ingest to the stream and to the alerts function."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.config import Config
from cloud.parts.dead_letters import DeadLetters
from cloud.parts.permissions import allow, make_role
from roadside.contract import topics

_SQL_VERSION: Final = "2016-03-23"
# The level that topics.rule_sql calls "gateway": one gateway's windows stay in order in one shard.
_GATEWAY: Final = "${topic(3)}"
STREAM_MODES: Final = {"provisioned": kinesis.StreamMode.PROVISIONED, "on-demand": kinesis.StreamMode.ON_DEMAND}


class Ingest(Construct):
    """The stream and the rules, whose names are fixed: gateways publish to them by name.

    Attributes
    ----------
    stream : windows and summaries of sensors as their rules wrap them, partitioned by gateway
    undelivered : what a rule, the stream's mapping or an asynchronous invocation gave up on
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        mode = STREAM_MODES[config.stream_mode]
        self.stream = kinesis.Stream(
            self,
            "Windows",
            stream_mode=mode,
            shard_count=config.shards if mode is kinesis.StreamMode.PROVISIONED else None,
            retention_period=Duration.hours(config.stream_retention_h),
            encryption=kinesis.StreamEncryption.MANAGED,
            removal_policy=RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY,
        )
        self.undelivered = DeadLetters(self, "Undelivered", keeps_data=config.keeps_data)
        self._send_to_stream("windows", "Windows of all gateways to the stream")
        self._send_to_stream("sensors", "Summaries of all gateways' sensors to the stream")

    def _send_to_stream(self, kind: topics.CloudKind, description: str) -> None:
        role = self._rule_role(f"{kind.title()}RuleRole", allow(self.stream.stream_arn, "kinesis:PutRecord"))
        self._rule(
            f"{kind.title()}Rule",
            kind,
            description=description,
            action=iot.CfnTopicRule.ActionProperty(
                kinesis=iot.CfnTopicRule.KinesisActionProperty(
                    stream_name=self.stream.stream_name, partition_key=_GATEWAY, role_arn=role.role_arn
                )
            ),
            role=role,
        )

    def send_events_to(self, queue: sqs.IQueue) -> None:
        """Add the rule that puts every event into `queue`."""
        role = self._rule_role("EventsRuleRole", allow(queue.queue_arn, "sqs:SendMessage"))
        to_queue = iot.CfnTopicRule.SqsActionProperty(
            queue_url=queue.queue_url, role_arn=role.role_arn, use_base64=False
        )
        self._rule(
            "EventsRule",
            "events",
            description="Events of all gateways to the queue of the alerts function",
            action=iot.CfnTopicRule.ActionProperty(sqs=to_queue),
            role=role,
        )

    def send_signs_to(self, function: lambda_.Function) -> None:
        """Add the rules that invoke `function`, asynchronously, with every heartbeat, connection and disconnection."""
        action = iot.CfnTopicRule.ActionProperty(
            lambda_=iot.CfnTopicRule.LambdaActionProperty(function_arn=function.function_arn)
        )
        heartbeats = self._rule(
            "HeartbeatRule",
            "heartbeat",
            description="Heartbeats of all gateways to the alerts function",
            action=action,
            role=self._rule_role("HeartbeatRuleRole"),
        )
        presence = self._named_rule(
            "PresenceRule",
            topics.PRESENCE_RULE,
            topics.presence_rule_sql(),
            description="Comings and goings of all gateways to the alerts function",
            action=action,
            role=self._rule_role("PresenceRuleRole"),
        )
        for rule in (heartbeats, presence):
            function.add_permission(
                rule.node.id,
                principal=iam.ServicePrincipal("iot.amazonaws.com"),
                source_arn=rule.attr_arn,
                source_account=Aws.ACCOUNT_ID,
            )

    def _rule_role(self, construct_id: str, *statements: iam.PolicyStatement) -> iam.Role:
        return make_role(
            self,
            construct_id,
            service="iot.amazonaws.com",
            statements=[*statements, allow(self.undelivered.queue_arn, "sqs:SendMessage")],
        )

    def _rule(
        self,
        construct_id: str,
        kind: topics.EnvelopeKind,
        *,
        description: str,
        action: iot.CfnTopicRule.ActionProperty,
        role: iam.Role,
    ) -> iot.CfnTopicRule:
        return self._named_rule(
            construct_id,
            topics.rule_name(kind),
            topics.rule_sql(kind),
            description=description,
            action=action,
            role=role,
        )

    def _named_rule(
        self,
        construct_id: str,
        name: str,
        sql: str,
        *,
        description: str,
        action: iot.CfnTopicRule.ActionProperty,
        role: iam.Role,
    ) -> iot.CfnTopicRule:
        to_undelivered = iot.CfnTopicRule.SqsActionProperty(
            queue_url=self.undelivered.queue_url, role_arn=role.role_arn, use_base64=False
        )
        return iot.CfnTopicRule(
            self,
            construct_id,
            rule_name=name,
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=sql,
                aws_iot_sql_version=_SQL_VERSION,
                description=description,
                actions=[action],
                error_action=iot.CfnTopicRule.ActionProperty(sqs=to_undelivered),
            ),
        )
