"""The queues in which messages wait, and the ways on from there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cloud.deployment import CloudError, Deployment, in_words
from cloud.redrive.letters import FromStream, Invoke, Letter, ToBus, ToEvents, ToStream, ToSystems, read

_HIDDEN_S: Final = 300  # from others who look, for as long as one command may take
_BATCH: Final = 10  # messages in one call, at most
_READ: Final = 1000  # records in one call


class Queue(StrEnum):
    """A queue for people; the value is what they call it."""

    PARKED = "parked"
    UNDELIVERED = "undelivered"
    UNTOLD = "untold"

    @property
    def output(self) -> str:
        """The stack's output that has its address."""
        return {
            Queue.PARKED: "ParkedQueueUrl",
            Queue.UNDELIVERED: "UndeliveredQueueUrl",
            Queue.UNTOLD: "AlertDeadLettersUrl",
        }[self]


class GoneError(CloudError):
    """The stream no longer has the records."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in a queue, hidden from others until it is put back or deleted."""

    letter: Letter
    body: str
    message_id: str
    sent_ms: int
    receipt: str


class Post:
    """Takes messages out of a deployment's queues and sends them on. Every method raises CloudError."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._client = deployment.client

    def take(self, queue: Queue, until_ms: int) -> Iterator[Waiting]:
        """Every message that was in the queue at `until_ms`: one that comes back while we send is not sent for ever."""
        url = self._deployment.output(queue.output)
        with in_words():
            while found := self._receive(url):
                for message in found:
                    waiting = _waiting(message)
                    if waiting.sent_ms <= until_ms:
                        yield waiting

    def _receive(self, url: str) -> list[dict[str, Any]]:
        answer = self._client("sqs").receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_S,
            WaitTimeSeconds=1,  # asks all of the queue's servers, not a sample
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def put_back(self, queue: Queue, waiting: Waiting) -> None:
        """Let others see the message again."""
        with in_words():
            self._client("sqs").change_message_visibility(
                QueueUrl=self._deployment.output(queue.output), ReceiptHandle=waiting.receipt, VisibilityTimeout=0
            )

    def delete(self, queue: Queue, waiting: Waiting) -> None:
        """Take the message off the queue for good."""
        with in_words():
            self._client("sqs").delete_message(
                QueueUrl=self._deployment.output(queue.output), ReceiptHandle=waiting.receipt
            )

    def send(self, letter: Letter) -> None:
        """Send the message on.

        Raises
        ------
        GoneError
            It has to come from the stream, and that has forgotten it.
        CloudError
            Also for a message that is none of ours.
        """
        output, client = self._deployment.output, self._client
        with in_words():
            match letter.way:
                case None:
                    raise CloudError(letter.reason)
                case ToStream(partition_key, data):
                    client("kinesis").put_record(
                        StreamName=output("WindowsStream"), PartitionKey=partition_key, Data=data
                    )
                case FromStream():
                    self._send_again(letter.way)
                case ToEvents(body):
                    client("sqs").send_message(QueueUrl=output("GatewayEventsQueueUrl"), MessageBody=body)
                case Invoke(function, payload):
                    client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=payload.encode())
                case ToSystems(body):
                    client("sqs").send_message(QueueUrl=output("SystemsQueueUrl"), MessageBody=body)
                case ToBus(source, kind, detail):
                    self._publish(source, kind, detail)

    def _send_again(self, way: FromStream) -> None:
        kinesis, stream = self._client("kinesis"), self._deployment.output("WindowsStream")
        iterator = kinesis.get_shard_iterator(
            StreamName=stream,
            ShardId=way.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=way.first,
        )["ShardIterator"]
        found = 0
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=_READ)
            for record in answer["Records"]:
                if int(record["SequenceNumber"]) > int(way.last):
                    iterator = None
                    break
                kinesis.put_record(StreamName=stream, PartitionKey=record["PartitionKey"], Data=record["Data"])
                found += 1
            else:
                at_the_end = not answer["Records"] and not answer.get("MillisBehindLatest")
                iterator = None if at_the_end else answer.get("NextShardIterator")
        if not found:
            raise GoneError(
                f"the stream has no records {way.first} to {way.last} of {way.shard_id} any more; what was not stored "
                "its gateway sends again"
            )

    def _publish(self, source: str, kind: str, detail: str) -> None:
        entry = {
            "EventBusName": self._deployment.output("EventBus"),
            "Source": source,
            "DetailType": kind,
            "Detail": detail,
        }
        answer = self._client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise CloudError(f"the bus did not take the event: {json.dumps(answer['Entries'])}")


def _waiting(message: dict[str, Any]) -> Waiting:
    attributes = {
        name: value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    return Waiting(
        read(message["Body"], attributes, sent_ms),
        message["Body"],
        message["MessageId"],
        sent_ms,
        message["ReceiptHandle"],
    )
