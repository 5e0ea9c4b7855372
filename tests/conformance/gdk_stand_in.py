"""Does what `gdk component publish` does, where the real one is not installed: uploads first, then creates the version.

Like the real one it overwrites the objects of a version that exists before it is refused.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

logging.basicConfig(format="[%(asctime)s] %(levelname)s - %(message)s", level=logging.INFO)


def publish(region: str, bucket: str | None) -> None:
    ((name, config),) = json.loads(Path("gdk-config.json").read_text())["component"].items()
    version = config["version"]
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = bucket or f"{config['publish']['bucket']}-{region}-{account}"
    greengrass, s3 = boto3.client("greengrassv2", region_name=region), boto3.client("s3", region_name=region)
    greengrass.list_component_versions(arn=f"arn:aws:greengrass:{region}:{account}:components:{name}")
    artifacts = sorted(Path("greengrass-build", "artifacts", name, version).iterdir())
    if artifacts:
        make_bucket(s3, bucket, region)
    for artifact in artifacts:
        s3.upload_file(str(artifact), bucket, f"{name}/{version}/{artifact.name}")
    text = Path("greengrass-build", "recipes", Path("recipe.yaml").resolve().name).read_text()
    recipe = text.replace("BUCKET_NAME", bucket).replace("COMPONENT_NAME", name).replace("COMPONENT_VERSION", version)
    greengrass.create_component_version(inlineRecipe=recipe)


def make_bucket(s3: object, bucket: str, region: str) -> None:
    try:
        s3.get_bucket_location(Bucket=bucket)  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)  # type: ignore[attr-defined]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs=2, choices=["component", "publish"])
    parser.add_argument("--region", required=True)
    parser.add_argument("--bucket")
    options = parser.parse_args()
    try:
        publish(options.region, options.bucket)
    except ClientError as error:
        logging.error("%s", error)  # noqa: TRY400  as the real one prints it
        sys.exit(1)
