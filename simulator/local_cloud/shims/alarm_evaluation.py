"""Alarms as CloudWatch evaluates them, and the depth of queues as a metric for them.

MiniStack looks at metrics of an alarm's name whatever their dimensions, so that an alarm on one queue would turn by
another; it knows neither "M of N periods" nor what absent data means, looks only when metrics are put, and does not
measure queues. Here one thread looks once a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.local_cloud.guard import Hook
from simulator.local_cloud.shims.metrics import Datum, record

_CLOUDWATCH = "ministack.services.cloudwatch"
_SQS = "ministack.services.sqs"
HOOKS = (
    Hook(_CLOUDWATCH, "_evaluate_alarm", "(alarm)"),
    Hook(_CLOUDWATCH, "_evaluate_all_alarms", "()"),
    Hook(_CLOUDWATCH, "_evaluate_parent_alarms", "(child, seen=frozenset())"),
    Hook(_CLOUDWATCH, "_record_history"),
    Hook(_CLOUDWATCH, "_dispatch_alarm_actions", "(alarm, old_state, new_state, reason)"),
    Hook(_CLOUDWATCH, "_calc_stats", "(points)"),
    Hook(_CLOUDWATCH, "_stat_value", "(stats, stat_name, points=None)"),
    Hook(_CLOUDWATCH, "_dims_key", "(dims: dict) -> str"),
    Hook(_CLOUDWATCH, "_alarms"),
    Hook(_CLOUDWATCH, "_metrics"),
    Hook(_SQS, "_queues"),
    Hook("ministack.core.responses", "request_scope", "(account_id: str, region: str)"),
)

LOOK_EVERY_S = 1.0
# A depth that does not change is told again this often, so that a period of a minute always holds one.
DEPTH_EVERY_S = 30.0
_DEPTH = "ApproximateNumberOfMessagesVisible"
_BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_log = logging.getLogger("roadside.alarm_evaluation")


def state_of(alarm: Mapping[str, Any], values: Sequence[float | None]) -> str | None:
    """ALARM or OK by the values of the alarm's last periods, None where one was not measured.

    None as the answer: nothing was measured, and the alarm does not say what that means.
    """
    breaches = _BREACHES[alarm["ComparisonOperator"]]
    treatment = alarm.get("TreatMissingData", "missing")
    if treatment in ("missing", "ignore"):
        values = [value for value in values if value is not None]
        if not values:
            return None
    breaching = sum(
        treatment == "breaching" if value is None else breaches(value, alarm["Threshold"]) for value in values
    )
    needed = alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods", 1)
    return "ALARM" if breaching >= needed else "OK"


def period_values(alarm: Mapping[str, Any], points: Sequence[Mapping[str, Any]], now_s: float) -> list[float | None]:
    """The alarm's statistic in each of its periods, which end now; CloudWatch's end with the minute."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    period_s, count = alarm.get("Period", 60), alarm.get("EvaluationPeriods", 1)
    periods: list[list[Mapping[str, Any]]] = [[] for _ in range(count)]
    for point in reversed(points):
        place = int((now_s - point["Timestamp"]) // period_s)
        if place >= count:
            break  # older ones come first in the list
        periods[max(0, place)].append(point)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    return [
        cloudwatch._stat_value(cloudwatch._calc_stats(period), statistic, period) if period else None
        for period in periods
    ]


def evaluate(alarm: dict[str, Any]) -> None:
    """Bring an alarm to the state that its metric gives it, and tell whom it names."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    if not alarm.get("MetricName"):
        return
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or ()}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    values = period_values(alarm, list(cloudwatch._metrics.get(key) or ()), time.time())
    old, new = alarm["StateValue"], state_of(alarm, values)
    if new is None or new == old:
        return
    reason = f"Threshold Crossed: {alarm['MetricName']} of the last periods {values}, threshold {alarm['Threshold']}"
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


class _Depths:
    """Measures every queue's depth, and tells it when it is another or was not told for a while."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], tuple[int, float]] = {}

    def measure(self) -> None:
        from ministack.core.responses import request_scope  # noqa: PLC0415
        from ministack.services import sqs  # noqa: PLC0415

        for key, queue in list(sqs._queues._data.items()):
            account_id, region, _ = key
            depth = sum(message.get("visible_at", 0.0) <= time.time() for message in list(queue["messages"]))
            now_s = time.monotonic()
            told, told_s = self._told.get(key, (None, 0.0))
            if depth != told or now_s > told_s + DEPTH_EVERY_S:
                self._told[key] = depth, now_s
                with request_scope(account_id, region):
                    record(Datum("AWS/SQS", _DEPTH, float(depth), "Count", {"QueueName": queue["name"]}))


def _look(depths: _Depths) -> None:
    from ministack.core.responses import request_scope  # noqa: PLC0415
    from ministack.services import cloudwatch  # noqa: PLC0415

    depths.measure()
    for account_id, region in {key[:2] for key in list(cloudwatch._alarms._data)}:
        with request_scope(account_id, region):
            for alarm in cloudwatch._alarms.values():
                evaluate(alarm)


def _look_for_ever() -> None:
    depths = _Depths()
    while True:
        time.sleep(LOOK_EVERY_S)
        try:
            _look(depths)
        except Exception:  # noqa: BLE001  a thread that ends would leave all alarms as they are, without a word
            _log.exception("alarms could not be evaluated")


def install() -> None:
    """Replace the evaluation, and look once a second instead of after every metric."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    cloudwatch._evaluate_alarm = evaluate
    cloudwatch._evaluate_all_alarms = lambda: None
    threading.Thread(target=_look_for_ever, name="alarms", daemon=True).start()
