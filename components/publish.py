"""Publishes the components to an AWS account: each by the real `gdk component publish`, the suite last.

    .venv/bin/python components/publish.py --dry-run            tells what would be done
    .venv/bin/python components/publish.py                      publishes what the account does not have
    .venv/bin/python components/publish.py aggregator --region eu-central-1 --bucket my-artifacts

A published version is immutable, and the GDK overwrites the artifact of one that exists before it is refused, after
which no device can install that version. So an existing version never reaches the GDK: it is skipped where its artifact
is the one built here, or cannot be told, and refused where it is another. Nothing is published unless everything asked
for can be.

Needs Python 3.11, boto3 and `gdk` on PATH, and no other part of the project. Exit status: 0 done, 1 not all could be
published, 2 something is missing here (gdk, credentials, a region).
"""

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # called as a script, this folder would be the root

from components import build

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        NoCredentialsError,
        UnknownRegionError,
    )
except ModuleNotFoundError as error:
    sys.exit(f"cannot publish: {error.name} is missing; run it with .venv/bin/python, or install boto3")

GDK_TIMEOUT_S: Final = 900
_BAD_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
    | {"InvalidSignatureException", "SignatureDoesNotMatch", "InvalidAccessKeyId"}
)
_FORBIDDEN: Final = frozenset({"AccessDenied", "AccessDeniedException"})


class PublishError(Exception):
    """A component cannot be published; the message says what to do."""


class PreconditionError(PublishError):
    """Nothing can be published from here: gdk, credentials or a region are missing."""


class CredentialsError(PreconditionError):
    """AWS does not know who is asking."""


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account in one region, and what it has of our components."""

    number: str
    region: str
    partition: str
    greengrass: Any

    @classmethod
    def sign_in(cls, region: str) -> "Account":
        """The account of the credentials at hand.

        Raises:
            PreconditionError: There are none, they are not accepted, or there is no such region.
        """
        config = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard", "max_attempts": 3})
        with _explained(f"find the account to publish to in region {region}"):
            session = boto3.Session(region_name=region)
            partition = session.get_partition_for_region(region)
            number = session.client("sts", config=config).get_caller_identity()["Account"]
            return cls(number, region, partition, session.client("greengrassv2", config=config))

    def has(self, component: build.Component) -> bool:
        """Whether the component's version exists, in whatever state."""
        with _explained(f"list the versions of {component.name}"):
            pages = self.greengrass.get_paginator("list_component_versions").paginate(arn=self._arn(component))
            try:
                return component.version in {
                    each["componentVersion"] for page in pages for each in page["componentVersions"]
                }
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
                    return False
                raise

    def artifact_digests(self, component: build.Component) -> dict[str, str]:
        """SHA-256, in base64, of each artifact of an existing version, by file name, as devices check it.

        Raises:
            PublishError: The account does not tell.
        """
        doing = f"read the recipe of {component.name} {component.version}"
        with _explained(doing):
            arn = f"{self._arn(component)}:versions:{component.version}"
            answer = self.greengrass.get_component(arn=arn, recipeOutputFormat="JSON")
        try:
            manifests = json.loads(answer["recipe"])["Manifests"]
            artifacts = [each for manifest in manifests for each in manifest.get("Artifacts", [])]
            return {each["Uri"].rsplit("/", 1)[1]: each["Digest"] for each in artifacts if "Digest" in each}
        except (KeyError, TypeError, ValueError) as error:
            raise PublishError(f"cannot {doing}: the answer is none: {error!r}") from error

    def _arn(self, component: build.Component) -> str:
        return f"arn:{self.partition}:greengrass:{self.region}:{self.number}:components:{component.name}"


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    """Turn what the AWS SDK raises into an error that says what to do."""
    try:
        yield
    except NoCredentialsError as error:
        raise CredentialsError(
            f"cannot {doing}: there are no AWS credentials here; "
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with `aws sso login`"
        ) from error
    except UnknownRegionError as error:
        raise PreconditionError(f"cannot {doing}: AWS has no such region; name another with --region") from error
    except EndpointConnectionError as error:
        raise PreconditionError(f"cannot {doing}: {error}; check the network and --region") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BAD_CREDENTIALS:
            raise CredentialsError(
                f"cannot {doing}: AWS does not accept the credentials ({code}); sign in again, or choose a profile"
            ) from error
        advice = "; docs/operations.md lists the permissions that publishing needs" if code in _FORBIDDEN else ""
        raise PublishError(f"cannot {doing}: {error}{advice}") from error
    except BotoCoreError as error:  # an unreadable profile, a sign-in that ran out, and more of the kind
        raise PreconditionError(f"cannot {doing}: {error}; check the AWS profile and its sign-in") from error


def build_all(folders: list[str], wheels: Path | None) -> dict[build.Component, list[Path]]:
    """Build the components, in the order to publish them in, and tell the artifacts of each. Raises BuildError."""
    built = {}
    for folder in sorted(folders, key=lambda folder: folder == build.SUITE):  # what the suite names comes before it
        component = build.load(folder)
        out = build.build_project(folder, wheels=wheels)
        built[component] = sorted((out / "artifacts" / component.name / component.version).iterdir())
    return built


def missing(account: Account, built: dict[build.Component, list[Path]]) -> list[build.Component]:
    """The components that the account does not have at their version.

    Raises:
        PublishError: It has one at that version with another artifact.
    """
    absent, different = [], []
    for component, artifacts in built.items():
        if not account.has(component):
            absent.append(component)
            continue
        try:
            published = account.artifact_digests(component)
        except PublishError as error:
            print(f"exists and is not compared: {error}", file=sys.stderr)
            continue
        if any(published.get(artifact.name, _digest(artifact)) != _digest(artifact) for artifact in artifacts):
            different.append(f"{component.name} {component.version}")
    if different:
        raise PublishError(
            f"the account has {', '.join(different)} with another artifact than the one built here, and a published "
            "version never changes; raise the version (CONTRIBUTING.md, Release) and publish again"
        )
    return absent


def _digest(file: Path) -> str:
    return base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()


def find_gdk() -> str:
    """Where the GDK is. Raises PreconditionError if it is not on PATH."""
    gdk = shutil.which("gdk")
    if gdk is None:
        raise PreconditionError(
            "there is no gdk on PATH; install it (the gdk of PyPI is another program): "
            "pip install git+https://github.com/aws-greengrass/aws-greengrass-gdk-cli.git@v1.6.2"
        )
    return gdk


def publish(component: build.Component, region: str, bucket: str | None, gdk: str) -> None:
    """Have the GDK upload a built component's artifacts and create its version. Raises PublishError."""
    command = [gdk, "component", "publish", "--region", region, *(["--bucket", bucket] if bucket else [])]
    what = f"{component.name} {component.version}"
    try:
        result = subprocess.run(
            command,
            cwd=component.project,
            env=os.environ | {"AWS_DEFAULT_REGION": region},  # the GDK's own look-up of the account names none
            capture_output=True,
            text=True,
            timeout=GDK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PublishError(
            f"{what}: gdk has not ended after {GDK_TIMEOUT_S} s; it looks for a newer gdk on the internet before each "
            "command and waits for ever where a firewall swallows that: let the firewall refuse it"
        ) from error
    if result.returncode:
        said = (result.stdout + result.stderr).strip().splitlines()
        told = "\n    ".join(
            [line for line in said if " ERROR - " in line] or said
        )  # a traceback tells nobody what to do
        raise PublishError(
            f"{what}: gdk ended with status {result.returncode} and said\n    {told}\n"
            "Mend that and publish again; what is published by now will be skipped."
        )


def run(options: argparse.Namespace) -> None:
    """Publish as asked. Raises PublishError and BuildError."""
    gdk = None if options.dry_run else find_gdk()
    built = build_all(options.component or list(build.LAYERS), options.wheels)
    first = next(iter(built))
    region = options.region or first.region
    if not region:
        raise PreconditionError("no region is named, in gdk-config.json or with --region; name the one of your devices")
    try:
        account = Account.sign_in(region)
        absent, number = missing(account, built), account.number
    except CredentialsError as error:
        if not options.dry_run:
            raise
        print(f"{error}; what follows supposes an account that has nothing of it", file=sys.stderr)
        absent, number = list(built), "ACCOUNT"
    print(f"account {number}, region {region}, bucket {options.bucket or f'{first.bucket}-{region}-{number}'}")
    for component, artifacts in built.items():
        files = ", ".join(f"{each.name} {each.stat().st_size:,} bytes" for each in artifacts) or "no artifact"
        what = f"{component.name} {component.version} ({files})"
        if component not in absent:
            print(f"skipped          {what}: exists")
        elif gdk is None:
            print(f"would publish    {what}")
        else:
            publish(component, region, options.bucket, gdk)
            print(f"published        {what}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Publish the Greengrass components; skips versions that exist.")
    parser.add_argument("component", nargs="*", help=f"some of {', '.join(build.LAYERS)}; default: all, the suite last")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, change nothing")
    parser.add_argument("--region", help="default: that of gdk-config.json")
    parser.add_argument("--bucket", help="whole name; default: prefix of gdk-config.json, region, account")
    build.add_wheels_option(parser)
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (PublishError, build.BuildError) as error:
        print(f"not published: {error}", file=sys.stderr)
        return 2 if isinstance(error, PreconditionError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
