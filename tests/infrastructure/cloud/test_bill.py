"""No resource of any template escapes the bill."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloud.capacity import metrics, roadside
from cloud.capacity.city import City, Operation
from cloud.capacity.resources import BILLED, FREE
from tests.infrastructure.cloud.conftest import Synthesised

REPOSITORY = Path(__file__).resolve().parents[3]

Deployment = dict[str, Synthesised]


def _resources(deployment: Deployment) -> Iterator[dict[str, Any]]:
    for stack in deployment.values():
        yield from stack.resources.values()


def _types(deployment: Deployment) -> Counter[str]:
    return Counter(resource["Type"] for resource in _resources(deployment))


def test_every_type_of_resource_is_billed_or_free_for_a_reason(dev: Deployment) -> None:
    unknown = {kind for kind in _types(dev) if not kind.startswith("Custom::")} - set(BILLED) - set(FREE)

    assert not unknown, "add them to cloud/capacity/resources.py, and to cloud/capacity/roadside.py what they cost"


def test_no_more_stands_in_the_templates_than_is_billed(dev: Deployment) -> None:
    types = _types(dev)

    assert types["AWS::KMS::Key"] <= roadside.KMS_KEYS
    assert types["AWS::CloudWatch::Alarm"] <= roadside.ALARMS
    assert types["AWS::CloudWatch::CompositeAlarm"] <= roadside.COMPOSITE_ALARMS
    assert types["AWS::CloudWatch::Dashboard"] <= roadside.DASHBOARDS


def test_every_function_is_billed_by_its_name(dev: Deployment) -> None:
    uses = roadside.uses(City(50_000, 200), Operation())
    billed = {use.item.split(",")[0] for use in uses if use.service == "Lambda"}

    assert set().union(*(stack.functions for stack in dev.values())) <= billed


def test_every_metric_of_our_own_is_billed_always_or_at_times() -> None:
    told = {}
    for handler in (REPOSITORY / "cloud" / "functions").glob("*/handler.py"):
        text = handler.read_text(encoding="utf-8")
        names = re.findall(r'"([A-Z][A-Za-z]+)"(?=: | if |, unit)', text) if "Metrics(" in text else []
        if names and handler.parent.name != "readings":  # of the variant for comparison
            told[handler.parent.name] = sorted(names)

    billed = {
        name: sorted((*metrics.ALWAYS.get(name, ()), *metrics.AT_TIMES.get(name, ())))
        for name in metrics.ALWAYS | metrics.AT_TIMES
    }
    assert told == billed
