"""The way of a configuration from the nucleus into force, the same for every component."""

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from roadside.runtime.ports import BusClosedError, BusError
from roadside.runtime.settings import SettingsError, load_settings

_Settings = TypeVar("_Settings", bound=msgspec.Struct)

_log = logging.getLogger(__name__)


class ReadableConfiguration(Protocol):
    """The part of a Configuration that reads it."""

    def read(self) -> dict[str, Any]: ...


def apply_configuration(
    configuration: ReadableConfiguration, settings_type: type[_Settings], apply: Callable[[_Settings], None]
) -> bool:
    """Have the configuration applied as a whole; one that is at fault changes nothing, and every fault is logged.

    Parameters
    ----------
    apply : puts the settings in force; raises SettingsError, before it changes anything, if they cannot be

    Returns
    -------
    bool
        Whether it was read; if not, the nucleus did not answer and the caller tries again.

    Raises
    ------
    BusClosedError
        The connection is gone for good.
    """
    try:
        apply(load_settings(settings_type, configuration.read()))
    except SettingsError as error:
        faults = [str(fault) for fault in error.faults]
        _log.error("the configuration is at fault and was not applied", extra={"faults": faults})
    except BusClosedError:
        raise
    except BusError as error:
        _log.warning("could not read the configuration", extra={"reason": repr(error)})
        return False
    return True
