"""What a gateway may do at the MQTT broker: be itself, send its messages and heartbeat, hear its acks and commands."""

from typing import Final

from aws_cdk import Aws
from aws_cdk import aws_iot as iot
from constructs import Construct

from roadside.contract import topics

_THING: Final = "THING"  # topics.policy_resource puts the policy variable in its place


class DeviceAccess(Construct):
    """The policy for every gateway's certificate and the group that all gateways are in."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        heard = (topics.acks(_THING), topics.commands(_THING))
        self.policy = iot.CfnPolicy(
            self,
            "GatewayPolicy",
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    # A certificate counts only while it is attached to the thing that it connects as.
                    {
                        **_allow("iot:Connect", [_arn("client", _THING)]),
                        "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
                    },
                    _allow(
                        "iot:Publish",
                        [
                            _arn("topic", topics.uplink("windows", _THING)),
                            _arn("topic", topics.uplink("sensors", _THING)),
                            _arn("topic", topics.uplink("events", _THING)),
                            _arn("topic", topics.uplink("heartbeat", _THING)),
                        ],
                    ),
                    _allow("iot:Subscribe", [_arn("topicfilter", topic) for topic in heard]),
                    _allow("iot:Receive", [_arn("topic", topic) for topic in heard]),
                ],
            },
        )
        self.gateways = iot.CfnThingGroup(self, "Gateways")


def _allow(action: str, resources: list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resources}


def _arn(kind: str, name: str) -> str:
    return f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:{kind}/{topics.policy_resource(name)}"
