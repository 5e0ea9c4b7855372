"""A trouble is the same whatever the order in which its events came, and however often."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud.functions.shared.trouble import KEPT_EPISODES, Trouble, fold
from roadside.contract.bus import IncidentNotice, subject
from tests.unit.cloud.gateway_events import BORDER_INCIDENT

KINDS = ("IncidentSuspected", "IncidentConfirmed", "IncidentCleared")


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[IncidentNotice], list[IncidentNotice]]:
    """Events of some episodes, and the same again, shuffled and some of them repeated."""
    starts = draw(st.lists(st.integers(0, 10**7), unique=True, min_size=1, max_size=KEPT_EPISODES + 4))
    events: list[Any] = [
        replace(BORDER_INCIDENT, kind=kind, event_id=f"{kind}:{start}", started_ms=start, occurred_ms=start + lasted)
        for start in starts
        for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))
        for lasted in [draw(st.integers(0, 10**6))]
    ]
    again = draw(st.permutations(events + draw(st.lists(st.sampled_from(events), max_size=10))))
    return events, again


def folded(events: list[IncidentNotice]) -> Trouble:
    trouble = Trouble(subject(events[0]))
    for event in events:
        trouble = fold(trouble, event)
    return trouble


@given(histories())
def test_any_order_and_any_repetition_end_in_the_same_trouble(
    history: tuple[list[IncidentNotice], list[IncidentNotice]],
) -> None:
    events, again = history

    assert folded(events) == folded(again)


@given(histories())
def test_trouble_goes_on_exactly_if_nothing_ended_its_newest_episode(
    history: tuple[list[IncidentNotice], list[IncidentNotice]],
) -> None:
    events, again = history
    newest_ms = max(event.started_ms for event in events)

    ended = any(event.kind == "IncidentCleared" for event in events if event.started_ms == newest_ms)
    assert (folded(again).current is None) == ended
