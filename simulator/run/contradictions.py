"""Flags of `run` that are right each by itself and cannot be together. Pure."""

from collections.abc import Iterator
from typing import Final

from simulator.fleet.pace import REAL_TIME
from simulator.run.options import Break, Mode, RunOptions, TargetName

MOST_RAW_SENSORS: Final = 5000  # registering and connecting those takes minutes


class ContradictionError(ValueError):
    """The flags cannot be together; one line for each contradiction, which says what to leave out or to give."""


def refuse_contradictions(options: RunOptions, *, keep: bool) -> None:
    """Raise ContradictionError if there is any."""
    found = list(_contradictions(options, keep=keep))
    if found:
        raise ContradictionError("\n".join(found))


def _contradictions(options: RunOptions, *, keep: bool) -> Iterator[str]:
    if options.gateways_real > options.gateways:
        yield f"--gateways-real {options.gateways_real}: there are --gateways {options.gateways} in all; give fewer"
    if options.ramp_up_s >= options.duration_s:
        yield f"--ramp-up-s {options.ramp_up_s}: must be less than --duration {options.duration_s}, which it is part of"
    if options.gateways_real and options.speed != REAL_TIME:
        yield "--gateways-real needs --speed 1: a real process has the machine's clock"
    if options.target is TargetName.MEMORY:
        for flag, is_given in (
            ("--gateways-real", options.gateways_real > 0),
            ("--break-window lake", options.break_window is Break.LAKE),
            ("--keep", keep),
        ):
            if is_given:
                yield f"{flag} needs a cloud: leave it out, or leave out --target memory"
    if options.mode is Mode.RAW:
        if options.sensors > MOST_RAW_SENSORS:
            yield (
                f"--sensors {options.sensors}: with --mode raw each has a certificate and a connection, and the local "
                f"cloud takes about 1,000 readings a second; give --sensors 1000, at most {MOST_RAW_SENSORS}"
            )
        for flag, is_given in (
            ("--target", options.target is not TargetName.LOCAL),
            ("--gateways-real", options.gateways_real > 0),
            ("--speed", options.speed != REAL_TIME),
            ("--chaos or --faults", bool(options.faults.faults)),
            ("--break-window", options.break_window is not Break.NONE),
            ("--keep", keep),
        ):
            if is_given:
                yield f"{flag} needs gateways: leave it out, or leave out --mode raw"
