"""Builds the functions' dependencies into a folder that synthesis packs as a Lambda layer: `python -m cloud.layer`.

Apart from synthesis because it needs the network once; afterwards synthesis works offline.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cloud import bytecode, paths


class LayerMissingError(Exception):
    """The layer has not been built, or was built from other requirements."""

    def __init__(self, layer: Path) -> None:
        self.layer = layer
        super().__init__(f"the Lambda layer in {layer} is missing or out of date; run: make test")


def requirements_hash() -> str:
    """SHA-256 of the pinned requirements: same hash, same layer."""
    return hashlib.sha256(paths.REQUIREMENTS.read_bytes()).hexdigest()


def is_current(layer: Path = paths.LAYER) -> bool:
    """Whether `layer` was built from today's requirements."""
    stamp = _stamp(layer)
    return stamp.is_file() and stamp.read_text() == requirements_hash()


def require(layer: Path = paths.LAYER) -> Path:
    """`layer`, if it can be packed. Raises LayerMissingError."""
    if not is_current(layer):
        raise LayerMissingError(layer)
    return layer


def build(layer: Path = paths.LAYER) -> bool:
    """Install the pinned requirements for Lambda's platform; False when there was nothing to do.

    The folder changes place only when complete, so that an interrupted build leaves none that looks ready.

    Raises
    ------
    subprocess.CalledProcessError
        pip could not install; its message is on standard error.
    """
    if is_current(layer):
        return False
    layer.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layer.parent, prefix="lambda-layer-") as scratch:
        python = Path(scratch) / "layer" / "python"
        _install(python)
        shutil.rmtree(python / "bin", ignore_errors=True)
        bytecode.compile_tree(python)
        shutil.rmtree(layer, ignore_errors=True)
        python.parent.rename(layer)
    _stamp(layer).write_text(requirements_hash())
    return True


def _stamp(layer: Path) -> Path:
    return layer.with_name(layer.name + ".sha256")


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "--no-compile", "--no-deps"]
    command += ["--platform", "manylinux2014_x86_64", "--python-version", bytecode.LAMBDA_PYTHON]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(paths.REQUIREMENTS)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    print("built" if build() else "up to date", paths.LAYER)
