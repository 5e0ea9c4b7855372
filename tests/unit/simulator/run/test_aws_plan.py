"""What a run on AWS would do: the estimate, its caps, and the words in which it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud.capacity.prices import load_prices
from cloud.deployment import Deployment
from simulator.run.aws_plan import CapError, estimate, explanation, refuse_caps_too_low, reserve
from simulator.run.aws_site import Site
from simulator.run.options import AwsOptions, RunOptions, TargetName

OPTIONS = RunOptions(sensors=2000, gateways=8, duration_s=30, target=TargetName.AWS, aws=AwsOptions())
PRICES = load_prices()


def test_estimate_covers_every_window_twice_every_summary_and_some_events() -> None:
    estimated = estimate(OPTIONS, PRICES)
    assert estimated.windows == 8 * 4 * 2  # 30 s lie in up to four windows of 10 s
    assert estimated.summaries == 8 * 2
    assert estimated.events == 40
    assert estimated.messages == 120
    assert 500 * estimated.windows < estimated.message_bytes < 3000 * estimated.messages


def test_estimated_cost_grows_with_gateways_and_seconds_and_is_cents() -> None:
    usd = estimate(OPTIONS, PRICES).usd
    assert 0.0001 < usd < 0.05
    assert estimate(replace(OPTIONS, gateways=80), PRICES).usd > 2 * usd
    assert estimate(replace(OPTIONS, duration_s=3600), PRICES).usd > 10 * usd
    assert "Greengrass" not in estimate(OPTIONS, PRICES).bill.by_service()


def test_cap_is_the_lower_of_those_given_or_twice_the_estimate() -> None:
    estimated = estimate(OPTIONS, PRICES)
    assert estimated.most_messages(AwsOptions()) == 240
    assert estimated.most_messages(AwsOptions(max_messages=500)) == 500
    half_more = AwsOptions(max_messages=500, max_usd=1.5 * estimated.usd)
    assert estimated.most_messages(half_more) in (179, 180)
    assert 0 < reserve(OPTIONS) < estimated.messages


@pytest.mark.parametrize(
    ("aws", "words"),
    [
        (AwsOptions(max_messages=119), "--max-messages 119: the run would publish about 120; allow as many"),
        (AwsOptions(max_usd=0.0001), r"--max-usd 0.0001: the run would cost about \$0.00\d+; allow as much"),
    ],
)
def test_cap_below_the_estimate_is_refused_before_anything_starts(aws: AwsOptions, words: str) -> None:
    with pytest.raises(CapError, match=words):
        refuse_caps_too_low(estimate(OPTIONS, PRICES), aws)
    refuse_caps_too_low(estimate(OPTIONS, PRICES), AwsOptions(max_messages=120, max_usd=1.0))


def test_explanation_names_place_things_messages_money_cap_and_what_stays() -> None:
    site = Site(Deployment("test", {}, lambda _: None), "123456789012", "eu-west-1", "broker.example", 8883)
    options = replace(OPTIONS, aws=AwsOptions(stage="test", max_messages=200))
    told = dict(explanation(options, site, estimate(options, PRICES), PRICES, Path("certs"), held=3))
    assert told["stack"] == "roadside-test in account 123456789012, region eu-west-1"
    assert told["broker"].startswith("broker.example:8883")
    assert told["things"] == "8 gateways, gw-000 to gw-007"
    assert told["certificates"] == "3 are in certs; 5 would get one by claim (roadside-test), kept in certs"
    assert "$aws/rules/roadside_windows/roadside/v1/gw-000/windows" in told["topics"]
    assert told["messages"].startswith("about 120: 64 of windows")
    assert told["cost"].startswith("about $0.00")
    assert told["cap"].startswith("200 messages")
    assert "200 segments and 8 gateways" in told["changes"]
    assert "8 things with a certificate each" in told["leaves behind"]
    assert "cdk destroy roadside-test" in told["to remove"]
