"""Reads a function's settings from its environment and reports every fault at once."""

from collections.abc import Mapping


class SettingsError(Exception):
    """The environment lacks a setting or holds an impossible one; fix the stack, not the function.

    Attributes
    ----------
    faults : tuple of str
        One sentence for each variable at fault.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("environment: " + "; ".join(faults))


class Environment:
    """Environment variables under examination: read all, then `check`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._faults: list[str] = []

    def text(self, name: str) -> str:
        """The variable's text, which must not be empty."""
        value = self._variables.get(name, "").strip()
        if not value:
            self._faults.append(f"{name} is not set")
        return value

    def whole_number(self, name: str, least: int, most: int) -> int:
        """The variable as an integer from `least` to `most`."""
        value = self.text(name)
        if not value:
            return least
        if not value.isdecimal() or not least <= int(value) <= most:
            self._faults.append(f"{name} = {value!r}: must be a whole number from {least} to {most}")
            return least
        return int(value)

    def truth(self, name: str) -> bool:
        """Whether the variable is `true` and not `false`."""
        value = self.text(name)
        if value and value not in {"true", "false"}:
            self._faults.append(f"{name} = {value!r}: must be true or false")
        return value == "true"

    def check(self) -> None:
        """Raises SettingsError if anything read so far was at fault; only then are the values good for use."""
        if self._faults:
            raise SettingsError(tuple(self._faults))
