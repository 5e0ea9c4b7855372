"""Merges neighbouring windows of the backlog that were never sent: coarser, not lost.

A window may merge when it can change no more (the caller tells up to where), when no edition of it was ever offered to
the bus, and when all its editions are still queued; then its last one stands for it. Windows merge within aligned
spans of a minute, and if that is not enough within spans of five. The merged window takes a new sequence, and those
that it tells of leave in the same transaction, so no two messages ever cover the same reading.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import groupby
from typing import Final, Protocol

from roadside.contract.codec import decode_window, encode_window
from roadside.contract.errors import ContractError
from roadside.contract.merging import merge_windows
from roadside.contract.summary import WindowSummary
from roadside.runtime.database import ChecksumError
from roadside.runtime.outbox import MessageRefusedError, Outbox, OutgoingMessage, QueuedWindow, WindowKey

SPANS_MS: Final = (60_000, 300_000)
SPANS_AT_ONCE: Final = 20  # of one transaction; takes about 0.1 s

_log = logging.getLogger(__name__)


class Transactions(Protocol):
    """The part of a GatewayStore that begins one."""

    @property
    def outbox(self) -> Outbox: ...

    def transaction(self) -> AbstractContextManager[None]: ...


class Coarsener:
    """Works through the queue from the earliest window on; what it has passed it does not look at again."""

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._outbox = store.outbox
        self._passed_ms = dict.fromkeys(SPANS_MS, 0)

    def step(self, final_ms: int) -> list[int]:
        """Merge some windows of those that end by `final_ms`; the sequences that have left the queue.

        Raises
        ------
        StoreError
            Nothing was changed; call again.
        """
        for span_ms in SPANS_MS:
            passed_ms = self._passed_ms[span_ms]
            merged: list[int] = []
            spans = 0
            with self._store.transaction():
                while spans < SPANS_AT_ONCE:
                    start_ms = self._outbox.next_unoffered_ms(passed_ms, span_ms)
                    if start_ms is None or start_ms - start_ms % span_ms + span_ms > final_ms:
                        break
                    begin_ms = start_ms - start_ms % span_ms
                    merged += self._merge_span(begin_ms, span_ms)
                    passed_ms = begin_ms + span_ms
                    spans += 1
            self._passed_ms[span_ms] = passed_ms
            if spans:
                return merged
        return []

    def _merge_span(self, begin_ms: int, span_ms: int) -> list[int]:
        gone = []
        for run in _runs(self._outbox.windows(begin_ms, begin_ms + span_ms), span_ms):
            merged = self._merge(run)
            if merged is not None:
                leaving = [edition.sequence for editions in run for edition in editions]
                try:
                    self._outbox.replace(leaving, merged)
                except MessageRefusedError as error:  # together they are too large: they stay as they are
                    _log.warning("windows do not fit into one", extra={"reason": str(error)})
                else:
                    gone += leaving
        return gone

    def _merge(self, run: Sequence[list[QueuedWindow]]) -> OutgoingMessage | None:
        last: list[tuple[OutgoingMessage, WindowSummary]] = []
        try:
            for editions in run:
                last.append([self._read(edition) for edition in editions][-1])
            merged = merge_windows([window for _, window in last], sequence=0)
        except (ChecksumError, ContractError) as error:
            # Another layout began within the span, or the uplink will set a damaged one aside when its turn comes.
            _log.info("windows were left apart", extra={"reason": str(error)})
            return None
        merged = replace(merged, sequence=self._outbox.next_sequence())
        first = last[0][0]
        return OutgoingMessage(
            merged.sequence,
            first.kind,
            first.topic,
            encode_window(merged),
            created_ms=min(message.created_ms for message, _ in last),
            window=WindowKey(merged.window_start_ms, merged.window_ms, merged.revision),
        )

    def _read(self, queued: QueuedWindow) -> tuple[OutgoingMessage, WindowSummary]:
        message = self._outbox.read(queued.sequence)
        if message is None:
            raise ChecksumError(f"window {queued.key}")
        window = decode_window(message.payload)
        if queued.key != WindowKey(window.window_start_ms, window.window_ms, window.revision):
            raise ChecksumError(f"the place of window {queued.key}")
        return message, window


def _runs(queued: Sequence[QueuedWindow], span_ms: int) -> Iterator[list[list[QueuedWindow]]]:
    """Runs of two and more windows that follow each other and may merge, each with all its editions."""
    run: list[list[QueuedWindow]] = []
    end_ms = None
    for start_ms, group in groupby(queued, key=lambda window: window.key.start_ms):
        editions = list(group)
        length_ms = editions[0].key.length_ms
        if not _may_merge(editions, span_ms) or start_ms != end_ms:
            if len(run) > 1:
                yield run
            run = []
        if _may_merge(editions, span_ms):
            run.append(editions)
            end_ms = start_ms + length_ms
    if len(run) > 1:
        yield run


def _may_merge(editions: Sequence[QueuedWindow], span_ms: int) -> bool:
    length_ms = editions[0].key.length_ms
    return (
        length_ms < span_ms
        and span_ms % length_ms == 0
        and all(edition.key.length_ms == length_ms and not edition.offered for edition in editions)
        and [edition.key.revision for edition in editions] == list(range(len(editions)))
    )
