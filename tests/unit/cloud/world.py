"""AWS as moto plays it: what the functions wrote, parked, published and acknowledged."""

import json
from dataclasses import dataclass
from typing import Any

from moto.iotdata.models import iotdata_backends

from roadside.contract.codec import decode_ack
from roadside.contract.summary import Ack
from tests.unit.cloud.messages import ACCOUNT, REGION


@dataclass(frozen=True)
class World:
    """The account in which the functions run."""

    dynamodb: Any
    sqs: Any
    events: Any
    parked_url: str
    bus_queue_url: str

    def items(self, table: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        return items

    def parked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._receive(self.parked_url)]

    def published(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._receive(self.bus_queue_url)]

    def acks(self) -> list[tuple[str, Ack]]:
        """Topic and ack of everything published since the last call."""
        published = iotdata_backends[ACCOUNT][REGION].published_payloads
        acks = [(topic, decode_ack(payload)) for topic, payload in published]
        published.clear()
        return acks

    def _receive(self, url: str) -> list[str]:
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies
