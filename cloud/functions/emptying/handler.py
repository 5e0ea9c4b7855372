"""Empties a bucket before CloudFormation deletes it, for it deletes empty ones only. Runs where no data is kept."""

import functools
import json
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from cloud.functions.emptying.bucket import empty
from cloud.functions.shared.aws import CLIENT_CONFIG

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = Logger(service="emptying")


@functools.cache
def client() -> "S3Client":
    return boto3.client("s3", config=CLIENT_CONFIG)


def handle(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 - Lambda passes it
    """Lambda's entry: CloudFormation's word on a custom resource, whose property Bucket is the bucket."""
    bucket = event["ResourceProperties"]["Bucket"]
    try:
        if event["RequestType"] == "Delete":
            logger.info("bucket emptied", extra={"bucket": bucket, "objects": empty(client(), bucket)})
    except Exception as error:
        # Whatever it was: without an answer CloudFormation waits for an hour.
        logger.exception("bucket not emptied", extra={"bucket": bucket})
        _answer(event, bucket, {"Status": "FAILED", "Reason": str(error)})
    else:
        _answer(event, bucket, {"Status": "SUCCESS"})


def _answer(event: Mapping[str, Any], bucket: str, outcome: Mapping[str, str]) -> None:
    """Tell CloudFormation. The bucket is the resource's id, so after a change it has the former bucket emptied."""
    known = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**known, **outcome, "PhysicalResourceId": bucket}).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - CloudFormation names the address
