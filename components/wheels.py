"""Fetches the packages of the components as wheels, for gateways that reach no package index. Needs pip and an index.

    python3 components/wheels.py DIR                                    Python 3.11, x86-64 and aarch64
    python3 components/wheels.py DIR --machine aarch64 --python 3.13    for these gateways alone

Every wheel is one that a requirements.txt pins by its digest. `ROADSIDE_WHEELS=DIR gdk component build` packs them into
the components' zips; what is in DIR for several machines and Pythons makes zips that install on each of them.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # called as a script, this folder would be the root

from components import build

MACHINES: Final = ("x86_64", "aarch64")
_GLIBC_MINORS: Final = range(28, 16, -1)  # 2.28, of Debian 10 and Ubuntu 20.04, down to 2.17, the oldest wheels' own
_MARKER: Final = re.compile(r"python_full_version (<|>=) '(\d+)\.(\d+)'")


class WheelsError(Exception):
    """The wheels cannot be fetched; the message says what to do."""


def applies(pin: build.Pin, python: tuple[int, int]) -> bool:
    """Whether a pin holds for a version of Python; pip itself would ask for the one that it runs on.

    Raises:
        WheelsError: The marker is of a kind that we have not met.
    """
    if not pin.marker:
        return True
    read = _MARKER.fullmatch(pin.marker)
    if read is None:
        raise WheelsError(
            f"{pin.requirement}: cannot judge the marker {pin.marker!r}; teach it to components/wheels.py"
        )
    bound = (int(read[2]), int(read[3]))
    return python < bound if read[1] == "<" else python >= bound


def requirements(folders: list[str], python: tuple[int, int], root: Path = build.ROOT) -> str:
    """The pins of the components for a version of Python, as one requirements file."""
    lines = {
        pin.requirement + "".join(f" --hash=sha256:{digest}" for digest in pin.digests)
        for folder in folders
        for pins in build.pins_by_package(build.requirements_file(folder, root)).values()
        for pin in pins
        if applies(pin, python)
    }
    return "\n".join(sorted(lines)) + "\n"


def fetch(out: Path, folders: list[str], machine: str, python: tuple[int, int]) -> None:
    """Download the wheels for one kind of gateway into `out`.

    Raises:
        WheelsError: pip could not get them.
    """
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS] + [f"manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "requirements.txt"
        pins.write_text(requirements(folders, python), "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(pins), "--dest", str(out)]
        command += ["--implementation", "cp", "--python-version", f"{python[0]}.{python[1]}"]
        command += [option for platform in platforms for option in ("--platform", platform)]
        if subprocess.run(command, check=False).returncode:
            raise WheelsError(
                f"pip could not get the wheels for {machine}, Python {python[0]}.{python[1]} (its reason is above); "
                "is a package index within reach, and is there such a Python for the pinned versions?"
            )


def _python(text: str) -> tuple[int, int]:
    read = re.fullmatch(r"3\.(\d+)", text)
    if read is None or int(read[1]) < 11:
        raise argparse.ArgumentTypeError(f"{text!r}: name Python 3.11 or a later one, such as 3.12")
    return 3, int(read[1])


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Fetch the components' packages as wheels.")
    parser.add_argument("dir", type=Path, help="receives the wheels")
    parser.add_argument("--machine", choices=MACHINES, action="append", help="default: both")
    parser.add_argument("--python", type=_python, action="append", metavar="3.N", help="of the gateways; default: 3.11")
    parser.add_argument(
        "--component",
        choices=[each for each in build.LAYERS if each != build.SUITE],
        action="append",
        help="default: all",
    )
    options = parser.parse_args(arguments)
    folders = options.component or [each for each in build.LAYERS if each != build.SUITE]
    try:
        for machine in options.machine or MACHINES:
            for python in options.python or [(3, 11)]:
                fetch(options.dir, folders, machine, python)
    except (WheelsError, build.BuildError) as error:
        print(f"no wheels: {error}", file=sys.stderr)
        return 1
    for wheel in sorted(options.dir.glob("*.whl")):
        print(f"{wheel.stat().st_size:>10} bytes  {wheel}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
