"""What a run's report says of each fault: what was planned, what was done, and what became of it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from simulator.faults.conductor import Record
from simulator.faults.kinds import RULES, Kind, Strikes
from simulator.fleet.feed import CityFeed


def fault_reports(
    records: Collection[Record], feed: CityFeed, gateway_ids: Sequence[str], lost_by_processes: Mapping[str, int]
) -> list[dict[str, Any]]:
    """One entry a fault, in the order of the plan. docs/simulator.md explains the keys.

    Parameters
    ----------
    lost_by_processes : by gateway that is a process, what all its ends have cost, by the account of the run
    """
    ended = Counter(gateway_ids[index] for record in records for index in record.readings_at_risk)
    return [_fault_report(record, feed, gateway_ids, lost_by_processes, ended) for record in records]


def _lost_in_ends(
    record: Record, gateway_ids: Sequence[str], lost_by_processes: Mapping[str, int], ended: Mapping[str, int]
) -> int | None:
    """What the ends of a fault have cost; None if a process was ended by other faults as well."""
    names = [gateway_ids[index] for index in record.readings_at_risk]
    processes = [name for name in names if name in lost_by_processes]
    if any(ended[name] > 1 for name in processes):
        return None
    return record.readings_lost + sum(lost_by_processes[name] for name in processes)


def _fault_report(
    record: Record,
    feed: CityFeed,
    gateway_ids: Sequence[str],
    lost_by_processes: Mapping[str, int],
    ended: Mapping[str, int],
) -> dict[str, Any]:
    fault = record.struck.fault
    struck = int(feed.struck[fault.name].sum()) if fault.name in feed.struck else 0
    lost = int(feed.lost_to[fault.name].sum()) if fault.name in feed.lost_to else 0
    late = fault.kind is Kind.DELAY or (fault.kind is Kind.CLOCK_SKEW and fault.refused_as is None)
    on_the_way = RULES[fault.kind].strikes in (Strikes.READINGS, Strikes.SENSORS)
    return {
        "name": fault.name,
        "kind": str(fault.kind),
        "start_s": round(fault.start_s, 2),
        "duration_s": None if fault.whole_run else round(fault.duration_s, 2),
        "numbers": dict(fault.numbers),
        "gateways": [gateway_ids[index] for index in record.struck.gateways],
        "sensors": None if record.struck.sensors is None else int(record.struck.sensors.sum()),
        "began_s": _rounded(record.began_s),
        "ended_s": _rounded(record.ended_s),
        "times": record.times,
        "readings_struck": struck,
        "readings_lost": lost,
        "readings_late": struck if late else 0,
        "readings_rejected": struck if fault.refused_as else 0,
        "readings_at_risk": sum(record.readings_at_risk.values()),
        "readings_lost_in_crash": _lost_in_ends(record, gateway_ids, lost_by_processes, ended),
        "messages_refused": record.messages_taken,
        "windows_late": len(record.windows_late),
        "messages_waiting_most": record.windows_waiting_most,
        "back_after_s": None if on_the_way else _rounded(record.back_after_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
