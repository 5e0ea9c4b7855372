"""A city that one account cannot hold, shared out in parts, each a whole platform in an account and region. Pure.

AWS counts its quotas by account and region, and the platform's own names are unique in one, so a part has both to
itself. Parts are equal. What grows only with one gateway (the size of its message) is not relieved by a split.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cloud.capacity.city import City, CityError, Operation
from cloud.capacity.limits import Limit, limits

FILL: Final = 0.8
"""How far a part may use a limit: the rest is for growth, and for the hour after an outage."""
ACCOUNTS: Final = 10
"""Accounts in an organization, by default; raised on request up to 10,000."""
ACCOUNTS_SOURCE: Final = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"

_MOST_SENSORS: Final = 10**10  # beyond which a limit is said never to break


@dataclass(frozen=True, slots=True)
class Split:
    """A city in parts.

    Parameters
    ----------
    parts : how many
    part : one of them; the parts together have as many sensors as the city, and a few that rounding adds
    asked_by : the limit that asks for so many; None where one part is enough
    raises : limits that AWS must raise in each part, with what the part needs of them
    fill : how far a part may use a limit
    """

    parts: int
    part: City
    asked_by: Limit | None
    raises: tuple[Limit, ...]
    fill: float

    def shares(self, regions: int) -> list[int]:
        """Parts in each of so many regions, as even as can be."""
        return [self.parts // regions + (index < self.parts % regions) for index in range(regions)]

    def accounts(self, regions: int) -> int:
        """An account has a part in each region."""
        return math.ceil(self.parts / regions)


def split(city: City, operation: Operation, fill: float = FILL, *, raised: bool = False, regions: int = 1) -> Split:
    """The fewest parts, and one in each region at least, of which none uses more than `fill` of any limit.

    Parameters
    ----------
    raised : whether AWS raises what it raises on request, as far as a part needs it

    Raises
    ------
    CityError
        when not even a part of one gateway keeps to it.
    """
    parts = regions
    asked_by: Limit | None = None
    while True:
        if parts > city.gateways:
            raise CityError(
                f"gateways = {city.gateways}: too few for {parts} parts; use more of each limit, or fewer regions"
            )
        part = part_of(city, parts)
        found = [limit for limit in limits(part, operation) if limit.shared]
        binding = [limit for limit in found if limit.used > fill and not (raised and limit.raisable)]
        if not binding:
            break
        asked_by = max(binding, key=lambda limit: limit.used)
        # The next number that could do: at best, a need shrinks as the part does.
        parts = max(parts + 1, math.ceil(parts * asked_by.used / fill * 0.999))
    raises = tuple(limit for limit in found if limit.used > fill)
    return Split(parts, part, asked_by, raises, fill)


def part_of(city: City, parts: int) -> City:
    """One of equal parts."""
    if parts == 1:
        return city
    return replace(city, sensors=math.ceil(city.sensors / parts), gateways=math.ceil(city.gateways / parts))


def breaking_points(city: City, operation: Operation) -> dict[str, int | None]:
    """At how many sensors each limit breaks in one account while a city like this grows; None for what does not.

    It grows as it is: the same number of sensors on a gateway, the same windows.
    """
    return {limit.name: _breaking_point(limit.name, city, operation) for limit in limits(city, operation)}


def _breaking_point(name: str, city: City, operation: Operation) -> int | None:
    def breaks(sensors: int) -> bool:
        (found,) = (limit for limit in limits(grown(city, sensors), operation) if limit.name == name)
        return found.used > 1

    low, high = 0, _MOST_SENSORS
    if not breaks(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if breaks(middle) else (middle, high)
    return high


def grown(city: City, sensors: int) -> City:
    """A city like that one, of so many sensors: with as many on a gateway."""
    gateways = max(1, math.ceil(sensors * city.gateways / city.sensors))
    return replace(city, sensors=sensors, gateways=min(gateways, sensors))


def first_to_break(points: Mapping[str, int | None]) -> Sequence[tuple[str, int]]:
    """Limits that break, the first before the others."""
    found = [(name, sensors) for name, sensors in points.items() if sensors is not None]
    return sorted(found, key=lambda point: point[1])
