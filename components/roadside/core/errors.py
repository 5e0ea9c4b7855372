"""What can go wrong in the core. Bad readings are no errors here: they are counted with their reason."""


class CoreError(ValueError):
    """Base of the core's errors."""


class ConfigurationError(CoreError):
    """The caller configured something impossible.

    Attributes
    ----------
    field, value, reason : what is wrong, what stood there, and what it must be
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        self.field, self.value, self.reason = field, value, reason
        super().__init__(f"{field} = {value!r}: {reason}")


class SnapshotError(CoreError):
    """A snapshot belongs to another configuration or registry and cannot be restored."""
