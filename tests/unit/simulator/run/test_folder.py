"""The folder of a run: refused before anything starts, and no file in it that is half there."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import typer

from simulator.commands.terminal import failure
from simulator.run.folder import FolderError, prepare, write_whole

Usage = namedtuple("Usage", "total used free")


def test_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "b", 1000)
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_path_through_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=f"--out .*{name} leads through a file: give a folder"):
        prepare(tmp_path / name, 1000)


def test_folder_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"--out /proc/1 cannot be written to .*: give another folder"):
        prepare(Path("/proc/1"), 1000)


def test_disk_without_room_is_refused_with_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 230_000_000))
    prepare(tmp_path, 6_000_000)
    with pytest.raises(FolderError, match="230 MB free, and a run of 12,000,000 readings may need 248 MB: make room"):
        prepare(tmp_path, 12_000_000)


def test_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")
    (tmp_path / "report.json.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(path, "new" * 100_000)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_full_disk_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    ended = failure(OSError(errno.ENOSPC, "No space left on device", "out/report.json"))
    assert isinstance(ended, typer.Exit)
    assert ended.exit_code == 2
    said = " ".join(capsys.readouterr().out.split())
    assert said == "DiskFullError: no room left to write out/report.json: make room on that disk and begin again"
