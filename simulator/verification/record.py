"""What must be known of a run to judge what a cloud holds of it, besides the readings: `run.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from simulator.faults.delivery import Readings
from simulator.run.folder import write_whole
from simulator.verification.archive import ArchiveError
from simulator.verification.oracle import Exclusion

FILE: Final = "run.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run that has ended.

    Parameters
    ----------
    sensors, gateways, seed : make the same city again
    window_s, sensor_summary_s, lateness_ms : as the gateways were configured
    start_ms, duration_s : of the readings
    uncertain : gateways whose windows may have closed otherwise than planned: processes, which take what has waited at
        one go; or all, on a machine that stood still for so long that it looks like silence
    at_risk : by gateway, readings that a killed process may have lost
    exclusions : what gateways declared to leave out
    options : all of the command, for people
    """

    sensors: int
    gateways: int
    seed: int
    window_s: int
    sensor_summary_s: int
    lateness_ms: int
    start_ms: int
    duration_s: int
    uncertain: frozenset[str] = frozenset()
    at_risk: Mapping[str, list[Readings]] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write `run.json` into the run's folder."""
    document = {
        "format": FORMAT,
        **{name: getattr(record, name) for name in _PLAIN},
        "uncertain": sorted(record.uncertain),
        "at_risk": {
            gateway: [{name: getattr(part, name).tolist() for name in _COLUMNS} for part in parts]
            for gateway, parts in sorted(record.at_risk.items())
            if parts
        },
        "exclusions": [asdict(exclusion) for exclusion in record.exclusions],
        "options": record.options,
    }
    path = folder / FILE
    write_whole(path, json.dumps(document, indent=2, default=_as_text) + "\n")
    return path


def read_record(folder: Path) -> RunRecord:
    """What `write_record` wrote. Raises ArchiveError."""
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArchiveError(
            f"{path}: no such file; give the folder of a run (its --out) that came as far as its report"
        ) from error
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path} cannot be read ({error}); give the folder of another run") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArchiveError(f"{path} is not of format {FORMAT}: another version of the simulator wrote it; run again")
    try:
        return RunRecord(
            **{name: document[name] for name in _PLAIN},
            uncertain=frozenset(document["uncertain"]),
            at_risk={
                gateway: [Readings(*(np.array(part[name], dtype=np.int64) for name in _COLUMNS)) for part in parts]
                for gateway, parts in document["at_risk"].items()
            },
            exclusions=tuple(Exclusion(**exclusion) for exclusion in document["exclusions"]),
            options=document["options"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{path} is damaged ({type(error).__name__}: {error}); run again") from error


_PLAIN: Final = ("sensors", "gateways", "seed", "window_s", "sensor_summary_s", "lateness_ms", "start_ms", "duration_s")
_COLUMNS: Final = tuple(Readings.__dataclass_fields__)


def _as_text(value: object) -> object:
    """Options that JSON does not know: a scenario as its file has it, paths as text, sets in order."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
