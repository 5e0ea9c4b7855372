"""Contrast profiles for pairs across gateways: what `python -m simulator learn` wrote, brought to the sweep."""

import json
from collections.abc import Mapping
from typing import Any, Final

from cloud.deployment import Deployment, in_words
from cloud.functions.sweep.neighbours import teach
from cloud.functions.sweep.pairs_profile import BINS, LearnedDays
from cloud.functions.sweep.settings import Settings
from cloud.functions.sweep.store import Store

FORMAT: Final = "roadside-contrast-profile-1"


class ProfileError(ValueError):
    """A file that is no profile; the text names what is wrong and what to do."""


def read_profile(data: bytes) -> dict[str, LearnedDays]:
    """The learned days by segment id.

    Raises
    ------
    ProfileError
    """
    try:
        body: Any = json.loads(data)
        if body["format"] != FORMAT:
            raise ProfileError(f"format = {body['format']!r}: must be {FORMAT!r}; write one with `simulator learn`")
        learned = {name: (segment["first_quarter"], segment["days"]) for name, segment in body["segments"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ProfileError):
            raise
        raise ProfileError(f"is no profile ({error!r}); write one with `python -m simulator learn`") from error
    for name, (first_quarter, days) in learned.items():
        if (
            type(first_quarter) is not int
            or not isinstance(days, list)
            or not all(_is_day(first_quarter, day) for day in days)
        ):
            raise ProfileError(f"{name}: a day must be {BINS} quarters at most, each null or -127 to 127")
    return learned


def load_profile(learned: Mapping[str, LearnedDays], deployment: Deployment) -> tuple[int, int]:
    """Teach the pairs of the deployment that know nothing yet: how many begin with it, and how many there are.

    Raises
    ------
    CloudError
    """
    settings = Settings(
        windows_table=deployment.output("WindowsTable"),
        sensors_table=deployment.output("SensorsTable"),
        segments_table=deployment.output("SegmentsTable"),
        alerts_table=deployment.output("AlertsTable"),
        gateways_table=deployment.output("GatewaysTable"),
        event_bus=deployment.output("EventBus"),
        window_s=10,
        windows_days=1,
        retention_days=1,
        segment_refresh_s=300,
        gathers_acks=False,
    )
    with in_words():
        return teach(Store(deployment.client("dynamodb"), settings), learned)


def _is_day(first_quarter: int, day: Any) -> bool:
    fits = isinstance(day, list) and first_quarter >= 0 and first_quarter + len(day) <= BINS
    return fits and all(usual is None or (type(usual) is int and -127 <= usual <= 127) for usual in day)
