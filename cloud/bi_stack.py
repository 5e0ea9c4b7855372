"""The stack of dashboards for those who plan and pay: QuickSight over the lake."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aws_cdk import (
    Acknowledgment,
    Aws,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    CfnResource,
    Fn,
    Stack,
    Validations,
)
from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from constructs import Construct

from cloud import lake_tables
from cloud.config import Config
from cloud.insights import board, queries, quicksight
from cloud.insights.queries import Query
from cloud.insights.visuals import check
from cloud.parts.lake import RESULTS_PREFIX, Lake
from cloud.parts.permissions import allow, make_role
from cloud.tap_stack import TrafficAnalyticsPlatformStack

# What an owner and a reader may do with each kind of thing, as QuickSight's own console grants it.
_ACTIONS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "DataSource": (
        (
            "DescribeDataSource",
            "DescribeDataSourcePermissions",
            "PassDataSource",
            "UpdateDataSource",
            "DeleteDataSource",
            "UpdateDataSourcePermissions",
        ),
        (),
    ),
    "DataSet": (
        (
            "DescribeDataSet",
            "DescribeDataSetPermissions",
            "PassDataSet",
            "DescribeIngestion",
            "ListIngestions",
            "UpdateDataSet",
            "DeleteDataSet",
            "CreateIngestion",
            "CancelIngestion",
            "UpdateDataSetPermissions",
        ),
        ("DescribeDataSet", "DescribeDataSetPermissions", "PassDataSet", "DescribeIngestion", "ListIngestions"),
    ),
    "Theme": (
        (
            "DescribeTheme",
            "DescribeThemeAlias",
            "ListThemeAliases",
            "ListThemeVersions",
            "UpdateTheme",
            "DeleteTheme",
            "CreateThemeAlias",
            "UpdateThemeAlias",
            "DeleteThemeAlias",
            "DescribeThemePermissions",
            "UpdateThemePermissions",
        ),
        ("DescribeTheme", "DescribeThemeAlias", "ListThemeAliases", "ListThemeVersions"),
    ),
    "Analysis": (
        (
            "DescribeAnalysis",
            "DescribeAnalysisPermissions",
            "QueryAnalysis",
            "UpdateAnalysis",
            "DeleteAnalysis",
            "RestoreAnalysis",
            "UpdateAnalysisPermissions",
        ),
        (),
    ),
    "Dashboard": (
        (
            "DescribeDashboard",
            "DescribeDashboardPermissions",
            "ListDashboardVersions",
            "QueryDashboard",
            "UpdateDashboard",
            "DeleteDashboard",
            "UpdateDashboardPermissions",
            "UpdateDashboardPublishedVersion",
        ),
        ("DescribeDashboard", "ListDashboardVersions", "QueryDashboard"),
    ),
}
_PRINCIPAL: Final = r"arn:aws[a-z-]*:quicksight:[a-z0-9-]+:\d{12}:(user|group|namespace)/.+"
_NOBODY: Final = "none"  # but the owner
_DAILY_AT: Final = "03:30"  # when the rollup has the day before together, and nobody waits for the figures


class InsightsStack(Stack):
    """Traffic as charts: `cloud/sql` as data sets, `cloud.insights.board` as analysis and dashboard.

    ```
    lake ─> Athena ─┬─> data sets: rollups (SPICE, by schedule) ─┬─> dashboard (readers)
                    └─> data sets: live (direct)                ─┴─> analysis  (owner)
    ```

    QuickSight must be signed up for in the account (docs/operations.md); who owns and who reads is asked at deployment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        platform: TrafficAnalyticsPlatformStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        check(board.SHEETS)
        self._name = f"roadside-{config.stage}"
        self._owner = CfnParameter(
            self,
            "QuickSightOwnerArn",
            description="QuickSight user or group that owns data sets, analysis and dashboard",
            allowed_pattern=_PRINCIPAL,
        )
        self._readers = CfnParameter(
            self,
            "QuickSightReadersArn",
            description="QuickSight group that may read the dashboard",
            default=_NOBODY,
            allowed_pattern=f"{_NOBODY}|{_PRINCIPAL}",
        )
        self._has_readers = CfnCondition(
            self, "HasReaders", expression=Fn.condition_not(Fn.condition_equals(self._readers.value_as_string, _NOBODY))
        )
        lake = platform.lake
        source = self._resource(
            "DataSource",
            "DataSource",
            {
                "DataSourceId": self._name,
                "Name": f"Roadside {config.stage}",
                "Type": "ATHENA",
                "DataSourceParameters": {
                    "AthenaParameters": {"WorkGroup": lake.workgroup.ref, "RoleArn": self._reader_role(lake).role_arn}
                },
            },
        )
        used = [queries.load(name) for name in quicksight.used_queries()]
        arns = {query.name: self._data_set(query, source, lake, config.time_zone) for query in used}
        self._save_queries(queries.load_all(), lake, config.time_zone)
        theme = self._resource(
            "Theme",
            "Theme",
            {
                "ThemeId": self._name,
                "Name": f"Roadside {config.stage}",
                "BaseThemeId": "CLASSIC",
                "Configuration": quicksight.theme(),
            },
        )
        definition = quicksight.definition(arns)
        common = {
            "Name": f"Roadside {config.stage}",
            "ThemeArn": _arn(theme),
            "Definition": definition,
        }
        self._resource("Analysis", "Analysis", {"AnalysisId": self._name, **common})
        self._resource(
            "Dashboard",
            "Dashboard",
            {
                "DashboardId": self._name,
                **common,
                "DashboardPublishOptions": {
                    "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
                    "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
                    "SheetControlsOption": {"VisibilityState": "EXPANDED"},
                },
            },
        )
        CfnOutput(
            self,
            "DashboardUrl",
            value=f"https://{Aws.REGION}.quicksight.aws.amazon.com/sn/dashboards/{self._name}",
            description="The dashboard, for its owner and readers",
        )

    def _data_set(self, query: Query, source: CfnResource, lake: Lake, time_zone: str) -> str:
        """The data set of a query, and how it is kept fresh; returns its ARN."""
        data_set_id = f"{self._name}-{query.name.replace('_', '-')}"
        data_set = self._resource(
            f"{_title(query.name)}Data",
            "DataSet",
            {
                "DataSetId": data_set_id,
                "Name": f"{self._name} {query.name}",
                "ImportMode": "DIRECT_QUERY" if query.refresh == "direct" else "SPICE",
                "PhysicalTableMap": {
                    "sql": quicksight.physical_table(query, _arn(source), lake.database_name, time_zone)
                },
                "LogicalTableMap": {"rows": quicksight.logical_table(query, "sql")},
            },
        )
        # What replaces it has no place for geographic roles and asks for ids of ours in every column.
        accepted = Acknowledgment(id="CloudFormation-Validate::W9009", reason="The map needs geographic roles")
        Validations.of(data_set).acknowledge(accepted)
        if query.refresh != "direct":
            times = {"hourly": {"Interval": "HOURLY"}, "daily": {"Interval": "DAILY", "TimeOfTheDay": _DAILY_AT}}
            schedule = CfnResource(
                self,
                f"{_title(query.name)}Refresh",
                type="AWS::QuickSight::RefreshSchedule",
                properties={
                    "AwsAccountId": Aws.ACCOUNT_ID,
                    "DataSetId": data_set_id,
                    "Schedule": {
                        "ScheduleId": query.refresh,
                        "RefreshType": "FULL_REFRESH",  # late corrections change hours that are long over
                        "ScheduleFrequency": {"TimeZone": time_zone, **times[query.refresh]},
                    },
                },
            )
            schedule.add_resource_dependency(data_set)
        return _arn(data_set)

    def _resource(self, construct_id: str, kind: str, properties: Mapping[str, Any]) -> CfnResource:
        owns, reads = _ACTIONS[kind]
        permissions: list[Any] = [_grant(self._owner.value_as_string, owns)]
        if reads:
            grant = _grant(self._readers.value_as_string, reads)
            permissions.append(Fn.condition_if(self._has_readers.logical_id, grant, Aws.NO_VALUE))
        return CfnResource(
            self,
            construct_id,
            type=f"AWS::QuickSight::{kind}",
            properties={"AwsAccountId": Aws.ACCOUNT_ID, **properties, "Permissions": permissions},
        )

    def _reader_role(self, lake: Lake) -> iam.Role:
        """QuickSight asks Athena in this role, so its account-wide role needs no rights to the lake."""
        # Spelled as an import from the start, which is how the checks of AwsSolutions name it.
        bucket_arn = Stack.of(lake).export_value(lake.bucket.bucket_arn)
        catalogue = f"arn:{Aws.PARTITION}:glue:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        athena_arn = f"arn:{Aws.PARTITION}:athena:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        tables = [f"{catalogue}:table/{lake.database_name}/{table.name}" for table in lake_tables.TABLES]
        reading = [f"{catalogue}:catalog", f"{catalogue}:database/{lake.database_name}", *tables]
        return make_role(
            self,
            "Reader",
            service="quicksight.amazonaws.com",
            statements=[
                allow(
                    f"{athena_arn}:workgroup/{lake.workgroup.ref}",
                    "athena:GetWorkGroup",
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                    "athena:GetQueryExecution",
                    "athena:BatchGetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:GetQueryResultsStream",
                    "athena:ListQueryExecutions",
                ),
                allow(
                    f"{athena_arn}:datacatalog/AwsDataCatalog",
                    "athena:GetDataCatalog",
                    "athena:GetDatabase",
                    "athena:ListDatabases",
                    "athena:GetTableMetadata",
                    "athena:ListTableMetadata",
                ),
                *(
                    allow(
                        resource,
                        "glue:GetDatabase",
                        "glue:GetDatabases",
                        "glue:GetTable",
                        "glue:GetTables",
                        "glue:GetPartition",
                        "glue:GetPartitions",
                        "glue:BatchGetPartition",
                    )
                    for resource in reading
                ),
                allow(
                    bucket_arn,
                    "s3:GetBucketLocation",
                    "s3:ListBucket",
                    "s3:ListBucketMultipartUploads",
                ),
                *(
                    allow(f"{bucket_arn}/{table.prefix}*", "s3:GetObject", because="The objects of one table")
                    for table in lake_tables.TABLES
                ),
                allow(
                    f"{bucket_arn}/{RESULTS_PREFIX}*",
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                    because="Athena names the objects of its results",
                ),
            ],
        )

    def _save_queries(self, all_queries: Iterable[Query], lake: Lake, time_zone: str) -> None:
        """The same queries in Athena's console, for those who would ask further."""
        for query in all_queries:
            athena.CfnNamedQuery(
                self,
                f"{_title(query.name)}Query",
                database=lake.database_name,
                work_group=lake.workgroup.ref,
                name=query.name,
                description=query.title,
                query_string=query.sql(time_zone=time_zone),
            )


def _grant(principal: str, actions: Iterable[str]) -> dict[str, Any]:
    return {"Principal": principal, "Actions": [f"quicksight:{action}" for action in actions]}


def _arn(resource: CfnResource) -> str:
    return resource.get_att("Arn").to_string()


def _title(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
