"""What the scenario of a run brought, in sentences. Pure."""

from collections.abc import Mapping
from typing import Any

from simulator.report import words


def sentences(scenario: Mapping[str, Any], end_s: float) -> list[str]:
    """One for each thing that was under way while the run was recorded; instants are minutes of the run."""
    told = [
        *(_weather(each) + _when(each, end_s) for each in scenario.get("weather", ()) if _met(each, end_s)),
        *(_surge(each) + _when(each, end_s) for each in scenario.get("surges", ()) if _met(each, end_s)),
        *(_closure(each) + _when(each, end_s) for each in scenario.get("closures", ()) if _met(each, end_s)),
    ]
    return [f"{sentence}." for sentence in told]


def note(scenario: Mapping[str, Any], end_s: float) -> str:
    """The same as a paragraph, or nothing on a day like any other."""
    told = sentences(scenario, end_s)
    if not told:
        return ""
    return f'<p class="note">Scenario "{words.escape(scenario["scenario"])}": {words.escape(" ".join(told))}</p>'


def _met(event: Mapping[str, Any], end_s: float) -> bool:
    return bool(event["start_s"] < end_s and event["end_s"] > 0)


def _when(event: Mapping[str, Any], end_s: float) -> str:
    begins = "" if event["start_s"] <= 0 else f" from {words.clock(event['start_s'])}"
    ends = "" if event["end_s"] >= end_s else f" until {words.clock(event['end_s'])}"
    return begins + ends or " all the time"


def _weather(spell: Mapping[str, Any]) -> str:
    left = f"{spell['free_flow_share']:.0%} of the speed and {spell['capacity_share']:.0%} of the capacity"
    return f"{spell['kind'].replace('-', ' ').capitalize()}{_where(spell)} left {left}"


def _surge(surge: Mapping[str, Any]) -> str:
    at = {"everywhere": "entries and on-ramps", "entries": "entries", "on-ramps": "on-ramps"}[surge["at"]]
    return f"Demand at {at}{_where(surge)} was {surge['factor']:g} times the usual ({surge['name']})"


def _closure(closure: Mapping[str, Any]) -> str:
    return f"{closure['segment_id']} was closed ({closure['name']})"


def _where(event: Mapping[str, Any]) -> str:
    return f" in {' and '.join(event['districts'])}" if event["districts"] else ""
