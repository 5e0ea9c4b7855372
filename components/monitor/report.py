"""The heartbeat, put together from what is known. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from roadside.contract.heartbeat import ComponentHealth, Heartbeat, Reason, SystemState, encode_heartbeat

MAX_BYTES: Final = 6500  # nucleus lite closes the connection for good over a message of more than about 7,000
_SHED: Final = re.compile(r"(?:^|[._])shed(?:[._]|$)")


def make_heartbeat(
    gateway: str,
    sent_ms: int,
    uptime_ms: int,
    reason: Reason,
    nucleus: str | None,
    components: tuple[ComponentHealth, ...],
    system: SystemState,
) -> Heartbeat:
    """What is to be told of components with all their counters; those that are 0 are left out of it.

    The gateway's totals are found in the counters by the last part of their names.
    """
    told = tuple(
        replace(each, counters={name: count for name, count in each.counters.items() if count}) for each in components
    )
    return Heartbeat(
        gateway=gateway,
        sent_ms=sent_ms,
        uptime_ms=uptime_ms,
        reason=reason,
        nucleus=nucleus,
        components=told,
        backlog_messages=_total(components, "backlog_messages"),
        backlog_bytes=_total(components, "backlog_bytes"),
        backlog_age_ms=_total(components, "backlog_age_ms"),
        given_up=_total(components, "given_up"),
        shed=sum(count for name, count in _counters(components) if _SHED.search(name)) if components else None,
        dead_letters=_total(components, "dead_letters"),
        spent_bytes=_total(components, "spent_bytes"),
        budget_bytes=_total(components, "budget_bytes") or None,  # 0 is none
        system=system,
    )


def encode_within(heartbeat: Heartbeat, most_bytes: int = MAX_BYTES) -> bytes:
    """The heartbeat's bytes; where they are too many, the components with the most counters go without them."""
    payload = encode_heartbeat(heartbeat)
    while len(payload) > most_bytes:
        longest = max(heartbeat.components, key=lambda component: len(component.counters))
        if not longest.counters:
            break
        bare = replace(longest, counters={})
        components = tuple(bare if each is longest else each for each in heartbeat.components)
        heartbeat = replace(heartbeat, components=components)
        payload = encode_heartbeat(heartbeat)
    return payload


def _total(components: tuple[ComponentHealth, ...], name: str) -> int | None:
    """Sum of the counters of that name; None if there is none."""
    found = [count for full_name, count in _counters(components) if full_name.rpartition(".")[2] == name]
    return sum(found) if found else None


def _counters(components: tuple[ComponentHealth, ...]) -> Iterator[tuple[str, int]]:
    for component in components:
        yield from component.counters.items()
