"""AWS's prices, from the one file that holds them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parents[1] / "prices.json"


class PriceError(ValueError):
    """A price that is missing, or a file that holds none."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one thing.

    Parameters
    ----------
    unit : what is counted
    per : how many of them the figures are for
    tiers : upper end of each tier in units (None: no end) and the price of what lies in it
    source : page that states it
    """

    unit: str
    per: float
    tiers: tuple[tuple[float | None, float], ...]
    source: str

    def usd(self, quantity: float) -> float:
        """What `quantity` units cost in a month: each tier's share at its own price."""
        total = begin = 0.0
        for end, price in self.tiers:
            share = quantity - begin if end is None else min(quantity, end) - begin
            if share <= 0:
                break
            total += share / self.per * price
            begin = end or begin
        return total


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one region on one day."""

    region: str
    as_of: str
    standing: str
    of: Mapping[str, Price]


def load_prices(file: Path = FILE) -> Prices:
    """The prices in `file`.

    Raises
    ------
    PriceError
        The file is not one of prices.
    OSError
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Prices(
            region=document["region"],
            as_of=document["as_of"],
            standing=document["standing"],
            of={name: _price(name, entry) for name, entry in document["prices"].items()},
        )
    except FileNotFoundError as error:
        raise PriceError(f"{file}: no such file; write one like cloud/prices.json") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PriceError(f"{file}: no file of prices ({type(error).__name__}: {error})") from error


def _price(name: str, entry: Mapping[str, Any]) -> Price:
    tiers = tuple((None if end is None else float(end), float(usd)) for end, usd in entry["tiers"])
    if not tiers or tiers[-1][0] is not None:
        raise ValueError(f"{name}: the last tier must have no end")
    if not (entry["per"] > 0 and all(0 <= usd < math.inf for _, usd in tiers)):
        raise ValueError(f"{name}: give prices of at least 0, for a number of units above 0")
    return Price(unit=entry["unit"], per=float(entry["per"]), tiers=tiers, source=entry["source"])
