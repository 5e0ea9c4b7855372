"""Windows and summaries of sensors as rows of the lake, in JSON, packed into records for Firehose. Pure.

A row's keys are the short ones of `cloud.lake_tables` (a test compares them), because Firehose bills every byte. It
bills every record as a multiple of 5 KB too, so a record holds many rows.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from cloud.functions.processor.logic import SensorsRecord, WindowRecord
from roadside.contract.summary import CongestionState

MAX_RECORD_BYTES: Final = 500_000  # Firehose takes 1,000 KiB; a refused record takes all that is in it with it

_STATES: Final = {state: state.name.lower() for state in CongestionState}
_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(slots=True)
class Packed:
    """A record for Firehose: rows, and the sequence numbers in the stream of the messages that they are from."""

    rows: list[str] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    size: int = 0

    @property
    def data(self) -> bytes:
        return "\n".join(self.rows).encode()


def window_rows(record: WindowRecord) -> Iterator[str]:
    """One row of `segment_windows` for each segment of the window."""
    window = record.window
    common = {
        "g": window.gateway,
        "ep": window.epoch_ms,
        "q": window.sequence,
        "w": window.window_start_ms,
        "wl": window.window_ms,
        "r": window.revision,
        "bf": window.backfill,
        "t": record.envelope.received_ms,
        "e": window.sketch_error_permille,
    }
    head = _encode(common)[:-1] + ","  # of every row, and a third of it
    head = _encode(common)[:-1]
    # Written out, for a city has 500 of these a second and json would take as long as all the rest of the processor.
    for segment in window.segments:
        sketch = segment.sketch
        yield (
            f'{head},"s":{segment.number},"n":{segment.vehicle_count},"nw":{segment.vehicles_without_speed},'
            f'"nc":{segment.clipped_vehicles},"v":{segment.speed_sum_dkmh},"p":{segment.pace_sum_ms_per_km},'
            f'"vv":{segment.speed_square_sum},"lo":{_or_null(segment.speed_min_dkmh)},'
            f'"hi":{_or_null(segment.speed_max_dkmh)},"o":{segment.occupied_ms},"ob":{segment.observed_ms},'
            f'"ra":{segment.readings_accepted},"rd":{segment.readings_duplicate},"rl":{segment.readings_late},'
            f'"rr":{segment.readings_rejected},"l":{_or_null(segment.congestion_level)},'
            f'"cs":"{_STATES[segment.congestion_state]}","sr":{segment.sensors_reporting},"sx":{segment.sensors_excluded},'
            f'"b":{sketch.first_bin},"c":[{",".join(map(str, sketch.counts))}]}}'
        )


def sensor_rows(record: SensorsRecord) -> Iterator[str]:
    """One row of `sensor_intervals` for each sensor of the summary."""
    summary = record.summary
    common = {
        "g": summary.gateway,
        "ep": summary.epoch_ms,
        "q": summary.sequence,
        "w": summary.interval_start_ms,
        "wl": summary.interval_ms,
        "t": record.envelope.received_ms,
    }
    head = _encode(common)[:-1] + ","
    for sensor in summary.sensors:
        fault = {} if sensor.fault is None else {"f": sensor.fault}  # a key that is absent is null in the table
        yield head + _encode(
            {
                "s": sensor.number,
                "ra": sensor.readings_accepted,
                "n": sensor.vehicle_count,
                "nw": sensor.vehicles_without_speed,
                "p": sensor.pace_sum_ms_per_km,
                "o": sensor.occupied_ms,
                "ob": sensor.observed_ms,
                **fault,
            }
        ).removeprefix("{")


def pack(rows: Iterable[tuple[str, str]], max_bytes: int = MAX_RECORD_BYTES) -> list[Packed]:
    """Rows, each with its message's sequence number, as few records of at most `max_bytes`. All text is ASCII."""
    records: list[Packed] = []
    for number, row in rows:
        if not records or records[-1].size + len(row) + 1 > max_bytes:
            records.append(Packed())
        last = records[-1]
        last.rows.append(row)
        last.numbers.add(number)
        last.size += len(row) + 1
    return records


def _or_null(value: int | None) -> str:
    return "null" if value is None else str(value)
