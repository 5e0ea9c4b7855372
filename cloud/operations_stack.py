"""The stack of what operators use beside the platform: one alarm for all, an archive of events, queries of logs.

All of it is of types that the local cloud lacks, so that nothing here may be needed by the platform.
"""

from typing import Any, Final

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_logs as logs
from constructs import Construct

from cloud.config import Config
from cloud.log_queries import LOG_QUERIES
from cloud.parts.alarms import RUNBOOK
from cloud.parts.alerting import EVENT_SOURCE
from cloud.tap_stack import TrafficAnalyticsPlatformStack

NOT_HEALTHY: Final = "not-healthy"
ARCHIVE_DAYS: Final = 30


class OperationsStack(Stack):
    """Watches over the platform, and can be deployed, changed and deleted without touching it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        platform: TrafficAnalyticsPlatformStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._add_alarm_for_all(platform)
        archive = events.Archive(
            self,
            "Archive",
            source_event_bus=platform.alerting.bus,
            description="Every event of Roadside, to be replayed to whoever missed it",
            event_pattern=events.EventPattern(source=[EVENT_SOURCE]),
            retention=Duration.days(ARCHIVE_DAYS),
        )
        archive.apply_removal_policy(RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY)
        functions = platform.observability.functions
        for query in LOG_QUERIES:
            logs.QueryDefinition(
                self,
                query.construct_id,
                query_definition_name=f"{platform.stack_name}/{query.name}",
                log_groups=[functions[name].log_group for name in query.functions or functions],
                query_string=logs.QueryString(**query.parts),
            )

    def _add_alarm_for_all(self, platform: TrafficAnalyticsPlatformStack) -> None:
        """One alarm to call a person by: one of those is on that cannot wait until morning."""
        observability = platform.observability
        alarm = cloudwatch.CompositeAlarm(
            self,
            "NotHealthy",
            composite_alarm_name=f"{platform.stack_name}-{NOT_HEALTHY}",
            alarm_description="Nobody learns at present what the roads tell, so somebody has to look now. "
            f"Which alarms are on tells where. {RUNBOOK}#{NOT_HEALTHY}",
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(self._by_name(alarm, place) for place, alarm in enumerate(observability.alarms.urgent))
            ),
        )
        action = actions.SnsAction(observability.operators)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def _by_name(self, alarm: str, place: int) -> cloudwatch.IAlarm:
        """The platform's alarm of that name; a reference would tie the platform's alarms to this stack."""
        arn = self.format_arn(
            service="cloudwatch", resource="alarm", resource_name=alarm, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        return cloudwatch.Alarm.from_alarm_arn(self, f"Urgent{place}", arn)
