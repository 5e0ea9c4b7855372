"""Alarms of the local cloud begin and end as CloudWatch's."""

from __future__ import annotations

import pytest

from simulator.local_cloud.shims.alarm_evaluation import state_of


def alarm(comparison: str = "GreaterThanOrEqualToThreshold", **settings: object) -> dict[str, object]:
    return {"ComparisonOperator": comparison, "Threshold": 10.0, "EvaluationPeriods": 3, **settings}


@pytest.mark.parametrize(
    ("values", "needed", "state"),
    [
        ([10.0, 10.0, 10.0], 3, "ALARM"),
        ([10.0, 9.0, 10.0], 3, "OK"),
        ([10.0, 9.0, 10.0], 2, "ALARM"),
        ([9.0, 9.0, 10.0], 2, "OK"),
    ],
)
def test_as_many_periods_must_breach_as_the_alarm_asks_for(values: list[float | None], needed: int, state: str) -> None:
    assert state_of(alarm(DatapointsToAlarm=needed), values) == state


@pytest.mark.parametrize(
    ("treatment", "values", "state"),
    [
        ("breaching", [None, None, None], "ALARM"),
        ("breaching", [None, 20.0, None], "OK"),
        ("notBreaching", [None, None, None], "OK"),
        ("missing", [None, None, None], None),
        ("missing", [None, 5.0, 5.0], "ALARM"),
    ],
)
def test_absent_data_means_what_the_alarm_says(treatment: str, values: list[float | None], state: str | None) -> None:
    needed = 2 if treatment == "missing" else 3
    settings = alarm("LessThanThreshold", TreatMissingData=treatment, DatapointsToAlarm=needed)

    assert state_of(settings, values) == state
