"""Lambda's asynchronous invocation: an event queue per function, so that a burst waits instead of being lost.

MiniStack starts one thread per event and counts a throttle as a failed attempt; 200 gateways that report in the same
second would lose most of their messages after two retries. On AWS a throttled event stays queued for up to six hours.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulator.local_cloud.guard import Hook

_LAMBDA = "ministack.services.lambda_svc"
HOOKS = (
    Hook(_LAMBDA, "invoke_async_with_retry", "(func: dict, event: dict) -> None"),
    Hook(_LAMBDA, "_execute_function", "(func: dict, event: dict) -> dict"),
    Hook(
        _LAMBDA,
        "_get_func_record_for_ref_in_scope",
        "(function_ref: str, *, account_id: str | None = None, region: str | None = None) "
        "-> tuple[dict | None, dict | None, str]",
    ),
    Hook(
        _LAMBDA,
        "_route_async_failure",
        "(target_arn: str, func_name: str, event: dict, result: dict) -> None",
    ),
    Hook("ministack.core.responses", "request_scope", "(account_id: str, region: str)"),
)

CONCURRENCY = 1  # per function; each more is one more process on the developer's few cores
DEFAULT_RETRIES = 2
DEFAULT_AGE_LIMIT_S = 6 * 3600
RETRY_DELAY_S = 1.0  # AWS waits one minute, then two: too long for a test run
THROTTLE_DELAY_S = 0.1

_log = logging.getLogger("roadside.async_invocation")
_queues: dict[str, ThreadPoolExecutor] = {}


def enqueue(func: dict[str, Any], event: Any) -> None:
    """Queue one asynchronous invocation; returns at once."""
    function_arn = str((func.get("config") or func)["FunctionArn"])
    queue = _queues.get(function_arn)
    if queue is None:
        queue = _queues[function_arn] = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="async-invocation")
    queue.submit(_deliver_logged, function_arn, func, event, time.monotonic())


def _deliver_logged(function_arn: str, func: dict[str, Any], event: Any, accepted_s: float) -> None:
    try:
        _deliver(function_arn, func, event, accepted_s)
    except Exception:  # noqa: BLE001  the future is never read: without this the fault would vanish
        _log.exception("asynchronous invocation of %s failed in the local cloud itself", function_arn)


def _deliver(function_arn: str, func: dict[str, Any], event: Any, accepted_s: float) -> None:
    from ministack.core.responses import request_scope  # noqa: PLC0415
    from ministack.services import lambda_svc  # noqa: PLC0415

    _, _, _, region, account_id, _, name = function_arn.split(":", 6)
    settings = func.get("event_invoke_config") or (func.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = int(settings.get("MaximumRetryAttempts", DEFAULT_RETRIES))
    deadline_s = accepted_s + float(settings.get("MaximumEventAgeInSeconds", DEFAULT_AGE_LIMIT_S))

    with request_scope(account_id, region):
        failures = 0
        while True:
            current, _, _ = lambda_svc._get_func_record_for_ref_in_scope(
                function_arn, account_id=account_id, region=region
            )
            if current is None:
                _log.warning("%s was deleted with an event still queued", function_arn)
                return
            result = lambda_svc._execute_function(func, event)
            if not result.get("error"):
                return
            throttled = bool(result.get("throttle"))
            failures += 0 if throttled else 1
            if not throttled:
                _log.warning("%s failed (attempt %d): %s", name, failures, result.get("body"))
            if failures > retries or time.monotonic() > deadline_s:
                break
            time.sleep(THROTTLE_DELAY_S if throttled else RETRY_DELAY_S * failures)

        config = func.get("config") or func
        destination = ((settings.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or (
            config.get("DeadLetterConfig") or {}
        ).get("TargetArn")
        if destination:
            lambda_svc._route_async_failure(destination, name.split(":")[0], event, result)


def install() -> None:
    """Replace the thread per event."""
    from ministack.services import lambda_svc  # noqa: PLC0415

    lambda_svc.invoke_async_with_retry = enqueue
