"""What an operator is told of: every alarm, with its threshold, what it means and what to do."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.capacity.sizing import Thresholds

NAMESPACE: Final = "Roadside"  # of the metrics that the functions write themselves
LATE_ROWS_S: Final = 900  # Firehose gathers for five minutes, and tells the age once in five
RUNBOOK: Final = "docs/operations/runbook.md"

_MINUTE: Final = Duration.minutes(1)
_FIVE_MINUTES: Final = Duration.minutes(5)
_AT_LEAST: Final = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW: Final = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_NO_DATA_IS_WELL: Final = cloudwatch.TreatMissingData.NOT_BREACHING
_NO_DATA_IS_BAD: Final = cloudwatch.TreatMissingData.BREACHING


class Alarms(Construct):
    """All alarms, each to `topic` when it begins and when it is over.

    An alarm's name is the stack's and its own; its own is also its heading in the runbook. Each stands on one metric,
    for the local cloud knows no arithmetic of metrics.

    Attributes
    ----------
    all : every alarm, in the order in which a message passes what they watch
    urgent : full names of those that cannot wait until morning
    """

    def __init__(self, scope: Construct, construct_id: str, *, prefix: str, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self._prefix = prefix
        self._action = actions.SnsAction(topic)
        self.all: list[cloudwatch.Alarm] = []
        self.urgent: list[str] = []

    def watch_stream(self, stream: kinesis.Stream) -> None:
        """Whether messages arrive, and all of them."""
        self._add(
            "nothing-arrives",
            stream.metric_incoming_records(statistic="Sum", period=_FIVE_MINUTES),
            below=1,
            of=2,
            missing=_NO_DATA_IS_BAD,
            urgent=True,
            says="No message of any gateway has come for ten minutes. "
            "Look whether gateways are connected (AWS IoT, Monitor) and whether their rule reaches the stream.",
        )
        self._add(
            "stream-throttled",
            stream.metric_write_provisioned_throughput_exceeded(statistic="Average", period=_MINUTE),
            at_least=0.01,
            breaches=3,
            of=5,
            says="The stream refuses records for want of shards. Gateways send again; deploy with the true numbers "
            "of sensors and gateways, or add shards.",
        )

    def watch_processor(self, processor: lambda_.Function, thresholds: Thresholds) -> None:
        """Whether the processor keeps up and answers."""
        self._add(
            "processor-behind",
            processor.metric("IteratorAge", statistic="Maximum", period=_MINUTE),
            at_least=thresholds.iterator_age_ms,
            breaches=3,
            of=5,
            urgent=True,
            says="Windows wait in the stream before they are stored. Nothing is lost: what waits for more than an "
            "hour is passed over, and its gateway sends it again. Look for errors, throttled tables and a backlog "
            "that gateways send after an outage.",
        )
        self._add(
            "acks-failing",
            own_metric("processor", "AcksFailed", period=_FIVE_MINUTES),
            at_least=thresholds.acks_failed_per_5min,
            of=2,
            says="Messages are stored and their gateways cannot be told, so they send again. "
            "Look at the processor's log for the error that IoT Core answers with.",
        )

    def watch_function(self, name: str, function: lambda_.Function) -> None:
        """Whether invocations of the function fail."""
        self._add(
            f"{name}-errors",
            function.metric_errors(statistic="Sum", period=_MINUTE),
            at_least=1,
            says=f"An invocation of {name} failed as a whole: a fault of code, settings or permissions. "
            "Its log tells which.",
        )

    def watch_all_functions(self) -> None:
        """Whether Lambda lets them run. The metric without dimensions is that of the whole account and region."""
        self._add(
            "functions-throttled",
            cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", statistic="Sum", period=_FIVE_MINUTES),
            at_least=1,
            of=2,
            says="Lambda has no concurrency left for a function of this account. Whatever waits comes later. "
            "Find who uses it up and raise the account's quota.",
        )

    def watch_table(self, name: str, table: dynamodb.TableV2) -> None:
        """Whether the table takes what is written."""
        self._add(
            f"{name}-table-throttled",
            table.metric("WriteThrottleEvents", statistic="Sum", period=_MINUTE),
            at_least=1,
            breaches=5,
            of=10,
            says=f"The table of {name} refuses writes. They are repeated; look for a key that is written too often "
            "and for a backlog that grows faster than the table scales.",
        )

    def watch_queues(self, *, parked: sqs.IQueue, undelivered: sqs.IQueue, untold: sqs.IQueue) -> None:
        """Whether the queues are empty in which messages wait for a person."""
        self._watch_queue(
            "messages-parked",
            parked,
            says="Messages were refused that no retry makes acceptable, each with its reason. Their gateways have been "
            "told. Read the reasons with `python -m cloud.redrive list parked`.",
        )
        self._watch_queue(
            "messages-undelivered",
            undelivered,
            says="A rule, the stream's mapping or an invocation gave up. What was not stored its gateway sends again. "
            "Mend the cause, then `python -m cloud.redrive send undelivered`.",
        )
        self._watch_queue(
            "alerts-undelivered",
            untold,
            urgent=True,
            says="Events reached nobody: the topic or queue did not take them, or a system failed at one five times. "
            "Look at `python -m cloud.redrive list untold`.",
        )

    def watch_alerts(self, events: sqs.Queue) -> None:
        """Whether events wait for the alerts function."""
        self._add(
            "alerts-behind",
            events.metric_approximate_age_of_oldest_message(statistic="Maximum", period=_MINUTE),
            at_least=60,
            breaches=2,
            of=3,
            urgent=True,
            says="An event has been waiting for a minute to be announced. Look for errors of the alerts function and "
            "for a gateway whose events flood the queue.",
        )

    def watch_fleet(self, sweep: lambda_.Function, thresholds: Thresholds) -> None:
        """Whether somebody looks after the gateways, and what that one finds."""
        self._add(
            "sweep-stopped",
            sweep.metric_invocations(statistic="Sum", period=_FIVE_MINUTES),
            below=1,
            missing=_NO_DATA_IS_BAD,
            urgent=True,
            says="The sweep has not run for five minutes, so nobody notices silent gateways and gaps. "
            "Look at its schedule in EventBridge Scheduler and at Lambda's throttles.",
        )
        self._add(
            "gateways-silent",
            own_metric("sweep", "GatewaysOffline", statistic="Minimum"),
            at_least=thresholds.silent_gateways,
            of=5,
            says="Several gateways are silent at once, which is more than the usual fault of one. "
            "Look at what they share with `python -m cloud.query gateways`: a district, a line, a version.",
        )
        self._add(
            "gathered-acks-failing",
            own_metric("sweep", "AcksFailed", period=_FIVE_MINUTES),
            at_least=thresholds.silent_gateways,  # one ack a gateway and pass
            of=2,
            says="Live windows are stored and several gateways cannot be told, so they send again. "
            "Look at the sweep's log for the error that IoT Core answers with.",
        )
        self._add(
            "data-gaps",
            own_metric("sweep", "DataGaps", statistic="Minimum", period=_FIVE_MINUTES),
            at_least=thresholds.open_gaps,
            of=6,
            says="For half an hour data of several gateways has been missing, although they were asked for it again. "
            "Look at the DataGap alerts and at those gateways' heartbeats.",
        )
        self._add(
            "city-congested",
            own_metric("sweep", "SegmentsCongested", statistic="Average", period=_FIVE_MINUTES),
            at_least=thresholds.congested_segments,
            of=3,
            says="A fifth of all segments has been congested for a quarter of an hour. If the roads are not, something "
            "lies: look at `python -m cloud.query top` and at what was changed last.",
        )

    def watch_people(self, name: str, topic: sns.ITopic) -> None:
        """Whether people can be told."""
        self._add(
            f"{name}-not-told",
            topic.metric_number_of_notifications_failed(statistic="Sum", period=_FIVE_MINUTES),
            at_least=1,
            says=f"An alert did not reach a subscriber of the topic for {name}. "
            "Look at the subscription, and at the account's spending limit for SMS.",
        )

    def watch_rollup(self, rollup: lambda_.Function) -> None:
        """Whether hours are rolled up, and all of them."""
        self._add(
            "rollup-stopped",
            rollup.metric_invocations(statistic="Sum", period=Duration.hours(1)),
            below=1,
            missing=_NO_DATA_IS_BAD,
            says="The rollup has not run for an hour; hours and days in the lake are old. "
            "Look at its schedule in EventBridge Scheduler and at Lambda's throttles.",
        )
        self._add(
            "rollup-behind",
            own_metric("rollup", "HoursLeft", period=Duration.minutes(15)),
            at_least=1,
            of=4,
            says="For an hour no run of the rollup has got through all hours that need it. After a long outage that "
            "passes; otherwise look at its duration and at the reads of the windows table.",
        )

    def watch_delivery(self, table: str, stream: str) -> None:
        """Whether rows reach a table of the lake: in time, and all of them."""
        name = table.replace("_", "-")
        self._add(
            f"{name}-rows-late",
            delivery_metric(stream, "DeliveryToS3.DataFreshness", "Maximum"),
            at_least=LATE_ROWS_S,
            of=3,
            says=f"Rows of {table} wait for more than {LATE_ROWS_S // 60} minutes before they are in the lake. "
            "Firehose keeps them for a day. Look at its log for what S3 and Glue answer.",
        )
        self._add(
            f"{name}-rows-refused",
            delivery_metric(stream, "FailedConversion.Records", "Sum"),
            at_least=1,
            says=f"Rows of {table} do not fit the table's columns and lie under errors/ in the lake's bucket. "
            "Look whether function and table are of one version.",
        )

    def _watch_queue(self, name: str, queue: sqs.IQueue, *, says: str, urgent: bool = False) -> None:
        depth = queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=_MINUTE)
        self._add(name, depth, at_least=1, says=says, urgent=urgent)

    def _add(
        self,
        name: str,
        metric: cloudwatch.Metric,
        *,
        says: str,
        at_least: float | None = None,
        below: float | None = None,
        breaches: int | None = None,
        of: int = 1,
        missing: cloudwatch.TreatMissingData = _NO_DATA_IS_WELL,
        urgent: bool = False,
    ) -> None:
        """Add the alarm that begins when `breaches` of the last `of` periods, or all, are beyond the bound."""
        threshold = at_least if at_least is not None else below
        if threshold is None:
            raise ValueError(f"alarm {name}: give at_least or below")
        full_name = f"{self._prefix}-{name}"
        alarm = metric.create_alarm(
            self,
            "".join(word.title() for word in name.split("-")),
            alarm_name=full_name,
            alarm_description=f"{says} {RUNBOOK}#{name}",
            threshold=threshold,
            comparison_operator=_AT_LEAST if at_least is not None else _BELOW,
            evaluation_periods=of,
            datapoints_to_alarm=breaches or of,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.all.append(alarm)
        if urgent:
            self.urgent.append(full_name)


def delivery_metric(stream: str, name: str, statistic: str) -> cloudwatch.Metric:
    """A metric of the Firehose stream."""
    return cloudwatch.Metric(
        namespace="AWS/Firehose",
        metric_name=name,
        dimensions_map={"DeliveryStreamName": stream},
        statistic=statistic,
        period=_FIVE_MINUTES,
    )


def own_metric(service: str, name: str, *, statistic: str = "Sum", period: Duration = _MINUTE) -> cloudwatch.Metric:
    """A metric that the function `service` writes."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=period,
    )
