"""Alarms of the local cloud turn by what functions do and log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.local_cloud.conftest import Stack
from tests.integration.local_cloud.support import eventually


def alarm(stack: Stack, name: str, namespace: str, metric: str, dimensions: dict[str, str]) -> None:
    stack.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def state(stack: Stack, name: str) -> Any:
    return stack.cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def errors(stack: Stack, function: str) -> float:
    """Failed invocations, by whichever way they came, of the last minutes."""
    now = datetime.now(UTC)
    points = stack.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


def test_alarms_turn_by_what_a_function_logs_and_errors_are_counted(stack: Stack) -> None:
    function = stack.outputs["AlertsName"]
    cloud = stack.cloud
    invoke = cloud.client("lambda").invoke
    invoke(FunctionName=function, Payload=json.dumps({"gateway": "gw-metrics", "event_id": "1"}).encode())
    cloud.client("logs").put_metric_filter(
        logGroupName=f"/aws/lambda/{function}",
        filterName="three",
        filterPattern='{ $.service = "trial" && $.Alerts >= 3 }',
        metricTransformations=[{"metricName": "Threes", "metricNamespace": "Trial", "metricValue": "1"}],
    )
    alarm(stack, "embedded", "Trial", "Alerts", {"service": "trial"})
    alarm(stack, "filtered", "Trial", "Threes", {})
    invoke(FunctionName=function, Payload=json.dumps({"gateway": "gw-metrics", "event_id": "2"}).encode())
    eventually(lambda: state(stack, "embedded") == state(stack, "filtered") == "ALARM")
    errors_before = errors(stack, function)
    invoke(FunctionName=function, Payload=b"{}")
    eventually(lambda: errors(stack, function) == errors_before + 1)
