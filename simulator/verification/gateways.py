"""The gateways table against the city's catalogue: who is missing, who stands elsewhere."""

from collections.abc import Mapping
from typing import Any

from simulator.city.layout import City


def gateway_problems(city: City, items: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong with the items of the city's gateways, in words."""
    problems = []
    for gateway in city.gateways:
        item = items.get(gateway.gateway_id)
        if item is None:
            problems.append(f"{gateway.gateway_id} is not in the gateways table")
            continue
        should_be = {"district": gateway.district, "segment_count": len(gateway.segments), "retired_ms": None}
        problems += [
            f"{gateway.gateway_id}: {name} is {item.get(name)}, should be {value}"
            for name, value in should_be.items()
            if item.get(name) != value
        ]
    return problems
