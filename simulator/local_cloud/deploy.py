"""Deploy an unmodified CDK cloud assembly to the local cloud without the CDK CLI (and so without Node).

Does what `cdk bootstrap` and `cdk deploy` do: an asset bucket and the bootstrap version parameter, uploads of the files
that `<Stack>.assets.json` lists, then one CloudFormation stack after the other.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from simulator.local_cloud.errors import DeployError
from simulator.local_cloud.local_cloud import ACCOUNT_ID, REGION, LocalCloud

BOOTSTRAP_VERSION = "21"
DEPLOY_TIMEOUT_S = 120.0

_POLL_S = 0.05
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_PLACEHOLDERS = {"${AWS::AccountId}": ACCOUNT_ID, "${AWS::Region}": REGION, "${AWS::Partition}": "aws"}


@dataclass(frozen=True, slots=True)
class _Stack:
    """One stack of an assembly; the paths are absolute."""

    name: str
    template_bucket: str
    template_key: str
    parameters: Mapping[str, str]
    bootstrap_parameter: str | None
    asset_manifests: tuple[Path, ...]


def deploy_assembly(cloud: LocalCloud, assembly_dir: Path, stack_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Deploy stacks of a synthesised assembly in the given order; returns their outputs by stack name.

    Deploying again updates what changed and leaves alone what did not.

    Raises
    ------
    DeployError
        The assembly lacks a stack, or CloudFormation refused or failed it; names the resource and the reason.
    """
    stacks = {stack.name: stack for stack in _stacks_of(assembly_dir)}
    outputs = {}
    for name in stack_names:
        if name not in stacks:
            raise DeployError(name, f"not in the assembly {assembly_dir.name}, which has {', '.join(sorted(stacks))}")
        _publish_assets(cloud, stacks[name])
        outputs[name] = _deploy_stack(cloud, stacks[name])
    return outputs


def _stacks_of(assembly_dir: Path) -> Iterator[_Stack]:
    manifest = json.loads((assembly_dir / "manifest.json").read_text())
    artifacts = manifest["artifacts"]
    for artifact_id, artifact in artifacts.items():
        if artifact["type"] != "aws:cloudformation:stack":
            continue
        properties = artifact["properties"]
        bucket, _, key = _resolve(properties["stackTemplateAssetObjectUrl"]).removeprefix("s3://").partition("/")
        dependencies = [artifacts[name] for name in artifact.get("dependencies", ()) if name in artifacts]
        yield _Stack(
            name=properties.get("stackName", artifact_id),
            template_bucket=bucket,
            template_key=key,
            parameters=properties.get("parameters", {}),
            bootstrap_parameter=properties.get("bootstrapStackVersionSsmParameter"),
            asset_manifests=tuple(
                assembly_dir / each["properties"]["file"]
                for each in dependencies
                if each["type"] == "cdk:asset-manifest"
            ),
        )


def _resolve(text: str) -> str:
    """Fill in the placeholders that CDK leaves for the deploying tool."""
    for placeholder, value in _PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def _publish_assets(cloud: LocalCloud, stack: _Stack) -> None:
    """Create what `cdk bootstrap` would and upload the stack's files, its template among them."""
    s3 = cloud.client("s3")
    if stack.bootstrap_parameter:
        cloud.client("ssm").put_parameter(
            Name=stack.bootstrap_parameter, Value=BOOTSTRAP_VERSION, Type="String", Overwrite=True
        )
    for manifest_path in stack.asset_manifests:
        manifest = json.loads(manifest_path.read_text())
        if manifest.get("dockerImages"):
            raise DeployError(stack.name, "it has container image assets, which the local cloud cannot run")
        for asset in manifest["files"].values():
            for destination in asset["destinations"].values():
                bucket, key = _resolve(destination["bucketName"]), _resolve(destination["objectKey"])
                if _is_uploaded(s3, bucket, key):
                    continue  # the key is the hash of the contents
                s3.create_bucket(Bucket=bucket)
                s3.put_object(Bucket=bucket, Key=key, Body=_asset_body(stack, manifest_path.parent, asset["source"]))


def _is_uploaded(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _asset_body(stack: _Stack, directory: Path, source: Mapping[str, Any]) -> bytes:
    if "path" not in source:
        raise DeployError(stack.name, f"asset {source} is made by a program, which is not modelled")
    path = directory / source["path"]
    return zip_directory(path) if source.get("packaging") == "zip" and path.is_dir() else path.read_bytes()


def zip_directory(directory: Path) -> bytes:
    """Zip a directory so that equal contents give equal bytes: sorted names, a fixed date, the owner's mode only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _ZIP_DATE)
                entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _deploy_stack(cloud: LocalCloud, stack: _Stack) -> dict[str, str]:
    cloudformation = cloud.client("cloudformation")
    existing = _describe(cloudformation, stack.name)
    if existing is not None and existing["StackStatus"] in _NEVER_CREATED:
        cloudformation.delete_stack(StackName=stack.name)
        _wait(cloudformation, stack.name)
        existing = None
    request = {
        "StackName": stack.name,
        "TemplateURL": f"{cloud.endpoint_url}/{stack.template_bucket}/{stack.template_key}",
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": _resolve(value)} for key, value in stack.parameters.items()
        ],
        "Capabilities": _CAPABILITIES,
    }
    try:
        if existing is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return _outputs(existing or {})
        raise DeployError(stack.name, error.response["Error"]["Message"]) from error
    deployed = _wait(cloudformation, stack.name)
    if deployed is None or deployed["StackStatus"] not in _DONE:
        raise _failure(cloudformation, stack.name, deployed)
    return _outputs(deployed)


def _describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """The stack as it is now, or None when there is none."""
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _wait(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Wait until nothing is in progress; the stack then, or None when it is gone."""
    deadline_s = time.monotonic() + DEPLOY_TIMEOUT_S
    while True:
        stack = _describe(cloudformation, name)
        if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        if time.monotonic() > deadline_s:
            raise DeployError(name, f"still {stack['StackStatus']} after {DEPLOY_TIMEOUT_S:g} s")
        time.sleep(_POLL_S)


def _failure(cloudformation: Any, name: str, stack: Mapping[str, Any] | None) -> DeployError:
    """Find the first resource that failed since the last operation began; later failures are its consequences."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    first: Mapping[str, Any] = {}
    for event in events:  # newest first
        status = event["ResourceStatus"]
        if event["LogicalResourceId"] == name and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if status.endswith("_FAILED") and event["LogicalResourceId"] != name:
            first = event
    if first:
        return DeployError(name, first.get("ResourceStatusReason", first["ResourceStatus"]), first["LogicalResourceId"])
    state = stack["StackStatus"] if stack else "gone"
    return DeployError(name, f"it is {state}: {(stack or {}).get('StackStatusReason', 'no reason given')}")


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
