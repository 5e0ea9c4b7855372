"""`simulator plan` prints and writes what the model computes, from one sensor to fifty million."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.prices import load_prices
from cloud.capacity.roadside import traffic
from monitor.settings import MonitorSettings
from simulator.__main__ import app
from simulator.planning.plan import as_measured, as_operated, make_plan

ROOT = Path(__file__).resolve().parents[4]

# Of a minute of the demo.
REPORT: dict[str, Any] = {
    "sensors": 50_000,
    "gateways": 200,
    "window_s": 10,
    "windows_stored": 1400,
    "sensor_summaries_stored": 800,
    "events_expected": 172,
    "events_of_other_kinds": {},
    "messages_published": 2688,
}


def plan(*words: str) -> str:
    finished = CliRunner().invoke(app, ["plan", *words], terminal_width=200)
    assert finished.exit_code == 0, finished.output
    return finished.output


def test_plan_of_the_reference_city_holds_both_designs_and_all_lines(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    printed = plan("--sensors", "50000", "--json", str(path))
    written = json.loads(path.read_text())

    assert written["direct_design_monthly_usd"] == pytest.approx(221_000, rel=0.005)
    assert written["ratio"] == pytest.approx(written["direct_design_monthly_usd"] / written["monthly_usd"], rel=1e-2)
    assert sum(line["usd"] for line in written["lines"]) == pytest.approx(written["monthly_usd"], abs=0.02)
    assert {line["service"] for line in written["lines"]} == set(written["services"])
    assert written["assumptions"]["gateways"] == 200
    assert "bar: at most $160" in printed


def test_what_the_pages_say_of_the_bill_is_the_plans() -> None:
    page = (ROOT / "docs" / "operations" / "cloud.md").read_text()
    made = make_plan(City(50_000, 200), as_operated(), load_prices())
    table = dict(re.findall(r"^\| \**([A-Za-z0-9 ,]+?)\** \| \**(\d+)\** \|", page, flags=re.MULTILINE))
    services = made.ours.by_service()

    assert int(table["all"]) == pytest.approx(made.ours.usd, rel=0.02)
    for row in ("DynamoDB", "IoT Core", "Greengrass", "Firehose, S3", "CloudWatch", "Kinesis", "Lambda"):
        assert int(table[row]) == pytest.approx(sum(services[name] for name in row.split(", ")), rel=0.05, abs=1), row
    assert made.way_of_a_window_usd == pytest.approx(82, abs=2)
    (in_the_readme,) = re.findall(r"on 200 gateways are \$(\d+) a month", (ROOT / "README.md").read_text())
    assert int(in_the_readme) == pytest.approx(made.ours.usd, rel=0.02)


@pytest.mark.parametrize("sensors", [1, 50_000_000])
def test_cities_of_any_size_have_a_plan(tmp_path: Path, sensors: int) -> None:
    path = tmp_path / "plan.json"
    printed = plan("--sensors", str(sensors), "--lines", "--json", str(path))
    breaks = [limit for limit in json.loads(path.read_text())["limits"] if limit["used"] > 1]

    assert bool(breaks) == (sensors > 1)
    assert ("What breaks" in printed) == (sensors > 1)


def test_levers_together_save_at_most_what_they_save_apart(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan("--json", str(path))
    *apart, together = [lever["saves_usd"] for lever in json.loads(path.read_text())["levers"]]

    assert max(apart) <= together <= sum(apart)


def test_impossible_cities_are_refused_in_one_sentence() -> None:
    finished = CliRunner().invoke(app, ["plan", "--sensors", "5", "--gateways", "6"])

    assert finished.exit_code == 2
    assert "gateways = 6" in finished.output


def test_messages_of_a_run_are_near_those_of_the_model() -> None:
    city, operation = as_measured(REPORT, as_operated())
    measured = traffic(city, operation).windows
    assumed = traffic(City(50_000, 200), as_operated()).windows

    # The demo delivers one reading in a hundred so late that its window is sent again.
    assert 1 <= measured / assumed < 1.5


def test_a_report_without_figures_is_refused() -> None:
    with pytest.raises(CityError, match="no report"):
        as_measured({"sensors": 5}, Operation())


def test_model_assumes_the_heartbeat_that_the_monitor_has() -> None:
    assert Operation().heartbeat_s == MonitorSettings().heartbeat_seconds
