"""How a gateway becomes one of ours: by claim, checked by a hook, into the groups of all and of its district."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import Aws, Duration, Fn
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.permissions import allow, make_role

MOST_PROVISIONINGS: Final = 3  # a gateway and two replacements; then a person must look

_BY_NAME: Final = "gateways are named by the catalogue, after this stack is deployed"
_NEW: Final = "the certificates are made by provisioning, their names are not known before"


class Provisioning(Construct):
    """Everything between a new gateway's claim certificate and its own.

    Parameters
    ----------
    registrations : table in which a gateway must stand with its district
    groups : name of the thing group of each district
    common_group : name of the group of all gateways
    policies : names of the IoT policies of a gateway's certificate

    Attributes
    ----------
    claim_policy : for claim certificates: they may ask for a certificate, and nothing else
    template : what a gateway that is let in becomes
    hook : the function that decides who is let in
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        registrations: dynamodb.ITable,
        groups: Mapping[str, str],
        common_group: str,
        policies: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        # Named by hand, because the claim policy, the hook's permission and every new gateway name it.
        name = f"roadside-{config.stage}"
        self.hook = self._add_hook(config, registrations, groups)
        permission = lambda_.CfnPermission(
            self,
            "HookPermission",
            action="lambda:InvokeFunction",
            function_name=self.hook.function_arn,
            principal="iot.amazonaws.com",
            source_account=Aws.ACCOUNT_ID,
            source_arn=_iot_arn(f"provisioningtemplate/{name}"),
        )
        thing_type = iot.CfnThingType(self, "GatewayType", thing_type_name=f"{name}-gateway")
        role = self._add_role([*groups.values(), common_group])
        body = json.dumps(template_body(tuple(policies)), sort_keys=True)
        self.template = iot.CfnProvisioningTemplate(
            self,
            "Template",
            template_name=name,
            description="What a registered gateway becomes that asks with a claim certificate",
            enabled=True,
            provisioning_role_arn=role.role_arn,
            template_body=Fn.sub(body, {"GatewayType": thing_type.ref, "Gateways": common_group, **policies}),
            pre_provisioning_hook=iot.CfnProvisioningTemplate.ProvisioningHookProperty(
                payload_version="2020-04-01", target_arn=self.hook.function_arn
            ),
        )
        self.template.node.add_dependency(permission)
        self.claim_policy = iot.CfnPolicy(self, "ClaimPolicy", policy_document=claim_policy(name))

    def _add_hook(self, config: Config, registrations: dynamodb.ITable, groups: Mapping[str, str]) -> Function:
        return Function(
            self,
            "Hook",
            name="provisioning",
            config=config,
            timeout=Duration.seconds(5),  # after which IoT Core has stopped waiting
            memory_mb=256,
            environment={
                "GATEWAYS_TABLE": registrations.table_name,
                "DISTRICT_GROUPS": json.dumps(groups, sort_keys=True),
                "MOST_PROVISIONINGS": str(MOST_PROVISIONINGS),
            },
            statements=[allow(registrations.table_arn, "dynamodb:GetItem", "dynamodb:UpdateItem")],
        )

    def _add_role(self, groups: list[str]) -> iam.Role:
        """What IoT Core may do to the registry in the name of the template."""
        of_things = ("CreateThing", "DescribeThing", "UpdateThing", "AttachThingPrincipal", "ListThingPrincipals")
        in_groups = ("AddThingToThingGroup", "ListThingGroupsForThing")
        of_certificates = ("DescribeCertificate", "UpdateCertificate", "AttachPolicy", "ListAttachedPolicies")
        return make_role(
            self,
            "Role",
            service="iot.amazonaws.com",
            statements=[
                allow(_iot_arn("thing/*"), *_iot(of_things), *_iot(in_groups), because=_BY_NAME),
                allow(_iot_arn("cert/*"), *_iot(of_certificates), because=_NEW),
                *(allow(_iot_arn(f"thinggroup/{group}"), *_iot(in_groups)) for group in groups),
            ],
        )


def template_body(policies: tuple[str, ...]) -> dict[str, Any]:
    """The provisioning template. `${Name}` is filled in by CloudFormation, a Ref by IoT Core.

    Parameters
    ----------
    policies : variables that stand for the policies' names
    """
    thing = {
        "Type": "AWS::IoT::Thing",
        "Properties": {
            "ThingName": {"Ref": "ThingName"},
            "ThingTypeName": "${GatewayType}",
            "ThingGroups": ["${Gateways}", {"Ref": "DistrictGroup"}],
        },
        # A gateway that is replaced keeps its name and whatever else is known of it.
        "OverrideSettings": {"ThingTypeName": "REPLACE", "ThingGroups": "DO_NOTHING", "AttributePayload": "MERGE"},
    }
    certificate = {
        "Type": "AWS::IoT::Certificate",
        "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
    }
    allowed = {
        f"policy{number}": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": f"${{{policy}}}"}}
        for number, policy in enumerate(policies, start=1)
    }
    return {
        # The hook says the group of the district; without its word there is none, and the template fails.
        "Parameters": {
            name: {"Type": "String"} for name in ("ThingName", "DistrictGroup", "AWS::IoT::Certificate::Id")
        },
        "Resources": {"thing": thing, "certificate": certificate, **allowed},
    }


def claim_policy(template: str) -> dict[str, Any]:
    """What a claim certificate may do: ask this template, under any client id, since it has no thing."""
    topics = (
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",  # nucleus lite makes its key itself and has it signed
        f"$aws/provisioning-templates/{template}/provision/*",
    )
    statements = (
        ("iot:Connect", ["client/*"]),
        ("iot:Publish", [f"topic/{topic}" for topic in topics]),
        ("iot:Receive", [f"topic/{topic}" for topic in topics]),
        ("iot:Subscribe", [f"topicfilter/{topic}" for topic in topics]),
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": [_iot_arn(resource) for resource in resources]}
            for action, resources in statements
        ],
    }


def _iot(actions: tuple[str, ...]) -> list[str]:
    return [f"iot:{action}" for action in actions]


def _iot_arn(resource: str) -> str:
    return f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"
