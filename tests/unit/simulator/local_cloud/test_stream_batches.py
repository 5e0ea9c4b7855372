"""What becomes of a failed batch: the arithmetic of checkpoints, halves, retries and ages."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.local_cloud.shims.stream_batches import (
    Batch,
    Record,
    RetryPolicy,
    expired_prefix,
    first_failure,
    retry_delay_s,
    settle_failure,
)


def batch(*names: str, failures: int = 0) -> Batch:
    return Batch(tuple(Record(name, arrived_s=100.0 + index, event={}) for index, name in enumerate(names)), failures)


def names(of: Batch) -> str:
    return "".join(record.sequence_number for record in of.records)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (None, None),
        ({}, None),
        ({"batchItemFailures": []}, None),
        ({"batchItemFailures": None}, None),
        ("done", None),
        ({"batchItemFailures": [{"itemIdentifier": "c"}]}, 2),
        ({"batchItemFailures": [{"itemIdentifier": "d"}, {"itemIdentifier": "b"}]}, 1),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, 0),
        ({"batchItemFailures": [{"id": "c"}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": "c"}, {"itemIdentifier": "not in the batch"}]}, 0),
        ({"batchItemFailures": "c"}, 0),
        ({"batchItemFailures": ["c"]}, 0),
    ],
)
def test_partial_response_names_its_lowest_failure(response: Any, expected: int | None) -> None:
    assert first_failure(response, ["a", "b", "c", "d"]) == expected


def test_checkpoint_moves_to_the_lowest_failure() -> None:
    settlement = settle_failure(batch(*"abcde"), 2, RetryPolicy(bisect=True, maximum_retries=0))
    assert settlement.done == 2
    assert [names(each) for each in settlement.retry] == ["cde"]


def test_bisecting_uses_up_no_retry() -> None:
    settlement = settle_failure(batch(*"abcde", failures=1), 0, RetryPolicy(bisect=True, maximum_retries=1))
    assert [names(each) for each in settlement.retry] == ["ab", "cde"]
    assert {each.failures for each in settlement.retry} == {1}
    assert settlement.discarded is None


def test_single_record_is_retried_then_discarded() -> None:
    policy = RetryPolicy(bisect=True, maximum_retries=1)
    again = settle_failure(batch("a"), 0, policy).retry[0]
    assert again.failures == 1
    settlement = settle_failure(again, 0, policy)
    assert settlement.retry == ()
    assert settlement.discarded is not None
    assert settlement.discarded.failures == 2


def test_without_bisecting_all_from_the_failure_on_is_discarded() -> None:
    settlement = settle_failure(batch(*"abcde"), 3, RetryPolicy(maximum_retries=0))
    assert settlement.done == 3
    assert settlement.discarded is not None
    assert names(settlement.discarded) == "de"


def test_without_limit_a_batch_is_retried_for_ever() -> None:
    settlement = settle_failure(batch("a", failures=10_000), 0, RetryPolicy())
    assert settlement.retry[0].failures == 10_001


@pytest.mark.parametrize(("age_s", "expected"), [(None, 0), (0.5, 3), (1.5, 2), (10.0, 0)])
def test_old_records_lead_the_batch(age_s: float | None, expected: int) -> None:
    assert expired_prefix(batch(*"abc"), RetryPolicy(maximum_age_s=age_s), now_s=103.0) == expected


def test_pause_grows_to_its_bound() -> None:
    assert [retry_delay_s(failures) for failures in (1, 2, 3, 100)] == [0.1, 0.2, 0.4, 5.0]


@pytest.mark.parametrize("absent", [{}, {"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1}])
def test_absent_limits_are_none(absent: dict[str, Any]) -> None:
    assert RetryPolicy.from_mapping(absent) == RetryPolicy()


def test_policy_reads_cloudformations_text() -> None:
    mapping = {
        "BisectBatchOnFunctionError": "true",
        "MaximumRetryAttempts": "0",
        "MaximumRecordAgeInSeconds": "60",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    assert RetryPolicy.from_mapping(mapping) == RetryPolicy(True, True, 0, 60.0)


@given(
    poisoned=st.lists(st.booleans(), min_size=1, max_size=40),
    retries=st.integers(0, 3),
    reports=st.booleans(),
)
def test_bisecting_loses_exactly_the_poisoned_records(poisoned: list[bool], retries: int, reports: bool) -> None:
    """Whatever the handler says, each good record is done, each bad one is discarded alone, and all in order."""
    policy = RetryPolicy(bisect=True, report_item_failures=reports, maximum_retries=retries)
    bad = {f"{index:02}" for index, is_bad in enumerate(poisoned) if is_bad}
    pending = deque([batch(*(f"{index:02}" for index in range(len(poisoned))))])
    finished: list[str] = []
    discarded: list[str] = []
    while pending:
        current = pending.popleft()
        numbers = [record.sequence_number for record in current.records]
        failing = [number for number in numbers if number in bad]
        if not failing:
            finished += numbers
            continue
        settlement = settle_failure(current, numbers.index(failing[0]) if reports else 0, policy)
        finished += numbers[: settlement.done]
        if settlement.discarded:
            finished += [record.sequence_number for record in settlement.discarded.records]
            discarded += [record.sequence_number for record in settlement.discarded.records]
            assert settlement.discarded.failures == retries + 1
        pending.extendleft(reversed(settlement.retry))
    assert finished == [f"{index:02}" for index in range(len(poisoned))]
    assert discarded == sorted(bad)
