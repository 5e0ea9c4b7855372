"""Plans of faults: read whole or refused whole, with every mistake by field, value and advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.faults.kinds import RULES, Kind
from simulator.faults.plan import FaultPlan, FaultPlanError, plan_of, read_plan

EXAMPLES = Path(__file__).resolve().parents[4] / "simulator" / "examples"


def entry(kind: str, **more: object) -> dict[str, object]:
    return {"name": f"a {kind}", "kind": kind, "start_s": 5, "duration_s": 10, **more}


def mistakes(*entries: dict[str, object], **top: object) -> list[str]:
    with pytest.raises(FaultPlanError) as refused:
        plan_of({"fault": list(entries), **top}, "plan.toml")
    assert str(refused.value).splitlines() == [f"plan.toml: {mistake}" for mistake in refused.value.mistakes]
    return refused.value.mistakes


def test_every_mistake_of_every_fault_is_named_at_once_with_field_value_and_advice() -> None:
    found = mistakes(
        {"kind": "plague", "start_s": "soon", "duration_s": 0, "gateways": "some", "gateway_share": 0},
        entry("loss", share=1.5, shar=0.5, sensor_share=True),
        entry("loss", share=0.1),
        entry("gateway-crash", sensor_share=0.5, every_s=-1),
        written_for_s="60",
        faults=1,
    )
    for words in [
        'faults = 1: there is no such key; did you mean "fault"?',
        'written_for_s = "60": give the seconds of a run',
        "fault 1: name = nothing: give it a name in words",
        'fault 1: kind = "plague": use one of loss, duplicates',
        'fault 1: start_s = "soon": give seconds of the run',
        "fault 1: duration_s = 0: give seconds of the run, 0.1 to",
        'fault 1: gateways = "some": give a list of ids or indices from 0, or one of all, real, in-process',
        "fault 1: gateway_share = 0: give a share above 0 and up to 1",
        'fault 2 "a loss": share = 1.5: give a number from 0 to 1',
        'fault 2 "a loss": shar = 0.5: a fault of kind loss has no such key; did you mean "share"?',
        'fault 2 "a loss": sensor_share = True: give a share above 0 and up to 1',
        'fault 4 "a gateway-crash": every_s = -1: give a number from 0 to 3600',
        'fault 4 "a gateway-crash": sensor_share = 0.5: gateway-crash strikes no sensors; leave it out',
    ]:
        assert any(mistake.startswith(words) for mistake in found), (words, found)
    assert len(found) == 13


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (entry("loss"), "share = nothing: give a number from 0 to 1"),
        (entry("loss", share=0), "share = 0: nothing would happen; give a share above 0"),
        (entry("poison"), "share = 0: nothing would happen; give a share above 0; or messages_per_s"),
        (
            entry("delay", share=0.1, least_delay_s=9, most_delay_s=4),
            "most_delay_s = 4: give at least least_delay_s",
        ),
        (entry("delay", share=0.1, least_delay_s=5.5), "least_delay_s = 5.5: give a whole number from 3 to 60"),
        (entry("clock-step", step_ms=0), "step_ms = 0: nothing would happen"),
        (entry("clock-step", step_ms=7_200_000), "step_ms = 7200000: give a whole number from -3.6e+06 to 3.6e+06"),
        (entry("clock-skew", skew_ms=2500), "skew_ms = 2500: give -30000 to -100 (readings come late)"),
        (entry("clock-skew", skew_ms=-2000), "skew_ms = -2000: give no whole seconds, -1500 say"),
        (entry("cloud-outage", gateways=[1]), "gateways = [1]: cloud-outage strikes all; leave it out"),
        (entry("network-partition"), 'gateways = "all": a partition leaves some connected'),
        (entry("ipc-drop", gateways=[]), "gateways = []: give a list of ids or indices"),
        (entry("ipc-drop", gateways=[-1, ""]), "gateways = [-1, '']: give a list of ids or indices"),
        (entry("sensor-chatter", vehicles_per_30s=0), "vehicles_per_30s = 0: give a number from 1 to 1000"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(told: dict[str, object], words: str) -> None:
    [mistake] = mistakes(told)
    assert mistake.startswith(f'fault 1 "{told["name"]}": {words}')


def test_two_faults_of_one_name_and_one_after_the_end_are_refused() -> None:
    assert mistakes(entry("loss", share=0.1), entry("loss", share=0.2), written_for_s=60) == [
        'fault 2 "a loss": name = "a loss": another fault has it; give each a name of its own'
    ]
    [mistake] = mistakes(entry("loss", share=0.1), written_for_s=12)
    assert "start_s + duration_s = 15: this is after the end at 12 s" in mistake


@pytest.mark.parametrize("text", ["[[fault]\n", "fault = 3\n", "", "written_for_s = 60\n"])
def test_a_file_that_is_no_plan_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(FaultPlanError, match=str(path)):
        read_plan(path)


def test_numbers_have_defaults_and_a_target_is_all_unless_told() -> None:
    [fault] = plan_of({"fault": [entry("delay", share=0.1)]}, "x").faults
    assert fault.numbers == {"share": 0.1, "least_delay_s": 5, "most_delay_s": 8}
    assert (fault.gateways, fault.gateway_share, fault.sensor_share) == ("all", 1.0, 1.0)
    assert [fault.active(second) for second in (4, 5, 14, 15)] == [False, True, True, False]


def test_a_plan_stretches_to_the_run_it_is_not_written_for_and_keeps_its_amounts() -> None:
    told = [entry("delay", share=0.1), entry("gateway-crash", every_s=4)]
    plan = plan_of({"fault": told, "written_for_s": 60}, "x").fitted(30)
    assert [(fault.start_s, fault.duration_s) for fault in plan.faults] == [(2.5, 5.0)] * 2
    assert plan.faults[0].numbers["least_delay_s"] == 5
    assert plan.faults[1].numbers["every_s"] == 2
    assert plan.fitted(99) == plan
    unstretched = plan_of({"fault": told}, "x")
    assert unstretched.fitted(30) == unstretched


def test_the_bad_day_has_every_kind_of_fault() -> None:
    plan = read_plan(EXAMPLES / "bad-day.toml")
    assert isinstance(plan, FaultPlan)
    assert {fault.kind for fault in plan.faults} == set(Kind) == set(RULES)
