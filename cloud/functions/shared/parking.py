"""Where messages go that no retry will make acceptable: a queue, with the reason, for a person to judge."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloud.functions.shared.envelope import PoisonError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Parking:
    """The queue of parked messages.

    Parameters
    ----------
    function : who refuses, as it will stand in the message
    """

    def __init__(self, client: "SQSClient", queue_url: str, function: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self._function = function

    def park(self, poison: PoisonError, raw: str, coordinates: Mapping[str, object]) -> None:
        """Queue the message as it came.

        Parameters
        ----------
        raw : the message as the function received it, so that it can be sent again once it can be read
        coordinates : where it came from

        Raises
        ------
        AwsError
            The queue did not take it; nothing is parked.
        """
        known = poison.message_id
        body = {
            "function": self._function,
            "reason": poison.reason,
            "gateway": known.gateway if known else None,
            "epoch_ms": known.epoch_ms if known else None,
            "sequence": known.sequence if known else None,
            "coordinates": dict(coordinates),
            "raw": raw,
        }
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(body))
