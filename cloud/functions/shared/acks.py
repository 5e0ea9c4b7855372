"""Tells gateways what they may forget. An ack names single messages, so none needs to be remembered here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools import Logger

from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.envelope import MessageId
from roadside.contract import topics
from roadside.contract.codec import encode_ack
from roadside.contract.summary import Ack

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient


MAX_GATHERED_INTERVAL_MS: Final = 300_000  # of a summary of sensors; one of longer intervals has an ack of its own


class AckLedger:
    """Gathers a batch's outcomes into one ack for each gateway and epoch.

    Parameters
    ----------
    gathered : it will hold all live windows and summaries of sensors that were stored in the last minutes
    """

    def __init__(self, *, gathered: bool = False) -> None:
        self._gathered = gathered
        self._stored: dict[tuple[str, int], list[int]] = {}
        self._refused: dict[tuple[str, int], list[tuple[int, str]]] = {}

    def stored(self, message: MessageId) -> None:
        """The message is safe."""
        self._stored.setdefault((message.gateway, message.epoch_ms), []).append(message.sequence)

    def refused(self, message: MessageId, reason: str) -> None:
        """The message is parked for good."""
        self._refused.setdefault((message.gateway, message.epoch_ms), []).append((message.sequence, reason))

    def acks(self) -> Iterator[tuple[str, Ack]]:
        """Gateway and ack, one for each gateway and epoch."""
        for gateway, epoch_ms in self._stored | self._refused:
            key = gateway, epoch_ms
            yield (
                gateway,
                Ack(
                    epoch_ms,
                    stored=tuple(sorted(set(self._stored.get(key, ())))),
                    refused=tuple(self._refused.get(key, ())),
                    gathered=self._gathered,
                ),
            )


class AckPublisher:
    """Publishes acks at QoS 0: the gateway's confirmation would be metered, and a lost ack costs one message more."""

    def __init__(self, client: "IoTDataPlaneClient", logger: Logger) -> None:
        self._client = client
        self._logger = logger

    def publish(self, ledger: AckLedger) -> int:
        """Publish the ledger's acks; the number that could not be, each logged. May be called from several threads.

        Such an ack needs no retry: its gateway sends the messages again and they are acknowledged then.
        """
        return sum(not self._publish(gateway, ack) for gateway, ack in ledger.acks())

    def _publish(self, gateway: str, ack: Ack) -> bool:
        try:
            self._client.publish(topic=topics.acks(gateway), qos=0, payload=encode_ack(ack))
        except AwsError as error:
            self._logger.warning(
                "ack not published", extra={"gateway": gateway, "epoch_ms": ack.epoch_ms, "error": str(error)}
            )
            return False
        return True
