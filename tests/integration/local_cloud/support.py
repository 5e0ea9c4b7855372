"""What the local cloud's tests share: a small stack written by hand, and a device."""

from __future__ import annotations

import hashlib
import json
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from awscrt import io as crt_io
from awscrt import mqtt5

from simulator.local_cloud.devices import DeviceIdentity
from simulator.local_cloud.local_cloud import LocalCloud

tls: Any = crt_io  # untyped

RULE_SQL = (
    "SELECT encode(*, 'base64') AS payload, topic(3) AS gateway, timestamp() AS received_ms "
    "FROM 'roadside/v1/+/windows'"
)
EVENT_SQL = "SELECT *, topic(3) AS gateway FROM 'roadside/v1/+/events'"

# Stores good records; reports a payload that starts with "poison", raises on "throw", kills the worker on "crash".
PROCESSOR = """
    import base64, json, os
    import boto3

    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])

    def handler(event, context):
        failures = []
        for record in event["Records"]:
            message = json.loads(base64.b64decode(record["kinesis"]["data"]))
            payload = base64.b64decode(message["payload"])
            if payload.startswith(b"throw"):
                raise ValueError("cannot decode")
            if payload.startswith(b"crash"):
                os._exit(3)
            if payload.startswith(b"poison"):
                failures.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
                continue
            table.put_item(Item={
                "gateway": message["gateway"],
                "payload": payload.hex(),
                "batch": len(event["Records"]),
                "partition_key": record["kinesis"]["partitionKey"],
                "received_ms": message["received_ms"],
            })
        return {"batchItemFailures": failures}
"""
ALERTS = """
    import json, os
    import boto3

    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])

    def handler(event, context):
        table.put_item(Item={"gateway": event["gateway"], "payload": event["event_id"]})
        directive = {
            "Namespace": "Trial", "Dimensions": [["service"]], "Metrics": [{"Name": "Alerts", "Unit": "Count"}]
        }
        print(json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "service": "trial", "Alerts": 3}))
"""


def role(service: str, *statements: tuple[list[str], Any]) -> dict[str, Any]:
    """An IAM role that `service` may assume, with one Allow per (actions, resource)."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    allow = [{"Effect": "Allow", "Action": actions, "Resource": resource} for actions, resource in statements]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "inline", "PolicyDocument": {"Version": "2012-10-17", "Statement": allow}}],
        },
    }


def arn(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


def ref(resource: str) -> dict[str, Any]:
    return {"Ref": resource}


READ_STREAM = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]


def function(role_id: str, asset: str, **environment: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.11",
            "Handler": "index.handler",
            "Timeout": 10,
            "Role": arn(role_id),
            "Environment": {"Variables": environment},
            "Code": {"S3Bucket": {"Fn::Sub": ASSET_BUCKET}, "S3Key": f"{asset}.zip"},
        },
    }


ASSET_BUCKET = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
PROCESSOR_ASSET = hashlib.sha256(PROCESSOR.encode()).hexdigest()
ALERTS_ASSET = hashlib.sha256(ALERTS.encode()).hexdigest()


def traffic_stack(*, shards: int = 1, **mapping: Any) -> dict[str, Any]:
    """Rule -> stream -> function -> table, and rule -> function; `mapping` overrides event source mapping settings."""
    tls_only = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sqs:*",
        "Resource": arn("Parked"),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    error_action = {"Sqs": {"QueueUrl": ref("RuleErrors"), "RoleArn": arn("RuleRole"), "UseBase64": False}}
    return {
        "Parameters": {
            "BootstrapVersion": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": "/cdk-bootstrap/hnb659fds/version",
            }
        },
        "Resources": {
            "Windows": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": shards}},
            "Parked": {"Type": "AWS::SQS::Queue"},
            "ParkedPolicy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [ref("Parked")],
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": [tls_only]},
                },
            },
            "RuleErrors": {"Type": "AWS::SQS::Queue"},
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "gateway", "AttributeType": "S"},
                        {"AttributeName": "payload", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "gateway", "KeyType": "HASH"},
                        {"AttributeName": "payload", "KeyType": "RANGE"},
                    ],
                },
            },
            "ProcessorRole": role(
                "lambda.amazonaws.com",
                (READ_STREAM, arn("Windows")),
                (["dynamodb:PutItem"], arn("Table")),
                (["sqs:SendMessage"], arn("Parked")),
            ),
            "Processor": function("ProcessorRole", PROCESSOR_ASSET, TABLE=ref("Table")),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": arn("Windows"),
                    "FunctionName": ref("Processor"),
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 100,
                    "BisectBatchOnFunctionError": True,
                    "MaximumRetryAttempts": 1,
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                    "DestinationConfig": {"OnFailure": {"Destination": arn("Parked")}},
                    **mapping,
                },
            },
            "RuleRole": role(
                "iot.amazonaws.com",
                (["kinesis:PutRecord"], arn("Windows")),
                (["sqs:SendMessage"], arn("RuleErrors")),
            ),
            "WindowsRule": {
                "Type": "AWS::IoT::TopicRule",
                "Properties": {
                    "TopicRulePayload": {
                        "Sql": RULE_SQL,
                        "Actions": [
                            {
                                "Kinesis": {
                                    "StreamName": ref("Windows"),
                                    "PartitionKey": "${topic(3)}/${clientid()}",
                                    "RoleArn": arn("RuleRole"),
                                }
                            }
                        ],
                        "ErrorAction": error_action,
                    }
                },
            },
            "AlertsRole": role("lambda.amazonaws.com", (["dynamodb:PutItem"], arn("Table"))),
            "Alerts": function("AlertsRole", ALERTS_ASSET, TABLE=ref("Table")),
            "AlertsPermission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": ref("Alerts"),
                    "Action": "lambda:InvokeFunction",
                    "Principal": "iot.amazonaws.com",
                    "SourceArn": arn("EventsRule"),
                },
            },
            "EventsRule": {
                "Type": "AWS::IoT::TopicRule",
                "Properties": {
                    "TopicRulePayload": {
                        "Sql": EVENT_SQL,
                        "Actions": [{"Lambda": {"FunctionArn": arn("Alerts")}}],
                        "ErrorAction": error_action,
                    }
                },
            },
            "DevicePolicy": {
                "Type": "AWS::IoT::Policy",
                "Properties": {"PolicyDocument": _device_policy()},
            },
            "Gateways": {"Type": "AWS::IoT::ThingGroup"},
        },
        "Outputs": {
            **{f"{name}Name": {"Value": ref(name)} for name in ("Windows", "Table", "Processor", "Alerts", "Mapping")},
            **{f"{name}Name": {"Value": ref(name)} for name in ("WindowsRule", "EventsRule", "DevicePolicy")},
            **{f"{name}Url": {"Value": ref(name)} for name in ("Parked", "RuleErrors")},
            "WindowsArn": {"Value": arn("Windows")},
            # Ref of a thing group is its id, so the name comes out of the ARN.
            "GatewaysName": {"Value": {"Fn::Select": [1, {"Fn::Split": ["/", arn("Gateways")]}]}},
        },
    }


def _device_policy() -> dict[str, Any]:
    def allow(action: str, resource: str) -> dict[str, Any]:
        full = "arn:aws:iot:${AWS::Region}:${AWS::AccountId}:" + resource
        return {"Effect": "Allow", "Action": action, "Resource": {"Fn::Sub": full}}

    thing = "${!iot:Connection.Thing.ThingName}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("iot:Connect", f"client/{thing}"),
            allow("iot:Publish", f"topic/$aws/rules/*/roadside/v1/{thing}/*"),
            allow("iot:Subscribe", f"topicfilter/roadside/v1/{thing}/acks"),
            allow("iot:Receive", f"topic/roadside/v1/{thing}/acks"),
        ],
    }


def write_assembly(directory: Path, stacks: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write what `cdk synth` would for these templates: manifest, asset manifests, templates, code directories."""
    artifacts: dict[str, Any] = {}
    for name, source in (("processor", PROCESSOR), ("alerts", ALERTS)):
        (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / name / "index.py").write_text(textwrap.dedent(source))
    for name, template in stacks.items():
        text = json.dumps(template)
        template_key = f"{hashlib.sha256(text.encode()).hexdigest()}.json"
        (directory / f"{name}.template.json").write_text(text)
        files = {
            PROCESSOR_ASSET: _asset("processor", "zip", f"{PROCESSOR_ASSET}.zip"),
            ALERTS_ASSET: _asset("alerts", "zip", f"{ALERTS_ASSET}.zip"),
            template_key: _asset(f"{name}.template.json", "file", template_key),
        }
        (directory / f"{name}.assets.json").write_text(json.dumps({"version": "48.0.0", "files": files}))
        artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/unknown-region",
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackTemplateAssetObjectUrl": f"s3://{ASSET_BUCKET}/{template_key}",
                "bootstrapStackVersionSsmParameter": "/cdk-bootstrap/hnb659fds/version",
                "stackName": name,
            },
            "dependencies": [f"{name}.assets"],
        }
    (directory / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
    return directory


def _asset(path: str, packaging: str, key: str) -> dict[str, Any]:
    destination = {"bucketName": ASSET_BUCKET, "objectKey": key}
    return {
        "source": {"path": path, "packaging": packaging},
        "destinations": {"current_account-current_region": destination},
    }


def eventually(condition: Callable[[], Any], *, within_s: float = 15.0, what: str = "condition") -> Any:
    """The first true value of `condition`, or a failure after the bound."""
    deadline_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"{what} not met within {within_s:g} s"
        time.sleep(0.02)
    return value


class Device:
    """A bare MQTT 5 client over mutual TLS."""

    def __init__(self, cloud: LocalCloud, identity: DeviceIdentity | None, client_id: str | None = None) -> None:
        if identity is None:
            options = tls.TlsContextOptions()
            options.verify_peer = True
        else:
            options = tls.TlsContextOptions.create_client_with_mtls(
                identity.certificate_pem.encode(), identity.private_key_pem.encode()
            )
        options.override_default_trust_store(cloud.ca_pem.encode())
        self._connected: Future[None] = Future()
        self._stopped = threading.Event()
        self.received: list[tuple[str, bytes]] = []
        name = client_id or (identity.thing_name if identity else f"nobody-{uuid.uuid4().hex[:6]}")
        self._client: Any = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=cloud.mqtt_host,
                port=cloud.mqtt_port,
                tls_ctx=tls.ClientTlsContext(options),
                connect_options=mqtt5.ConnectPacket(client_id=name),
                on_lifecycle_event_connection_success_fn=self._succeeded,
                on_lifecycle_event_connection_failure_fn=self._failed,
                on_lifecycle_event_stopped_fn=lambda _: self._stopped.set(),
                on_publish_callback_fn=lambda data: self.received.append(
                    (data.publish_packet.topic, bytes(data.publish_packet.payload or b""))
                ),
            )
        )

    def __enter__(self) -> Self:
        self._client.start()
        try:
            self._connected.result(10)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()
        self._stopped.wait(5)

    def publish(self, topic: str, payload: bytes) -> int:
        """Publish with QoS 1; the reason code of the PUBACK (0 success, 135 not authorized)."""
        return int(self.publish_async(topic, payload).result(10).puback.reason_code)

    def publish_async(self, topic: str, payload: bytes) -> Any:
        return self._client.publish(mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE))

    def subscribe(self, topic: str) -> None:
        subscription = mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)
        self._client.subscribe(mqtt5.SubscribePacket([subscription])).result(10)

    def _succeeded(self, _: Any) -> None:
        if not self._connected.done():
            self._connected.set_result(None)

    def _failed(self, data: Any) -> None:
        if not self._connected.done():
            self._connected.set_exception(ConnectionError(f"{data.exception} {data.connack_packet}"))
