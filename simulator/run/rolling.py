"""Verification while a run goes on: what can change no more is compared and forgotten, so a run can last for hours.

It is done by chapters of five minutes, since gateways that could not send for long merge windows into up to as much,
and only when every gateway has all of a chapter acknowledged. What is left at the end is judged as in a short run.
"""

import math
from collections.abc import Callable
from typing import Final

from simulator.city.layout import City
from simulator.fleet.fleet import Fleet
from simulator.run.gathering import Tally
from simulator.run.options import RunOptions
from simulator.run.target import Target
from simulator.verification.judging import PartVerdict, judge_part
from simulator.verification.oracle import Oracle
from simulator.verification.windows import starts_by_gateway

CHAPTER_MS: Final = 300_000


class Rolling:
    """Judges chapter by chapter.

    Attributes
    ----------
    verdict : on all chapters so far
    tally : of the readings in them
    since_ms : start of the first window that is not judged yet
    chapters : how many were judged
    """

    def __init__(self, options: RunOptions, city: City, fleet: Fleet, target: Target, oracle: Oracle) -> None:
        self.verdict = PartVerdict()
        self.tally = Tally()
        self.since_ms = 0
        self.chapters = 0
        self._options = options
        self._city = city
        self._fleet = fleet
        self._target = target
        self._oracle = oracle
        self._chapter_ms = math.lcm(CHAPTER_MS, 1000 * options.window_s, 1000 * (options.sensor_summary_s or 1))

    def judge_when_due(self, uncertain: Callable[[], frozenset[str]]) -> None:
        """Judge the chapters that can change no more and have arrived.

        Parameters
        ----------
        uncertain : gateways whose readings may have come otherwise than planned, as in RunRecord
        """
        until_ms = self._oracle.condensed_until_ms() // self._chapter_ms * self._chapter_ms
        if until_ms <= self.since_ms or not self._has_arrived(until_ms):
            return
        windows = self._target.windows(self.since_ms, until_ms)
        self.tally.add(self._city, self._oracle.windows(self.since_ms, until_ms), windows)
        self.verdict.add(
            judge_part(
                self._city,
                self._oracle,
                windows,
                self._target.sensors(self.since_ms, until_ms),
                since_ms=self.since_ms,
                until_ms=until_ms,
                summary_s=self._options.sensor_summary_s,
                uncertain=uncertain(),
                at_risk=self._fleet.at_risk(),
            )
        )
        self._oracle.forget(until_ms)
        self._target.forget(until_ms)
        self.since_ms = until_ms
        self.chapters += 1

    def _has_arrived(self, until_ms: int) -> bool:
        starts_ms = starts_by_gateway(self._city, self._oracle.windows(self.since_ms, until_ms))
        return all(
            set(starts_ms[gateway.gateway_id]) <= gateway.link.acknowledged_starts_ms
            and not gateway.link.unacknowledged(until_ms - 1)
            for gateway in self._fleet.gateways
        )
