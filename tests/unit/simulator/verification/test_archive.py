"""The archive gives back what it was told, to the last value, and says what is wrong with one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.verification import archive
from simulator.verification.archive import ArchiveError, TruthArchive, tell

BASE_MS = 1_764_115_200_000
SENSORS = 300
Columns = list[np.ndarray]


class Hearer:
    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, ...]] = []

    def note(self, *columns: np.ndarray) -> None:
        self.parts.append(columns)

    def all(self) -> Columns:
        return [np.concatenate(columns) for columns in zip(*self.parts, strict=True)]


def ticks(seconds: int) -> list[Columns]:
    """Some sensors are silent now and then, some late, one has lived since long ago."""
    rng = np.random.default_rng(5)
    offset_ms = rng.integers(0, 1000, SENSORS)
    told = []
    for second in range(seconds):
        sensor = np.flatnonzero(rng.random(SENSORS) < 0.9)
        timestamp_ms = BASE_MS + 1000 * second + offset_ms[sensor] - 10**12 * (sensor == 7)
        told.append(
            [
                sensor,
                timestamp_ms,
                rng.integers(0, 65_535, len(sensor)),
                rng.integers(-1, 3_000, len(sensor)),
                rng.integers(0, 1_001, len(sensor)),
                BASE_MS + 1000 * (second + 1 + rng.integers(0, 9, len(sensor))),
            ]
        )
    return told


def write(folder: Path, told: list[Columns]) -> None:
    with TruthArchive(folder) as written:
        for columns in told:
            written.note(*columns)


def test_archive_tells_what_it_was_told_in_parts_of_a_minute(tmp_path: Path) -> None:
    told = ticks(130)
    write(tmp_path, told)
    hearer = Hearer()

    readings = tell(tmp_path, hearer)

    expected = [np.concatenate(columns) for columns in zip(*told, strict=True)]
    assert readings == len(expected[0])
    assert all(np.array_equal(*pair) for pair in zip(expected, hearer.all(), strict=True))
    assert [len(np.unique(columns[5] // 1000)) <= 70 for columns in hearer.parts] == [True] * 3
    assert sorted(path.name for path in (tmp_path / "truth").iterdir()) == [f"part-0000{part}.npz" for part in range(3)]


def test_a_part_ends_early_where_many_sensors_fill_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PART_READINGS", 1000)
    write(tmp_path, ticks(40))

    assert len(list((tmp_path / "truth").iterdir())) >= 40 * SENSORS * 0.9 // (1000 + SENSORS)


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    written = TruthArchive(tmp_path)
    (tmp_path / "truth").rmdir()
    written.note(*ticks(1)[0])

    with pytest.raises(FileNotFoundError):
        written.__exit__()


def test_a_value_that_has_no_room_is_refused_and_not_cut(tmp_path: Path) -> None:
    [columns] = ticks(1)
    columns[2] = columns[2] + 65_536

    with TruthArchive(tmp_path) as written, pytest.raises(ValueError, match=r"vehicle_count = .* to 65535"):
        written.note(*columns)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda part: part.write_bytes(part.read_bytes()[:-400]), "part-00001.npz is damaged"),
        (lambda part: part.write_bytes(part.read_bytes()[:300] + b"?" * 99 + part.read_bytes()[399:]), "is damaged"),
        (lambda part: part.unlink(), "part-00001.npz is missing"),
    ],
)
def test_damage_is_named(tmp_path: Path, harm, words: str) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path, ticks(130))
    harm(tmp_path / "truth" / "part-00001.npz")

    with pytest.raises(ArchiveError, match=words):
        tell(tmp_path, Hearer())


def test_a_run_without_an_archive_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="holds no readings: the run was told to keep no archive"):
        tell(tmp_path, Hearer())
