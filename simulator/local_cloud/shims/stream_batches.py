"""What Lambda does with a batch of stream records after an invocation. Pure: no clock, no I/O, no MiniStack.

The rules are AWS's: "Configuring partial batch response with Kinesis" and "Retain discarded batch records for a Kinesis
event source" in the Lambda developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
AGE_EXCEEDED = "MaxRecordAgeExceeded"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a shard; `event` is the entry of the Lambda event's `Records`."""

    sequence_number: str
    arrived_s: float
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to hand over together; `failures` counts the invocations that used up a retry."""

    records: tuple[Record, ...]
    failures: int = 0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """An event source mapping's error handling; None means without limit."""

    bisect: bool = False
    report_item_failures: bool = False
    maximum_retries: int | None = None
    maximum_age_s: float | None = None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> RetryPolicy:
        """Read the policy from an event source mapping; -1 and absent both mean without limit."""
        retries = int(mapping.get("MaximumRetryAttempts", -1))
        age_s = int(mapping.get("MaximumRecordAgeInSeconds", -1))
        return cls(
            bisect=str(mapping.get("BisectBatchOnFunctionError", False)).lower() == "true",
            report_item_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
            maximum_retries=retries if retries >= 0 else None,
            maximum_age_s=age_s if age_s >= 0 else None,
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """The fate of a batch: the first `done` records are finished, `retry` follows in order, `discarded` is given up."""

    done: int
    retry: tuple[Batch, ...] = ()
    discarded: Batch | None = None


def first_failure(response: object, sequence_numbers: Sequence[str]) -> int | None:
    """Index of the first failed record that a handler's partial batch response names; None when all succeeded.

    An absent, null or empty list of failures is success. A response that cannot be read, or an identifier that is
    empty, null or not in the batch, fails the whole batch (index 0).
    """
    if response is None or response == {}:
        return None
    if not isinstance(response, Mapping) or "batchItemFailures" not in response:
        return None
    failures = response["batchItemFailures"]
    if failures is None or failures == []:
        return None
    if not isinstance(failures, list):
        return 0
    indexes = {number: index for index, number in enumerate(sequence_numbers)}
    first = len(sequence_numbers)
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(identifier, str) or identifier not in indexes:
            return 0
        first = min(first, indexes[identifier])
    return first


def settle_failure(batch: Batch, failed_from: int, policy: RetryPolicy) -> Settlement:
    """Decide what follows when `batch` failed from record `failed_from` on (0 for the whole batch).

    Records before the failure are checkpointed. With bisecting, the failed part is retried alone, or halved when
    nothing succeeded; splitting uses up no retry. Without it, or for a single record, the failed part is retried whole
    until the retries are used up, then discarded.
    """
    failed = batch.records[failed_from:]
    if policy.bisect and failed_from > 0:
        return Settlement(failed_from, retry=(Batch(failed, batch.failures),))
    if policy.bisect and len(failed) > 1:
        middle = len(failed) // 2
        return Settlement(0, retry=(Batch(failed[:middle], batch.failures), Batch(failed[middle:], batch.failures)))
    again = Batch(failed, batch.failures + 1)
    if policy.maximum_retries is not None and again.failures > policy.maximum_retries:
        return Settlement(failed_from, discarded=again)
    return Settlement(failed_from, retry=(again,))


def expired_prefix(batch: Batch, policy: RetryPolicy, now_s: float) -> int:
    """How many leading records are older than the mapping's maximum record age."""
    if policy.maximum_age_s is None:
        return 0
    oldest_s = now_s - policy.maximum_age_s
    count = 0
    while count < len(batch.records) and batch.records[count].arrived_s < oldest_s:
        count += 1
    return count


def retry_delay_s(failures: int) -> float:
    """Pause before a retry: doubles from 0.1 s to 5 s (AWS backs off too, without saying how)."""
    return float(min(0.1 * 2 ** max(failures - 1, 0), 5.0))
