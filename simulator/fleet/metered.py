"""What AWS would meter of a run, in the units it bills by.

Only the way of a reading, or of the summary that stands for it: IoT Core's rules, the stream, and the item it becomes.
"""

import math
from dataclasses import dataclass
from typing import Final

from cloud.capacity.metering import KB, write_units
from cloud.capacity.windows_table import ITEM_KEYS_BYTES

STREAMED: Final = ("windows", "sensors", "readings")
_RULE_UNIT_BYTES: Final = 5 * KB
_STREAM_UNIT_BYTES: Final = 25 * KB
_ENVELOPE_BYTES: Final = 200  # that a rule adds, at most


@dataclass(slots=True)
class Metered:
    """Units of a whole run.

    Parameters
    ----------
    rule_units : 5 KB each, of messages that a rule took; Basic Ingest spares the price of messaging
    stream_units : 25 KB each, of records on the stream
    write_units : 1 KB each, of the items that they became
    """

    rule_units: int = 0
    stream_units: int = 0
    write_units: int = 0

    def add(self, topic: str, payload_bytes: int) -> None:
        """Count a message. A repetition counts like any other: it is written over what is there."""
        self.rule_units += math.ceil((payload_bytes + len(topic)) / _RULE_UNIT_BYTES)
        if topic.rpartition("/")[2] in STREAMED:
            # In base64, as gateways' messages are; a reading's JSON is shorter.
            self.stream_units += math.ceil((payload_bytes * 4 / 3 + _ENVELOPE_BYTES) / _STREAM_UNIT_BYTES)
            self.write_units += write_units(payload_bytes + ITEM_KEYS_BYTES)
