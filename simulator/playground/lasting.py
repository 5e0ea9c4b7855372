"""The playground: a city whose traffic flows through gateways and the local cloud until somebody ends it.

No oracle listens and no archive is written, since nobody judges it; a run does that.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from cloud import playground
from simulator.city.layout import make_city
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import Delivery
from simulator.fleet.feed import CityFeed, gateway_of_sensor
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import Pace
from simulator.playground import background
from simulator.playground.keeping import LOG, explain, register, until_told_to_end
from simulator.run.folder import write_whole
from simulator.run.local_target import local_target
from simulator.run.options import RunOptions
from simulator.run.planned import planned_faults
from simulator.run.steps import step
from simulator.verification.witnesses import Witnesses

FIGURES: Final = "figures.json"


@dataclass(frozen=True, slots=True)
class Figures:
    """What has flowed so far, as of `at_ms`."""

    at_ms: int
    readings: int
    messages: int
    message_bytes: int
    windows_stored: int
    events: int


def last(options: RunOptions, console: Console) -> None:
    """Start everything, give the terminal back, and let traffic flow for `duration_s`, or until told to end."""
    with until_told_to_end():
        _flow(options, console)
    playground.forget()
    if background.is_second():
        raise KeyboardInterrupt  # it was told before it ran


def _flow(options: RunOptions, console: Console) -> None:
    with step(console, f"lay out a city of {options.sensors:,} sensors on {options.gateways:,} gateways"):
        city = make_city(options.sensors, options.gateways, options.seed)
        traffic = CityTraffic(city, options.seed)
    work_dir = options.out / "work"
    work_dir.mkdir(parents=True, exist_ok=True)
    with local_target(options, city, work_dir, console) as target:
        with step(console, "register the gateways"):
            target.admit([gateway.gateway_id for gateway in city.gateways])
        pace = Pace(options.speed, options.duration_s)
        planned = planned_faults(options, city)
        with Fleet(options, city, target.connect, pace, work_dir, Path(sys.executable).parents[1], planned) as fleet:
            what = f"{options.sensors:,} sensors on {options.gateways:,} gateways"
            explain(register(target.cloud, what, options.out, is_run=False), console)
            background.hand_over(0, work_dir / LOG)
            start_ms = (int(pace.now_s()) + 1) * 1000
            delivery = Delivery(
                planned.struck,
                options.seed,
                gateway_of_sensor(city),
                start_ms,
                options.duration_s,
                options.window_s,
                -(-options.lateness_ms // 1000),
            )
            feed = CityFeed(city, traffic, delivery, Witnesses(()), start_ms)

            def on_second(_second: int) -> None:
                figures = Figures(
                    at_ms=int(time.time() * 1000),
                    readings=feed.generated,
                    messages=fleet.meter.messages,
                    message_bytes=fleet.meter.message_bytes,
                    windows_stored=fleet.meter.stored_windows,
                    events=target.events.count,
                )
                write_whole(options.out / FIGURES, json.dumps(asdict(figures)))

            fleet.run(feed, start_ms, on_second)


def read_figures(folder: Path) -> Figures | None:
    """The latest; None where no traffic flows."""
    try:
        return Figures(**json.loads((folder / FIGURES).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
