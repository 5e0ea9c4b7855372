"""A replay against the same figures from plain loops over the rows; order, repeats and bad cells change nothing."""

from __future__ import annotations

import gzip
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from simulator.recorded.recording import Recording
from simulator.recorded.recording import iso as recorded_iso
from simulator.recorded.replay import replay
from simulator.recorded.replay_files import write_files
from simulator.verification.oracle import NO_SPEED, Oracle, SegmentFacts
from tests.unit.simulator.recordings import (
    READING_HEADER,
    SENSOR_IDS,
    SENSORS,
    START_MS,
    Cells,
    iso,
    random_rows,
    read_csv,
    write_recording,
)

WINDOW_COLUMNS = (
    "segment_id,interval_start,interval_s,revision,vehicle_count,average_speed_kmh,occupancy,min_speed_kmh,"
    "max_speed_kmh,p50_speed_kmh,p85_speed_kmh,congestion_level,readings"
)
STATE_COLUMNS = "segment_id,interval_start,congested,average_speed_kmh,state"
EVENT_COLUMNS = "event_id,type,segment_id,start,end,detected_at"
FILES = ("windows.csv", "states.csv", "events.csv")
SEGMENT_OF = {row[0]: row[1] for row in SENSORS}
FREE_FLOW_KMH = {"E00": 100.0, "E01": 100.0, "S0": 50.0}
INTERVALS = 60  # 10 minutes, twice as long as a window takes corrections


class Replayed:
    """The files and counts of a replay."""

    def __init__(
        self,
        folder: Path,
        rows: Iterable[Sequence[str]],
        *,
        window_s: int = 10,
        lateness_ms: int = 2000,
        header: Sequence[str] | None = None,
    ) -> None:
        write_recording(folder, rows, header=header)
        out = folder / "out"
        recording = Recording(folder, 100.0)
        self.collected, self.statistics = replay(
            recording,
            window_s=window_s,
            allowed_lateness_ms=lateness_ms,
            progress=lambda _: None,
        )
        write_files(self.collected, recording.gateways, out)
        self.files = {name: (out / name).read_bytes() for name in FILES}
        self.windows, self.states, self.events = (read_csv(out / name) for name in FILES)
        self.rejected: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        for counted in self.statistics.values():
            self.rejected.update(counted.readings_rejected)
            self.unreadable.update(counted.messages_unreadable)

    def total(self, name: str) -> int:
        return sum(getattr(counted, name) for counted in self.statistics.values())


@pytest.fixture(scope="module")
def rows() -> list[Cells]:
    return random_rows(INTERVALS)


@pytest.fixture(scope="module")
def replayed(rows: list[Cells], tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return Replayed(tmp_path_factory.mktemp("plain"), rows)


def at_ms(row: Sequence[str]) -> int:
    return START_MS + 1000 * (int(row[1][11:13]) * 3600 + int(row[1][14:16]) * 60 + int(row[1][17:19]) - 19_800)


def naive(rows: Iterable[Cells], window_s: int, interval_s: int = 10, speed_column: int = 4) -> list[dict[str, object]]:
    """The columns of windows.csv, with exact quantiles, straight from the definitions."""
    members: dict[tuple[int, str], list[Cells]] = defaultdict(list)
    for row in rows:
        members[at_ms(row) // (1000 * window_s) * 1000 * window_s, SEGMENT_OF[row[0]]].append(row)
    told = []
    for (start_ms, segment), inside in sorted(members.items()):
        speeds: list[int] = []
        for row in inside:
            if int(row[2]):
                speeds += [round(float(row[speed_column]) * 10)] * int(row[2])
        speeds.sort()
        paces = sum(int(Fraction(36_000_000, max(speed, 30)) + Fraction(1, 2)) for speed in speeds)
        covered_ms = sum(round(round(float(row[5]) * 10) * interval_s) for row in inside)
        average = len(speeds) * 3_600_000 / paces if speeds else None
        told.append(
            {
                "segment_id": segment,
                "interval_start": iso(start_ms),
                "interval_s": window_s,
                "revision": 0,
                "vehicle_count": len(speeds),
                "average_speed_kmh": average,
                "occupancy": covered_ms / (1000 * interval_s * len(inside)),
                "min_speed_kmh": speeds[0] / 10 if speeds else None,
                "max_speed_kmh": speeds[-1] / 10 if speeds else None,
                "p50_speed_kmh": speeds[(len(speeds) - 1) // 2] / 10 if speeds else None,
                "p85_speed_kmh": speeds[85 * (len(speeds) - 1) // 100] / 10 if speeds else None,
                "congestion_level": None
                if average is None
                else round(100 * (1 - min(1.0, average / FREE_FLOW_KMH[segment]))),
                "readings": len(inside),
            }
        )
    return told


def check_windows(found: list[dict[str, str]], expected: list[dict[str, object]]) -> None:
    assert len(found) == len(expected)
    for row, truth in zip(found, expected, strict=True):
        for name, value in truth.items():
            if value is None:
                assert row[name] == "", (name, row)  # no vehicle, no speed
            elif name in ("p50_speed_kmh", "p85_speed_kmh"):
                assert isinstance(value, float)
                assert abs(float(row[name]) - value) <= 0.01 * value + 0.00501, (name, row)  # and two decimals
            elif isinstance(value, float):
                assert float(row[name]) == pytest.approx(value, abs=0.00501 if "kmh" in name else 0.0000501), (
                    name,
                    row,
                )
            else:
                assert row[name] == str(value), (name, row)


def test_files_have_the_promised_columns(replayed: Replayed) -> None:
    for name, columns in zip(FILES, (WINDOW_COLUMNS, STATE_COLUMNS, EVENT_COLUMNS), strict=True):
        assert replayed.files[name].decode().splitlines()[0] == columns


def test_windows_equal_a_naive_computation(rows: list[Cells], replayed: Replayed) -> None:
    check_windows(replayed.windows, naive(rows, 10))
    assert replayed.total("readings_accepted") == len(rows)
    assert not replayed.rejected
    assert not replayed.unreadable
    assert any(row["vehicle_count"] == "0" for row in replayed.windows)


def test_windows_of_a_minute_equal_a_naive_computation(rows: list[Cells], tmp_path: Path) -> None:
    found = Replayed(tmp_path, rows, window_s=60)
    assert len(found.windows) == 3 * INTERVALS // 6
    check_windows(found.windows, naive(rows, 60))


def test_recordings_with_average_speeds_only_use_those(rows: list[Cells], tmp_path: Path) -> None:
    header = [name for name in READING_HEADER if name != "harmonic_speed_kmh"]
    found = Replayed(tmp_path, [[*row[:4], row[5]] for row in rows], header=header)
    check_windows(found.windows, naive(rows, 10, speed_column=3))


def test_states_are_one_row_a_window_with_the_windows_speed(replayed: Replayed) -> None:
    for window, state in zip(replayed.windows, replayed.states, strict=True):
        for name in ("segment_id", "interval_start", "average_speed_kmh"):
            assert window[name] == state[name]
        assert state["congested"] == str(int(state["state"] == "congested"))
    of = {name: [row["state"] for row in replayed.states if row["segment_id"] == name] for name in FREE_FLOW_KMH}
    for freeway in ("E00", "E01"):
        half = INTERVALS // 2
        assert set(of[freeway][1:half]) == {"free"}
        assert set(of[freeway][half + 6 :]) == {"congested"}
    assert of["S0"][:11] == ["unknown"] * 11  # two signal cycles are watched first
    assert "unknown" not in of["S0"][12:]


def oracle_alerts(rows: Iterable[Cells]) -> list[tuple[int, bool, int]]:
    oracle = Oracle(
        [SegmentFacts(0, True, 100.0, downstream=1), SegmentFacts(1, True, 100.0), SegmentFacts(2, False, 50.0)],
        np.array([0, 0, 0, 1, 1, 1, 2]),
        10_000,
        10_000,
        2000,
    )
    table = [
        (
            SENSOR_IDS.index(row[0]),
            at_ms(row),
            int(row[2]),
            round(float(row[4]) * 10) if row[4] else NO_SPEED,
            round(float(row[5]) * 10),
            at_ms(row),
        )
        for row in rows
    ]
    oracle.note(*np.array(table, dtype=np.int64).T)
    return [(alert.segment_number, alert.started, alert.occurred_ms) for alert in oracle.alerts()]


def test_events_are_those_of_the_oracle_with_start_end_and_detection(tmp_path: Path) -> None:
    rows = random_rows(INTERVALS)  # slow from minute 5 on; now free again from half past seven on
    rows[45 * 7 :] = [[*row[:3], "110", "100", row[5]] if row[2] != "0" else row for row in rows[45 * 7 :]]
    found = Replayed(tmp_path, rows)
    expected = oracle_alerts(rows)
    assert len(expected) == 4
    starts = [(segment, at) for segment, started, at in expected if started]
    ends = {segment: at for segment, started, at in expected if not started}
    on_freeways = [event for event in found.events if event["segment_id"] != "S0"]
    assert len({event["event_id"] for event in found.events}) == len(found.events)
    assert [(e["type"], e["segment_id"], e["start"], e["end"], e["detected_at"]) for e in on_freeways] == [
        ("congestion", f"E0{segment}", iso(at), iso(ends[segment]), iso(at)) for segment, at in starts
    ]


def test_neighbours_are_those_along_the_road_and_cutting_the_day_short_changes_no_state_before(tmp_path: Path) -> None:
    rows = []
    for row in random_rows(INTERVALS):
        kmh = {"E00": "70", "E01": "15"}.get(row[0][:3], "50")
        rows.append([*row[:3], kmh, kmh, "9.0"] if row[2] != "0" else [*row[:5], "9.0"])
    whole = Replayed(tmp_path / "whole", rows)
    of = {name: [row["state"] for row in whole.states if row["segment_id"] == name] for name in ("E00", "E01")}
    assert set(of["E01"][1:]) == {"congested"}
    assert set(of["E00"][1:]) == {"congested"}  # at 70 km/h only beside the jam
    cut = Replayed(tmp_path / "cut", rows[: 7 * 30])
    assert cut.states == whole.states[: len(cut.states)]
    assert len(cut.states) == 3 * 30


def test_event_that_has_not_ended_has_no_end(replayed: Replayed) -> None:
    assert [event["end"] for event in replayed.events if event["segment_id"] == "E00"] == [""]


def test_incident_is_a_row_of_its_own_with_the_station_where_the_queue_is_seen(tmp_path: Path) -> None:
    begin, end = 120, 180  # of 240 steps, E00 queues behind something
    rows = []
    for step, (sensor, edge, *_) in ((step, row) for step in range(240) for row in SENSORS):
        queues = edge == "E00" and begin <= step < end
        speed, occupancy = ("15", 45) if queues else ("95", 6)  # and never quite the same: no sensor is constant
        rows.append([sensor, iso(START_MS + 10_000 * step), "3", speed, speed, str(occupancy + step % 7)])
    by_type = {row["type"]: row for row in Replayed(tmp_path, rows).events}
    assert set(by_type) == {"congestion", "incident"}
    incident = by_type["incident"]
    assert incident["segment_id"] == "E00"
    assert iso(START_MS + 10_000 * begin) < incident["detected_at"] == incident["start"]
    assert incident["detected_at"] <= iso(START_MS + 10_000 * begin + 120_000)
    assert iso(START_MS + 10_000 * end) < incident["end"] <= iso(START_MS + 10_000 * end + 300_000)


def disordered(rows: list[Cells], lateness_s: float, seed: int = 5) -> list[Cells]:
    """No row stands behind one that is newer by more than the lateness."""
    rng = random.Random(seed)  # noqa: S311 - a test
    return sorted(rows, key=lambda row: at_ms(row) + rng.uniform(0, 1000 * lateness_s))


@pytest.mark.parametrize("lateness_s", [2, 35])
def test_order_within_the_lateness_changes_no_window_and_no_state(
    rows: list[Cells], tmp_path: Path, lateness_s: int
) -> None:
    in_order = Replayed(tmp_path / "in-order", rows, lateness_ms=1000 * lateness_s)
    shuffled = disordered(rows, lateness_s)
    assert shuffled != rows
    found = Replayed(tmp_path / "shuffled", shuffled, lateness_ms=1000 * lateness_s)
    assert found.files["windows.csv"] == in_order.files["windows.csv"]
    assert found.files["states.csv"] == in_order.files["states.csv"]
    assert [list(e.values())[1:] for e in found.events] == [list(e.values())[1:] for e in in_order.events]
    assert found.total("readings_late") == 0


def test_disorder_at_the_very_beginning_changes_no_window_and_no_state(
    rows: list[Cells], replayed: Replayed, tmp_path: Path
) -> None:
    per_interval = len(SENSOR_IDS)
    first_come_later = [
        *rows[2 * per_interval : 5 * per_interval],
        *rows[: 2 * per_interval],
        *rows[5 * per_interval :],
    ]
    found = Replayed(tmp_path, first_come_later, lateness_ms=45_000)
    assert found.files["windows.csv"] == replayed.files["windows.csv"]
    assert found.files["states.csv"] == replayed.files["states.csv"]


def test_repeated_rows_change_none_of_the_files(rows: list[Cells], replayed: Replayed, tmp_path: Path) -> None:
    rng = random.Random(6)  # noqa: S311 - a test
    repeated = list(rows)
    for place in sorted(rng.sample(range(len(rows)), 200), reverse=True):
        repeated.insert(min(len(repeated), place + rng.randrange(1, 60)), rows[place])  # up to 90 s later
    found = Replayed(tmp_path, repeated)
    assert found.files == replayed.files
    assert found.total("readings_duplicate") == 200


def test_late_rows_correct_the_past_with_a_higher_revision(
    rows: list[Cells], replayed: Replayed, tmp_path: Path
) -> None:
    late = [row for row in rows if row[0] == "E00_1" and at_ms(row) == START_MS + 100_000]
    place = next(i for i, row in enumerate(rows) if at_ms(row) == START_MS + 200_000)
    without = [row for row in rows if row not in late]
    found = Replayed(tmp_path, [*without[: place - 1], *late, *without[place - 1 :]])
    assert found.total("readings_late") == 1
    corrected = iso(START_MS + 100_000)
    for row, before in zip(found.windows, replayed.windows, strict=True):
        # One message tells of all segments of a gateway, so all of them carry its revision.
        is_new = row["interval_start"] == corrected and row["segment_id"] != "S0"
        assert row == {**before, "revision": "1" if is_new else "0"}


BAD_ROWS = {
    "text": ["E00_0", None, "many", "90", "90", "10"],
    "negative count": ["E00_0", None, "-1", "90", "90", "10"],
    "half a vehicle": ["E00_0", None, "1.5", "90", "90", "10"],
    "no count": ["E00_0", None, "", "90", "90", "10"],
    "NaN": ["E00_0", None, "1", "NaN", "NaN", "10"],
    "infinite": ["E00_0", None, "1", "90", "90", "inf"],
    "negative speed": ["E00_0", None, "1", "-90", "-90", "10"],
    "too fast": ["E00_0", None, "1", "900", "900", "10"],
    "covered for 1000 per cent": ["E00_0", None, "1", "90", "90", "1000"],
    "negative occupancy": ["E00_0", None, "1", "90", "90", "-0.1"],
    "beyond 16 bits": ["E00_0", None, "70000", "7000", "7000", "7000"],
    "unknown sensor": ["E99_0", None, "1", "90", "90", "10"],
    "no sensor": ["", None, "1", "90", "90", "10"],
    "no instant": ["E00_0", "yesterday", "1", "90", "90", "10"],
    "empty instant": ["E00_0", "", "1", "90", "90", "10"],
    "long ago": ["E00_0", "1999-12-31T00:00:00Z", "1", "90", "90", "10"],
    "32 bits of milliseconds ago": ["E00_0", recorded_iso(START_MS + 100_000 - 2**32), "1", "90", "90", "10"],
    "an hour ahead": ["E00_0", iso(START_MS + 3_600_000), "1", "90", "90", "10"],
    "years ahead": ["E00_0", "2099-01-01T00:00:00Z", "1", "90", "90", "10"],
    "before the epoch": ["E00_0", "1960-01-01T00:00:00Z", "1", "90", "90", "10"],
    "cut": ["E00_0"],
    "too many cells": ["E00_0", None, "1", "90", "x", "10", "11", "12"],
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Cells], Replayed]:
    rows = random_rows(30)
    return rows, Replayed(tmp_path_factory.mktemp("short"), rows)


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_row_is_counted_and_changes_nothing_else(
    short: tuple[list[Cells], Replayed], tmp_path: Path, name: str
) -> None:
    rows, good = short
    bad = [rows[70][1] if cell is None else cell for cell in BAD_ROWS[name]]
    found = Replayed(tmp_path, [*rows[:70], bad, *rows[70:]])
    assert found.rejected.total() + found.unreadable.total() == 1, (found.rejected, found.unreadable)
    assert found.files == good.files
    assert found.total("readings_accepted") == len(rows)


def test_bad_first_row_is_counted_too(short: tuple[list[Cells], Replayed], tmp_path: Path) -> None:
    rows, good = short
    found = Replayed(tmp_path, [["E00_0", "soon", "1", "90", "90", "10"], *rows])
    assert found.unreadable.total() == 1
    assert found.files["windows.csv"] == good.files["windows.csv"]


def test_rows_of_a_clock_that_runs_ahead_are_refused_and_the_rest_go_on(
    short: tuple[list[Cells], Replayed], tmp_path: Path
) -> None:
    rows, _ = short
    wrong = [[*row[:1], row[1].replace("2024", "2031"), *row[2:]] if row[0] == "E01_2" else row for row in rows]
    found = Replayed(tmp_path, wrong)
    assert found.rejected == {"future": 30}
    assert found.total("readings_accepted") == len(rows) - 30


def test_gap_of_hours_loses_no_reading(rows: list[Cells], tmp_path: Path) -> None:
    after = [[row[0], row[1].replace("T05:", "T09:"), *row[2:]] for row in rows if at_ms(row) < START_MS + 300_000]
    before = [row for row in rows if at_ms(row) < START_MS + 300_000]
    found = Replayed(tmp_path, [*before, *after])
    assert found.total("readings_accepted") == len(before) + len(after)
    with_readings = [row for row in found.windows if row["readings"] != "0"]
    check_windows(with_readings, naive([*before, *after], 10))


def test_recording_of_few_sensors_loses_no_reading_to_seeming_silence(tmp_path: Path) -> None:
    rows = [row for row in random_rows(600) if row[0] in ("E00_0", "S0_0")]
    found = Replayed(tmp_path, rows)
    assert found.total("readings_accepted") == len(rows) == 1200
    assert found.total("readings_late") == 0
    assert not found.rejected


SUMO = Path(__file__).resolve().parents[5] / "shared" / "data" / "sumo_dev"


@pytest.mark.skipif(not SUMO.exists(), reason="the labelled development data do not stand beside the repository")
def test_cut_of_a_large_recording_keeps_its_totals(tmp_path: Path) -> None:
    with gzip.open(SUMO / "readings_10s.csv.gz", "rt") as stream:
        lines = [line.rstrip("\n").split(",") for line in islice(stream, 1 + 282 * 6 * 20)]
    header, cut = lines[0], lines[1:]
    (tmp_path / "sensors.csv").write_bytes((SUMO / "sensors.csv").read_bytes())
    (tmp_path / "readings.csv").write_text("\n".join(",".join(row) for row in [header, *cut]) + "\n")
    recording = Recording(tmp_path, 100.0)
    collected, statistics = replay(recording, window_s=10, allowed_lateness_ms=2000, progress=lambda _: None)
    write_files(collected, recording.gateways, tmp_path / "out")
    windows = read_csv(tmp_path / "out" / "windows.csv")
    assert len(windows) == 122 * 6 * 20
    assert sum(counted.readings_accepted for counted in statistics.values()) == len(cut) == 282 * 120
    assert sum(int(row["readings"]) for row in windows) == len(cut)
    assert sum(int(row["vehicle_count"]) for row in windows) == sum(int(row[2]) for row in cut)
    weighted = sum(
        int(row["vehicle_count"]) / float(row["average_speed_kmh"]) for row in windows if row["average_speed_kmh"]
    )
    assert weighted == pytest.approx(sum(int(row[2]) / float(row[4]) for row in cut if row[4]), rel=1e-4)
