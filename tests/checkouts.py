"""Copies of what the build of the components reads, to break and to build in."""

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

from components import build


def copy_checkout(root: Path, *, links: bool = True) -> Path:
    """The sources, recipes and GDK projects; without links as git leaves them then: text files that hold the path."""
    ignored = shutil.ignore_patterns("__pycache__", "greengrass-build")
    shutil.copytree(build.ROOT / "components", root / "components", symlinks=True, ignore=ignored)
    shutil.copytree(build.ROOT / "recipes", root / "recipes")
    shutil.copy(build.ROOT / "gdk-config.json", root)
    shutil.copy(build.ROOT / "recipe.yaml", root, follow_symlinks=False)
    if not links:
        for link in [root / "recipe.yaml", *(root / "components").glob("*/recipe.yaml")]:
            target = link.readlink()
            link.unlink()
            link.write_text(str(target))
    return root


def make_wheel(folder: Path, package: str) -> str:
    """A wheel of one module in `folder`; returns what pins it in a requirements.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    information = f"{package}-1.0.dist-info"
    files = {
        f"{package}.py": "answer = 42\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_record_digest(text)},{len(text)}\n" for name, text in files.items())
    wheel = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{information}/RECORD", f"{record}{information}/RECORD,,\n")
    return f"{package}==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _record_digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
