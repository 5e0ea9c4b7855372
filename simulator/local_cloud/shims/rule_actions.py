"""IoT rule actions as AWS runs them.

Adds the Kinesis action, substitution templates (`${topic(2)}`, `${clientid()}`, ...) in action parameters, the
permission checks of the rule's role and of the function's resource policy, and an error for an action that is not
modelled, so that the rule's errorAction runs where MiniStack would stay silent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from simulator.local_cloud.guard import Hook
from simulator.local_cloud.shims import permissions

_IOT = "ministack.services.iot"
_LAMBDA = "ministack.services.lambda_svc"
HOOKS = (
    Hook(
        _IOT,
        "_run_rule_actions",
        "(account_id: 'str', region: 'str', rule: 'dict', payload: 'bytes', topic: 'str' = '', "
        "client_id: 'str | None' = None) -> 'None'",
    ),
    Hook(
        _IOT,
        "_dispatch_rule_action",
        "(account_id: 'str', region: 'str', rule_name: 'str', action: 'dict', event) -> 'None'",
    ),
    Hook(
        _IOT,
        "_eval_select_expr",
        "(expr: 'str', topic: 'str', payload: 'bytes', message, client_id: 'str | None' = None)",
    ),
    Hook(_IOT, "_rule_message", "(payload: 'bytes')"),
    Hook(_IOT, "_MISSING"),
    Hook(_IOT, "_RULE_ACTION_RESOURCE_KEYS"),
    Hook("ministack.services.kinesis", "_put_record", "(data)"),
    Hook("ministack.services.sqs", "_get_q", "(url: str, action: str | None = None) -> dict"),
    Hook("ministack.services.sqs", "_Err"),
    Hook(
        _LAMBDA,
        "_get_func_record_for_ref_in_scope",
        "(function_ref: str, *, account_id: str | None = None, region: str | None = None) "
        "-> tuple[dict | None, dict | None, str]",
    ),
    Hook(_LAMBDA, "_get_base_func_record_for_ref", "(function_ref: str) -> tuple[dict | None, dict | None, str]"),
    Hook(_LAMBDA, "_execution_record_for_config", "(func: dict, config: dict) -> dict"),
    Hook(_LAMBDA, "invoke_async_with_retry", "(func: dict, event: dict) -> None"),
    Hook("ministack.core.responses", "request_scope", "(account_id: str, region: str)"),
)

_TEMPLATE = re.compile(r"\$\{([^}]+)\}")


class RuleActionError(RuntimeError):
    """A rule action failed; its text reaches the errorAction as `errorMessage`."""


@dataclass(frozen=True, slots=True)
class _Message:
    """The message a rule is running for; the action dispatcher is not given it."""

    payload: bytes
    topic: str
    client_id: str | None


_message: ContextVar[_Message] = ContextVar("rule_message")


def _substitute(value: Any) -> Any:
    """Replace `${expression}` in every string of an action's parameters by its value for the current message.

    Raises
    ------
    RuleActionError
        An expression is undefined for this message.
    """
    if isinstance(value, dict):
        return {key: _substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _TEMPLATE.sub(_evaluate_template, value)


def _evaluate_template(match: re.Match[str]) -> str:
    from ministack.services import iot  # noqa: PLC0415

    message = _message.get()
    value = iot._eval_select_expr(
        match[1].strip(), message.topic, message.payload, iot._rule_message(message.payload), message.client_id
    )
    if value is iot._MISSING:
        raise RuleActionError(f"substitution template {match[0]} is undefined for topic {message.topic!r}")
    return value if isinstance(value, str) else json.dumps(value)


def _require(account_id: str, region: str, spec: dict[str, Any], action: str, resource_arn: str) -> None:
    role_arn = spec.get("roleArn", "")
    if not permissions.role_allows(account_id, region, role_arn, action, resource_arn):
        raise RuleActionError(f"role {role_arn} is not authorized to perform {action} on {resource_arn}")


def _check_role(account_id: str, region: str, kind: str, spec: dict[str, Any]) -> None:
    """Check the permission that AWS takes from the rule's role for actions MiniStack runs itself."""
    if kind == "sqs":
        from ministack.services import sqs  # noqa: PLC0415

        try:
            queue = sqs._get_q(spec.get("queueUrl", ""))
        except sqs._Err as error:
            raise RuleActionError(f"SQS queue {spec.get('queueUrl')}: {error.message}") from error
        _require(account_id, region, spec, "sqs:SendMessage", queue["attributes"]["QueueArn"])
    elif kind == "sns":
        _require(account_id, region, spec, "sns:Publish", spec.get("targetArn", ""))
    elif kind == "republish":
        topic_arn = f"arn:aws:iot:{region}:{account_id}:topic/{spec.get('topic', '')}"
        _require(account_id, region, spec, "iot:Publish", topic_arn)
    elif kind == "dynamoDBv2":
        table = (spec.get("putItem") or {}).get("tableName", "")
        _require(account_id, region, spec, "dynamodb:PutItem", f"arn:aws:dynamodb:{region}:{account_id}:table/{table}")


def _put_to_kinesis(account_id: str, region: str, spec: dict[str, Any], event: Any) -> None:
    from ministack.services import kinesis  # noqa: PLC0415

    stream = spec["streamName"]
    _require(account_id, region, spec, "kinesis:PutRecord", f"arn:aws:kinesis:{region}:{account_id}:stream/{stream}")
    text = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
    status, _, body = kinesis._put_record(
        {
            "StreamName": stream,
            "PartitionKey": spec.get("partitionKey", ""),
            "Data": base64.b64encode(text.encode()).decode(),
        }
    )
    if status >= 400:
        raise RuleActionError(f"Kinesis PutRecord to {stream} failed: {bytes(body).decode()}")


def _invoke_lambda(account_id: str, region: str, rule_name: str, function_arn: str, event: Any) -> None:
    from ministack.services import lambda_svc  # noqa: PLC0415

    base, _, _ = lambda_svc._get_base_func_record_for_ref(function_arn)
    func, config, _ = lambda_svc._get_func_record_for_ref_in_scope(function_arn, account_id=account_id, region=region)
    if not base or not func or not config:
        raise RuleActionError(f"Lambda function {function_arn} not found")
    rule_arn = f"arn:aws:iot:{region}:{account_id}:rule/{rule_name}"
    if not permissions.policy_lets_service_invoke(
        base.get("policy"), service="iot.amazonaws.com", function_arn=function_arn, source_arn=rule_arn
    ):
        raise RuleActionError(f"{function_arn} has no permission for iot.amazonaws.com to invoke it from {rule_arn}")
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), event)


def install() -> None:
    """Wrap the rule runner and its dispatcher."""
    from ministack.core.responses import request_scope  # noqa: PLC0415
    from ministack.services import iot  # noqa: PLC0415

    run_rule_actions: Callable[..., Awaitable[None]] = iot._run_rule_actions
    dispatch_rule_action: Callable[..., Awaitable[None]] = iot._dispatch_rule_action

    async def run_with_message(
        account_id: str,
        region: str,
        rule: dict[str, Any],
        payload: bytes,
        topic: str = "",
        client_id: str | None = None,
    ) -> None:
        token = _message.set(_Message(payload or b"", topic, client_id))
        try:
            await run_rule_actions(account_id, region, rule, payload, topic, client_id)
        finally:
            _message.reset(token)

    async def dispatch(account_id: str, region: str, rule_name: str, action: dict[str, Any], event: Any) -> None:
        kind = next(iter(action), "")
        spec = _substitute(action.get(kind) or {})
        with request_scope(account_id, region):
            if kind == "kinesis":
                _put_to_kinesis(account_id, region, spec, event)
                return
            if kind == "lambda":
                _invoke_lambda(account_id, region, rule_name, spec.get("functionArn", ""), event)
                return
            if kind not in iot._RULE_ACTION_RESOURCE_KEYS:
                raise RuleActionError(f"rule action {kind!r} is not modelled by the local cloud")
            _check_role(account_id, region, kind, spec)
        await dispatch_rule_action(account_id, region, rule_name, {kind: spec}, event)

    iot._RULE_ACTION_RESOURCE_KEYS["kinesis"] = ("streamName",)  # failedResource of the error document
    iot._run_rule_actions = run_with_message
    iot._dispatch_rule_action = dispatch
