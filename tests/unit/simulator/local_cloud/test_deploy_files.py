"""Equal directories make equal zips, so an asset's hash means its contents."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from simulator.local_cloud.deploy import zip_directory


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_zip_depends_on_contents_alone(tmp_path: Path) -> None:
    files = {"index.py": "a = 1\n", "pkg/__init__.py": "", "pkg/deep/data.json": "{}"}
    first = write(tmp_path / "first", files)
    second = write(tmp_path / "second", dict(reversed(files.items())))
    os.utime(second / "index.py", (1_000_000_000, 1_000_000_000))
    (second / "index.py").chmod(0o600)
    assert zip_directory(first) == zip_directory(second)
    (second / "index.py").write_text("a = 2\n")
    assert zip_directory(first) != zip_directory(second)


def test_zip_holds_every_file_under_its_relative_name(tmp_path: Path) -> None:
    write(tmp_path, {"b.py": "b", "a/c.py": "c"})
    with zipfile.ZipFile(io.BytesIO(zip_directory(tmp_path))) as archive:
        assert archive.namelist() == ["a/c.py", "b.py"]
        assert archive.read("a/c.py") == b"c"
        assert archive.getinfo("b.py").external_attr >> 16 & 0o777 == 0o644
