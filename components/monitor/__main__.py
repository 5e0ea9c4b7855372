"""city.roadside.Monitor, and the support bundle.

python -m monitor --state-dir DIR               what the nucleus runs
python -m monitor bundle --out FILE.tar.gz      what an operator runs on the gateway
"""

import argparse
import sys
from pathlib import Path

from monitor import bundle


def main() -> int:
    """Run the component until told to stop, or make a bundle; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m monitor", description="Watch over a gateway.")
    parser.add_argument("--state-dir", type=Path, help="folder of its notes for support")
    bundle.add_command(parser.add_subparsers(dest="command"))
    arguments = parser.parse_args()
    if arguments.command == "bundle":
        return bundle.make(arguments.out, arguments.root, arguments.log_bytes)
    if arguments.state_dir is None:
        parser.error("give --state-dir, or the command bundle")
    # Imported only here: a bundle is most needed where the component's own packages cannot be imported.
    from monitor.run import run

    return run(arguments.state_dir)


if __name__ == "__main__":
    sys.exit(main())
