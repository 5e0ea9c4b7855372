"""Has buckets go with their stack where no data is kept: CloudFormation deletes empty ones only."""

from collections.abc import Mapping

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cloud.config import Config
from cloud.parts.function import Function
from cloud.parts.permissions import allow


class Emptying(Construct):
    """Empties buckets at the moment at which the stack is deleted.

    What writes into a bucket must depend on this, so that it is gone before.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, buckets: Mapping[str, s3.IBucket]
    ) -> None:
        super().__init__(scope, construct_id)
        function = Function(
            self,
            "Function",
            name="emptying",
            config=config,
            timeout=Duration.minutes(15),
            memory_mb=256,
            environment={},
            statements=[
                statement
                for bucket in buckets.values()
                for statement in (
                    allow(bucket.bucket_arn, "s3:ListBucketVersions"),
                    allow(
                        bucket.arn_for_objects("*"),
                        "s3:DeleteObject",
                        "s3:DeleteObjectVersion",
                        because="All that is in a bucket which goes with its stack",
                    ),
                )
            ],
        )
        for name, bucket in buckets.items():
            CustomResource(
                self,
                name,
                service_token=function.function_arn,
                resource_type="Custom::EmptiedBucket",
                properties={"Bucket": bucket.bucket_name},
            ).node.add_dependency(function)
