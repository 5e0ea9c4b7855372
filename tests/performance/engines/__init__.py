"""The engines of the race. Each has VERSION, `prepare(directory, variant)` and `rows(outcome)`.

`prepare` returns what takes one turn: it reads the readings in the engine's best form, drops repetitions (same sensor
and timestamp), groups by window of 10 s and segment, and returns the groups in the engine's own form. `rows` makes of
that, off the clock, what all engines must agree on to the last integer:

    {"<window start ms>/<segment>": [readings, vehicles, Σ n·u, Σ n·u², min u, max u, Σ occupancy, p50, p85]}

A reading of n vehicles weighs n; u is the speed in tenths of km/h, of readings with vehicles; occupancy is in
thousandths; percentiles are the order statistic floor(q (N - 1)) of the N vehicles. Mean and standard deviation follow
from the sums. A group without vehicles has null for u and percentiles.
"""

import struct
from pathlib import Path

WINDOW_MS = 10_000
Rows = dict[str, list[float | None]]


def read_messages(path: Path) -> list[bytes]:
    """The messages that `workload.write_messages` wrote."""
    content, messages, at = path.read_bytes(), [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        messages.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return messages
