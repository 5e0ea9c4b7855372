"""Synthesises the cloud assembly, offline: `python -m cloud.app`, or `cdk synth` from this folder."""

# ruff: noqa: PLC0415 - aws_cdk looks for Node when it is imported, so Node is provided before that

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloud import node, paths
from cloud.config import Config, ConfigError
from cloud.layer import LayerMissingError

if TYPE_CHECKING:
    from aws_cdk import App

    from cloud.bi_stack import InsightsStack
    from cloud.fleet_stack import FleetStack
    from cloud.operations_stack import OperationsStack
    from cloud.tap_stack import TrafficAnalyticsPlatformStack

PLATFORM: Final = "TrafficAnalyticsPlatform"
OPERATIONS: Final = "TrafficAnalyticsOperations"
INSIGHTS: Final = "TrafficAnalyticsInsights"
FLEET: Final = "TrafficAnalyticsFleet"


@dataclass(frozen=True, slots=True)
class Stacks:
    """Roadside's stacks. The platform works alone; the local cloud lacks types that the others are made of."""

    platform: "TrafficAnalyticsPlatformStack"
    operations: "OperationsStack"
    insights: "InsightsStack"
    fleet: "FleetStack"


def read_context() -> dict[str, Any]:
    """The context of cdk.json, which the CDK command line would pass, but Python alone does not."""
    context: dict[str, Any] = json.loads(Path(__file__).with_name("cdk.json").read_text())["context"]
    return context


def build(context: Mapping[str, Any] | None = None, outdir: Path = paths.ASSEMBLY) -> tuple["App", Stacks]:
    """The app and its stacks, not yet synthesised; `synth` fails on what AwsSolutions (cdk-nag) finds unaccepted.

    Parameters
    ----------
    context : overrides cdk.json; the command line's `-c` overrides both
    outdir : where `synth` writes the assembly, unless the CDK command line names another place

    Raises
    ------
    ConfigError, LayerMissingError, NodeMissingError
    """
    node.provide()
    from aws_cdk import App, Environment, Tags, Validations
    from cdk_nag import AwsSolutionsChecks

    from cloud.bi_stack import InsightsStack
    from cloud.fleet_stack import FleetStack
    from cloud.operations_stack import OperationsStack
    from cloud.tap_stack import TrafficAnalyticsPlatformStack

    app = App(
        context={**read_context(), **(context or {})},
        outdir=os.environ.get("CDK_OUTDIR", str(outdir)),
        # CDK's own reading of the templates takes six of seven seconds, and cfn-lint knows more.
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,  # a resource that the command line would add, and Python alone would not
    )
    keys = ("stages", *Config.__dataclass_fields__)
    config = Config.from_context({key: app.node.try_get_context(key) for key in keys})
    env = Environment(account=config.account, region=config.region)
    name = f"roadside-{config.stage}"
    platform = TrafficAnalyticsPlatformStack(
        app,
        PLATFORM,
        config=config,
        stack_name=name,
        env=env,
        termination_protection=config.keeps_data,
        description=f"Roadside traffic analytics for {config.sensors} sensors on {config.gateways} gateways",
    )
    stacks = Stacks(
        platform=platform,
        operations=OperationsStack(
            app,
            OPERATIONS,
            config=config,
            platform=platform,
            stack_name=f"{name}-operations",
            env=env,
            termination_protection=config.keeps_data,
            description="What watches over Roadside",
        ),
        insights=InsightsStack(
            app,
            INSIGHTS,
            config=config,
            platform=platform,
            stack_name=f"{name}-insights",
            env=env,
            termination_protection=config.keeps_data,
            description="Roadside's dashboards in QuickSight",
        ),
        fleet=FleetStack(
            app,
            FLEET,
            config=config,
            platform=platform,
            stack_name=f"{name}-fleet",
            env=env,
            termination_protection=config.keeps_data,
            description="How gateways join Roadside and get their software",
        ),
    )
    Tags.of(app).add("project", "roadside")
    Tags.of(app).add("stage", config.stage)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app, stacks


def main() -> int:
    """Write the assembly; 1 when that is impossible or the checks found something, and then on standard error what."""
    try:
        app, _ = build()
    except (ConfigError, LayerMissingError, node.NodeMissingError) as error:
        print(f"cloud: {error}", file=sys.stderr)
        return 1
    try:
        print(app.synth().directory)
    except RuntimeError as error:  # CDK has printed every finding
        print(f"cloud: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
