"""A deployed stack, found by its stage, for programs that people run: its names, its clients, its errors in words.

Works on AWS and on the local cloud alike: boto3 takes both from the standard AWS_* variables. Where nothing names an
account, the local cloud that runs in the background of this checkout is meant.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from cloud import playground

_CLIENT_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=16
)
_NAMES_AN_ACCOUNT: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NOT_KNOWN: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class CloudError(Exception):
    """The cloud could not be asked, or did not answer; the text says why and what to do."""


class CredentialsError(CloudError):
    """There are none, or AWS does not take them."""


class NotDeployedError(CloudError):
    """There is no stack of this stage, or it is too old to have what is asked for."""


class UnreachableError(CloudError):
    """Nobody answers."""


class ThrottledError(CloudError):
    """AWS has been asked too much, and still was after several attempts."""


class DeniedError(CloudError):
    """The credentials are good and do not suffice."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack.

    Parameters
    ----------
    stage : as in the CDK context
    outputs : of its CloudFormation stack, by name
    client : makes or finds a boto3 client by the service's name
    """

    stage: str
    outputs: Mapping[str, str]
    client: Callable[[str], Any]

    def output(self, name: str) -> str:
        """One of the outputs. Raises NotDeployedError."""
        if name not in self.outputs:
            raise NotDeployedError(
                f"stack roadside-{self.stage} has no output {name}: an older version is deployed; deploy this one"
            )
        return self.outputs[name]


def find(stage: str) -> Deployment:
    """The deployment of `stage` in the account and region that the AWS_* variables name.

    Without any of them, and without files of the AWS command line, it is the one of the playground if that runs.

    Raises
    ------
    CloudError
    """
    local = None if is_account_named() else playground.running()
    return _find(stage, _of_account() if local is None else _of_playground(local))


def of_playground(found: playground.Playground, stage: str) -> Deployment:
    """The deployment in this playground, whatever the variables name. Raises CloudError."""
    return _find(stage, _of_playground(found))


def _find(stage: str, make: Callable[[str], Any]) -> Deployment:
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            clients[service] = make(service)
        return clients[service]

    name = f"roadside-{stage}"
    with in_words():
        try:
            stack = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            region = client("cloudformation").meta.region_name
            raise NotDeployedError(
                f"stack {name} is not deployed in region {region} of this account: deploy it, or give another --stage"
            ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    return Deployment(stage, outputs, client)


def is_account_named() -> bool:
    """Whether a variable or a file of the AWS command line says whose account is meant."""
    files = (Path.home() / ".aws" / name for name in ("config", "credentials"))
    return any(os.environ.get(name) for name in _NAMES_AN_ACCOUNT) or any(file.exists() for file in files)


def _of_account() -> Callable[[str], Any]:
    make: Any = boto3.Session().client  # not the module's session, which remembers an earlier environment
    return lambda service: make(service, config=_CLIENT_CONFIG)


def _of_playground(found: playground.Playground) -> Callable[[str], Any]:
    told = found.environment
    make: Any = boto3.Session(
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        region_name=told["AWS_REGION"],
    ).client
    config = _CLIENT_CONFIG.merge(Config(proxies={}))  # it is on this machine
    return lambda service: make(service, config=config, endpoint_url=told["AWS_ENDPOINT_URL"])


@contextmanager
def in_words() -> Iterator[None]:
    """Turn what boto3 raises within into a CloudError that a person understands."""
    try:
        yield
    except ClientError as error:
        raise _refusal(error) from error
    except BotoCoreError as error:
        raise _failure(error) from error


def _refusal(error: ClientError) -> CloudError:
    told = error.response.get("Error", {})
    code, message = told.get("Code", "no code"), told.get("Message", "no message")
    where = f"{error.operation_name}: {code}: {message}"
    if code in _THROTTLED:
        return ThrottledError(f"AWS throttles ({where}); wait a moment and ask again, or ask for less")
    if code in _NOT_KNOWN:
        return CredentialsError(
            f"AWS does not take the credentials ({where}); renew them, see `aws sts get-caller-identity`"
        )
    if code in _DENIED:
        return DeniedError(f"not allowed ({where}); have the action added to your role")
    if code in {"ResourceNotFoundException", "NoSuchBucket"}:
        return NotDeployedError(f"what the stack's outputs name is gone ({where}); deploy the stack again")
    return CloudError(where)


def _failure(error: BotoCoreError) -> CloudError:
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return CredentialsError(
                "no AWS credentials: log in (`aws sso login`), or set AWS_PROFILE; for a local cloud start one: "
                "`python -m simulator local up`, or `run --keep`"
            )
        case ProfileNotFound():
            return CredentialsError(f"{error}; see `aws configure list-profiles`")
        case NoRegionError():
            return CloudError(
                "no AWS region: set AWS_DEFAULT_REGION to where the stack is deployed; for a local cloud start one: "
                "`python -m simulator local up`, or `run --keep`"
            )
        case EndpointConnectionError() | ConnectTimeoutError() | ReadTimeoutError():
            return UnreachableError(
                f"{error}; is the local cloud still running, or AWS_ENDPOINT_URL left over from it?"
            )
        case _:
            return CloudError(f"{type(error).__name__}: {error}")
