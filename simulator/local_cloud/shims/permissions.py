"""Ask MiniStack's IAM evaluator what AWS services ask before they act for a role.

MiniStack enforces policies on API calls; a rule action or an event source mapping reaches the target's store directly
and would slip past them. With AUTH off everything is allowed, as in the rest of MiniStack.
"""

from __future__ import annotations

import time

from simulator.local_cloud.guard import Hook

_EVALUATOR = "ministack.core.iam_evaluator"
HOOKS = (
    Hook("ministack.app", "AUTH"),
    Hook(_EVALUATOR, "EvalContext"),
    Hook(
        _EVALUATOR,
        "evaluate",
        "(ctx: ministack.core.iam_evaluator.EvalContext, "
        "policies: list[list[ministack.core.iam_evaluator.ParsedStatement]], "
        "*limits: list[list[ministack.core.iam_evaluator.ParsedStatement]]) -> ministack.core.iam_evaluator.EvalResult",
    ),
    Hook(
        _EVALUATOR,
        "evaluate_resource_policy",
        "(doc: str | dict | None, ctx: ministack.core.iam_evaluator.EvalContext, service: str | None = None, "
        "named_only: bool = False, direct_only: bool = False) -> ministack.core.iam_evaluator.EvalResult",
    ),
    Hook(
        _EVALUATOR,
        "_gather_role_policies",
        "(role_name: str, account_id: str) -> list[list[ministack.core.iam_evaluator.ParsedStatement]]",
    ),
)

# A rule asks once per message, and evaluating takes longer than the action. A grant is remembered for a moment (IAM is
# eventually consistent on AWS too); a refusal is not, so that a mended policy works at once.
_REMEMBER_S = 1.0
_allowed_until_s: dict[tuple[str, str, str], float] = {}


def role_allows(account_id: str, region: str, role_arn: str, action: str, resource_arn: str) -> bool:
    """Whether the role's policies allow `action` on `resource_arn` (always True with AUTH off)."""
    from ministack import app  # noqa: PLC0415

    if not app.AUTH:
        return True
    key = (role_arn, action, resource_arn)
    now_s = time.monotonic()
    if now_s < _allowed_until_s.get(key, 0.0):
        return True
    allowed = _evaluate(account_id, region, role_arn, action, resource_arn)
    if allowed:
        _allowed_until_s[key] = now_s + _REMEMBER_S
    return allowed


def _evaluate(account_id: str, region: str, role_arn: str, action: str, resource_arn: str) -> bool:
    from ministack.core import iam_evaluator  # noqa: PLC0415

    role_name = role_arn.rsplit("/", 1)[-1]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account_id}:assumed-role/{role_name}/service",
        principal_type="AssumedRole",
        principal_account=account_id,
        action=action,
        resource_arn=resource_arn,
        region=region,
    )
    policies = iam_evaluator._gather_role_policies(role_name, account_id)
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def policy_lets_service_invoke(policy: object, *, service: str, function_arn: str, source_arn: str) -> bool:
    """Whether a function's resource policy lets `service` invoke it for `source_arn` (always True with AUTH off)."""
    from ministack import app  # noqa: PLC0415

    if not app.AUTH:
        return True
    from ministack.core import iam_evaluator  # noqa: PLC0415

    _, _, _, region, account_id, _ = source_arn.split(":", 5)
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=region,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account_id},
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")
