"""Tells CloudWatch what a function counted, in its embedded metric format."""

from collections.abc import Mapping

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit


def emit(metrics: Metrics, counts: Mapping[str, int], levels: Mapping[str, int] | None = None) -> None:
    """Write one log line with what is not zero, and with all levels.

    A metric is billed for every hour in which it is told: what hardly ever happens then costs hardly anything. Alarms
    take a count that is not told for none.

    Parameters
    ----------
    counts : what happened since the last call
    levels : how much there is; zero is an answer
    """
    told = {name: count for name, count in counts.items() if count} | dict(levels or {})
    for name, count in told.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    if told:
        metrics.flush_metrics()
