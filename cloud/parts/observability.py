"""How operators see that all is well, and hear when it is not: dashboard, alarms, and a topic for them."""

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cloud.config import Config
from cloud.parts.alarms import Alarms
from cloud.parts.alerting import Alerting
from cloud.parts.announcing import Announcing
from cloud.parts.dashboard import Dashboard
from cloud.parts.ingest import Ingest
from cloud.parts.lake_delivery import LakeDelivery
from cloud.parts.processing import Processing
from cloud.parts.rollup import Rollup
from cloud.parts.tables import Tables


class Observability(Construct):
    """Watches every station of a message's way, in the order of the way.

    Attributes
    ----------
    operators : SNS topic of alarms; who drives on the roads is told by another one
    alarms : every alarm, by name in docs/operations/runbook.md
    functions : every function, by name
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        ingest: Ingest,
        tables: Tables,
        processing: Processing,
        announcing: Announcing,
        rollup: Rollup,
        alerting: Alerting,
        delivery: LakeDelivery,
    ) -> None:
        super().__init__(scope, construct_id)
        stack_name = Stack.of(self).stack_name
        self.functions = functions = {
            "processor": processing.processor,
            "alerts": announcing.alerts,
            "sweep": announcing.sweep,
            "rollup": rollup.function,
        }
        written = {
            "windows": tables.windows,
            "sensors": tables.sensors,
            "segments": tables.segments,
            "hours": tables.hours,
            "alerts": tables.alerts,
            "gateways": tables.gateways,
        }
        deliveries = {table: stream.ref for table, stream in delivery.streams.items()}
        self.operators = self._topic(alerting.key, config)

        self.alarms = alarms = Alarms(self, "Alarms", prefix=stack_name, topic=self.operators)
        alarms.watch_stream(ingest.stream)
        alarms.watch_processor(processing.processor, config.thresholds)
        for name, function in functions.items():
            alarms.watch_function(name, function)
        alarms.watch_all_functions()
        for name, table in written.items():
            alarms.watch_table(name, table)
        alarms.watch_queues(parked=processing.parked, undelivered=ingest.undelivered, untold=alerting.dead_letters)
        alarms.watch_fleet(announcing.sweep, config.thresholds)
        alarms.watch_alerts(announcing.events)
        for rows, stream in deliveries.items():
            alarms.watch_delivery(rows, stream)
        alarms.watch_rollup(rollup.function)
        alarms.watch_people("people", alerting.people)
        alarms.watch_people("phones", alerting.phones)

        dashboard = Dashboard(self, "Dashboard", name=stack_name)
        dashboard.show_alarms(alarms.all)
        dashboard.show_network(config.thresholds)
        dashboard.show_ingest(ingest.stream)
        dashboard.show_processor(processing.processor)
        dashboard.show_alerts(announcing.events, alerting)
        dashboard.show_lake(deliveries)
        dashboard.show_rollup()
        dashboard.show_tables(written)
        dashboard.show_functions(functions)
        dashboard.show_queues(
            {"parked": processing.parked, "undelivered": ingest.undelivered, "untold": alerting.dead_letters}
        )

    def _topic(self, key: kms.IKey, config: Config) -> sns.Topic:
        """The operators' topic, which CloudWatch may publish to, for alarms of this account alone."""
        topic = sns.Topic(self, "Operators", display_name="Roadside operations", master_key=key, enforce_ssl=True)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        of_this_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[cloudwatch],
                resources=[topic.topic_arn],
                conditions=of_this_account,
            )
        )
        # "*" is the key whose policy this is.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                principals=[cloudwatch],
                resources=["*"],
                conditions=of_this_account,
            )
        )
        if config.operations_email:
            topic.add_subscription(subscriptions.EmailSubscription(config.operations_email))
        return topic
