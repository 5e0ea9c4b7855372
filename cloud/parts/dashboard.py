"""The dashboard, which reads like the picture of the path: from gateways at the top to people at the bottom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud.capacity.sizing import Thresholds
from cloud.parts.alarms import delivery_metric, own_metric
from cloud.parts.alerting import Alerting
from roadside.contract import topics

_WIDTH: Final = 24  # of CloudWatch's grid
_HEIGHT: Final = 6
_MINUTE: Final = Duration.minutes(1)
_RULES: Final[tuple[topics.CloudKind, ...]] = ("windows", "sensors", "events")
# By whatever action it was: the kind of action is a dimension whose values nobody has to know.
_FAILED_ACTIONS: Final = """SEARCH('{AWS/IoT,RuleName,ActionType} MetricName="Failure" roadside', 'Sum')"""

_WRITTEN: Final = "ConsumedWriteCapacityUnits"
_READ: Final = "ConsumedReadCapacityUnits"
_REFUSED: Final = "WriteThrottleEvents"


@dataclass(frozen=True, slots=True)
class _Graph:
    """A diagram.

    Parameters
    ----------
    right : has the axis on the right to itself
    begins : where the alarm on the left begins
    """

    title: str
    left: Sequence[cloudwatch.IMetric]
    right: Sequence[cloudwatch.IMetric] = ()
    begins: float | None = None


class Dashboard(Construct):
    """One row for each station of the path, with a line above it that says what is normal."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str) -> None:
        super().__init__(scope, construct_id)
        self._board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            default_interval=Duration.hours(3),
            period_override=cloudwatch.PeriodOverride.INHERIT,
        )

    def show_alarms(self, alarms: Sequence[cloudwatch.IAlarm]) -> None:
        """All alarms at a glance."""
        self._board.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=_WIDTH, height=4)
        )

    def show_network(self, thresholds: Thresholds) -> None:
        """How the roads are, and who tells of them."""
        self._row(
            "The network",
            "Congestion comes and goes with the hours. Every gateway is alive, and no gap stays open for half an hour.",
            _Graph(
                "Segments congested", [_level("SegmentsCongested", "congested")], begins=thresholds.congested_segments
            ),
            _Graph(
                "Gateways",
                [_level("Gateways", "registered")],
                [_level("GatewaysOffline", "silent"), _level("DataGaps", "gaps open")],
            ),
            _Graph(
                "What the sweep does",
                [
                    _counted("sweep", "EventsAnnounced", "events announced"),
                    _counted("sweep", "ResendsAsked", "asked to send again"),
                    _counted("sweep", "SegmentsCleared", "states forgotten"),
                    _counted("sweep", "GatewaysUnread", "gateways not read"),
                    _counted("sweep", "GatewaysFailed", "gateways not judged"),
                    _counted("sweep", "JudgesFailed", "neighbours not judged"),
                    _counted("sweep", "AcksFailed", "acks not published"),
                    _counted("sweep", "JudgesFailed", "neighbours not judged"),
                ],
            ),
        )

    def show_ingest(self, stream: kinesis.Stream) -> None:
        """Gateways, rules and the stream."""
        self._row(
            "Gateways → IoT rules → stream",
            "One window a gateway and window length, one summary of sensors every five minutes. What a rule cannot "
            "deliver waits in the queue of what was given up.",
            _Graph("Messages by rule", [_rule(kind) for kind in _RULES]),
            _Graph(
                "Rules' actions that failed",
                [cloudwatch.SearchExpression(expression=_FAILED_ACTIONS, label="", period=_MINUTE)],
            ),
            _Graph(
                "Stream",
                [stream.metric_incoming_records(statistic="Sum", period=_MINUTE, label="records")],
                [
                    stream.metric_write_provisioned_throughput_exceeded(
                        statistic="Average", period=_MINUTE, label="refused"
                    )
                ],
            ),
        )

    def show_processor(self, processor: lambda_.Function) -> None:
        """From the stream to the tables."""
        self._row(
            "Stream → processor → tables",
            "The age is below three or four seconds; a backlog shows as messages stored at a higher rate, not as age.",
            _Graph("Age of what waits", [_of(processor, "IteratorAge", "age, ms", "Maximum")]),
            _Graph(
                "Messages",
                [
                    _counted("processor", "WindowsStored", "windows"),
                    _counted("processor", "SensorSummariesStored", "sensor summaries"),
                    _counted("processor", "MessagesReplayed", "repeated"),
                    _counted("processor", "SegmentStatesWritten", "segment states"),
                ],
            ),
            _Graph(
                "Trouble",
                [
                    _counted("processor", "RecordsParked", "parked"),
                    _counted("processor", "RecordsFailed", "failed, to come again"),
                    _counted("processor", "AcksFailed", "acks not published"),
                    _counted("processor", "WindowsFromFuture", "from the future"),
                    _counted("processor", "LakeRecordsFailed", "refused by Firehose"),
                ],
            ),
        )

    def show_lake(self, deliveries: Mapping[str, str]) -> None:
        """Rows on their way into the lake, by table and its Firehose stream."""
        self._row(
            "Rows → Firehose → lake",
            "Rows are in the lake within five to ten minutes. What was refused lies under errors/ in the bucket.",
            _Graph("Rows", [_rows(stream, "IncomingRecords", "Sum", table) for table, stream in deliveries.items()]),
            _Graph(
                "Age of the oldest row, s",
                [_rows(stream, "DeliveryToS3.DataFreshness", "Maximum", table) for table, stream in deliveries.items()],
            ),
            _Graph(
                "Refused",
                [_rows(stream, "FailedConversion.Records", "Sum", table) for table, stream in deliveries.items()],
            ),
        )

    def show_rollup(self) -> None:
        """Hours and days made from windows."""
        self._row(
            "Windows → rollup → hours and days",
            "Four runs an hour; each takes the hours that got windows since, and leaves none.",
            _Graph("Hours rolled up", [_counted("rollup", "HoursRolledUp", "hours")]),
            _Graph("Windows read", [_counted("rollup", "WindowsRolledUp", "windows")]),
            _Graph(
                "Not rolled up",
                [
                    _counted("rollup", "HoursLeft", "left for the next run"),
                    _counted("rollup", "HoursExpired", "windows expired, left as it was"),
                ],
            ),
        )

    def show_functions(self, functions: Mapping[str, lambda_.Function]) -> None:
        """How the functions run."""
        self._row(
            "Functions",
            "Errors are invocations that failed as a whole. Traces of a sample are in X-Ray.",
            _Graph("Errors", [_of(function, "Errors", name) for name, function in functions.items()]),
            _Graph(
                "Longest duration, ms",
                [_of(function, "Duration", name, "Maximum") for name, function in functions.items()],
            ),
            _Graph("Invocations", [_of(function, "Invocations", name) for name, function in functions.items()]),
        )

    def show_tables(self, tables: Mapping[str, dynamodb.TableV2]) -> None:
        """What is written and what is refused."""
        self._row(
            "Tables",
            "One write unit a gateway's window; the segments' table is written when something is news.",
            _Graph("Write units", [_of_table(table, _WRITTEN, name) for name, table in tables.items()]),
            _Graph("Read units", [_of_table(table, _READ, name) for name, table in tables.items()]),
            _Graph("Refused writes", [_of_table(table, _REFUSED, name) for name, table in tables.items()]),
        )

    def show_alerts(self, events: sqs.Queue, alerting: Alerting) -> None:
        """From an event to who must know."""
        systems = alerting.systems
        self._row(
            "Events → alerts → bus → people and systems",
            "Seconds from the roadside to the queue. An old message of the systems means that no system reads it.",
            _Graph(
                "Events",
                [
                    _counted("alerts", "EventsPublished", "published"),
                    _counted("alerts", "EventsReplayed", "repeated"),
                    _counted("alerts", "EventsParked", "parked"),
                    _counted("alerts", "EventsFailed", "failed, to come again"),
                ],
            ),
            _Graph(
                "Age of the oldest, s",
                [
                    events.metric_approximate_age_of_oldest_message(period=_MINUTE, label="event to be announced"),
                    systems.metric_approximate_age_of_oldest_message(period=_MINUTE, label="event for systems"),
                ],
            ),
            _Graph(
                "People",
                [
                    alerting.people.metric_number_of_notifications_delivered(period=_MINUTE, label="e-mails"),
                    alerting.phones.metric_number_of_notifications_delivered(period=_MINUTE, label="SMS"),
                    alerting.people.metric_number_of_notifications_failed(period=_MINUTE, label="e-mails failed"),
                    alerting.phones.metric_number_of_notifications_failed(period=_MINUTE, label="SMS failed"),
                ],
            ),
        )

    def show_queues(self, queues: Mapping[str, sqs.IQueue]) -> None:
        """What waits for a person: empty when all is well."""
        self._row(
            "What waits for a person",
            "Zero, each of them. The runbook says how to empty them without losing anything.",
            _Graph(
                "Messages",
                [
                    queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=_MINUTE, label=name)
                    for name, queue in queues.items()
                ],
            ),
        )

    def _row(self, title: str, normal: str, *graphs: _Graph) -> None:
        self._board.add_widgets(
            cloudwatch.TextWidget(
                markdown=f"## {title}\n{normal}",
                width=_WIDTH,
                height=2,
                background=cloudwatch.TextWidgetBackground.TRANSPARENT,
            )
        )
        self._board.add_widgets(
            *(
                cloudwatch.GraphWidget(
                    title=graph.title,
                    left=list(graph.left),
                    right=list(graph.right),
                    left_annotations=None
                    if graph.begins is None
                    else [cloudwatch.HorizontalAnnotation(value=graph.begins, label="alarm")],
                    width=_WIDTH // len(graphs),
                    height=_HEIGHT,
                )
                for graph in graphs
            )
        )


def _counted(service: str, name: str, label: str) -> cloudwatch.Metric:
    """What a function counts itself, a minute."""
    return own_metric(service, name).with_(label=label)


def _level(name: str, label: str) -> cloudwatch.Metric:
    """What the sweep finds, once a minute."""
    return own_metric("sweep", name, statistic="Maximum").with_(label=label)


def _of(function: lambda_.Function, metric: str, label: str, statistic: str = "Sum") -> cloudwatch.Metric:
    return function.metric(metric, statistic=statistic, period=_MINUTE, label=label)


def _of_table(table: dynamodb.TableV2, metric: str, label: str) -> cloudwatch.Metric:
    return table.metric(metric, statistic="Sum", period=_MINUTE, label=label)


def _rows(stream: str, metric: str, statistic: str, table: str) -> cloudwatch.Metric:
    return delivery_metric(stream, metric, statistic).with_(label=table)


def _rule(kind: topics.CloudKind) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/IoT",
        metric_name="TopicMatch",
        dimensions_map={"RuleName": topics.rule_name(kind)},
        statistic="Sum",
        period=_MINUTE,
        label=kind,
    )
