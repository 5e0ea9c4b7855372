"""Flags of `run` that are right each by itself and cannot be together. Pure."""

from collections.abc import Iterator
from typing import Final

from simulator.fleet.pace import REAL_TIME
from simulator.run.options import Break, Mode, RunOptions, TargetName

MOST_RAW_SENSORS: Final = 5000  # registering and connecting those takes minutes


class ContradictionError(ValueError):
    """The flags cannot be together; one line for each contradiction, which says what to leave out or to give."""


def refuse_contradictions(options: RunOptions, *, keep: bool, dry_run: bool = False) -> None:
    """Raise ContradictionError if there is any."""
    found = list(_contradictions(options, keep=keep, dry_run=dry_run))
    if found:
        raise ContradictionError("\n".join(found))


def _contradictions(options: RunOptions, *, keep: bool, dry_run: bool) -> Iterator[str]:
    if options.gateways_real > options.gateways:
        yield f"--gateways-real {options.gateways_real}: there are --gateways {options.gateways} in all; give fewer"
    if options.ramp_up_s >= options.duration_s:
        yield f"--ramp-up-s {options.ramp_up_s}: must be less than --duration {options.duration_s}, which it is part of"
    if options.gateways_real and options.speed != REAL_TIME:
        yield "--gateways-real needs --speed 1: a real process has the machine's clock"
    if options.mode is Mode.RAW and options.sensors > MOST_RAW_SENSORS:
        yield (
            f"--sensors {options.sensors}: with --mode raw each has a certificate and a connection, and the local "
            f"cloud takes about 1,000 readings a second; give --sensors 1000, at most {MOST_RAW_SENSORS}"
        )
    if options.target is not TargetName.AWS and (options.aws is not None or dry_run):
        yield "--stage, --endpoint, certificates, caps and --dry-run are for --target aws: leave them out, or give that"
    for flag, because, other in _refused(options, keep=keep):
        yield f"{flag} {because}: leave it out, or leave out {other}"


def _refused(options: RunOptions, *, keep: bool) -> Iterator[tuple[str, str, str]]:
    """Flags that are given and that the target or the mode cannot do; why, and what they would do without."""
    is_fast, is_broken = options.speed != REAL_TIME, options.break_window is not Break.NONE
    spoils_lake, elsewhere = options.break_window is Break.LAKE, options.target is not TargetName.LOCAL
    real, has_faults = options.gateways_real > 0, bool(options.faults.faults)
    if options.target is TargetName.MEMORY:
        given = {"--gateways-real": real, "--break-window lake": spoils_lake, "--keep": keep}
        yield from ((flag, "needs a cloud", "--target memory") for flag in _given(given))
    if options.target is TargetName.AWS:
        given = {"a fault that cuts the way to the cloud": options.faults.cuts_ways}
        given |= {"--break-window": is_broken, "--speed": is_fast, "--hours": options.soak, "--keep": keep}
        yield from ((flag, "is for the local cloud", "--target aws") for flag in _given(given))
    if options.mode is Mode.RAW:
        given = {"--target": elsewhere, "--gateways-real": real, "--speed": is_fast, "--keep": keep}
        given |= {"--chaos or --faults": has_faults, "--break-window": is_broken}
        yield from ((flag, "needs gateways", "--mode raw") for flag in _given(given))


def _given(flags: dict[str, bool]) -> list[str]:
    return [flag for flag, is_given in flags.items() if is_given]
