"""The stack of the gateway fleet: how a gateway becomes one of ours, and what runs on it."""

import re
from typing import Any

from aws_cdk import CfnOutput, Fn, Stack
from aws_cdk import aws_iot as iot
from constructs import Construct

from cloud.config import Config
from cloud.parts.alarms import Alarms
from cloud.parts.emptying import Emptying
from cloud.parts.gateway_software import Artifacts, SuiteDeployment, TokenExchange
from cloud.parts.provisioning import Provisioning
from cloud.tap_stack import TrafficAnalyticsPlatformStack


class FleetStack(Stack):
    """Provisioning and Greengrass deployment.

    ```
    claim certificate ──> template ──hook: registered?──> thing, certificate, policies, groups
                                                              │
    artifacts <── token exchange <────────────────────────────┤
    deployment of the suite ──> group of all gateways ────────┘
    ```
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
        groups = {district: group_name(config.stage, district) for district in config.districts}
        for district, group in groups.items():
            iot.CfnThingGroup(self, f"District{_camel(district)}", thing_group_name=group)
        everybody = platform.access.gateways.attr_arn
        artifacts = Artifacts(self, "Artifacts", keeps_data=config.keeps_data)
        if not config.keeps_data:
            Emptying(self, "Emptying", config=config, buckets={"Artifacts": artifacts.bucket})
        exchange = TokenExchange(self, "TokenExchange", config=config, artifacts=artifacts.bucket)
        provisioning = Provisioning(
            self,
            "Provisioning",
            config=config,
            registrations=platform.tables.gateways,
            groups=groups,
            # Not by Ref, which is the group's name in some places and its id in others.
            common_group=Fn.select(1, Fn.split("/", everybody)),
            policies={"GatewayPolicy": platform.access.policy.ref, "NucleusPolicy": exchange.nucleus_policy.ref},
        )
        # In the stack of what it watches; operators hear of it as of the platform's.
        alarms = Alarms(self, "Alarms", prefix=platform.stack_name, topic=platform.observability.operators)
        alarms.watch_function("provisioning", provisioning.hook)
        SuiteDeployment(self, "Suite", config=config, group_arn=everybody)

        self._output("ArtifactBucket", artifacts.bucket.bucket_name, "For components/publish.py --bucket")
        self._output("ProvisioningTemplate", provisioning.template.ref, "For a new gateway's configuration")
        self._output("ClaimPolicy", provisioning.claim_policy.ref, "IoT policy for claim certificates")
        self._output("RoleAlias", exchange.alias.ref, "For a new gateway's configuration")

    def _output(self, name: str, value: str, description: str) -> None:
        CfnOutput(self, name, value=value, description=description)


def group_name(stage: str, district: str) -> str:
    """Name of a district's thing group; thing groups know no spaces."""
    return f"roadside-{stage}-{re.sub(r'[^a-z0-9]+', '-', district.lower()).strip('-')}"


def _camel(district: str) -> str:
    return "".join(word.title() for word in re.split(r"[^A-Za-z0-9]+", district))
