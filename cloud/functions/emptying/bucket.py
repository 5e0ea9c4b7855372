"""Empties a bucket for good, older versions included."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef


class NotEmptiedError(Exception):
    """S3 kept objects that it was asked to delete."""


def empty(client: "S3Client", bucket: str) -> int:
    """Delete every version of every object of `bucket`; how many there were.

    Raises
    ------
    AwsError, NotEmptiedError
        Something is left.
    """
    deleted = 0
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not entries:
            continue
        objects: list[ObjectIdentifierTypeDef] = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries
        ]
        response = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := response.get("Errors"):
            first = errors[0]
            raise NotEmptiedError(f"{bucket}: {len(errors)} objects stay, {first.get('Key')}: {first.get('Message')}")
        deleted += len(objects)
    return deleted
