"""The heartbeat is made of what is known, and always passes nucleus lite."""

from monitor.report import MAX_BYTES, encode_within, make_heartbeat
from roadside.contract.heartbeat import MAX_COMPONENTS, ComponentHealth, Heartbeat, SystemState, decode_heartbeat
from roadside.contract.status import MAX_COUNTERS
from roadside.contract.summary import MAX_INTEGER


def component(name: str, counters: dict[str, int]) -> ComponentHealth:
    return ComponentHealth(name, "running", "0.1.0", 1_000, 60_000, 0, 0, counters)


def heartbeat(*components: ComponentHealth) -> Heartbeat:
    return make_heartbeat("gw-1", 1_000_000, 60_000, "beat", "2.18.2", components, SystemState(cpu_share=0.1))


def test_totals_are_those_of_the_counters_whatever_component_has_them() -> None:
    uplink = {"uplink.backlog_messages": 3, "uplink.backlog_bytes": 900, "uplink.backlog_age_ms": 0}
    made = heartbeat(
        component("a", uplink | {"uplink.spent_bytes": 512, "uplink.budget_bytes": 0, "shed_results": 1}),
        component("b", {"uplink.given_up": 2, "inbox_shed.readings": 5, "results_shed": 4}),
        component("c", {"finished": 7, "readings_waiting": 9}),
    )
    assert (made.backlog_messages, made.backlog_bytes, made.backlog_age_ms) == (3, 900, 0)
    assert (made.given_up, made.shed, made.spent_bytes, made.budget_bytes) == (2, 10, 512, None)


def test_what_no_component_counts_is_unknown() -> None:
    made = heartbeat()
    assert (made.backlog_messages, made.given_up, made.shed) == (None, None, None)
    assert heartbeat(component("a", {"windows": 1})).backlog_bytes is None


def test_counters_that_are_0_are_not_sent() -> None:
    made = decode_heartbeat(encode_within(heartbeat(component("a", {"windows": 2, "corrections": 0}))))
    assert made.components == (component("a", {"windows": 2}),)


def test_largest_heartbeat_passes_nucleus_lite_and_loses_counters_only() -> None:
    many = {f"{number:048d}": MAX_INTEGER for number in range(MAX_COUNTERS)}
    longest = [component(f"{number:0128d}", many) for number in range(MAX_COMPONENTS - 1)]
    made = heartbeat(*longest, component("small", {"windows": 1}))
    payload = encode_within(made)
    assert len(payload) <= MAX_BYTES
    told = decode_heartbeat(payload)
    assert [each.component for each in told.components] == [each.component for each in made.components]
    assert told.components[-1].counters == {"windows": 1}, "the longest go first"
