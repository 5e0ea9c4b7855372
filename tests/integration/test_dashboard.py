"""The page from a lake in files, and from an Athena that answers, fails or takes its time."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from botocore.stub import ANY, Stubber
from typer.testing import CliRunner

from cloud import lake_tables
from cloud.dashboard.__main__ import app
from cloud.dashboard.athena import Athena, AthenaError
from cloud.dashboard.files import Files
from cloud.deployment import DeniedError
from cloud.insights import queries
from simulator.city.made_up_lake import make_lake
from tests.lake import answer, empty_lake, insert

NOW_MS = int(time.time() * 1000)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("week")
    make_lake(folder, sensors=240, gateways=6, seed=4, now_ms=NOW_MS, time_zone="Etc/UTC")
    return folder


def test_a_made_up_week_fills_every_query_and_the_page(week: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "dashboard.html"
    ran = CliRunner().invoke(app, ["--lake", str(week), "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    text = out.read_text()
    assert "Nothing to show" not in text
    assert "is the worst hour" in text
    assert len(text) < 500_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--time-zone", "Atlantis/Poseidonis"], "is no time zone"), (["--lake", "nowhere"], "does not exist")],
)
def test_what_cannot_be_asked_is_refused(arguments: list[str], said: str) -> None:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2
    assert said in ran.output


def test_a_made_up_week_has_no_column_that_the_lake_lacks(week: Path) -> None:
    for table in lake_tables.TABLES[:5]:
        objects = f"{week / table.prefix}/**/*.json.gz"
        files = duckdb.read_json(objects, hive_partitioning=True)
        assert set(files.columns) <= set(table.column_names())


def test_files_answer_what_tables_answer_in_whatever_form_they_are(tmp_path: Path) -> None:
    """Parquet as Firehose writes it, partitions in the path alone."""
    start_ms = NOW_MS - NOW_MS % 300_000 - 600_000
    row = {
        "gateway": "gw-1",
        "epoch_ms": 5,
        "window_start_ms": start_ms,
        "window_ms": 60_000,
        "revision": 0,
        "received_ms": start_ms + 61_000,
        "segment": 1,
        "vehicle_count": 6,
        "vehicles_without_speed": 0,
        "pace_sum_ms_per_km": 6 * 72_000,
        "observed_ms": 360_000,
        "congestion_state": "free",
        "dt": dt.datetime.fromtimestamp(start_ms / 1000, dt.UTC).strftime("%Y-%m-%d"),
        "hour": "07",
    }
    segment = {
        "segment": 1,
        "segment_id": "seg-1",
        "district": "North",
        "lanes": 3,
        "length_m": 1000.0,
        "free_flow_kmh": 99.0,
    }
    tables = empty_lake()
    insert(tables, lake_tables.SEGMENT_WINDOWS, [row])
    insert(tables, lake_tables.SEGMENTS, [segment])
    folder = tmp_path / lake_tables.SEGMENT_WINDOWS.prefix
    tables.execute(f"COPY segment_windows TO '{folder}' (FORMAT parquet, PARTITION_BY (dt, hour))")
    (tmp_path / lake_tables.SEGMENTS.prefix).mkdir(parents=True)
    tables.execute(f"COPY segments TO '{tmp_path / lake_tables.SEGMENTS_KEY}' (HEADER)")

    files = Files(tmp_path, time_zone="Etc/UTC")
    query = queries.load("live_trend")
    assert files.answer(query) == answer(tables, query)
    assert len(files.answer(query)) == 1
    assert files.answer(queries.load("incidents")) == [], "a table without objects"


@pytest.fixture
def client() -> Any:
    return boto3.client("athena", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")


def ask(client: Any) -> list[dict[str, Any]]:
    lake = Athena(client, database="roadside_dev", workgroup="roadside-dev", time_zone="Europe/Berlin")
    return lake.answer(queries.load("sensor_health"))


def started(stub: Stubber) -> None:
    expected = {
        "QueryString": queries.load("sensor_health").sql(time_zone="Europe/Berlin"),
        "QueryExecutionContext": {"Database": "roadside_dev"},
        "WorkGroup": "roadside-dev",
    }
    stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"}, expected)


def state(stub: Stubber, name: str, reason: str = "") -> None:
    status = {"State": name, "StateChangeReason": reason}
    stub.add_response("get_query_execution", {"QueryExecution": {"Status": status}}, {"QueryExecutionId": "q-1"})


def row(*texts: str | None) -> dict[str, Any]:
    return {"Data": [{} if text is None else {"VarCharValue": text} for text in texts]}


def test_athenas_texts_become_values_page_by_page(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.dashboard.athena._POLL_S", 0.0)
    head = row("day", "fault", "faulty_h", "faulty_share")
    first = [head, row("2026-11-24 00:00:00.000", "silent", "3.5", "1.2E-3")]
    with Stubber(client) as stub:
        started(stub)
        state(stub, "RUNNING")
        state(stub, "SUCCEEDED")
        stub.add_response(
            "get_query_results", {"ResultSet": {"Rows": first}, "NextToken": "more"}, {"QueryExecutionId": "q-1"}
        )
        stub.add_response(
            "get_query_results",
            {"ResultSet": {"Rows": [row("2026-11-25 00:00:00.000", None, "1", None)]}},
            {"QueryExecutionId": "q-1", "NextToken": ANY},
        )
        rows = ask(client)
    assert rows == [
        {"day": dt.datetime(2026, 11, 24), "fault": "silent", "faulty_h": 3.5, "faulty_share": 0.0012},  # noqa: DTZ001
        {"day": dt.datetime(2026, 11, 25), "fault": None, "faulty_h": 1.0, "faulty_share": None},  # noqa: DTZ001
    ]


def test_a_query_that_fails_is_named_with_athenas_reason(client: Any) -> None:
    with Stubber(client) as stub:
        started(stub)
        state(stub, "FAILED", "TABLE_NOT_FOUND: line 3:10")
        with pytest.raises(AthenaError, match=r"sensor_health\.sql: failed \(TABLE_NOT_FOUND: line 3:10\)"):
            ask(client)


def test_a_query_that_takes_too_long_is_stopped(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.dashboard.athena._TIMEOUT_S", 0)
    with Stubber(client) as stub:
        started(stub)
        stub.add_response("stop_query_execution", {}, {"QueryExecutionId": "q-1"})
        with pytest.raises(AthenaError, match="no result within 0 s"):
            ask(client)
        stub.assert_no_pending_responses()


def test_who_may_not_ask_is_told_so(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("start_query_execution", "AccessDeniedException", "no athena:StartQueryExecution")
        with pytest.raises(DeniedError, match="not allowed"):
            ask(client)
