"""The running part of a run without gateways, and the wait for its end."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.city.layout import City
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import Delivery
from simulator.fleet.direct_sensors import DirectSensors
from simulator.fleet.feed import CityFeed, gateway_of_sensor
from simulator.fleet.ramp import first_seconds
from simulator.local_cloud.local_cloud import LocalCloud
from simulator.run.interruption import Interruption
from simulator.run.options import RunOptions
from simulator.run.planned import planned_faults
from simulator.run.probing import TableProbe
from simulator.run.saturation import Lags
from simulator.run.series import cpu_s
from simulator.verification.readings import ToldReadings

PATIENCE_S: Final = 30.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class RawCourse:
    """Sensors that publish in real time what they measure.

    Attributes
    ----------
    told : the valid readings
    seconds : how it stood at the end of each second
    latencies_s : of samples, from when they were due to the table
    reached_s : seconds from the start until the last sample was in the table
    """

    def __init__(
        self,
        options: RunOptions,
        city: City,
        traffic: CityTraffic,
        cloud: LocalCloud,
        outputs: dict[str, str],
        sensors: DirectSensors,
    ) -> None:
        self.start_ms = (int(time.time()) + 1) * 1000
        self.told = ToldReadings()
        lateness_s = -(-options.lateness_ms // 1000)
        delivery = Delivery(
            planned_faults(options, city).struck,
            options.seed,
            gateway_of_sensor(city),
            self.start_ms,
            options.duration_s,
            options.window_s,
            lateness_s,
        )
        ramp = first_seconds(len(city.gateways), options.ramp_up_s)
        self.feed = CityFeed(city, traffic, delivery, self.told, self.start_ms, first_seconds=ramp)
        self.seconds: list[Lags] = []
        self.latencies_s: list[float] = []
        self.reached_s = 0.0
        self._options = options
        self._cloud = cloud
        self._outputs = outputs
        self._sensors = sensors

    def run(self, console: Console, interruption: Interruption) -> None:
        """Publish in real time what the sensors measure, until the last sample of it is in the table."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[published]:,} readings published, {task.fields[acknowledged]:,} acknowledged, "),
            TextColumn("{task.fields[lag]:.1f} s from reading to table"),
        )
        cpu = _CpuMeter(self._cloud.process_id)
        with (
            TableProbe(self._cloud.client("dynamodb"), self._outputs["ReadingsTable"]) as probe,
            Progress(*columns, console=console) as progress,
        ):
            task = progress.add_task("run", total=self._options.duration_s, published=0, acknowledged=0, lag=0.0)

            def on_second(second: int) -> None:
                interruption.can_finish()
                cloud_cores, client_cores = cpu.cores()
                now = Lags(
                    published=self._sensors.meter.messages,
                    acknowledged=self._sensors.acknowledged,
                    client_lag_s=self._sensors.client_lag_s,
                    broker_lag_s=self._sensors.broker_lag_s,
                    table_lag_s=probe.lag_s,
                    cloud_cores=cloud_cores,
                    client_cores=client_cores,
                )
                self.seconds.append(now)
                progress.update(
                    task,
                    completed=second + 1,
                    published=now.published,
                    acknowledged=now.acknowledged,
                    lag=now.table_lag_s,
                )

            self._sensors.run(
                self.feed,
                self.start_ms,
                self._options.duration_s,
                on_second,
                lambda: interruption.asked,
                probe.published,
            )
            self.seconds = self.seconds[: self.feed.seconds]
            _wait_for(lambda: probe.waiting)
            self.latencies_s = probe.latencies_s
        self.reached_s = time.time() - self.start_ms / 1000

    def settle(self) -> bool:
        """Wait until all is acknowledged and every reading is in the table or parked; False if that does not happen."""
        expected = len(self.told.readings())

        def left() -> int:
            missing = max(0, expected - self._stored()) + max(0, self.feed.invalid - self.parked())
            return self._sensors.under_way + missing

        return _wait_for(left)

    def parked(self) -> int:
        """Messages that the function took for none of a sensor."""
        return self._waiting("ParkedQueueUrl")

    def undelivered(self) -> int:
        """Messages that the rule or the stream gave up on."""
        return self._waiting("UndeliveredQueueUrl")

    def _waiting(self, queue: str) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self._cloud.client("sqs").get_queue_attributes(QueueUrl=self._outputs[queue], AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _stored(self) -> int:
        pages = self._cloud.client("dynamodb").get_paginator("scan")
        table = self._outputs["ReadingsTable"]
        return sum(page["Count"] for page in pages.paginate(TableName=table, Select="COUNT", ConsistentRead=True))


def _wait_for(left: Callable[[], int]) -> bool:
    """Wait until nothing is left; False if it does not get less for `PATIENCE_S`."""
    least, since_s = left(), time.monotonic()
    while now_left := left():
        if now_left < least:
            least, since_s = now_left, time.monotonic()
        elif time.monotonic() > since_s + PATIENCE_S:
            return False
        time.sleep(0.2)
    return True


class _CpuMeter:
    """How many processors the local cloud's process and this one keep busy, from one call to the next."""

    def __init__(self, cloud_process_id: int) -> None:
        self._stat = Path(f"/proc/{cloud_process_id}/stat")
        self._before = self._now()

    def cores(self) -> tuple[float, float]:
        before, self._before = self._before, self._now()
        passed_s = self._before[0] - before[0]
        return (self._before[1] - before[1]) / passed_s, (self._before[2] - before[2]) / passed_s

    def _now(self) -> tuple[float, float, float]:
        user, system = self._stat.read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
        return time.monotonic(), (int(user) + int(system)) / TICKS_PER_S, cpu_s()
