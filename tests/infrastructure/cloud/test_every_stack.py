"""What holds for every stack: valid, checked, encrypted on the way and at rest, kept in prod, gone in dev."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.app import FLEET, INSIGHTS, OPERATIONS, PLATFORM, build
from simulator.local_cloud.assembly import ensure_assembly
from tests.infrastructure.cloud.conftest import Synthesised

Deployment = dict[str, Synthesised]

# Types that the local cloud cannot create; one of them would stop the platform's whole deployment there.
NOT_LOCAL = (
    "AWS::ApplicationAutoScaling::",
    "AWS::Athena::NamedQuery",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::Events::Archive",
    "AWS::GreengrassV2::",
    "AWS::IoT::RoleAlias",
    "AWS::Kinesis::ResourcePolicy",
    "AWS::Kinesis::StreamConsumer",
    "AWS::Logs::QueryDefinition",
    "AWS::QuickSight::",
)
# What is gone with its resource: data, or the key to it.
HOLDS_DATA = (
    "AWS::DynamoDB::GlobalTable",
    "AWS::Events::Archive",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
)

every_stack = pytest.mark.parametrize("name", [PLATFORM, OPERATIONS, INSIGHTS, FLEET])


def test_the_app_has_these_stacks_and_no_other(dev: Deployment) -> None:
    assert set(dev) == {PLATFORM, OPERATIONS, INSIGHTS, FLEET}


def test_cfn_lint_finds_no_error(dev: Deployment, raw: Synthesised) -> None:
    # Stage prod has the same resources, with other numbers.
    files = [str(stack.template_file) for stack in (*dev.values(), raw)]
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--non-zero-exit-code", "error", *files]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_same_sources_give_the_same_templates_in_another_process(dev: Deployment) -> None:
    assembly = ensure_assembly()  # what a run deploys

    for name, stack in dev.items():
        assert json.loads((assembly / f"{name}.template.json").read_text()) == stack.template


def test_synthesis_fails_on_a_finding_that_nobody_accepted(tmp_path: Path) -> None:
    app, stacks = build(outdir=tmp_path)
    from aws_cdk import aws_sns

    aws_sns.Topic(stacks.fleet, "Open")

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert "AwsSolutions-SNS3" in (tmp_path / "validation-report.json").read_text()


def test_a_wildcard_needs_a_reason_and_actions_are_named() -> None:
    from cloud.parts.permissions import allow

    with pytest.raises(ValueError, match="needs a reason"):
        allow("arn:aws:s3:::bucket/*", "s3:GetObject")
    with pytest.raises(ValueError, match="name each action"):
        allow("arn:aws:s3:::bucket", "s3:Get*")


def test_the_platform_has_no_type_that_the_local_cloud_lacks(dev: Deployment) -> None:
    types = {resource["Type"] for resource in dev[PLATFORM].resources.values()}

    assert [each for each in types if each.startswith(NOT_LOCAL)] == []


def denies_plain_http(policies: dict[str, dict[str, Any]], target: str, logical_id: str) -> bool:
    """Whether a policy for the resource denies everybody everything without TLS."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for policy in policies.values()
        if {"Ref": logical_id} in (policy[target] if isinstance(policy[target], list) else [policy[target]])
        for statement in policy["PolicyDocument"]["Statement"]
    )


@every_stack
@pytest.mark.parametrize(
    ("kind", "target"),
    [("AWS::SQS::Queue", "Queues"), ("AWS::SNS::Topic", "Topics"), ("AWS::S3::Bucket", "Bucket")],
)
def test_queues_topics_and_buckets_refuse_plain_http(dev: Deployment, name: str, kind: str, target: str) -> None:
    policies = dev[name].of_type(f"{kind}Policy")

    assert [each for each in dev[name].of_type(kind) if not denies_plain_http(policies, target, each)] == []


@every_stack
def test_everything_is_encrypted_at_rest(dev: Deployment, name: str) -> None:
    encrypted = {
        "AWS::DynamoDB::GlobalTable": "SSESpecification",
        "AWS::Kinesis::Stream": "StreamEncryption",
        "AWS::S3::Bucket": "BucketEncryption",
        "AWS::SNS::Topic": "KmsMasterKeyId",
        "AWS::SQS::Queue": "SqsManagedSseEnabled",
    }
    open_to_read = [
        logical_id
        for kind, setting in encrypted.items()
        for logical_id, properties in dev[name].of_type(kind).items()
        if not properties.get(setting)
    ]

    assert open_to_read == []


@every_stack
def test_keys_of_ours_rotate(dev: Deployment, name: str) -> None:
    assert all(key["EnableKeyRotation"] for key in dev[name].of_type("AWS::KMS::Key").values())


@every_stack
def test_buckets_are_private_and_versioned(dev: Deployment, name: str) -> None:
    for bucket in dev[name].of_type("AWS::S3::Bucket").values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def statements(stack: Synthesised) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role and policy, with the logical id it stands in."""
    for logical_id, role in stack.of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((logical_id, statement) for statement in policy["PolicyDocument"]["Statement"])
    for logical_id, policy in stack.of_type("AWS::IAM::Policy").items():
        yield from ((logical_id, statement) for statement in policy["PolicyDocument"]["Statement"])


@every_stack
def test_roles_name_every_action_and_use_no_managed_policy(dev: Deployment, name: str) -> None:
    for logical_id, statement in statements(dev[name]):
        actions = statement["Action"]
        assert not any("*" in each for each in ([actions] if isinstance(actions, str) else actions)), logical_id
    assert [i for i, role in dev[name].of_type("AWS::IAM::Role").items() if "ManagedPolicyArns" in role] == []


def test_a_device_is_let_in_and_heard_by_the_whole_name_of_its_thing(dev: Deployment, raw: Synthesised) -> None:
    # A claim certificate has no thing; test_fleet tells what little it may do.
    resources = [
        stack.resolve(resource)
        for stack in (*dev.values(), raw)
        for logical_id, policy in stack.of_type("AWS::IoT::Policy").items()
        if "ClaimPolicy" not in logical_id
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in statement["Resource"]
        if statement["Action"] in ("iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive")
    ]

    assert resources
    whole_name = re.compile(r"[:/]\$\{iot:Connection\.Thing\.ThingName\}(/|#|$)")
    assert [resource for resource in resources if not whole_name.search(resource)] == []


@every_stack
def test_every_function_is_traced_and_has_a_role_and_a_log_of_its_own(dev: Deployment, name: str) -> None:
    functions = dev[name].of_type("AWS::Lambda::Function").values()

    assert all(function["TracingConfig"] == {"Mode": "Active"} for function in functions)
    assert len({str(function["Role"]) for function in functions}) == len(functions)
    assert len({str(function["LoggingConfig"]["LogGroup"]) for function in functions}) == len(functions)


def test_production_traces_what_does_not_run_every_second(prod: Deployment) -> None:
    modes = {
        function["Handler"].split(".")[2]: function["TracingConfig"]["Mode"]
        for function in prod[PLATFORM].of_type("AWS::Lambda::Function").values()
        if function["Handler"].startswith("cloud.functions.")
    }

    assert {name for name, mode in modes.items() if mode != "Active"} == {"processor", "alerts"}


@every_stack
def test_what_an_iot_rule_could_not_deliver_is_queued(dev: Deployment, name: str) -> None:
    payloads = [rule["TopicRulePayload"] for rule in dev[name].of_type("AWS::IoT::TopicRule").values()]

    assert [payload["Sql"] for payload in payloads if "Sqs" not in payload.get("ErrorAction", {})] == []


@every_stack
def test_no_log_is_kept_for_ever(dev: Deployment, name: str) -> None:
    assert all(group["RetentionInDays"] for group in dev[name].of_type("AWS::Logs::LogGroup").values())


@every_stack
def test_development_leaves_nothing_behind(dev: Deployment, name: str) -> None:
    kept = [
        logical_id
        for logical_id, resource in dev[name].resources.items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
        or resource.get("UpdateReplacePolicy", "Delete") != "Delete"
    ]

    assert kept == []


@every_stack
def test_development_empties_its_buckets_so_that_they_can_go(dev: Deployment, name: str) -> None:
    emptied = [properties["Bucket"]["Ref"] for properties in dev[name].of_type("Custom::EmptiedBucket").values()]

    assert sorted(emptied) == sorted(dev[name].of_type("AWS::S3::Bucket"))


@every_stack
def test_production_empties_none(prod: Deployment, name: str) -> None:
    assert prod[name].of_type("Custom::EmptiedBucket") == {}


@every_stack
def test_production_keeps_what_holds_data(prod: Deployment, name: str) -> None:
    lost = [
        logical_id
        for logical_id, resource in prod[name].resources.items()
        if resource["Type"] in HOLDS_DATA
        and (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) != ("Retain", "Retain")
    ]

    assert lost == []


def test_production_is_protected_against_deletion(prod: Deployment) -> None:
    manifest = (prod[PLATFORM].template_file.parent / "manifest.json").read_text()
    tables = prod[PLATFORM].of_type("AWS::DynamoDB::GlobalTable").values()

    assert manifest.count('"terminationProtection": true') == len(prod)
    assert all(table["Replicas"][0]["DeletionProtectionEnabled"] for table in tables)


@every_stack
def test_template_can_be_deployed_anywhere(dev: Deployment, name: str) -> None:
    text = dev[name].template_file.read_text()

    assert "000000000000" not in text
    assert "us-east-1" not in text
