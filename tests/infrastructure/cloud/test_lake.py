"""What the template promises of the data lake: kept safe, bounded, read as it was written, and nobody else's."""

import re
from typing import Any

import pytest

from cloud import lake_tables
from cloud.app import PLATFORM
from cloud.lake_tables import Format, LakeTable
from tests.infrastructure.cloud.conftest import Synthesised

PARQUET = [table for table in lake_tables.TABLES if table.format is Format.PARQUET]


def glue_table(stack: Synthesised, name: str) -> dict[str, Any]:
    tables = [stack.resolve(table["TableInput"]) for table in stack.of_type("AWS::Glue::Table").values()]
    found: dict[str, Any] = next(table for table in tables if table["Name"] == name)
    return found


def delivery(stack: Synthesised, table: LakeTable) -> dict[str, Any]:
    stream = stack.one("AWS::KinesisFirehose::DeliveryStream", table.name.replace("_", ""))
    destination: dict[str, Any] = stack.resolve(stream["ExtendedS3DestinationConfiguration"])
    return destination


def lake_bucket(stack: Synthesised) -> dict[str, Any]:
    return next(r for name, r in stack.resources.items() if re.fullmatch("LakeBucket[0-9A-F]{8}", name))


def test_buckets_are_encrypted_versioned_private_and_logged(stack: Synthesised) -> None:
    buckets = stack.of_type("AWS::S3::Bucket")
    assert len(buckets) == 2
    for name, bucket in buckets.items():
        rules = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rules[0]["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256", name
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert stack.resolve(stack.one("AWS::S3::Bucket", "LakeBucket")["LoggingConfiguration"]) == {
        "DestinationBucketName": "<LakeAccessLogs>",
        "LogFilePrefix": "lake/",
    }


def test_buckets_refuse_what_is_not_tls(stack: Synthesised) -> None:
    policies = stack.of_type("AWS::S3::BucketPolicy").values()
    assert len(policies) == 2
    for policy in policies:
        denials = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        conditions = [statement["Condition"] for statement in denials]
        assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


def test_rows_are_archived_after_what_boards_read_in_production_and_rollups_stay(prod: dict[str, Synthesised]) -> None:
    bucket = lake_bucket(prod[PLATFORM])
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    rules = {rule["Id"]: rule for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
    for rows in ("segment_windows", "sensor_intervals"):
        assert rules[rows]["Transitions"] == [{"StorageClass": "GLACIER_IR", "TransitionInDays": 31}]
    assert rules["segment_windows"]["ExpirationInDays"] == 1095
    assert not {"hourly", "daily", "events"} & rules.keys()
    assert rules["replaced"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_nothing_stays_for_long_elsewhere(stack: Synthesised) -> None:
    bucket = lake_bucket(stack)
    assert bucket["DeletionPolicy"] == "Delete"
    rules = {rule["Id"]: rule for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert {name: rule["ExpirationInDays"] for name, rule in rules.items() if "ExpirationInDays" in rule} == {
        "segment_windows": 14,
        "sensor_intervals": 14,
        "events": 90,
        "hourly": 90,
        "daily": 90,
        "athena-results": 7,
        "errors": 90,
    }


@pytest.mark.parametrize("table", lake_tables.TABLES, ids=lambda table: table.name)
def test_glue_knows_every_table_and_athena_finds_its_partitions(stack: Synthesised, table: LakeTable) -> None:
    found = glue_table(stack, table.name)
    storage = found["StorageDescriptor"]
    assert [(c["Name"], c["Type"]) for c in storage["Columns"]] == [(c.name, c.type) for c in table.columns]
    assert storage["Location"] == f"s3://<LakeBucket>/{table.prefix}"
    assert [key["Name"] for key in found["PartitionKeys"]] == [partition.name for partition in table.partitions]
    if table.partitions:
        assert found["Parameters"]["projection.enabled"] == "true"
        assert found["Parameters"]["storage.location.template"].startswith(storage["Location"] + "dt=${dt}")
        assert found["Parameters"]["projection.dt.range"] == f"{lake_tables.FIRST_DAY},NOW"


@pytest.mark.parametrize("table", PARQUET, ids=lambda table: table.name)
def test_firehose_writes_parquet_where_the_table_looks_and_errors_elsewhere(
    stack: Synthesised, table: LakeTable
) -> None:
    destination = delivery(stack, table)
    path = re.sub(r"!\{timestamp:[^}]+\}", "*", destination["Prefix"])
    assert path == table.prefix + "".join(f"{partition.name}=*/" for partition in table.partitions)
    assert destination["ErrorOutputPrefix"].startswith(f"errors/{table.name}/!{{firehose:error-output-type}}/")
    assert destination["BufferingHints"]["SizeInMBs"] >= 64  # Firehose's least with conversion
    conversion = destination["DataFormatConversionConfiguration"]
    assert conversion["SchemaConfiguration"]["TableName"] == table.name
    keys = conversion["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"].get("ColumnToJsonKeyMappings", {})
    assert keys == {column.name: column.key for column in table.columns if column.key is not None}


def test_streams_are_encrypted(stack: Synthesised) -> None:
    for stream in stack.of_type("AWS::KinesisFirehose::DeliveryStream").values():
        assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}


def test_firehose_may_write_its_rows_and_read_their_tables_and_no_more(stack: Synthesised) -> None:
    role = stack.resolve(stack.one("AWS::IAM::Role", "LakeDeliveryRole"))
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    writes = [statement["Resource"] for statement in statements if "s3:PutObject" in statement["Action"]]
    assert writes == [f"<LakeBucket.Arn>/{prefix}*" for prefix in (*(table.prefix for table in PARQUET), "errors/")]
    reads = [statement["Resource"] for statement in statements if "glue:GetTable" in statement["Action"]]
    assert [arn.partition("<AWS::AccountId>:")[2] for arn in reads] == [
        "catalog",
        "database/<LakeDatabase>",
        *(f"table/<LakeDatabase>/{table.name}" for table in PARQUET),
    ]
    assert not [statement for statement in statements if statement["Resource"] == "*"]


def test_every_event_reaches_the_lake_or_the_dead_letters(stack: Synthesised) -> None:
    rule = stack.resolve(stack.one("AWS::Events::Rule", "LakeDelivery"))
    assert rule["EventPattern"] == {"source": ["roadside"]}
    target = rule["Targets"][0]
    assert (target["Arn"], target["InputPath"]) == ("<LakeDeliveryevents.Arn>", "$.detail")
    assert target["DeadLetterConfig"] == {"Arn": "<AlertingDeadLetters.Arn>"}
    policies = [stack.resolve(policy) for policy in stack.of_type("AWS::SQS::QueuePolicy").values()]
    sources = [
        statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        for policy in policies
        if policy["Queues"] == ["<AlertingDeadLetters>"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "ArnEquals" in statement.get("Condition", {})
    ]
    assert "<LakeDeliveryEventsRule.Arn>" in sources


def test_athena_bounds_what_a_query_reads_and_encrypts_what_it_writes(stack: Synthesised) -> None:
    configuration = stack.resolve(stack.one("AWS::Athena::WorkGroup")["WorkGroupConfiguration"])
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 20 * 1024**3
    results = configuration["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert results["OutputLocation"] == "s3://<LakeBucket>/athena-results/"


def test_rollup_runs_every_quarter_of_an_hour_and_the_next_run_does_what_one_did_not(stack: Synthesised) -> None:
    schedule = stack.resolve(stack.one("AWS::Scheduler::Schedule", "Rollup"))
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    assert schedule["Target"]["Arn"] == "<Rollup.Arn>"
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "<IngestUndelivered.Arn>"}
    assert stack.one("AWS::Lambda::Function", "Rollup")["Timeout"] == 15 * 60


def test_rollup_may_read_windows_and_write_rollups_and_no_more(stack: Synthesised) -> None:
    role = stack.resolve(stack.one("AWS::IAM::Role", "RollupRole"))
    allowed = {
        (action, statement["Resource"])
        for statement in role["Policies"][0]["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {(action, resource) for action, resource in allowed if not action.startswith(("logs:", "xray:"))} == {
        ("dynamodb:Query", "<TablesWindows.Arn>"),
        ("dynamodb:Query", "<TablesHours.Arn>"),
        ("dynamodb:UpdateItem", "<TablesHours.Arn>"),
        ("s3:GetObject", "<LakeBucket.Arn>/hourly/*"),
        ("s3:PutObject", "<LakeBucket.Arn>/hourly/*"),
        ("s3:PutObject", "<LakeBucket.Arn>/daily/*"),
        ("s3:ListBucket", "<LakeBucket.Arn>"),
    }
