"""The data lake: one bucket, a Glue table for each kind of row in it, and an Athena workgroup to ask."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import Aws, CfnTag, Duration, RemovalPolicy, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cloud import lake_tables
from cloud.config import Config
from cloud.lake_tables import Format, LakeTable
from cloud.parts.emptying import Emptying

RESULTS_PREFIX: Final = "athena-results/"
ERRORS_PREFIX: Final = "errors/"
MAX_SCANNED_BYTES: Final = 20 * 1024**3  # of one query: 0.10 USD; a city's day of raw rows is about 2 GB

_HIVE: Final = "org.apache.hadoop.hive"
# Input format, output format and reader of each kind of object.
_FORMATS: Final = {
    Format.PARQUET: (
        f"{_HIVE}.ql.io.parquet.MapredParquetInputFormat",
        f"{_HIVE}.ql.io.parquet.MapredParquetOutputFormat",
        f"{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe",
        {},
    ),
    Format.JSON: (
        "org.apache.hadoop.mapred.TextInputFormat",
        f"{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
        {},
    ),
    # Knows no quotes, and reads an empty field of a number as null.
    Format.CSV: (
        "org.apache.hadoop.mapred.TextInputFormat",
        f"{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat",
        f"{_HIVE}.serde2.lazy.LazySimpleSerDe",
        {"field.delim": ",", "serialization.format": ","},
    ),
}


@dataclass(frozen=True, slots=True)
class _Keeping:
    """How long objects stay, in days; None for good.

    Parameters
    ----------
    rows : rows as they arrived
    rollups : hours and days
    replaced : what was deleted or overwritten, as by a rollup that ran again
    archive : age at which rows move to Glacier Instant Retrieval, which Athena reads like any other class
    """

    rows: int | None
    rollups: int | None
    replaced: int
    archive: int | None = None


# Rows of the last month are what boards and repairs read; older questions are for the rollups, which never move.
_PROD: Final = _Keeping(rows=3 * 365, rollups=None, replaced=30, archive=31)
_OTHERS: Final = _Keeping(rows=14, rollups=90, replaced=1)


class Lake(Construct):
    """Where rows and rollups lie and how they are read.

    Attributes
    ----------
    bucket : encrypted by S3, versioned, private, TLS only; outlives the stack where data is kept
    database, tables : Glue's; `tables` by name
    workgroup : Athena's, which encrypts results and bounds what a query may read
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        self._keeps_data = config.keeps_data
        keeping = _PROD if config.keeps_data else _OTHERS
        access_logs = self._bucket("AccessLogs", s3.LifecycleRule(expiration=Duration.days(90)))
        self.bucket = self._bucket(
            "Bucket", *_lifecycle(keeping), server_access_logs_bucket=access_logs, server_access_logs_prefix="lake/"
        )
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=f"roadside_{config.stage}", description="Roadside's traffic data"
            ),
        )
        self.tables = {table.name: self._table(table) for table in lake_tables.TABLES}
        self.workgroup = self._workgroup(config.stage)
        if not config.keeps_data:
            Emptying(self, "Emptying", config=config, buckets={"AccessLogs": access_logs, "Bucket": self.bucket})

    @property
    def database_name(self) -> str:
        return self.database.ref

    def objects_arn(self, prefix: str) -> str:
        """All objects whose keys begin with `prefix`, for policies."""
        return self.bucket.arn_for_objects(f"{prefix}*")

    def _bucket(
        self,
        construct_id: str,
        *rules: s3.LifecycleRule,
        server_access_logs_bucket: s3.IBucket | None = None,
        server_access_logs_prefix: str | None = None,
    ) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            # S3's own keys: free, and whoever may read the objects may read them decrypted in either case.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=list(rules),
            server_access_logs_bucket=server_access_logs_bucket,
            server_access_logs_prefix=server_access_logs_prefix,
            removal_policy=RemovalPolicy.RETAIN if self._keeps_data else RemovalPolicy.DESTROY,
        )

    def _table(self, table: LakeTable) -> glue.CfnTable:
        input_format, output_format, reader, reader_parameters = _FORMATS[table.format]
        location = f"s3://{self.bucket.bucket_name}/{table.prefix}"
        parameters = {"EXTERNAL": "TRUE", "classification": table.format.value}
        if table.format is Format.CSV:
            parameters["skip.header.line.count"] = "1"
        if table.partitions:
            parameters["projection.enabled"] = "true"
            folders = "/".join(f"{partition.name}=${{{partition.name}}}" for partition in table.partitions)
            parameters["storage.location.template"] = f"{location}{folders}/"
        for partition in table.partitions:
            for name, value in partition.projection:
                parameters[f"projection.{partition.name}.{name}"] = value
        return glue.CfnTable(
            self,
            _title(table.name),
            catalog_id=Aws.ACCOUNT_ID,
            database_name=self.database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description=table.meaning,
                table_type="EXTERNAL_TABLE",
                parameters=parameters,
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name=p.name, type=p.type, comment=p.meaning) for p in table.partitions
                ],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=location,
                    columns=[
                        glue.CfnTable.ColumnProperty(name=c.name, type=c.type, comment=c.meaning) for c in table.columns
                    ],
                    input_format=input_format,
                    output_format=output_format,
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library=reader, parameters=reader_parameters
                    ),
                ),
            ),
        )

    def _workgroup(self, stage: str) -> athena.CfnWorkGroup:
        return athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=f"roadside-{stage}",
            description="Questions to Roadside's data lake",
            recursive_delete_option=not self._keeps_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                # Else a query could choose another place or no encryption for its results.
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=MAX_SCANNED_BYTES,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self.bucket.bucket_name}/{RESULTS_PREFIX}",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                ),
            ),
            tags=[CfnTag(key="stack", value=Stack.of(self).stack_name)],
        )


def _title(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _lifecycle(keeping: _Keeping) -> list[s3.LifecycleRule]:
    rows = (lake_tables.SEGMENT_WINDOWS, lake_tables.SENSOR_INTERVALS)
    rollups = (lake_tables.HOURLY, lake_tables.DAILY, lake_tables.EVENTS)
    rules = [_rule(table.prefix, keeping.rows, keeping.archive) for table in rows]
    rules += [_rule(table.prefix, keeping.rollups) for table in rollups if keeping.rollups is not None]
    rules += [_rule(RESULTS_PREFIX, 7), _rule(ERRORS_PREFIX, 90)]
    everything = s3.LifecycleRule(
        id="replaced",
        noncurrent_version_expiration=Duration.days(keeping.replaced),
        abort_incomplete_multipart_upload_after=Duration.days(2),
        expired_object_delete_marker=True,
    )
    return [*rules, everything]


def _rule(prefix: str, days: int | None, archive: int | None = None) -> s3.LifecycleRule:
    transition = s3.Transition(
        storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=Duration.days(archive or 0)
    )
    return s3.LifecycleRule(
        id=prefix.rstrip("/"),
        prefix=prefix,
        expiration=None if days is None else Duration.days(days),
        transitions=None if archive is None else [transition],
    )
