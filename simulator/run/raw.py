"""A run of the first design: every reading is published by its own sensor and stored by itself.

City, traffic, delivery and truth are those of a run with gateways. Who sends, what takes it in the cloud and what is
compared are not.
"""

import resource
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from rich.console import Console

from simulator.city.layout import make_city
from simulator.city.traffic import CityTraffic
from simulator.fleet.connecting import Broker
from simulator.fleet.direct_sensors import DirectSensors
from simulator.local_cloud.assembly import STACK, ensure_assembly
from simulator.local_cloud.deploy import deploy_assembly
from simulator.local_cloud.devices import register_devices
from simulator.local_cloud.errors import LocalCloudError
from simulator.local_cloud.local_cloud import LocalCloud, LocalCloudSettings
from simulator.local_cloud.schedules import end_schedule
from simulator.run.folder import clear
from simulator.run.interruption import Interruption
from simulator.run.local_target import smoke_test
from simulator.run.options import RunOptions
from simulator.run.raw_course import RawCourse
from simulator.run.raw_report import compile_raw_report
from simulator.run.report import Report
from simulator.run.steps import counted_step, step
from simulator.verification.readings import scan_readings, stored_readings, verify_readings
from simulator.verification.record import RunRecord, write_record

LANES: Final = {"ReadingsFunction": 4}  # batches that it takes at once
FILES_BESIDES: Final = 500  # that this process and the local cloud hold open besides a connection for each sensor


def run_raw(
    options: RunOptions,
    console: Console,
    conclude: Callable[[Report], None] = lambda _report: None,
    interruption: Interruption | None = None,
) -> Report:
    """Run, verify and report as `run` does. What was stored is kept beside the report, for comparisons.

    Parameters
    ----------
    conclude : called with the report while the cloud is still there
    interruption : may end the readings before their time
    """
    interruption = interruption or Interruption()
    allow_open_files(options.sensors + FILES_BESIDES)
    with step(console, f"lay out a city of {options.sensors:,} sensors"):
        city = make_city(options.sensors, options.gateways, options.seed)
        traffic = CityTraffic(city, options.seed, options.scenario)
    sensor_ids = city.sensor_ids()
    clear(options.out)
    work_dir = options.out.absolute() / "work"
    work_dir.mkdir(parents=True)
    with step(console, "synthesise the cloud, with the way for sensors without gateways"):
        assembly = ensure_assembly(raw=True)
    with LocalCloud(LocalCloudSettings(auth=options.auth, run_dir=work_dir / "cloud")) as cloud:
        with step(console, "deploy the assembly to the local cloud"):
            outputs = deploy_assembly(cloud, assembly, [STACK])[STACK]
            end_schedule(cloud, outputs["SweepFunction"])  # it looks after gateways
        with step(console, "see that the function answers"):
            smoke_test(cloud, outputs, LANES)
        with counted_step(console, "register the sensors", len(sensor_ids)) as count:
            identities = register_devices(
                cloud, list(sensor_ids.values()), outputs["SensorPolicy"], on_registered=count
            )
        broker = Broker(cloud.mqtt_host, cloud.mqtt_port)
        by_name = {identity.thing_name: identity for identity in identities}
        with counted_step(console, "connect them", len(sensor_ids)) as count:
            sensors = DirectSensors(sensor_ids, lambda name: broker.connect(by_name[name]), count)
            sensors.__enter__()
        try:
            course = RawCourse(options, city, traffic, cloud, outputs, sensors)
            course.run(console, interruption)
            with step(console, "wait for what is under way"):
                settled = course.settle()
        finally:
            with step(console, "disconnect the sensors"):
                sensors.__exit__()
        with step(console, "compare the readings table with what the sensors measured"):
            numbers = {name: number for number, name in sensor_ids.items()}
            stored = stored_readings(scan_readings(cloud.client("dynamodb"), outputs["ReadingsTable"]), numbers)
            stored.write(options.out)
            write_record(_record(options, course), options.out)
            verdict = verify_readings(course.told.readings(), stored, sensor_ids)
        report = compile_raw_report(
            options, city, course, sensors, verdict, settled=settled, interrupted=interruption.asked
        )
        conclude(report)
    return report


def _record(options: RunOptions, course: RawCourse) -> RunRecord:
    """What makes the same city again, and says which readings were asked of it."""
    return RunRecord(
        sensors=options.sensors,
        gateways=options.gateways,
        seed=options.seed,
        window_s=options.window_s,
        sensor_summary_s=options.sensor_summary_s,
        lateness_ms=options.lateness_ms,
        start_ms=course.start_ms,
        duration_s=course.feed.seconds,
        options=asdict(options),
    )


def allow_open_files(count: int) -> None:
    """See that this process and the local cloud it starts can hold so many connections. Raises LocalCloudError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise LocalCloudError(
                f"each sensor holds a connection, and only {hard:,} files may be open: "
                f"give --sensors {hard - FILES_BESIDES} or fewer, or raise the limit (ulimit -Hn)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
