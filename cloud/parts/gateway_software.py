"""What gateways run: where its artifacts lie, how a gateway gets at them, and which versions it shall have."""

import json
from typing import Any, Final

from aws_cdk import Aws, CfnCondition, CfnParameter, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_greengrassv2 as greengrass
from aws_cdk import aws_iot as iot
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cloud.config import Config
from cloud.parts.permissions import accept, allow, make_role

COMPONENTS: Final = (
    "city.roadside.Aggregator",
    "city.roadside.Monitor",
    "city.roadside.SensorIngest",
    "city.roadside.Suite",
)
_THING: Final = "${iot:Connection.Thing.ThingName}"


class Artifacts(Construct):
    """The bucket of the components' artifacts. A published version never changes; its predecessors stay."""

    def __init__(self, scope: Construct, construct_id: str, *, keeps_data: bool) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=RemovalPolicy.RETAIN if keeps_data else RemovalPolicy.DESTROY,
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7))],
        )
        accept(self.bucket, "what is published is in the Git history and in Greengrass; reading it is no secret", "S1")


class TokenExchange(Construct):
    """How a gateway's certificate becomes credentials, and what those and the nucleus may do.

    Attributes
    ----------
    role : to fetch artifacts and to write logs
    alias : the name by which gateways ask for it
    nucleus_policy : for every gateway's certificate, beside the platform's own policy
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, artifacts: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        logs = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/greengrass/*"
        self.role = make_role(
            self,
            "Role",
            service="credentials.iot.amazonaws.com",
            statements=[
                allow(artifacts.bucket_arn, "s3:GetBucketLocation"),
                allow(
                    artifacts.arn_for_objects("*"),
                    "s3:GetObject",
                    because="every component and version that is or will be published in this one bucket",
                ),
                allow(
                    logs,
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                    because="Greengrass names the groups after components and the streams after gateways",
                ),
            ],
        )
        self.alias = iot.CfnRoleAlias(
            self,
            "Alias",
            role_alias=f"roadside-{config.stage}-gateways",
            role_arn=self.role.role_arn,
            credential_duration_seconds=3600,
        )
        self.nucleus_policy = iot.CfnPolicy(
            self, "NucleusPolicy", policy_document=_nucleus_policy(self.alias.attr_role_alias_arn)
        )


class SuiteDeployment(Construct):
    """The suite's deployment to all gateways, a few first, back to what ran before where it fails.

    Its version is a parameter. Without one nothing is deployed: the first time, components are published in between.
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, group_arn: str) -> None:
        super().__init__(scope, construct_id)
        version = CfnParameter(
            Stack.of(self),
            "SuiteVersion",
            default="",
            allowed_pattern=r"^$|^\d+\.\d+\.\d+$",
            constraint_description="a published version such as 0.1.0, or empty to deploy nothing",
            description="Version of the components that all gateways shall run; publish it first",
        )
        wanted = CfnCondition(
            Stack.of(self),
            "SuiteIsWanted",
            expression=Fn.condition_not(Fn.condition_equals(version.value_as_string, "")),
        )
        self.deployment = greengrass.CfnDeployment(
            self,
            "Deployment",
            target_arn=group_arn,
            deployment_name=f"roadside-{config.stage}",
            components=_components(version.value_as_string, config),
            deployment_policies=greengrass.CfnDeployment.DeploymentPoliciesProperty(
                failure_handling_policy="ROLLBACK",
                component_update_policy=greengrass.CfnDeployment.DeploymentComponentUpdatePolicyProperty(
                    action="NOTIFY_COMPONENTS", timeout_in_seconds=60
                ),
                configuration_validation_policy=(
                    greengrass.CfnDeployment.DeploymentConfigurationValidationPolicyProperty(timeout_in_seconds=60)
                ),
            ),
            iot_job_configuration=_rollout(),
        )
        self.deployment.cfn_options.condition = wanted


def _components(
    version: str, config: Config
) -> dict[str, greengrass.CfnDeployment.ComponentDeploymentSpecificationProperty]:
    """All parts in one version, as they are released. A gateway's segments are deployed to its own thing."""
    configured = {"city.roadside.Aggregator": {"windowSeconds": config.window_s}}
    return {
        name: greengrass.CfnDeployment.ComponentDeploymentSpecificationProperty(
            component_version=version,
            configuration_update=greengrass.CfnDeployment.ComponentConfigurationUpdateProperty(
                merge=json.dumps(configured[name])
            )
            if name in configured
            else None,
        )
        for name in COMPONENTS
    }


def _rollout() -> greengrass.CfnDeployment.DeploymentIoTJobConfigurationProperty:
    """Five gateways in the first minute, more with every ten that succeed; off if one of ten fails."""
    return greengrass.CfnDeployment.DeploymentIoTJobConfigurationProperty(
        job_executions_rollout_config=greengrass.CfnDeployment.IoTJobExecutionsRolloutConfigProperty(
            maximum_per_minute=100,
            exponential_rate=greengrass.CfnDeployment.IoTJobExponentialRolloutRateProperty(
                base_rate_per_minute=5,
                increment_factor=2,
                rate_increase_criteria={"NumberOfSucceededThings": 10},
            ),
        ),
        abort_config=greengrass.CfnDeployment.IoTJobAbortConfigProperty(
            criteria_list=[
                greengrass.CfnDeployment.IoTJobAbortCriteriaProperty(
                    action="CANCEL",
                    failure_type="FAILED",
                    min_number_of_executed_things=10,
                    threshold_percentage=10,
                )
            ]
        ),
        timeout_config=greengrass.CfnDeployment.IoTJobTimeoutConfigProperty(in_progress_timeout_in_minutes=60),
    )


def _nucleus_policy(role_alias_arn: str) -> dict[str, Any]:
    """What the nucleus needs of AWS for itself: health, deployments by jobs, artifacts, credentials."""

    def arn(kind: str, topic: str) -> str:
        return f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:{kind}/{topic}"

    own = f"$aws/things/{_THING}"
    told = (f"{own}/greengrass/health/json", f"{own}/greengrassv2/health/json", f"{own}/jobs/*", f"{own}/shadow/*")
    heard = (f"{own}/jobs/*", f"{own}/shadow/*")
    return {
        "Version": "2012-10-17",
        "Statement": [
            # The nucleus numbers its further connections: name#2, name#3. No `*` after the name itself, which would
            # let gateway-1 connect as gateway-10 and so push it off the broker.
            _allow("iot:Connect", [arn("client", _THING), arn("client", f"{_THING}#*")]),
            _allow("iot:Publish", [arn("topic", topic) for topic in told]),
            _allow("iot:Receive", [arn("topic", topic) for topic in heard]),
            _allow("iot:Subscribe", [arn("topicfilter", topic) for topic in heard]),
            _allow("iot:AssumeRoleWithCertificate", [role_alias_arn]),
            # By HTTP, where the policy variables of MQTT have no value.
            _allow(
                [
                    "greengrass:GetComponentVersionArtifact",
                    "greengrass:GetDeploymentConfiguration",
                    "greengrass:ListThingGroupsForCoreDevice",
                    "greengrass:ResolveComponentCandidates",
                ],
                ["*"],
            ),
        ],
    }


def _allow(action: str | list[str], resources: list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resources}
