"""Metrics as AWS makes them: of every invocation, of a stream's reader, and from logs.

MiniStack counts only invocations through the Invoke API, stores metric filters without applying them and passes over
the embedded metric format. With these, an alarm turns in the local cloud by what a function does, and on nothing else.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.local_cloud.guard import Hook

_LAMBDA = "ministack.services.lambda_svc"
_LOGS = "ministack.services.cloudwatch_logs"
_CLOUDWATCH = "ministack.services.cloudwatch"
HOOKS = (
    Hook(_LOGS, "_fanout_to_subscription_filters", "(group_name, stream_name, events)"),
    Hook(_LOGS, "_compile_filter_pattern", "(raw: str)"),
    Hook(_LOGS, "_metric_filters"),
    Hook(
        _CLOUDWATCH,
        "record_metric",
        "(namespace: str, metric_name: str, value: float, unit: str = 'None', dimensions: dict | None = None) -> None",
    ),
    Hook(
        _LAMBDA,
        "_emit_lambda_metrics",
        "(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None",
    ),
    Hook(
        _LAMBDA,
        "_emit_lambda_logs",
        "(func: dict, request_id: str, log_text: str, error: bool, duration_ms: int, *, "
        "log_source: str | None = None) -> None",
    ),
)

_COMPARISON = re.compile(r'\$\.([\w.\-]+)\s*(=|!=|>=|<=|>|<)\s*("[^"]*"|-?\d+(?:\.\d+)?|[\w*]+)')
_log = logging.getLogger("roadside.metrics")


@dataclass(frozen=True, slots=True)
class Datum:
    """One value of a metric."""

    namespace: str
    name: str
    value: float
    unit: str
    dimensions: Mapping[str, str]


def embedded_metrics(message: str) -> Iterator[Datum]:
    """The metrics that a log line in CloudWatch's embedded metric format holds; none for any other line."""
    if '"_aws"' not in message:
        return
    try:
        document = json.loads(message)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document.get(metric["Name"], [])
                for value in values if isinstance(values, list) else [values]:
                    unit = metric.get("Unit", "None")
                    yield Datum(directive["Namespace"], metric["Name"], float(value), unit, dimensions)


def json_pattern_matches(pattern: str, message: str) -> bool:
    """Whether a log line satisfies a JSON filter pattern: comparisons of fields, joined by &&.

    Raises
    ------
    ValueError
        The pattern is of another form, which is not modelled here.
    """
    parts = [part.strip(" ()") for part in pattern.strip()[1:-1].split("&&")]
    comparisons = [_COMPARISON.fullmatch(part) for part in parts]
    if None in comparisons:
        raise ValueError(f"the metric filter pattern {pattern!r} is not modelled by the local cloud")
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return all(_holds(document, *comparison.groups()) for comparison in comparisons if comparison)


def _holds(document: Any, path: str, operator: str, text: str) -> bool:
    found = field(document, path)
    if found is None:
        return False
    if operator in ("=", "!="):
        wanted = text.strip('"')
        if isinstance(found, int | float) and not isinstance(found, bool) and not text.startswith('"'):
            same = float(found) == float(text)
        else:
            shown = json.dumps(found) if isinstance(found, bool) else str(found)
            same = re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), shown) is not None
        return same == (operator == "=")
    if isinstance(found, str | bool):
        return False
    value, bound = float(found), float(text)
    return {">": value > bound, "<": value < bound, ">=": value >= bound, "<=": value <= bound}[operator]


def field(document: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def filtered_metrics(metric_filter: Mapping[str, Any], matches: bool, message: str) -> Iterator[Datum]:
    """What a metric filter makes of a log line: its value where it matches. `metricValue` may be a field."""
    for transformation in metric_filter["metricTransformations"] if matches else ():
        value: Any = transformation.get("metricValue", "1")
        if str(value).startswith("$."):
            try:
                value = field(json.loads(message), value[2:])
            except ValueError:
                value = None
        if value is not None:
            yield Datum(
                transformation["metricNamespace"],
                transformation["metricName"],
                float(value),
                transformation.get("unit", "None"),
                {},
            )


def record(datum: Datum) -> None:
    """Put one value where alarms look."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    cloudwatch.record_metric(datum.namespace, datum.name, datum.value, datum.unit, dict(datum.dimensions))


def record_iterator_age(function_name: str, arrived_s: float) -> None:
    """How old the last record of a batch was when the batch was handed over."""
    age_ms = max(0.0, 1000 * (time.time() - arrived_s))
    record(Datum("AWS/Lambda", "IteratorAge", age_ms, "Milliseconds", {"FunctionName": function_name}))


def _of_log_lines(group_name: str, events: list[dict[str, Any]]) -> Iterator[Datum]:
    from ministack.services import cloudwatch_logs  # noqa: PLC0415

    filters = [f for (group, _), f in list(cloudwatch_logs._metric_filters.items()) if group == group_name]
    for event in events:
        message = event.get("message", "")
        yield from embedded_metrics(message)
        for metric_filter in filters:
            pattern = metric_filter["filterPattern"]
            if pattern.lstrip().startswith("{"):
                matches = json_pattern_matches(pattern, message)
            else:
                matches = cloudwatch_logs._compile_filter_pattern(pattern)(message)
            yield from filtered_metrics(metric_filter, matches, message)


def install() -> None:
    """Count every invocation where its log is written, and read metrics out of every log line."""
    from ministack.services import cloudwatch_logs, lambda_svc  # noqa: PLC0415

    emit_metrics: Callable[..., None] = lambda_svc._emit_lambda_metrics
    emit_logs: Callable[..., None] = lambda_svc._emit_lambda_logs
    fan_out: Callable[..., None] = cloudwatch_logs._fanout_to_subscription_filters

    def emit_throttles(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:  # the others are counted below, whoever invoked
            emit_metrics(function_name, duration_ms, error, throttle)

    def count_and_emit_logs(
        func: dict[str, Any],
        request_id: str,
        log_text: str,
        error: bool,
        duration_ms: int,
        *,
        log_source: str | None = None,
    ) -> None:
        config = func.get("config") or func
        emit_metrics(config.get("FunctionName", "unknown"), duration_ms, error, throttle=False)
        emit_logs(func, request_id, log_text, error, duration_ms, log_source=log_source)

    def fan_out_and_measure(group_name: str, stream_name: str, events: list[dict[str, Any]]) -> None:
        try:
            for datum in _of_log_lines(group_name, events):
                record(datum)
        except ValueError as error:
            _log.error("%s", error)  # a log line must be stored in any case
        fan_out(group_name, stream_name, events)

    lambda_svc._emit_lambda_metrics = emit_throttles
    lambda_svc._emit_lambda_logs = count_and_emit_logs
    cloudwatch_logs._fanout_to_subscription_filters = fan_out_and_measure
