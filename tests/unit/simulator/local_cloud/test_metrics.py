"""What the local cloud reads out of log lines."""

from __future__ import annotations

import json

import pytest

from simulator.local_cloud.shims.metrics import Datum, embedded_metrics, filtered_metrics, json_pattern_matches

LINE = json.dumps({"level": "ERROR", "status": 503, "error": {"code": "Throttled"}, "ok": False})


def test_every_value_of_every_dimension_set_is_told() -> None:
    directive = {
        "Namespace": "Roadside",
        "Dimensions": [["service"], []],
        "Metrics": [{"Name": "WindowsStored", "Unit": "Count"}],
    }
    line = json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, "service": "processor", "WindowsStored": [2.0, 3.0]})
    data = list(embedded_metrics(line))
    assert [(d.value, dict(d.dimensions)) for d in data] == [
        (2.0, {"service": "processor"}),
        (3.0, {"service": "processor"}),
        (2.0, {}),
        (3.0, {}),
    ]


@pytest.mark.parametrize("line", ["", "START RequestId", LINE, '{"_aws": 1}', '{"_aws": {}, '])
def test_other_lines_hold_no_metric(line: str) -> None:
    assert not list(embedded_metrics(line))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.level = "ERROR" }', True),
        ('{ $.level = "ERR*" }', True),
        ('{ $.level != "ERROR" }', False),
        ("{ $.status >= 500 && $.status < 600 }", True),
        ('{ ($.error.code = "Throttled") && ($.status = 502) }', False),
        ("{ $.ok = false }", True),
        ("{ $.absent = 1 }", False),
    ],
)
def test_json_patterns_compare_fields(pattern: str, matches: bool) -> None:
    assert json_pattern_matches(pattern, LINE) is matches
    assert not json_pattern_matches(pattern, "no JSON")


def test_a_pattern_that_is_not_modelled_is_refused_and_not_taken_for_a_match() -> None:
    with pytest.raises(ValueError, match="not modelled"):
        json_pattern_matches("{ $.a = 1 || $.b = 2 }", LINE)


def test_a_filter_counts_or_takes_a_field() -> None:
    count = {"metricTransformations": [{"metricNamespace": "N", "metricName": "M", "metricValue": "1"}]}
    taken = {"metricTransformations": [{"metricNamespace": "N", "metricName": "M", "metricValue": "$.status"}]}
    assert list(filtered_metrics(count, True, LINE)) == [Datum("N", "M", 1.0, "None", {})]
    assert [datum.value for datum in filtered_metrics(taken, True, LINE)] == [503.0]
    assert not list(filtered_metrics(count, False, LINE))
