"""What the processor decides, without touching anything: what records are, which states are news. Pure."""

import json
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from cloud.functions.shared.acks import MAX_GATHERED_INTERVAL_MS
from cloud.functions.shared.envelope import Envelope, MessageId, PoisonError, open_envelope
from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import decode_window
from roadside.contract.errors import ContractError
from roadside.contract.sensors import SensorSummary, decode_sensors
from roadside.contract.summary import WindowSummary

# A change of the congestion level that is worth a write of its own. A step, not bands: a level that trembles at the
# edge of a band would be written at every window.
LEVEL_STEP: Final = 20
# Windows that start later than this after their reception are stored, but no current state follows a wrong clock.
MAX_FUTURE_MS: Final = 600_000
# Longer windows begin too long before they come, and are so few that each may have an ack of its own.
MAX_GATHERED_MS: Final = 20_000
MAX_GATHERED_AGE_MS: Final = 30_000
# Spreads the refreshes of a gateway's segments over the period: a prime number of seconds for each segment number.
_PHASE_MS: Final = 7_919_000


@dataclass(frozen=True, slots=True)
class SegmentState:
    """The current state of one segment, as the segments table holds it.

    Parameters
    ----------
    segment : city-wide number
    average_speed_kmh : harmonic, to 0.1; None where no vehicle passed
    occupancy : fraction, to 0.0001; None where nothing was observed
    congestion_state : unknown, free or congested
    updated_ms : when IoT Core received the window
    """

    segment: int
    gateway: str
    window_start_ms: int
    epoch: int
    revision: int
    vehicle_count: int
    average_speed_kmh: float | None
    occupancy: float | None
    congestion_level: int | None
    congestion_state: str
    updated_ms: int

    @property
    def age_rank(self) -> tuple[int, int, int]:
        """Of two states of a segment the one with the higher rank is the current one."""
        return self.window_start_ms, self.epoch, self.revision


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A record that is a window, with all that follows from it."""

    envelope: Envelope
    window: WindowSummary
    segments: tuple[SegmentState, ...]

    @property
    def message_id(self) -> MessageId:
        return MessageId(self.window.gateway, self.window.epoch_ms, self.window.sequence)

    @property
    def may_wait_for_its_ack(self) -> bool:
        """Whether it is an ordinary live window, which the sweep finds among the last minutes and acknowledges."""
        window = self.window
        is_first = not window.backfill and not window.revision
        is_recent = abs(self.envelope.received_ms - window.window_end_ms) <= MAX_GATHERED_AGE_MS
        return is_first and is_recent and window.window_ms <= MAX_GATHERED_MS

    @property
    def from_future(self) -> bool:
        """Whether the gateway's clock is so far ahead that the window must not pass for the present."""
        return self.window.window_start_ms > self.envelope.received_ms + MAX_FUTURE_MS


@dataclass(frozen=True, slots=True)
class SensorsRecord:
    """A record that is a summary of sensors."""

    envelope: Envelope
    summary: SensorSummary

    @property
    def message_id(self) -> MessageId:
        return MessageId(self.summary.gateway, self.summary.epoch_ms, self.summary.sequence)

    @property
    def may_wait_for_its_ack(self) -> bool:
        """Whether it is one of just now, which the sweep finds likewise."""
        interval_end_ms = self.summary.interval_start_ms + self.summary.interval_ms
        is_recent = abs(self.envelope.received_ms - interval_end_ms) <= MAX_GATHERED_AGE_MS
        return is_recent and self.summary.interval_ms <= MAX_GATHERED_INTERVAL_MS


def read_record(data: bytes) -> WindowRecord | SensorsRecord:
    """The window or summary of sensors in a record of the stream.

    Raises
    ------
    PoisonError
        No retry will make one of it. Its `message_id` is set when sender, epoch and sequence could be read.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PoisonError(f"the record is no JSON ({error})") from error
    return read_message(open_envelope(document))


def read_message(envelope: Envelope) -> WindowRecord | SensorsRecord:
    """The window or summary of sensors in an envelope. Raises PoisonError as `read_record` does."""
    try:
        if envelope.kind == "sensors":
            summary = decode_sensors(envelope.payload)
            _must_be_the_senders(summary.gateway, envelope)
            return SensorsRecord(envelope, summary)
        window = decode_window(envelope.payload)
        _must_be_the_senders(window.gateway, envelope)
        return WindowRecord(envelope, window, _segment_states(envelope, window))
    except ContractError as error:
        raise PoisonError(f"{type(error).__name__}: {error}", _sender(envelope)) from error


def _must_be_the_senders(gateway: str, envelope: Envelope) -> None:
    """The topic's gateway is proven by its certificate, the body's is only claimed."""
    if gateway != envelope.gateway:
        raise PoisonError(
            f"the body names gateway {gateway!r:.60}, the topic {envelope.gateway!r:.60}", _sender(envelope)
        )


def _sender(envelope: Envelope) -> MessageId | None:
    """Epoch and sequence, which keep their places in messages of any kind and schema; None if the bytes hold none."""
    message = pb.WindowSummary()
    try:
        message.ParseFromString(envelope.payload)
    except ProtobufError:
        return None
    return MessageId(envelope.gateway, message.epoch_ms, message.sequence) if message.epoch_ms else None


def _segment_states(envelope: Envelope, window: WindowSummary) -> tuple[SegmentState, ...]:
    return tuple(
        SegmentState(
            segment=segment.number,
            gateway=window.gateway,
            window_start_ms=window.window_start_ms,
            epoch=window.epoch_ms,
            revision=window.revision,
            vehicle_count=segment.vehicle_count,
            average_speed_kmh=_rounded(segment.average_speed_kmh, 1),
            occupancy=_rounded(segment.occupancy, 4),
            congestion_level=segment.congestion_level,
            congestion_state=segment.congestion_state.name.lower(),
            updated_ms=envelope.received_ms,
        )
        for segment in window.segments
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def is_news(stored: SegmentState | None, state: SegmentState, refresh_ms: int) -> bool:
    """Whether `state` must replace `stored`: it is newer and tells something new, or `stored` is due for a refresh."""
    if stored is None:
        return True
    if state.age_rank <= stored.age_rank:
        return False
    if state.window_start_ms == stored.window_start_ms or state.gateway != stored.gateway:
        return True  # a correction of what is shown, or a segment that has changed hands
    if state.congestion_state != stored.congestion_state:
        return True
    if abs((state.congestion_level or 0) - (stored.congestion_level or 0)) >= LEVEL_STEP:
        return True
    phase_ms = state.segment * _PHASE_MS
    return (state.window_start_ms + phase_ms) // refresh_ms != (stored.window_start_ms + phase_ms) // refresh_ms
