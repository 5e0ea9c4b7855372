"""Rows put to Firehose, or sent by the event bus, become Parquet that Athena reads by Glue's columns."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from simulator.local_cloud.local_cloud import LocalCloud
from tests.integration.local_cloud.support import eventually

BUCKET = "trial-lake"
KEYS = {"vehicle_count": "n", "sketch_counts": "c"}
COLUMNS = [
    {"Name": "segment", "Type": "int"},
    {"Name": "vehicle_count", "Type": "bigint"},
    {"Name": "sketch_counts", "Type": "array<int>"},
]


@pytest.fixture(scope="module")
def lake(cloud: LocalCloud) -> LocalCloud:
    """A bucket, a database with a Parquet table and a JSON table, and a stream that may write the one."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    glue = cloud.client("glue")
    glue.create_database(DatabaseInput={"Name": "trial"})
    day = [{"Name": "dt", "Type": "string"}]
    for name, kind in (("rows", "parquet"), ("hours", "json")):
        glue.create_table(
            DatabaseName="trial",
            TableInput={
                "Name": name,
                "Parameters": {"classification": kind},
                "PartitionKeys": day,
                "StorageDescriptor": {"Columns": COLUMNS, "Location": f"s3://{BUCKET}/{name}/"},
            },
        )
    create_stream(cloud, "rows", f"arn:aws:s3:::{BUCKET}/rows/*")
    return cloud


def create_stream(cloud: LocalCloud, name: str, may_write: str) -> None:
    cloud.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
            "RoleARN": role(cloud, name, "firehose.amazonaws.com", "s3:PutObject", may_write),
            "Prefix": "rows/dt=!{timestamp:yyyy-MM-dd}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/dt=!{timestamp:yyyy-MM-dd}/",
            "DataFormatConversionConfiguration": {
                "SchemaConfiguration": {"DatabaseName": "trial", "TableName": "rows"},
                "InputFormatConfiguration": {
                    "Deserializer": {"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": KEYS}},
                },
                "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
            },
        },
    )


def role(cloud: LocalCloud, name: str, service: str, action: str, resource: str) -> str:
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=f"trial-{name}", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    iam.put_role_policy(RoleName=f"trial-{name}", PolicyName="own", PolicyDocument=json.dumps(policy))
    arn: str = made["Role"]["Arn"]
    return arn


def keys(cloud: LocalCloud, prefix: str) -> list[str]:
    listed = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [found["Key"] for found in listed.get("Contents", ())]


def ask(cloud: LocalCloud, sql: str) -> list[list[str | None]]:
    athena = cloud.client("athena")
    query = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": "trial"},
        ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"},
    )["QueryExecutionId"]
    status: dict[str, Any] = {}

    def ended() -> bool:
        status.update(athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"])
        return status["State"] in ("SUCCEEDED", "FAILED")

    eventually(ended)
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"][1:]
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]


def test_documents_of_many_records_become_one_object_and_nonsense_is_set_aside(lake: LocalCloud) -> None:
    rows = [{"segment": n, "n": 10 * n, "c": [n, n], "unknown": 1} for n in range(1, 7)]
    halves = ["\n".join(map(json.dumps, part)).encode() for part in (rows[:3], rows[3:])]
    answer = lake.client("firehose").put_record_batch(
        DeliveryStreamName="rows", Records=[{"Data": data} for data in (halves[0], b"no json", halves[1])]
    )
    assert answer["FailedPutCount"] == 0
    eventually(lambda: keys(lake, "rows/") and keys(lake, "errors/format-conversion-failed/"))
    assert len(keys(lake, "rows/")) == 1
    day = keys(lake, "rows/")[0].split("/")[1].removeprefix("dt=")
    found = ask(lake, "SELECT count(*), sum(vehicle_count), sum(sketch_counts[2]), max(dt) FROM rows WHERE segment < 7")
    assert found == [["6", "210", "21", day]]


def test_an_event_reaches_the_lake_by_a_rule(lake: LocalCloud) -> None:
    events = lake.client("events")
    arn = lake.client("firehose").describe_delivery_stream(DeliveryStreamName="rows")["DeliveryStreamDescription"][
        "DeliveryStreamARN"
    ]
    events.put_rule(Name="trial-lake", EventPattern=json.dumps({"source": ["trial-lake"]}))
    target = {"Id": "lake", "Arn": arn, "InputPath": "$.detail"}
    target["RoleArn"] = role(lake, "events", "events.amazonaws.com", "firehose:PutRecord", arn)
    events.put_targets(Rule="trial-lake", Targets=[target])
    detail = json.dumps({"segment": 77, "n": 5})
    events.put_events(Entries=[{"Source": "trial-lake", "DetailType": "Trial", "Detail": detail}])
    eventually(lambda: ask(lake, "SELECT vehicle_count, sketch_counts FROM rows WHERE segment = 77") == [["5", None]])


def test_a_stream_whose_role_may_not_write_writes_nothing(lake: LocalCloud) -> None:
    create_stream(lake, "barred", f"arn:aws:s3:::{BUCKET}/elsewhere/*")
    lake.client("firehose").put_record(DeliveryStreamName="barred", Record={"Data": b'{"segment": 99}'})
    lake.client("firehose").put_record(DeliveryStreamName="rows", Record={"Data": b'{"segment": 100}'})
    # What was put first is written first.
    eventually(lambda: ask(lake, "SELECT segment FROM rows WHERE segment = 100"))
    assert not ask(lake, "SELECT segment FROM rows WHERE segment = 99")


def test_a_json_table_has_glues_columns_whatever_its_objects_hold(lake: LocalCloud) -> None:
    put = lake.client("s3").put_object
    put(Bucket=BUCKET, Key="hours/dt=2026-11-25/20.json.gz", Body=gzip.compress(b'{"segment": 1}\n'))
    put(Bucket=BUCKET, Key="hours/dt=2026-11-25/21.json.gz", Body=gzip.compress(b""))
    assert ask(lake, "SELECT segment, vehicle_count, sketch_counts, dt FROM hours") == [["1", None, None, "2026-11-25"]]
