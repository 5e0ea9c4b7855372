"""Latency and throughput over the time of a run. Pure."""

import numpy as np

from simulator.report.drawing import COLOURS, Line, Times, chart
from simulator.report.run_folder import Recording

CONGESTION = ("CongestionStarted", "CongestionCleared")


def latency(recording: Recording, times: Times) -> str:
    """From the end of each window to its acknowledgement, and to the alerts that it led to."""
    if not recording.latency:
        return '<p class="empty">No window was timed in this run.</p>'
    at_s = np.array([each.end_s - recording.start_ms / 1000 for each in recording.latency])
    told = sorted(
        (event["occurred_ms"], (event["received_ms"] - event["occurred_ms"]) / 1000)
        for event in recording.events
        if event["kind"] in CONGESTION and event["occurred_ms"] - recording.start_ms <= 1000 * at_s.max()
    )
    lines = [
        Line("to the table, median", at_s, np.array([each.p50 for each in recording.latency]), COLOURS[0]),
        Line("95 %", at_s, np.array([each.p95 for each in recording.latency]), COLOURS[0], dashes="7 3"),
        Line("slowest", at_s, np.array([each.max for each in recording.latency]), COLOURS[0], dashes="2 3"),
    ]
    if told:
        ends_ms = sorted({end_ms for end_ms, _ in told})
        slowest = [max(seconds for at, seconds in told if at == end_ms) for end_ms in ends_ms]
        instants = (np.array(ends_ms, dtype=np.float64) - recording.start_ms) / 1000
        lines.append(Line("to the alert, slowest", instants, np.array(slowest), COLOURS[1]))
    return chart("Seconds from the end of a window to the table and to the alert", "seconds", times, lines)


def readings(recording: Recording, times: Times) -> str:
    at_s, rate = recording.rate("readings")
    line = Line("readings measured", at_s, rate, COLOURS[0], filled=True)
    return chart("Readings measured per second", "per second", times, [line], height=150)


def machine(recording: Recording, times: Times) -> str:
    """What the process took that holds the traffic, the sensors and most of the gateways."""
    at_s, cores = recording.rate("cpu_s")
    memory_mb = recording.columns["memory_bytes"] / 1e6
    return chart(
        "Cores that the fleet's process used",
        "cores",
        times,
        [Line("cores", at_s, cores, COLOURS[2], filled=True)],
        150,
    ) + chart(
        "Memory that the fleet's process held",
        "MB",
        times,
        [Line("memory", at_s, memory_mb, COLOURS[3], filled=True)],
        150,
    )


def messages(recording: Recording, times: Times) -> str:
    at_s, rate = recording.rate("messages")
    line = Line("messages published", at_s, rate, COLOURS[1], filled=True)
    return chart("Messages published per second", "per second", times, [line], height=150)
