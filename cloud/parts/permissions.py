"""What our roles may do, and what the checks of AwsSolutions (cdk-nag) find and we accept: each with its reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct


class Permission(iam.PolicyStatement):
    """Allows actions on one resource; `because` is the reason for a wildcard in it."""

    def __init__(self, resource: str, actions: Sequence[str], because: str, conditions: Mapping[str, Any]) -> None:
        super().__init__(actions=list(actions), resources=[resource], conditions=dict(conditions) or None)
        self.resource = resource
        self.because = because


def allow(
    resource: str, *actions: str, because: str = "", conditions: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    """A statement that allows `actions` on one resource.

    Parameters
    ----------
    because : why the resource must have a wildcard; needed if it has one

    Raises
    ------
    ValueError
        A wildcard without a reason, a reason without a wildcard, or a wildcard in an action.
    """
    if any("*" in action for action in actions):
        raise ValueError(f"actions = {actions}: name each action")
    if ("*" in resource) != bool(because):
        raise ValueError(
            f"resource = {resource!r}, because = {because!r}: a wildcard needs a reason, all else needs none"
        )
    return Permission(resource, actions, because, conditions or {})


def make_role(
    scope: Construct, construct_id: str, *, service: str, statements: Sequence[iam.PolicyStatement]
) -> iam.Role:
    """The role that `service` takes on to do what the statements of `allow` say, and no more.

    Parameters
    ----------
    service : such as lambda.amazonaws.com
    """
    role = iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(service),
        inline_policies={"Work": iam.PolicyDocument(statements=list(statements))},
    )
    for statement in statements:
        if isinstance(statement, Permission) and statement.because:
            accept(
                role, statement.because, f"IAM5[Resource::{_as_checked(Stack.of(scope).resolve(statement.resource))}]"
            )
    return role


def accept(construct: IConstruct, reason: str, *findings: str) -> None:
    """Accept findings of AwsSolutions in `construct`.

    Parameters
    ----------
    findings : such as "SQS3"; of IAM4 and IAM5 with the part in brackets, as synthesis prints it
    """
    for finding in findings:
        acknowledgment = Acknowledgment(id=f"AwsSolutions::AwsSolutions-{finding}", reason=reason)
        Validations.of(construct).acknowledge(acknowledgment)


def _as_checked(value: Any) -> str:
    """`value`, resolved, in the spelling of cdk-nag's findings."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_as_checked(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return str(name)
        case _:
            return str(value)
