"""Kinds of visuals and sheets, as values that say what is shown and not how. Pure.

A visual names a query and its columns. `cloud.insights.quicksight` makes QuickSight's definition of it,
`cloud.dashboard` draws it into a page. Both sum up alike: sums add, a ratio is the sum above over the sum below, a
value stands for itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cloud.insights import queries
from cloud.insights.queries import Column, Kind, Query, QueryError, Type

GRID_COLUMNS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Visual(ABC):
    """What every visual has.

    Parameters
    ----------
    key : unique on the board; letters, digits and hyphens
    title : what it shows, without the numbers
    query : name of the file in `cloud/sql`
    width : of the grid's twelve columns
    height : in rows of the grid
    """

    key: str
    title: str
    query: str
    width: int
    height: int = 8

    def source(self) -> Query:
        return queries.load(self.query)

    def column(self, name: str) -> Column:
        return self.source().column(name)

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Every column that it uses."""

    def measures(self) -> tuple[Column, ...]:
        """Those that are summed up."""
        return tuple(column for column in map(self.column, self.names()) if column.kind is not Kind.KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Visual):
    """One number for the latest whole day, beside that of the day before and a small line of all days."""

    measure: str
    time: str
    height: int = 4

    def names(self) -> tuple[str, ...]:
        return self.measure, self.time


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap(Visual):
    """A colour for each row and column. `row_order` is the column by which the rows are sorted."""

    rows: str
    row_order: str
    columns: str
    measure: str

    def names(self) -> tuple[str, ...]:
        return self.rows, self.row_order, self.columns, self.measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Visual):
    """A measure over time, a line for each value of `colour`. `grain` is the step of time to which sums add up."""

    time: str
    measure: str
    grain: str
    colour: str | None = None

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.time, self.measure, self.colour) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars(Visual):
    """Measures by category: side by side, or one measure stacked by `colour`. Largest first, or in order.

    Parameters
    ----------
    focus : the colour that matters most, if one does
    """

    category: str
    bars: tuple[str, ...]
    colour: str | None = None
    focus: str | None = None
    in_order: bool = False
    horizontal: bool = False

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.category, *self.bars, self.colour) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Map(Visual):
    """Points on the map, coloured by a name of which one matters most; their measure is told when pointed at."""

    latitude: str
    longitude: str
    colour: str
    focus: str
    label: str
    measure: str

    def names(self) -> tuple[str, ...]:
        return self.latitude, self.longitude, self.colour, self.label, self.measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Visual):
    """Rows, sorted by one column; measures are summed up over all that the keys shown leave together."""

    columns: tuple[str, ...]
    sort: str
    descending: bool = False

    def names(self) -> tuple[str, ...]:
        return self.columns


AnyVisual = Figure | HeatMap | Lines | Bars | Map | Table


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of the board.

    Parameters
    ----------
    rows : visuals side by side, row by row; each row fills the grid
    filters : query and column of each choice that a reader has on this sheet
    """

    key: str
    title: str
    rows: tuple[tuple[AnyVisual, ...], ...]
    filters: tuple[tuple[str, str], ...] = ()

    def visuals(self) -> Iterator[AnyVisual]:
        for row in self.rows:
            yield from row


def check(sheets: tuple[Sheet, ...]) -> None:
    """Hold every visual against its query, and every row against the grid.

    Raises
    ------
    QueryError
        A column that the query does not give, or a key where a measure belongs, or the other way round.
    ValueError
        A row that does not fill the grid, or a key used twice.
    """
    keys = [visual.key for sheet in sheets for visual in sheet.visuals()]
    if len(keys) != len(set(keys)):
        raise ValueError(f"visuals' keys must differ: {sorted(keys)}")
    for sheet in sheets:
        for row in sheet.rows:
            if sum(visual.width for visual in row) != GRID_COLUMNS or len({visual.height for visual in row}) != 1:
                raise ValueError(f"{[visual.key for visual in row]} must fill {GRID_COLUMNS} columns at one height")
        for visual in sheet.visuals():
            _check_visual(visual)
        for query, name in sheet.filters:
            _must(queries.load(query), name, key=True)


def _check_visual(visual: AnyVisual) -> None:
    source = visual.source()
    measures: tuple[str, ...]
    match visual:
        case Figure(measure=measure, time=time) | Lines(measure=measure, time=time):
            measures = (measure,)
            if source.column(time).type is not Type.TIMESTAMP:
                raise QueryError(f"{visual.key}: {time} of {source.name}.sql must be a timestamp")
        case HeatMap(measure=measure) | Map(measure=measure):
            measures = (measure,)
        case Bars(bars=bars):
            measures = bars
            if visual.colour and len(bars) != 1:
                raise ValueError(f"{visual.key}: one measure is stacked, not {len(bars)}")
        case Table(sort=sort, columns=columns):
            measures = tuple(name for name in columns if source.column(name).kind is not Kind.KEY)
            if sort not in columns:
                raise ValueError(f"{visual.key}: is sorted by {sort}, which it does not show")
    for name in visual.names():
        _must(source, name, key=name not in measures)


def _must(query: Query, name: str, *, key: bool) -> None:
    column = query.column(name)
    if (column.kind is Kind.KEY) is not key:
        raise QueryError(f"{query.name}.sql: {name} is a {column.kind}, and must {'' if key else 'not '}be a key")
