"""What can go wrong with the local cloud."""

from __future__ import annotations


class LocalCloudError(RuntimeError):
    """Base of every error of this package."""


class StartError(LocalCloudError):
    """The local cloud did not come up. `log_tail` is what it said last."""

    def __init__(self, reason: str, log_tail: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"{reason}; its log ends with:\n{log_tail}" if log_tail else reason)


class DeployError(LocalCloudError):
    """A stack could not be deployed. `resource` and `reason` name the first resource that failed, when one did."""

    def __init__(self, stack: str, reason: str, resource: str = "") -> None:
        self.stack = stack
        self.resource = resource
        self.reason = reason
        super().__init__(f"stack {stack}: " + (f"resource {resource}: {reason}" if resource else reason))
