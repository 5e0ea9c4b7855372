"""`simulator plan` prints and writes what the model computes, from one sensor to fifty million."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.prices import FILE, load_prices
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


def test_a_country_is_shared_out_by_a_plan_that_says_what_to_do(tmp_path: Path) -> None:
    path, picture = tmp_path / "plan.json", tmp_path / "plan.svg"
    printed = " ".join(plan("--sensors", "50000000", "--json", str(path), "--picture", str(picture)).split())
    written = json.loads(path.read_text())
    split, limits = written["split"], {limit["name"]: limit for limit in written["limits"]}

    assert split["parts"] == split["accounts"] == 45
    assert split["asked_by"] == "Firehose: rows by direct put"
    assert split["parts"] * split["sensors_each"] >= 50_000_000
    assert f"-c sensors={split['sensors_each']} -c gateways={split['gateways_each']}" in printed
    assert "Open 45 accounts" in printed
    assert "34 parts would do" in printed
    assert "3,125 accounts" in printed
    assert limits[split["asked_by"]]["breaks_at_sensors"] == min(
        limit["breaks_at_sensors"] for limit in limits.values() if limit["breaks_at_sensors"]
    )
    assert sum(line["usd"] for line in written["lines"]) == pytest.approx(written["monthly_usd"], abs=0.02)
    drawn = picture.read_text()
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours
    assert f"50,000,000 sensors in 45 parts, ${written['monthly_usd']:,.0f} a month" in drawn
    assert "1  Firehose: rows by direct put: breaks at" in drawn


def test_raised_quotas_make_fewer_parts_and_are_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    printed = " ".join(plan("--sensors", "50000000", "--raised", "--json", str(path)).split())
    split = json.loads(path.read_text())["split"]

    assert split["asked_by"] == "sweep: one pass over all gateways"
    assert [limit["name"] for limit in split["raises"]] == ["Firehose: rows by direct put"]
    assert "In each, ask for Firehose: rows by direct put: 7 MiB a second instead of 5." in printed


def test_several_files_of_prices_spread_a_city_over_regions(tmp_path: Path) -> None:
    dear = json.loads(FILE.read_text())
    dear["region"] = "eu-central-1"
    dear["prices"]["greengrass_cores"]["tiers"] = [[None, 1.6]]
    (tmp_path / "eu.json").write_text(json.dumps(dear))
    path = tmp_path / "plan.json"
    prices = ("--prices", str(FILE), "--prices", str(tmp_path / "eu.json"))
    plan("--sensors", "5000000", *prices, "--json", str(path))
    written = json.loads(path.read_text())

    assert written["split"]["regions"] == {"us-east-1": 3, "eu-central-1": 2}
    assert written["split"]["accounts"] == 3
    assert written["services"]["Greengrass"] == pytest.approx(20_000 * (3 * 0.16 + 2 * 1.6) / 5)


def test_prices_that_are_missing_are_all_named(tmp_path: Path) -> None:
    short = json.loads(FILE.read_text())
    del short["prices"]["kms_keys"], short["prices"]["sns_emails"]
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({**short, "region": "ap-south-1"}))
    finished = CliRunner().invoke(app, ["plan", "--prices", str(file)], terminal_width=200)

    assert finished.exit_code == 2
    assert "prices of ap-south-1 lack 'kms_keys', 'sns_emails'" in " ".join(finished.output.split())


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
