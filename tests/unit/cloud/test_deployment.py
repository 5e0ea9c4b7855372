"""What goes wrong between a program and the cloud is told in words that say what to do."""

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)

from cloud.deployment import (
    CloudError,
    CredentialsError,
    DeniedError,
    Deployment,
    NotDeployedError,
    ThrottledError,
    UnreachableError,
    in_words,
)
from cloud.query.city import City
from tests.unit.cloud.world import World


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "so it is"}}, "Query")


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (refusal("ThrottlingException"), ThrottledError, "wait a moment"),
        (refusal("ProvisionedThroughputExceededException"), ThrottledError, "Query"),
        (refusal("AccessDeniedException"), DeniedError, "your role"),
        (refusal("ExpiredTokenException"), CredentialsError, "renew them"),
        (refusal("ResourceNotFoundException"), NotDeployedError, "deploy"),
        (refusal("ValidationException"), CloudError, "so it is"),
        (NoCredentialsError(), CredentialsError, "aws sso login"),
        (ProfileNotFound(profile="nobody"), CredentialsError, "nobody"),
        (NoRegionError(), CloudError, "AWS_DEFAULT_REGION"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), UnreachableError, "127.0.0.1:9"),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:9"), UnreachableError, "local cloud"),
        (BotoCoreError(), CloudError, "BotoCoreError"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_error_is_of_its_kind_and_says_what_to_do(raised: Exception, kind: type[CloudError], words: str) -> None:
    with pytest.raises(CloudError) as caught, in_words():
        raise raised

    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_table_that_throttles_is_told_to_whoever_asks_the_city(world: World) -> None:
    client = boto3.client("dynamodb")

    def throttle(**_: object) -> None:
        raise refusal("ThrottlingException")

    client.meta.events.register("before-parameter-build.dynamodb.BatchGetItem", throttle)
    city = City(Deployment("dev", {"SegmentsTable": "segments"}, lambda _: client))

    with pytest.raises(ThrottledError):
        city.latest(["7"])
