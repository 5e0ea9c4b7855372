"""The archive of truth: a run's raw readings on disk, as the oracle was told them, for whoever asks again later.

`truth/part-00000.npz` and so on hold a minute of readings each, or fewer where many sensors fill a part sooner, so that
the memory of writer and reader is bounded whatever the run's length. Every part is written beside its name and renamed
when it is whole. A sensor measures at the same millisecond of every second, so of its instants only the first is news:
the part holds that once a sensor, and of each reading the difference.
"""

import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from simulator.verification.witnesses import IntColumn, Witness

PART_MS: Final = 60_000
PART_READINGS: Final = 2_000_000  # 44 MB in memory, and as much again while the part before is being compressed
FOLDER: Final = "truth"


class ArchiveError(Exception):
    """The archive is missing, damaged, or of something else; the text names the file and says what to do."""


_NARROW: Final[dict[str, Any]] = {
    "sensor": np.int32,
    "timestamp_ms": np.int64,  # since the part's base; a sensor's clock may be off by years
    "vehicle_count": np.uint16,
    "speed_dkmh": np.int16,
    "occupancy_permille": np.int16,
    "delivered_ms": np.int32,  # since the part's base
}
_INSTANTS: Final = ("timestamp_ms", "delivered_ms")


class TruthArchive:
    """Writes the parts, each on a thread of its own, one at a time. Use as a context manager; leaving writes the last.

    Parameters
    ----------
    folder : of the run; `truth` in it is made
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True)
        self._ticks: list[dict[str, npt.NDArray[Any]]] = []
        self._base_ms = 0
        self._readings = 0
        self._parts = 0
        self._writer: threading.Thread | None = None
        self._trouble: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_part()
        self._wait()

    def note(
        self,
        sensor: IntColumn,
        timestamp_ms: IntColumn,
        vehicle_count: IntColumn,
        speed_dkmh: IntColumn,
        occupancy_permille: IntColumn,
        delivered_ms: IntColumn,
    ) -> None:
        """Take what the oracle is told. Raises OSError of an earlier part that could not be written."""
        if not len(sensor):
            return
        if not self._ticks:
            self._base_ms = int(delivered_ms.min())
        columns = {
            "sensor": sensor,
            "timestamp_ms": timestamp_ms - self._base_ms,
            "vehicle_count": vehicle_count,
            "speed_dkmh": speed_dkmh,
            "occupancy_permille": occupancy_permille,
            "delivered_ms": delivered_ms - self._base_ms,
        }
        self._ticks.append({name: _narrow(name, column) for name, column in columns.items()})
        self._readings += len(sensor)
        if self._readings >= PART_READINGS or int(columns["delivered_ms"].min()) >= PART_MS - 1000:
            self._end_part()

    def _end_part(self) -> None:
        """Give what was gathered to the writer, once it has done with the part before."""
        self._wait()
        if self._ticks:
            path = self._folder / f"part-{self._parts:05d}.npz"
            self._writer = threading.Thread(
                target=self._write, args=(path, self._ticks, self._base_ms), name="truth-archive"
            )
            self._writer.start()
            self._ticks, self._readings = [], 0
            self._parts += 1

    def _wait(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._trouble is not None:
            raise self._trouble

    def _write(self, path: Path, ticks: list[dict[str, npt.NDArray[Any]]], base_ms: int) -> None:
        try:
            columns: dict[str, Any] = {name: np.concatenate([tick[name] for tick in ticks]) for name in _NARROW}
            phase_ms, columns["timestamp_ms"] = _without_phase(columns["sensor"], columns["timestamp_ms"])
            columns["sensor"] = np.diff(columns["sensor"], prepend=np.int32(0))  # mostly 1: nearly nothing
            half_written = path.with_suffix(".tmp")
            with half_written.open("wb") as file:
                np.savez_compressed(file, base_ms=np.int64(base_ms), phase_ms=phase_ms, **columns)
            half_written.rename(path)
        except OSError as error:  # told to whoever brings the next reading, or ends the archive
            self._trouble = error


def _narrow(name: str, column: IntColumn) -> npt.NDArray[Any]:
    bounds = np.iinfo(_NARROW[name])
    if column.min() < bounds.min or column.max() > bounds.max:
        raise ValueError(
            f"{name} = {column.min()} to {column.max()}: the archive has room for {bounds.min} to {bounds.max}"
        )
    return column.astype(_NARROW[name])


def _without_phase(sensor: npt.NDArray[Any], offset_ms: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """By sensor number the millisecond of the second in which it first measured; and the offsets less that."""
    phase_ms = np.zeros(int(sensor.max()) + 1, dtype=np.int16)
    numbers, first = np.unique(sensor, return_index=True)
    phase_ms[numbers] = offset_ms[first] % 1000
    return phase_ms, offset_ms - phase_ms[sensor]


def tell(folder: Path, witness: Witness) -> int:
    """Tell the witness everything that the run in `folder` told its archive, part by part; how many readings.

    Raises
    ------
    ArchiveError
    """
    truth = folder / FOLDER
    parts = sorted(truth.glob("part-*.npz"))
    if not parts:
        raise ArchiveError(
            f"{truth} holds no readings: the run was told to keep no archive (--no-archive), or never began; run again"
        )
    readings = 0
    for number, path in enumerate(parts):
        if path.name != f"part-{number:05d}.npz":
            raise ArchiveError(f"{truth / f'part-{number:05d}.npz'} is missing; nothing can be judged without it")
        columns = _read(path)
        witness.note(*columns)
        readings += len(columns[0])
    return readings


def _read(path: Path) -> tuple[IntColumn, ...]:
    try:
        with np.load(path, allow_pickle=False) as part:
            columns = {name: part[name].astype(np.int64) for name in _NARROW}
            columns["sensor"] = np.cumsum(columns["sensor"])
            columns["timestamp_ms"] += part["phase_ms"].astype(np.int64)[columns["sensor"]]
            for name in _INSTANTS:
                columns[name] += int(part["base_ms"])
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise ArchiveError(f"{path} is damaged ({error}); nothing can be judged without it, so run again") from error
    return tuple(columns[name] for name in _NARROW)
