"""How every Lambda function of ours is made: its code, logs and traces, and a role that allows what is spelled out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import AssetHashType, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cloud import layer, staging
from cloud.config import Config
from cloud.parts.permissions import accept, allow, make_role

_RUNTIME: Final = lambda_.Runtime.PYTHON_3_11
_ARCHITECTURE: Final = lambda_.Architecture.X86_64
_LAYER_ID: Final = "Dependencies"
_RETENTION: Final = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """How Lambda treats an asynchronous invocation that fails.

    The role needs `sqs:SendMessage` on `on_failure`; it is spelled out with the function's other statements.
    """

    retry_attempts: int
    max_event_age: Duration
    on_failure: sqs.IQueue


class Function(lambda_.Function):
    """The function in `cloud/functions/<name>`, with a log group and a role of its own.

    Parameters
    ----------
    name : folder of its code
    statements : all that it may do, apart from writing its own logs and traces
    environment : what its settings read
    asynchronous : for a function that is invoked without waiting for its answer
    busy : whether it runs every second and more, so that tracing it is a matter of the configuration
    reserved_concurrency : of the account's concurrency, the part that is this function's and its limit
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        config: Config,
        timeout: Duration,
        memory_mb: int,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        asynchronous: Asynchronous | None = None,
        busy: bool = False,
        reserved_concurrency: int | None = None,
    ) -> None:
        code = staging.stage(name)
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=_RETENTION[config.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = make_role(
            scope,
            f"{construct_id}Role",
            service="lambda.amazonaws.com",
            statements=[
                *statements,
                allow(log_group.log_group_arn, "logs:CreateLogStream", "logs:PutLogEvents"),
                allow(
                    "*",
                    "xray:PutTelemetryRecords",
                    "xray:PutTraceSegments",
                    because="X-Ray has no resources that a policy could name",
                ),
            ],
        )
        super().__init__(
            scope,
            construct_id,
            handler=f"cloud.functions.{name}.handler.handle",
            code=lambda_.Code.from_asset(
                str(code.folder), asset_hash=code.source_hash, asset_hash_type=AssetHashType.CUSTOM
            ),
            layers=[_layer_of(Stack.of(scope))],
            runtime=_RUNTIME,
            architecture=_ARCHITECTURE,
            timeout=timeout,
            memory_size=memory_mb,
            log_group=log_group,
            tracing=lambda_.Tracing.PASS_THROUGH
            if busy and not config.trace_busy_functions
            else lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=reserved_concurrency,
            environment={**environment, "POWERTOOLS_LOG_LEVEL": "INFO"},
            # Every statement is spelled out; CDK shall add none of its own.
            role=role.without_policy_updates(),
            retry_attempts=asynchronous.retry_attempts if asynchronous else None,
            max_event_age=asynchronous.max_event_age if asynchronous else None,
            on_failure=destinations.SqsDestination(asynchronous.on_failure) if asynchronous else None,
        )
        accept(self, "Python 3.11 runs on gateways and in the local cloud too, so tests run what Lambda runs", "L1")


def _layer_of(stack: Stack) -> lambda_.ILayerVersion:
    """The stack's one layer, which its first function makes."""
    made = stack.node.try_find_child(_LAYER_ID)
    if isinstance(made, lambda_.LayerVersion):
        return made
    return lambda_.LayerVersion(
        stack,
        _LAYER_ID,
        description="Powertools and protobuf; the runtime brings boto3",
        code=lambda_.Code.from_asset(
            str(layer.require()), asset_hash=layer.requirements_hash(), asset_hash_type=AssetHashType.CUSTOM
        ),
        compatible_runtimes=[_RUNTIME],
        compatible_architectures=[_ARCHITECTURE],
    )
