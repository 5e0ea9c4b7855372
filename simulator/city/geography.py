"""Where a made-up city lies: blocks of gateways on a grid, a freeway and a street through each, districts around them.

The city lies in the open sea (Dogger Bank), where no map can mistake it for a real one. Places are degrees of WGS 84 to
six digits, a tenth of a metre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CENTRE_LATITUDE, CENTRE_LONGITUDE = 54.8, 2.3
METRES_PER_DEGREE = 111_320.0
DISTRICTS = (
    ("Northgate", "Beacon Hill", "Saltmarsh"),
    ("Westfield", "Old Town", "Harbour"),
    ("Millbrook", "Southbank", "Lighthouse"),
)
"""Names on the map, north to south and west to east."""

ROAD_OFFSET = 0.2
"""Of a block, by which the freeway runs north and the street south of its middle."""
BEND, BENDS_PER_BLOCK = 0.05, 0.35
"""How far roads swing, in blocks, and how often."""

Place = tuple[float, float]
"""Latitude and longitude."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Gateways on a square grid, row by row and to and fro, so that neighbours by number are neighbours.

    Parameters
    ----------
    gateways : how many
    block_m : side of a gateway's block
    """

    gateways: int
    block_m: float

    @property
    def columns(self) -> int:
        return math.ceil(math.sqrt(self.gateways))

    @property
    def rows(self) -> int:
        return math.ceil(self.gateways / self.columns)

    def block(self, gateway: int) -> tuple[int, int]:
        """Row from the north and column from the west."""
        row, along = divmod(gateway, self.columns)
        return row, along if self._eastward(row) else self.columns - 1 - along

    def district(self, row: int, column: int) -> str:
        """Each takes a ninth of the map."""
        return DISTRICTS[3 * row // self.rows][3 * column // self.columns]

    def centre(self, gateway: int) -> Place:
        """Middle of a gateway's block."""
        row, column = self.block(gateway)
        return self.place(row + 0.5, column + 0.5)

    def on_road(self, gateway: int, share: float, *, is_freeway: bool, phase: float) -> Place:
        """A point of the road through a block, after that share of its way; `phase` is where its bends begin."""
        row, column = self.block(gateway)
        along = column + (share if self._eastward(row) else 1.0 - share)
        bend = BEND * math.sin(2.0 * math.pi * (BENDS_PER_BLOCK * along + phase))
        return self.place(row + 0.5 + (-ROAD_OFFSET if is_freeway else ROAD_OFFSET) + bend, along)

    def place(self, rows: float, columns: float) -> Place:
        """The point so many blocks south and east of the city's north-western corner."""
        north_m = (self.rows / 2 - rows) * self.block_m
        east_m = (columns - self.columns / 2) * self.block_m
        latitude = CENTRE_LATITUDE + north_m / METRES_PER_DEGREE
        longitude = CENTRE_LONGITUDE + east_m / (METRES_PER_DEGREE * math.cos(math.radians(CENTRE_LATITUDE)))
        return round(latitude, 6), round(longitude, 6)

    def outlines(self) -> dict[str, tuple[Place, Place]]:
        """South-western and north-eastern corner of each district that has a gateway."""
        taken: dict[str, list[tuple[int, int]]] = {}
        for gateway in range(self.gateways):
            row, column = self.block(gateway)
            taken.setdefault(self.district(row, column), []).append((row, column))
        return {
            district: (
                self.place(1 + max(row for row, _ in blocks), min(column for _, column in blocks)),
                self.place(min(row for row, _ in blocks), 1 + max(column for _, column in blocks)),
            )
            for district, blocks in taken.items()
        }

    @staticmethod
    def _eastward(row: int) -> bool:
        return row % 2 == 0
