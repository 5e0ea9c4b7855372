"""The bill against published sums of the same assumptions, prices and sources, sizes and alarms of known cities."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.capacity import first_design, metering, roadside
from cloud.capacity.bill import (
    Bill,
    Readers,
    fairer_first_design_bill,
    first_design_bill,
    price,
    quicksight_bill,
    roadside_bill,
    split_bill,
)
from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.limits import limits
from cloud.capacity.prices import FILE, Price, PriceError, load_prices
from cloud.capacity.resources import BILLED, FREE
from cloud.capacity.sizing import size, size_raw, thresholds
from cloud.capacity.split import breaking_points, first_to_break, grown, part_of, split
from cloud.capacity.windows_table import read_capacity, write_capacity

PRICES = load_prices()
CITY = City(sensors=50_000, gateways=200)
# A window sent once, acknowledged to nobody, kept a day on the stream: what the published sums counted.
BARE = replace(Operation(), editions_per_window=1.0, stream_retention_h=24)


def usd(bill: Bill, service: str, *items: str) -> float:
    found = [line.usd for line in bill.lines if line.service == service and (not items or line.item in items)]
    assert len(found) >= max(1, len(items))
    return sum(found)


def test_first_design_costs_what_was_published() -> None:
    bill = first_design_bill(CITY, PRICES)

    assert usd(bill, "IoT Core", "connectivity, sensors", "messaging, readings") == pytest.approx(91_593, rel=1e-4)
    assert usd(bill, "IoT Core", "rules, readings", "actions, readings") == pytest.approx(38_880)
    assert usd(bill, "Kinesis") == pytest.approx(2354.4)
    assert usd(bill, "Lambda") == pytest.approx(916, rel=1e-3)
    assert usd(bill, "DynamoDB", "readings, writes") == pytest.approx(81_000)
    assert bill.usd == pytest.approx(221_000, rel=0.005)


def test_fairer_first_design_costs_what_was_published() -> None:
    bill = fairer_first_design_bill(CITY, PRICES)

    assert usd(bill, "DynamoDB", "readings, write capacity") == pytest.approx(23_400)
    assert bill.usd == pytest.approx(72_200, rel=0.01)


def test_windows_cost_what_was_published_of_their_path() -> None:
    bill = roadside_bill(CITY, BARE, PRICES)

    assert usd(bill, "IoT Core", "connectivity, gateways") == pytest.approx(0.69, abs=0.01)
    assert usd(bill, "IoT Core", "rules, windows", "actions, windows") == pytest.approx(15.55, abs=0.01)
    assert usd(bill, "Kinesis", "shards", "PUT units") == pytest.approx(11.53, abs=0.05)  # summaries of sensors too
    assert usd(bill, "DynamoDB", "windows, writes") == pytest.approx(32.40)
    assert usd(bill, "Greengrass") == pytest.approx(32.0)


def test_every_window_acknowledged_by_itself_would_be_the_dearest_line() -> None:
    bill = roadside_bill(CITY, replace(Operation(), gather_acks=False), PRICES)
    gathered = roadside_bill(CITY, Operation(), PRICES)

    assert max(bill.lines, key=lambda line: line.usd).item == "messaging, acks"
    assert usd(bill, "IoT Core", "messaging, acks") == pytest.approx(3 * (52.88 + 1.728 + 0.6), rel=1e-3)
    told = usd(gathered, "IoT Core", "messaging, acks", "messaging, gathered acks")
    assert told < 0.15 * usd(bill, "IoT Core", "messaging, acks")


def test_rows_in_records_of_their_own_would_cost_many_times_as_much() -> None:
    rows = CITY.windows_per_s * 25 * 86_400 * 30
    alone = price(metering.firehose("rows", rows, 390, converted=True), PRICES)

    assert alone.usd > 10 * usd(roadside_bill(CITY, Operation(), PRICES), "Firehose")


def test_bill_is_the_sum_of_its_services() -> None:
    bill = roadside_bill(CITY, Operation(), PRICES)

    assert sum(bill.by_service().values()) == pytest.approx(bill.usd)
    assert {use.service for use in roadside.uses(CITY, Operation())} == set(bill.by_service())


def test_every_billed_type_of_resource_has_its_service_on_the_bill() -> None:
    services = set(roadside_bill(CITY, Operation(), PRICES).by_service()) | set(
        quicksight_bill(Readers(), PRICES).by_service()
    )

    assert set(BILLED.values()) <= services
    assert not BILLED.keys() & FREE.keys()


def test_every_price_has_a_source_and_is_used() -> None:
    provisioned = replace(Operation(), provision_windows=True)
    designs = (
        roadside.uses(CITY, Operation()),
        roadside.uses(CITY, provisioned),
        first_design.uses(CITY),
        first_design.fairer_uses(CITY),
    )
    used = {use.price for design in designs for use in design}

    assert set(PRICES.of) == used | {"quicksight_authors", "quicksight_readers", "quicksight_spice_gb"}
    assert all(entry.source.startswith("https://aws.amazon.com/") for entry in PRICES.of.values())
    assert PRICES.region == "us-east-1"


def test_tiers_are_each_charged_at_their_own_price() -> None:
    tiered = Price("messages", 1.0, ((10.0, 1.0), (20.0, 0.5), (None, 0.25)), "")

    assert [tiered.usd(quantity) for quantity in (0, 10, 12, 24)] == [0, 10, 11, 16]


def test_lines_of_one_price_share_its_tiers() -> None:
    bill = price([metering.Use("IoT Core", name, "iot_messages", 1e9) for name in ("a", "b")], PRICES)

    assert [line.usd for line in bill.lines] == [900.0, 900.0]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"region": "x"}', '{"region": "x", "as_of": "", "standing": "", "prices": {"a": {"tiers": []}}}'],
)
def test_a_file_without_prices_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(content)

    with pytest.raises(PriceError, match=r"prices\.json"):
        load_prices(file)


def test_a_missing_price_is_named(tmp_path: Path) -> None:
    document = json.loads(FILE.read_text())
    del document["prices"]["kms_keys"]
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(document))

    with pytest.raises(PriceError, match="'kms_keys'"):
        roadside_bill(CITY, Operation(), load_prices(file))


@pytest.mark.parametrize(
    ("sensors", "gateways", "field"), [(0, 1, "sensors"), (1, 0, "gateways"), (1, 2, "gateways"), (-5, -5, "sensors")]
)
def test_cities_that_cannot_be_are_refused(sensors: int, gateways: int, field: str) -> None:
    with pytest.raises(CityError, match=f"{field} = "):
        City(sensors, gateways)


@pytest.mark.parametrize(("sensors", "shards"), [(1, 1), (2000, 1), (50_000, 1), (500_000, 6), (50_000_000, 592)])
def test_shards_follow_the_city(sensors: int, shards: int) -> None:
    assert size(City.of_sensors(sensors)).shards == shards


def test_readings_by_themselves_need_a_hundred_shards() -> None:
    assert size_raw(CITY).shards == 100  # 50 filled to the brim, and as many as headroom
    assert size(CITY).shards == 1


def test_alarms_of_the_reference_city() -> None:
    alarms = thresholds(CITY)

    assert (alarms.iterator_age_ms, alarms.acks_failed_per_5min, alarms.silent_gateways) == (60_000, 300, 4)
    assert thresholds(City(1, 1)).silent_gateways == 1
    assert thresholds(City(1000, 4, window_s=60)).iterator_age_ms == 360_000


def test_capacity_of_the_table_of_windows_holds_all_gateways_at_once_and_a_rollup() -> None:
    writes, reads = write_capacity(CITY), read_capacity(CITY)
    spare_writes = writes.least - CITY.windows_per_s * Operation().editions_per_window
    items_of_two_hours = 2 * 3600 * CITY.windows_per_s

    assert (writes.least, writes.most) == (29, 200)
    # 200 gateways close a window in one second; what was not used in five minutes is there for it.
    assert CITY.gateways < 300 * spare_writes
    assert reads.least * 300 >= items_of_two_hours * 1020 / 8192
    assert write_capacity(City(50_000, 20)).least == 26  # 250 segments are nine units, of a tenth as many gateways


def test_capacity_costs_less_than_units_and_grows_with_what_is_written() -> None:
    bills = [
        roadside_bill(CITY, replace(Operation(), provision_windows=True, editions_per_window=editions), PRICES)
        for editions in (1.02, 2.04)
    ]
    usual, twice = (usd(bill, "DynamoDB", "windows, write capacity") for bill in bills)

    assert usual == pytest.approx(30 * 720 * 0.00065)
    assert twice == pytest.approx(59 * 720 * 0.00065)
    assert bills[0].usd < roadside_bill(CITY, Operation(), PRICES).usd


def test_nothing_breaks_in_the_reference_city() -> None:
    assert max(limit.used for limit in limits(CITY, Operation())) < 0.5


def test_what_breaks_first_in_a_city_of_fifty_million_is_told_in_its_order() -> None:
    broken = [limit for limit in limits(City.of_sensors(50_000_000), Operation()) if limit.used > 1]

    assert [limit.used for limit in broken] == sorted((limit.used for limit in broken), reverse=True)
    assert {"IoT Core: inbound publishes", "sweep: one pass over all gateways"} <= {limit.name for limit in broken}


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize("sensors", [1, 50_000, 1_400_000, 5_000_000, 50_000_000, 1_000_000_000])
def test_parts_are_the_fewest_that_leave_room_in_every_limit(sensors: int, raised: bool) -> None:
    city = City.of_sensors(sensors)

    def fits(parts: int) -> bool:
        own = limits(part_of(city, parts), Operation())
        return all(limit.used <= 0.8 for limit in own if limit.shared and not (raised and limit.raisable))

    made = split(city, Operation(), 0.8, raised=raised)

    assert fits(made.parts)
    assert made.parts == 1 or not fits(made.parts - 1)
    assert made.part.sensors * made.parts >= sensors
    assert (made.asked_by is None) == (made.parts == 1)


def test_a_city_that_fits_is_left_whole_and_costs_the_same() -> None:
    made = split(CITY, Operation())

    assert (made.parts, made.part) == (1, CITY)
    assert split_bill(made, Operation(), [PRICES]).usd == pytest.approx(roadside_bill(CITY, Operation(), PRICES).usd)


def test_what_even_one_gateway_breaks_is_refused() -> None:
    with pytest.raises(CityError, match="gateways = 200: too few for"):
        split(CITY, Operation(), 1e-6)


def test_a_limit_breaks_at_the_first_city_that_needs_more() -> None:
    points = breaking_points(CITY, Operation())

    assert points["contract: segments on a gateway"] is points["IoT Core: size of a message"] is None
    for name, sensors in first_to_break(points):
        for size_, breaks in ((sensors - 1, False), (sensors, True)):
            (found,) = (limit for limit in limits(grown(CITY, size_), Operation()) if limit.name == name)
            assert (found.used > 1) == breaks, (name, size_)


def test_too_many_segments_on_one_gateway_are_told() -> None:
    broken = {limit.name for limit in limits(City(50_000, 1), Operation()) if limit.used > 1}

    assert "contract: segments on a gateway" in broken
