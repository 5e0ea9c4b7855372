"""A folder of recorded readings, whatever their format, laid out on gateways."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, Protocol

from simulator.recorded import ngsi_ld, pems
from simulator.recorded.formats import Format
from simulator.recorded.loops import Loops
from simulator.recorded.ngsi_ld import NgsiLd
from simulator.recorded.pems import Pems
from simulator.recorded.stations import gateways_of, roads_of, split
from simulator.recorded.values import Reader, RecordedGateway, RecordedReading, RecordingError, iso

__all__ = ["Format", "Recorded", "RecordedGateway", "RecordedReading", "Recording", "RecordingError", "iso"]


READERS: Final[Mapping[Format, Callable[[Path], Reader]]] = {
    Format.LOOPS: Loops,
    **{Format(name): partial(Pems, layout=layout) for name, layout in pems.LAYOUTS.items()},
    Format.NGSI_LD: NgsiLd,
}


class Recorded(Protocol):
    """What can be replayed: gateways, and readings of their sensors in the order in which they came."""

    gateways: tuple[RecordedGateway, ...]

    def readings(self) -> Iterator[RecordedReading]:
        """All rows."""

    def interval_ms(self) -> int:
        """Time between two readings of a sensor."""


class Recording:
    """A recording, laid out on gateways: one for each freeway direction, one for all other roads.

    With `stations_per_gateway` a freeway direction has as many gateways as it takes, in driving direction.

    Attributes
    ----------
    roads : the freeway segments of each direction, in driving direction

    Raises
    ------
    RecordingError
        A file or column is missing, damaged or makes no sense, or the folder holds more than one format.
    """

    def __init__(
        self,
        folder: Path,
        freeway_free_flow_kmh: float,
        stations_per_gateway: int | None = None,
        *,
        file_format: Format = Format.AUTO,
    ) -> None:
        self.folder = folder
        self.file_format = format_of(folder) if file_format is Format.AUTO else file_format
        try:
            self._reader = READERS[self.file_format](folder)
        except NotADirectoryError as error:
            raise RecordingError(f"{folder}: is no folder; name the one that holds the recording") from error
        plans = gateways_of(self._reader.sensors(), freeway_free_flow_kmh)
        self.roads = roads_of(plans)
        self.gateways = tuple(part for plan in plans for part in split(plan, stations_per_gateway))

    @property
    def reading_files(self) -> Sequence[Path]:
        return self._reader.files

    @property
    def rejected(self) -> Counter[str]:
        """Rows of the last pass that are no readings at all, by reason."""
        return self._reader.rejected

    def readings(self) -> Iterator[RecordedReading]:
        """All rows, file after file, in the order of the files."""
        yield from self._reader.readings()

    def interval_ms(self) -> int:
        """Time between two readings of a sensor, from the rows at the beginning."""
        times: dict[str, set[int]] = {}
        for reading in islice(self.readings(), 20_000):
            if isinstance(reading.timestamp_ms, int):
                times.setdefault(reading.sensor_id, set()).add(reading.timestamp_ms)
        steps = [later - earlier for seen in times.values() for earlier, later in pairwise(sorted(seen))]
        if not steps:
            raise RecordingError(f"{self.reading_files[0]}: no sensor has two readings, so their interval is unknown")
        return max(set(steps), key=steps.count)


def format_of(folder: Path) -> Format:
    """The format by which the folder's files are named; `LOOPS` where nothing tells.

    Raises
    ------
    RecordingError
        More than one would fit.
    """
    found = [Format(name) for name, layout in pems.LAYOUTS.items() if any(folder.glob(layout.glob))]
    if any(folder.glob("readings*.csv*")):
        found.append(Format.LOOPS)
    elif any(path.name.endswith((*ngsi_ld.WHOLE, *ngsi_ld.BY_LINE)) for path in folder.glob("*.*")):
        found.append(Format.NGSI_LD)
    if len(found) > 1:
        raise RecordingError(f"{folder}: holds {' and '.join(found)}; say which with --format")
    return found[0] if found else Format.LOOPS
