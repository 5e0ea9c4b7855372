"""What a run records, second by second, for its dashboard and its pictures: cheap, and bounded in memory.

Everything that counts is kept as it stood, not as it changed, so that leaving out every second row of a long run loses
detail and nothing else. `series.json` beside the run's report holds it; `segments` keeps what the cloud knew of roads.
"""

import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from aggregator.settings import MIN_IDLE_GRACE_MS
from roadside.contract.summary import WindowSummary
from simulator.city.layout import City
from simulator.city.traffic import CityTraffic
from simulator.fleet.feed import CityFeed
from simulator.fleet.fleet import Fleet
from simulator.run.folder import write_whole
from simulator.run.latencies import EndLatency
from simulator.run.options import RunOptions
from simulator.run.provenance import provenance
from simulator.run.segments import SegmentHistory
from simulator.run.target import Events

FILE: Final = "series.json"
SCHEMA: Final = 1
MAX_ROWS: Final = 4096
MAX_EVENTS: Final = 20_000
RECENT: Final = 5_000  # latencies that the dashboard goes by
EVENT_FIELDS: Final = ("event_id", "kind", "severity", "gateway", "segment_number", "occurred_ms", "received_ms")


@dataclass(frozen=True, slots=True)
class Sample:
    """A run as it stands at one instant.

    Parameters
    ----------
    at_s : seconds of readings since the start of the run; after the last reading, of time
    readings, messages, message_bytes, events : so far; readings that were generated, messages as they were published
    windows_due : gateways' windows that must have closed
    windows_stored : those of them that the cloud has acknowledged
    cpu_s, memory_bytes : processor time that the fleet's process has used, and memory that it holds
    """

    at_s: float
    readings: int
    messages: int
    message_bytes: int
    windows_due: int
    windows_stored: int
    events: int
    cpu_s: float
    memory_bytes: int

    @property
    def windows_waiting(self) -> int:
        """The backlog of the whole fleet."""
        return self.windows_due - self.windows_stored


class Series:
    """Samples at equal steps. When there are too many, every second one goes, and the step doubles."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self.samples: list[Sample] = []
        self._max_rows = max_rows
        self._step = 1
        self._count = 0

    def note(self, sample: Sample) -> None:
        self._count += 1
        if self._count % self._step:
            return
        self.samples.append(sample)
        if len(self.samples) > self._max_rows:
            self.samples = self.samples[1::2]
            self._step *= 2

    def columns(self) -> dict[str, list[float]]:
        return {field.name: [getattr(sample, field.name) for sample in self.samples] for field in fields(Sample)}


class Recorded(Protocol):
    """What was recorded of a course."""

    @property
    def start_ms(self) -> int: ...

    @property
    def series(self) -> Series: ...

    def latencies(self) -> list[EndLatency]:
        """From each window's end to its acknowledgement."""
        ...


class Recorder:
    """Takes samples of a running fleet.

    Attributes
    ----------
    latest : the last sample, which a dashboard shows
    """

    def __init__(self, options: RunOptions, fleet: Fleet, feed: CityFeed, events: Events, start_ms: int) -> None:
        self.series = Series()
        self.latest = Sample(0.0, 0, 0, 0, 0, 0, 0, 0.0, 0)
        self.start_ms = start_ms
        self._options = options
        self._fleet = fleet
        self._feed = feed
        self._events = events
        self._cpu_s = cpu_s()
        self._taken_s = time.monotonic()

    def take(self, at_s: float) -> Sample:
        """The run as it stands now, `at_s` seconds after its start by the time of its readings."""
        due = self._due(at_s)
        meter = self._fleet.meter
        self.latest = Sample(
            at_s=round(at_s, 3),
            readings=self._feed.generated,
            messages=meter.messages,
            message_bytes=meter.message_bytes,
            windows_due=sum(due),
            # Silence goes on closing windows after the last reading: nobody waits for those.
            windows_stored=sum(
                min(count, len(gateway.link.acknowledged_starts_ms))
                for count, gateway in zip(due, self._fleet.gateways, strict=True)
            ),
            events=self._events.count,
            cpu_s=round(cpu_s() - self._cpu_s, 3),
            memory_bytes=_memory_bytes(),
        )
        self.series.note(self.latest)
        self._taken_s = time.monotonic()
        return self.latest

    def cut(self, duration_s: int) -> None:
        """The readings end with that second."""
        self._options = replace(self._options, duration_s=duration_s)

    def backlog(self) -> list[tuple[str, int]]:
        """By gateway, the windows that were due at the last sample and that the cloud has not acknowledged."""
        return [
            (gateway.plan.gateway_id, max(0, count - len(gateway.link.acknowledged_starts_ms)))
            for count, gateway in zip(self._due(self.latest.at_s), self._fleet.gateways, strict=True)
        ]

    def latency_s(self) -> tuple[float, float] | None:
        """Median and 95th percentile of the latest latencies; None before the first."""
        latest = self._fleet.meter.latencies_s[-RECENT:]
        return tuple(np.percentile(latest, [50, 95]).tolist()) if latest else None

    def _due(self, at_s: float) -> list[int]:
        """Windows of each gateway that must have closed by then."""
        return [
            windows_due(self._options, self.start_ms, at_s, first_s) for first_s in self._fleet.first_seconds.tolist()
        ]

    def latencies(self) -> list[EndLatency]:
        """From each window's end to its acknowledgement."""
        return self._fleet.meter.latency_by_end.summary()

    def take_when_due(self) -> None:
        """Take one if the last is a second old: for the time when no more readings come."""
        passed_s = time.monotonic() - self._taken_s
        if passed_s >= 1.0:
            self.take(self.latest.at_s + passed_s)


def windows_due(options: RunOptions, start_ms: int, at_s: float, first_s: int = 0) -> int:
    """How many windows of one gateway must have closed by then: those that the readings have passed by the lateness.

    The last one is closed by silence; the first is that in which the gateway's sensors began, `first_s` seconds late.
    """
    window_ms = 1000 * options.window_s
    first = (start_ms + 1000 * first_s) // window_ms
    last = (start_ms + 1000 * options.duration_s - 1) // window_ms
    now_ms = start_ms + 1000 * at_s - options.lateness_ms
    closed = int(now_ms // window_ms) - first
    silent = now_ms >= (last + 1) * window_ms + MIN_IDLE_GRACE_MS
    return max(0, min(closed, last - first + (1 if silent else 0)))


def write_recording(
    folder: Path,
    recorder: Recorded,
    city: City,
    traffic: CityTraffic,
    received: Sequence[Mapping[str, Any]],
    stored: Mapping[tuple[str, int], Sequence[WindowSummary]],
) -> None:
    """Write all that pictures are made of into the folder of the run.

    Parameters
    ----------
    received : events in order of their reception, each with `received_ms`
    stored : the windows in the table, by gateway and start
    """
    truth = traffic.truth()
    document = {
        "schema": SCHEMA,
        "made": provenance(),
        "start_ms": recorder.start_ms,
        "columns": recorder.series.columns(),
        "latency": [asdict(each) for each in recorder.latencies()],
        "events": [{name: event.get(name) for name in EVENT_FIELDS} for event in received[:MAX_EVENTS]],
        "events_left_out": max(0, len(received) - MAX_EVENTS),
        "incidents": truth.pop("incidents"),
        "scenario": truth,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FILE, json.dumps(document, separators=(",", ":")) + "\n")
    SegmentHistory.of(city, stored).write(folder)


def cpu_s() -> float:
    """Processor time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()
