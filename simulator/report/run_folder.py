"""What a run left in its folder, as far as it is there: the report is made of this and of nothing else."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from simulator.report.errors import ReportError
from simulator.run import segments, series
from simulator.run.latencies import EndLatency
from simulator.run.segments import SegmentHistory

Column = npt.NDArray[np.float64]

_REPORT: Final = "report.json"
_OPTIONS: Final = "run.json"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """`series.json`: the run second by second, what was told and what was true.

    Attributes
    ----------
    columns : by name of `simulator.run.series.Sample`'s fields
    made : command line, versions and machine
    events, incidents, scenario : as `series.write_recording` writes them
    """

    start_ms: int
    columns: Mapping[str, Column]
    latency: tuple[EndLatency, ...]
    events: tuple[Mapping[str, Any], ...]
    events_left_out: int
    incidents: tuple[Mapping[str, Any], ...]
    scenario: Mapping[str, Any]
    made: Mapping[str, Any]

    @property
    def end_s(self) -> float:
        """Of the recording, which goes on until the last window is stored."""
        at_s = self.columns["at_s"]
        return float(at_s[-1]) if len(at_s) else 0.0

    def rate(self, name: str) -> tuple[Column, Column]:
        """How fast a counter rose, per second: at which instants, and how fast before each."""
        at_s, counter = self.columns["at_s"], self.columns[name]
        return at_s, np.diff(counter, prepend=0.0) / np.maximum(np.diff(at_s, prepend=0.0), 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class RunFolder:
    """A run as its files tell it. What the run did not get to is None, or an empty report.

    Attributes
    ----------
    report : `report.json`
    options : `run.json`
    """

    path: Path
    report: Mapping[str, Any]
    options: Mapping[str, Any]
    recording: Recording | None
    segments: SegmentHistory | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ReportError for a folder without a run and for files that are none."""
        if not path.is_dir():
            raise ReportError(f"{path}: there is no such folder; name the --out of a run")
        report, recorded = _json(path / _REPORT), _json(path / series.FILE)
        if not report and not recorded:
            raise ReportError(f"{path}: holds neither {_REPORT} nor {series.FILE}; name the --out of a run")
        return cls(
            path=path,
            report=report,
            options=_json(path / _OPTIONS),
            recording=_recording(recorded, path / series.FILE) if recorded else None,
            segments=_segments(path),
        )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read ({error}); run again, or remove it to go without") from error
    if not isinstance(found, dict):
        raise ReportError(f"{path}: is no JSON object; run again, or remove it to go without")
    return found


def _recording(found: Mapping[str, Any], path: Path) -> Recording:
    try:
        return Recording(
            start_ms=found["start_ms"],
            columns={name: np.array(values, dtype=np.float64) for name, values in found["columns"].items()},
            latency=tuple(EndLatency(**each) for each in found["latency"]),
            events=tuple(found["events"]),
            events_left_out=found["events_left_out"],
            incidents=tuple(found["incidents"]),
            scenario=found.get("scenario", {}),  # of an older run
            made=found["made"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(f"{path}: is no recording of a run ({type(error).__name__}: {error}); run again") from error


def _segments(path: Path) -> SegmentHistory | None:
    try:
        return SegmentHistory.read(path)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReportError(
            f"{path / segments.FILE}: is no history of segments ({error}); run again, or remove it to go without"
        ) from error
