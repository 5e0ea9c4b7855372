"""Tells people and systems of events, each once, whoever found them out and however often.

An event is published first and remembered then: a function that dies in between publishes it again under the same id,
by which consumers drop repetitions. The other order could lose one.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from json import dumps
from typing import TYPE_CHECKING, Final, Protocol

from cloud.functions.shared import wording
from cloud.functions.shared.alerts_table import Known
from cloud.functions.shared.aws import AwsError
from cloud.functions.shared.trouble import Trouble, by_subject, fold
from roadside.contract.bus import Announcement, BusEvent, detail, subject

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

EVENT_SOURCE: Final = "roadside"
_ENTRIES_PER_CALL: Final = 10
_PUTS_PER_CALL: Final = 100
_WRITES_AT_ONCE: Final = 8
_ATTEMPTS: Final = 3  # at a trouble that others write at the same time


class NotAnnouncedError(Exception):
    """Some events could not be announced; the whole may be tried again.

    Attributes
    ----------
    reasons : dict of str
        By event_id.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        some = "; ".join(f"{event_id}: {reason}" for event_id, reason in list(self.reasons.items())[:5])
        super().__init__(f"{len(self.reasons)} events were not announced: {some}")


@dataclass(frozen=True, slots=True)
class Announced:
    """What became of events.

    Parameters
    ----------
    published : those that were news, as the bus has them
    repeated : ids of those that were known already
    failed : reasons by event_id; such an event is to be announced again
    """

    published: tuple[Announcement, ...]
    repeated: frozenset[str]
    failed: Mapping[str, str]


class Alerts(Protocol):
    """What the announcer needs of the alerts table."""

    def read(self, event_ids: Sequence[str], subjects: Sequence[str]) -> Known:
        """What is known of these."""

    def put_together(
        self, announcements: Sequence[Announcement], troubles: Sequence[tuple[Trouble, int]], announced_ms: int
    ) -> bool:
        """Write all in one call; False if not all are as read."""

    def put_event(self, announcement: Announcement, announced_ms: int) -> None:
        """Remember the event."""

    def put_trouble(self, trouble: Trouble, version: int, now_ms: int) -> bool:
        """Replace the trouble read with `version`; False if somebody else was faster."""


class Announcer:
    """Publishes events that are news, and keeps the alerts table.

    Parameters
    ----------
    bus : name of the event bus
    """

    def __init__(self, alerts: Alerts, client: "EventBridgeClient", bus: str) -> None:
        self._alerts = alerts
        self._client = client
        self._bus = bus

    def announce(self, events: Sequence[BusEvent], now_ms: int) -> Announced:
        """Publish what is news, then remember it.

        Whatever fails is in `failed` and harms no other; raises AwsError only where nothing could be read.

        Parameters
        ----------
        events : may hold one several times
        now_ms : when they arrived or were found out
        """
        if not events:
            return Announced((), frozenset(), {})
        distinct = list({event.event_id: event for event in events}.values())
        subjects = by_subject(distinct)
        known = self._alerts.read([event.event_id for event in distinct], list(subjects))
        troubles = {each: self._fold(known.troubles[each][0], subjects[each]) for each in subjects}
        news = [
            _announcement(event, troubles[subject(event)]) for event in distinct if event.event_id not in known.events
        ]
        failed = self._publish(news, now_ms)
        published = [each for each in news if each.event.event_id not in failed]
        changed = [
            (troubles[each], version) for each, (held, version) in known.troubles.items() if troubles[each] != held
        ]
        if not self._write_together(published, changed, now_ms):
            with ThreadPoolExecutor(_WRITES_AT_ONCE) as pool:
                for reasons in pool.map(lambda each: self._remember(each, now_ms), published):
                    failed |= reasons
                for reasons in pool.map(lambda each: self._keep(each, subjects[each], known, now_ms), subjects):
                    failed |= reasons
        return Announced(tuple(published), known.events & {event.event_id for event in distinct}, failed)

    def announce_all(self, events: Sequence[BusEvent], now_ms: int) -> tuple[Announcement, ...]:
        """As `announce`, for callers that do all again when something fails; raises NotAnnouncedError or AwsError."""
        announced = self.announce(events, now_ms)
        if announced.failed:
            raise NotAnnouncedError(announced.failed)
        return announced.published

    def _fold(self, trouble: Trouble, events: Sequence[BusEvent]) -> Trouble:
        for event in events:
            trouble = fold(trouble, event)
        return trouble

    def _publish(self, news: Sequence[Announcement], now_ms: int) -> dict[str, str]:
        """Put them on the bus; reasons of those that it did not take."""
        failed: dict[str, str] = {}
        for start in range(0, len(news), _ENTRIES_PER_CALL):
            some = news[start : start + _ENTRIES_PER_CALL]
            try:
                response = self._client.put_events(
                    Entries=[
                        {
                            "EventBusName": self._bus,
                            "Source": EVENT_SOURCE,
                            "DetailType": each.event.kind,
                            "Detail": dumps(detail(each), separators=(",", ":")),
                            "Time": datetime.fromtimestamp(now_ms / 1000, UTC),
                        }
                        for each in some
                    ]
                )
            except AwsError as error:
                failed |= {each.event.event_id: str(error) for each in some}
                continue
            for each, entry in zip(some, response["Entries"], strict=True):
                if entry.get("ErrorCode"):
                    failed[each.event.event_id] = f"{entry['ErrorCode']} ({entry.get('ErrorMessage', '')})"
        return failed

    def _write_together(
        self, published: Sequence[Announcement], changed: Sequence[tuple[Trouble, int]], now_ms: int
    ) -> bool:
        """One call for the whole batch; False where that is impossible and each has to be written by itself."""
        count = len(published) + len(changed)
        if not count:
            return True
        try:
            return count <= _PUTS_PER_CALL and self._alerts.put_together(published, changed, now_ms)
        except AwsError:
            return False

    def _remember(self, announcement: Announcement, now_ms: int) -> dict[str, str]:
        try:
            self._alerts.put_event(announcement, now_ms)
        except AwsError as error:
            return {announcement.event.event_id: str(error)}
        return {}

    def _keep(self, of_subject: str, events: Sequence[BusEvent], known: Known, now_ms: int) -> dict[str, str]:
        """Write the trouble if the events changed it; also of known events, whose first attempt may have died here."""
        try:
            held, version = known.troubles[of_subject]
            for _ in range(_ATTEMPTS):
                changed = self._fold(held, events)
                if changed == held or self._alerts.put_trouble(changed, version, now_ms):
                    return {}
                held, version = self._alerts.read([], [of_subject]).troubles[of_subject]
        except AwsError as error:
            return {event.event_id: str(error) for event in events}
        return {event.event_id: f"others write #{of_subject} at the same time" for event in events}


def _announcement(event: BusEvent, trouble: Trouble) -> Announcement:
    return Announcement(
        event,
        wording.severity(event),
        wording.headline(event),
        wording.text(event),
        trouble.shall_notify(event.started_ms),
    )
