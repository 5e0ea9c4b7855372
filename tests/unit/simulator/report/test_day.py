"""What a scenario brought is told in sentences, as far as the run saw it."""

import datetime

from simulator.city.layout import make_city
from simulator.city.scenario import Closure, Scenario, Surge, WeatherSpell
from simulator.city.staging import Staging
from simulator.report.day import note, sentences

AT_EIGHT = datetime.time(8)


def at(minutes: int) -> datetime.time:
    return datetime.time(8 + minutes // 60, minutes % 60)


def test_what_was_under_way_is_told_with_when_and_where() -> None:
    scenario = Scenario(
        name="a <bad> morning",
        start_time_of_day=AT_EIGHT,
        weather=(
            WeatherSpell(kind="heavy-snow", start=datetime.time(7), end=at(2)),
            WeatherSpell(kind="fog", start=at(5), end=at(50), districts=("Northgate",)),
            WeatherSpell(kind="rain", start=at(30), end=at(50)),  # after the run
        ),
        surge=(Surge(name="school", factor=1.5, at="on-ramps", start=at(1), end=at(3)),),
        closure=(Closure(name="works", segment="gw-000-seg00", start=datetime.time(7), end=at(59)),),
    )
    truth = Staging(scenario, make_city(100, 1)).truth()

    assert sentences(truth, 600.0) == [
        "Heavy snow left 87% of the speed and 78% of the capacity until 2:00.",
        "Fog in Northgate left 89% of the speed and 88% of the capacity from 5:00.",
        "Demand at on-ramps was 1.5 times the usual (school) from 1:00 until 3:00.",
        "gw-000-seg00 was closed (works) all the time.",
    ]
    assert note(truth, 600.0).startswith('<p class="note">Scenario "a &lt;bad&gt; morning": Heavy snow')


def test_a_day_like_any_other_needs_no_words() -> None:
    assert note(Staging(Scenario(), make_city(100, 1)).truth(), 60.0) == ""
    assert note({}, 60.0) == ""
