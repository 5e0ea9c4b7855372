"""The running part of a run: traffic, faults and gateways in real time."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.city.layout import City
from simulator.city.traffic import CityTraffic
from simulator.faults.conductor import ChaosConductor
from simulator.faults.delivery import Delivery, DeliveryFaults
from simulator.faults.schedule import ChaosParameters, delivery_faults, schedule
from simulator.fleet.feed import SLICES, CityFeed
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import REAL_TIME
from simulator.run.options import RunOptions
from simulator.run.series import Recorder, cpu_s
from simulator.run.target import Target
from simulator.verification.judging import make_oracle
from simulator.verification.oracle import Oracle
from simulator.verification.witnesses import Witness, Witnesses


class Conducted:
    """What came of the running part."""

    def __init__(
        self, oracle: Oracle, feed: CityFeed, chaos: ChaosConductor, recorder: Recorder, start_ms: int
    ) -> None:
        self.oracle = oracle
        self.feed = feed
        self.chaos = chaos
        self.recorder = recorder
        self.start_ms = start_ms
        self.realtime_factor = 0.0
        self.cpu_cores = 0.0


def conduct(
    options: RunOptions,
    city: City,
    traffic: CityTraffic,
    fleet: Fleet,
    target: Target,
    console: Console,
    witnesses: Sequence[Witness] = (),
) -> Conducted:
    start_ms = (int(fleet.pace.now_s()) + 1) * 1000
    lateness_s = -(-options.lateness_ms // 1000)
    oracle = make_oracle(city, window_s=options.window_s, lateness_ms=options.lateness_ms)
    delivery = Delivery(
        planned_faults(options), options.seed, start_ms, options.duration_s, options.window_s, lateness_s
    )
    slices = SLICES if options.speed == REAL_TIME else 1
    feed = CityFeed(city, traffic, delivery, Witnesses((oracle, *witnesses)), start_ms, slices)
    acts = schedule(
        options.chaos,
        seed=options.seed,
        duration_s=options.duration_s,
        gateways=options.gateways,
        gateways_real=options.gateways_real,
    )
    if options.speed == REAL_TIME:  # at any other a latency would be of two clocks
        fleet.meter.latency_until_s = start_ms / 1000 + options.duration_s - lateness_s - 1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[readings]:,} readings, {task.fields[messages]:,} messages, "),
        TextColumn("{task.fields[stored]:,} windows stored, {task.fields[events]:,} events"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("run", total=options.duration_s, readings=0, messages=0, stored=0, events=0)
        chaos = ChaosConductor(
            acts, fleet, target.network, start_ms / 1000, lambda line: progress.console.print(line, highlight=False)
        )
        fleet.on_poll = chaos.act
        recorder = Recorder(options, fleet, feed, target.events, start_ms)
        conducted = Conducted(oracle, feed, chaos, recorder, start_ms)

        def on_second(second: int) -> None:
            for real in fleet.real:
                real.measure()
            now = recorder.take(second + 1.0)
            progress.update(
                task,
                completed=second + 1,
                readings=now.readings,
                messages=now.messages,
                stored=now.windows_stored,
                events=now.events,
            )

        began_cpu_s = cpu_s()
        conducted.realtime_factor = fleet.run(feed, start_ms, on_second)

        def after_the_last_reading() -> None:
            chaos.act()
            recorder.take_when_due()

        fleet.on_poll = after_the_last_reading
        conducted.cpu_cores = (cpu_s() - began_cpu_s) / fleet.pace.elapsed_s()
        if not target.answers_at_once:
            fleet.pace.start(REAL_TIME)
    return conducted


def planned_faults(options: RunOptions) -> DeliveryFaults:
    return delivery_faults(options.chaos, options.faults, ChaosParameters())
