"""The stack of the gateway fleet: how a gateway becomes one of ours, and what runs on it."""

from typing import Any

from aws_cdk import Stack
from constructs import Construct

from cloud.config import Config
from cloud.tap_stack import TrafficAnalyticsPlatformStack


class FleetStack(Stack):
    """Provisioning and Greengrass deployment."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,  # noqa: ARG002 - the stack is empty as yet
        platform: TrafficAnalyticsPlatformStack,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
