"""Settings of sensor health: their defaults are the core's, and each of them reaches it."""

from dataclasses import fields

import msgspec

from aggregator.health_settings import ArterialHealth, FreewayHealth, HealthSettings, RampHealth
from aggregator.settings import AggregatorSettings
from roadside.core.health import ClassRules, HealthRules
from roadside.runtime.settings import load_settings


def test_defaults_are_those_of_the_core() -> None:
    assert HealthSettings().rules() == HealthRules()


def test_every_rule_of_a_class_can_be_set() -> None:
    for settings in (FreewayHealth(), RampHealth(), ArterialHealth()):
        for field in msgspec.structs.fields(settings):
            changed = msgspec.structs.replace(settings, **{field.name: getattr(settings, field.name) + 1})
            before, after = settings.rules(), changed.rules()
            assert sum(getattr(before, f.name) != getattr(after, f.name) for f in fields(ClassRules)) == 1, field.name


def test_one_key_of_one_class_leaves_all_others_as_they_are() -> None:
    tree = {"health": {"arterial": {"deadMinutes": "60"}}}

    rules = load_settings(AggregatorSettings, tree).aggregation().health

    assert rules.arterial == ArterialHealth(dead_minutes=60).rules()
    assert (rules.freeway, rules.ramp) == (HealthRules().freeway, HealthRules().ramp)
