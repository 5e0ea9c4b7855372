"""The truth beside a recording, and one clear sentence for what is no truth."""

from pathlib import Path

import numpy as np
import pytest

from simulator.evaluation.labels import read_labels
from simulator.recorded.recording import Recording, RecordingError
from tests.unit.simulator.recordings import random_rows, write_csv, write_recording

INCIDENTS = ["incident_id", "kind", "road", "edge_id", "lanes_blocked", "start", "end", "upstream_edge"]
TRUTH = ["segment_id", "timestamp", "space_mean_speed_kmh"]
CRASH = ["0", "freeway", "EB", "E01", "0|1", "2024-05-14T05:31:00Z", "2024-05-14T05:33:00Z", "E00"]
MINUTES = [
    [segment, f"2024-05-14T05:{minute}:00Z", speed]
    for minute, speed in ((30, "95.0"), (31, ""), (33, "41.5"))
    for segment in ("E00", "E01", "S0")
]


def labelled(folder: Path, incidents: list[list[str]], truth: list[list[str]]) -> Recording:
    write_recording(folder, random_rows(24))
    write_csv(folder / "incidents.csv", INCIDENTS, incidents)
    write_csv(folder / "truth_segments_60s.csv.gz", TRUTH, truth)
    return Recording(folder, 100.0, 1)


def test_incidents_and_speeds_of_freeways_are_read_whatever_gateways_share_them(tmp_path: Path) -> None:
    arterial = ["1", "arterial", "art:S0", "S0", "0", CRASH[5], CRASH[6], ""]
    found = read_labels(labelled(tmp_path, [CRASH, arterial], MINUTES), 100.0)

    assert found.roads == {"EB": ("E00", "E01")}
    (incident,) = found.incidents
    assert (incident.road, incident.station, incident.segments, incident.lanes_blocked) == ("EB", 0, ("E00", "E01"), 2)
    assert incident.end_s - incident.start_s == 120
    assert found.station_hours == pytest.approx(2 * 4 / 60)
    np.testing.assert_array_equal(found.speed_kmh[:, 0], [95.0, np.nan, np.nan, 41.5])


@pytest.mark.parametrize(
    ("incidents", "truth", "words"),
    [
        ([[*CRASH[:7], "S0"]], MINUTES, "upstream_edge = 'S0' in line 2: name a freeway segment"),
        ([[*CRASH[:5], "noon", *CRASH[6:]]], MINUTES, "'noon' in line 2: give a time in ISO 8601"),
        ([CRASH], [*MINUTES, ["E00", "2024-05-14T05:31:20Z", "3"]], "20 s past a whole minute"),
        ([CRASH], [["E00", "2024-05-14T05:31:00Z", "fast"]], "space_mean_speed_kmh = 'fast' in line 2"),
        ([CRASH], [["S0", "2024-05-14T05:31:00Z", "50"]], "tells nothing of the freeway's segments"),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path, incidents: list[list[str]], truth: list[list[str]], words: str
) -> None:
    with pytest.raises(RecordingError, match=words):
        read_labels(labelled(tmp_path, incidents, truth), 100.0)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    recording = labelled(tmp_path, [CRASH], MINUTES)
    (tmp_path / "truth_segments_60s.csv.gz").write_bytes(b"\x1f\x8bno gzip")
    with pytest.raises(RecordingError, match=r"truth_segments_60s\.csv\.gz: damaged"):
        read_labels(recording, 100.0)
    (tmp_path / "truth_segments_60s.csv.gz").unlink()
    with pytest.raises(RecordingError, match="no such file; a labelled recording has"):
        read_labels(recording, 100.0)
