"""The fleet stack: who gets in, what a gateway may do, and how the suite comes to it."""

import json
from typing import Any

import pytest
import yaml

from cloud.app import FLEET
from cloud.config import Config, ConfigError
from cloud.paths import ROOT
from simulator.city.geography import DISTRICTS
from tests.infrastructure.cloud.conftest import Synthesised

IOT = "arn:<AWS::Partition>:iot:<AWS::Region>:<AWS::AccountId>"
THING = "${iot:Connection.Thing.ThingName}"
RECIPES = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "recipes").glob("*.yaml")}


@pytest.fixture(scope="module")
def fleet(dev: dict[str, Synthesised]) -> Synthesised:
    return dev[FLEET]


@pytest.fixture(scope="module")
def body(fleet: Synthesised) -> Any:
    """The provisioning template's document, its variables still in it."""
    text, _ = fleet.one("AWS::IoT::ProvisioningTemplate")["TemplateBody"]["Fn::Sub"]
    return json.loads(text)


def allowed(fleet: Synthesised, role: str) -> list[tuple[set[str], Any]]:
    """Actions and resource of each statement of the role."""
    statements = fleet.one("AWS::IAM::Role", role)["Policies"][0]["PolicyDocument"]["Statement"]
    return [
        ({each["Action"]} if isinstance(each["Action"], str) else set(each["Action"]), fleet.resolve(each["Resource"]))
        for each in statements
    ]


def test_every_district_of_the_context_has_a_thing_group(fleet: Synthesised) -> None:
    groups = {group["ThingGroupName"] for group in fleet.of_type("AWS::IoT::ThingGroup").values()}
    hook = fleet.one("AWS::Lambda::Function", "ProvisioningHook")["Environment"]["Variables"]

    assert "roadside-dev-old-town" in groups
    assert set(json.loads(hook["DISTRICT_GROUPS"])) == set(Config().districts)
    assert set(json.loads(hook["DISTRICT_GROUPS"]).values()) == groups


def test_the_simulated_citys_districts_are_the_default() -> None:
    assert {name for row in DISTRICTS for name in row} == set(Config().districts)


@pytest.mark.parametrize("districts", [[], "", "Old Town,old-town", ["a\n"], [5], {"a": 1}])
def test_districts_that_make_no_groups_are_refused(districts: object) -> None:
    with pytest.raises(ConfigError, match="districts = "):
        Config.from_context({"districts": districts})


def test_districts_may_come_from_the_command_line() -> None:
    assert Config.from_context({"districts": "Mitte,Pankow"}).districts == ("Mitte", "Pankow")


def test_a_gateway_gets_its_name_and_the_groups_of_all_and_of_its_district(body: Any) -> None:
    thing = body["Resources"]["thing"]

    assert thing["Properties"] == {
        "ThingName": {"Ref": "ThingName"},
        "ThingTypeName": "${GatewayType}",
        "ThingGroups": ["${Gateways}", {"Ref": "DistrictGroup"}],
    }
    # Without a default the template fails for whom the hook has named no group.
    assert body["Parameters"] == {name: {"Type": "String"} for name in body["Parameters"]}
    assert set(body["Parameters"]) == {"ThingName", "DistrictGroup", "AWS::IoT::Certificate::Id"}


def test_its_certificate_has_the_platforms_policy_and_the_nucleus_own(fleet: Synthesised, body: Any) -> None:
    policies = {
        each["Properties"]["PolicyName"] for each in body["Resources"].values() if each["Type"] == "AWS::IoT::Policy"
    }
    _, variables = fleet.one("AWS::IoT::ProvisioningTemplate")["TemplateBody"]["Fn::Sub"]

    assert policies == {"${GatewayPolicy}", "${NucleusPolicy}"}
    assert "ImportValue" in str(variables["GatewayPolicy"])
    assert fleet.resolve(variables["NucleusPolicy"]) == "<TokenExchangeNucleusPolicy>"


def test_the_hook_is_asked_first_and_iot_core_alone_may_ask_for_this_template(fleet: Synthesised) -> None:
    template = fleet.one("AWS::IoT::ProvisioningTemplate")
    permission = fleet.one("AWS::Lambda::Permission")

    assert fleet.resolve(template["PreProvisioningHook"]["TargetArn"]) == "<ProvisioningHook.Arn>"
    assert fleet.resolve(permission["SourceArn"]) == f"{IOT}:provisioningtemplate/{template['TemplateName']}"
    assert fleet.resolve(permission["SourceAccount"]) == "<AWS::AccountId>"
    assert fleet.one("AWS::Lambda::Function", "ProvisioningHook")["Timeout"] <= 5


def test_the_hook_may_read_and_count_registrations_and_no_more(fleet: Synthesised) -> None:
    table, *_ = allowed(fleet, "ProvisioningHookRole")

    assert table[0] == {"dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert "TablesGateways" in str(table[1])


def test_a_claim_certificate_may_ask_this_template_and_nothing_else(fleet: Synthesised) -> None:
    document = fleet.resolve(fleet.one("AWS::IoT::Policy", "Claim")["PolicyDocument"])
    resources = {each["Action"]: each["Resource"] for each in document["Statement"]}
    # Nucleus lite has a key of its own signed, the classic nucleus is given one.
    topics = [
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        "$aws/provisioning-templates/roadside-dev/provision/*",
    ]

    assert resources == {
        "iot:Connect": [f"{IOT}:client/*"],
        "iot:Publish": [f"{IOT}:topic/{topic}" for topic in topics],
        "iot:Receive": [f"{IOT}:topic/{topic}" for topic in topics],
        "iot:Subscribe": [f"{IOT}:topicfilter/{topic}" for topic in topics],
    }


def test_the_nucleus_may_speak_of_its_own_thing_only(fleet: Synthesised) -> None:
    document = fleet.resolve(fleet.one("AWS::IoT::Policy", "Nucleus")["PolicyDocument"])
    by_http = [each for each in document["Statement"] if each["Resource"] == ["*"]]
    rest = [each for each in document["Statement"] if each not in by_http]

    assert [set(each["Action"]) for each in by_http] == [
        {
            "greengrass:GetComponentVersionArtifact",
            "greengrass:GetDeploymentConfiguration",
            "greengrass:ListThingGroupsForCoreDevice",
            "greengrass:ResolveComponentCandidates",
        }
    ]
    for statement in rest:
        for resource in statement["Resource"]:
            assert THING in resource or resource == "<TokenExchangeAlias.RoleAliasArn>"


def test_token_exchange_gives_artifacts_to_read_and_logs_to_write(fleet: Synthesised) -> None:
    role = fleet.one("AWS::IAM::Role", "TokenExchange")
    trusted = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
    located, read, logs = allowed(fleet, "TokenExchange")

    assert trusted == "credentials.iot.amazonaws.com"
    assert located == ({"s3:GetBucketLocation"}, "<ArtifactsBucket.Arn>")
    assert read == ({"s3:GetObject"}, "<ArtifactsBucket.Arn>/*")
    assert logs[1].endswith(":log-group:/aws/greengrass/*")
    assert {action.split(":")[0] for action in logs[0]} == {"logs"}


def test_artifacts_stay_in_production(prod: dict[str, Synthesised]) -> None:
    (bucket,) = (each for each in prod[FLEET].resources.values() if each["Type"] == "AWS::S3::Bucket")

    assert bucket["DeletionPolicy"] == "Retain"


def test_the_deployment_rolls_out_step_by_step_and_back_on_failure(fleet: Synthesised) -> None:
    deployment = fleet.one("AWS::GreengrassV2::Deployment")
    policies, job = deployment["DeploymentPolicies"], deployment["IotJobConfiguration"]

    assert policies["FailureHandlingPolicy"] == "ROLLBACK"
    assert policies["ComponentUpdatePolicy"] == {"Action": "NOTIFY_COMPONENTS", "TimeoutInSeconds": 60}
    assert job["JobExecutionsRolloutConfig"]["ExponentialRate"]["BaseRatePerMinute"] == 5
    assert job["AbortConfig"]["CriteriaList"][0]["Action"] == "CANCEL"


def test_the_deployment_has_the_suite_and_its_parts_in_the_parameters_version(fleet: Synthesised) -> None:
    components = fleet.one("AWS::GreengrassV2::Deployment")["Components"]
    suite = {"city.roadside.Suite", *RECIPES["city.roadside.Suite"]["ComponentDependencies"]}

    assert set(components) == {name for name in suite if name.startswith("city.roadside.")}
    assert {str(component["ComponentVersion"]) for component in components.values()} == {"{'Ref': 'SuiteVersion'}"}
    assert fleet.template["Parameters"]["SuiteVersion"]["Default"] == ""
    (logical_id,) = fleet.of_type("AWS::GreengrassV2::Deployment")
    assert fleet.resources[logical_id]["Condition"] == "SuiteIsWanted"


def test_what_the_deployment_configures_is_known_to_the_recipes(fleet: Synthesised) -> None:
    configured = {
        name: json.loads(component["ConfigurationUpdate"]["Merge"])
        for name, component in fleet.one("AWS::GreengrassV2::Deployment")["Components"].items()
        if "ConfigurationUpdate" in component
    }

    assert configured == {"city.roadside.Aggregator": {"windowSeconds": 10}}
    for name, merged in configured.items():
        assert merged.keys() <= RECIPES[name]["ComponentConfiguration"]["DefaultConfiguration"].keys()
