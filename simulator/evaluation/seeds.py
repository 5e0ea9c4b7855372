"""Which seeds are judged, as people write them."""

import re


class SeedError(ValueError):
    """A list of seeds that makes no sense."""


def seeds_of(listed: str | None, count: int) -> list[int]:
    """The seeds of a list like `3,7,20-29`, or 1 to `count` without one.

    Raises
    ------
    SeedError
        when the list is no such list, or names a seed twice.
    """
    if listed is None:
        return list(range(1, count + 1))
    seeds: list[int] = []
    for part in listed.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if found is None:
            raise SeedError(f"--seed-list {listed}: {part!r} is no seed; write numbers and ranges, as 3,7,20-29")
        first = int(found[1])
        last = first if found[2] is None else int(found[2])
        if not first <= last < first + 10_000:
            raise SeedError(f"--seed-list {listed}: {part!r} must rise, and hold at most 10,000 seeds")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        raise SeedError(f"--seed-list {listed}: names a seed twice, which would count it twice")
    return seeds
