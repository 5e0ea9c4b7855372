"""Files are followed as they grow, rotate and shrink, over restarts, without a line lost or halved."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from recording import RecordingSink, running, until

from sensor_ingest.adapters.file import FileAdapter
from sensor_ingest.adapters.port import AdapterError
from sensor_ingest.positions import Position, Positions
from sensor_ingest.settings import FileSettings

MAX_BYTES = 64
Scene = Callable[[RecordingSink, Callable[[], int | None]], Coroutine[Any, Any, None]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "sensors.log"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def follow(log: Path, scene: Scene, **settings: Any) -> RecordingSink:
    """Play a scene against an adapter that keeps its position beside the file."""

    async def main() -> RecordingSink:
        sink = RecordingSink()
        positions = Positions(log.parent)

        def offset() -> int | None:
            position = positions.get("file", str(log))
            return position.offset_bytes if position else None

        made = FileSettings(name="file", path=str(log), poll_ms=10, **settings)
        async with running(FileAdapter(made, MAX_BYTES, positions), sink) as task:
            await scene(sink, offset)
            assert not task.done() or not task.exception()
        positions.save(positions.snapshot())
        return sink

    return asyncio.run(main())


def lines(sink: RecordingSink) -> list[str]:
    return [payload.decode().strip() for payload in sink.payloads]


def test_tail_hands_in_lines_once_they_are_whole(log: Path) -> None:
    append(log, "old\n")

    async def scene(sink: RecordingSink, offset: Callable[[], int | None]) -> None:
        await until(lambda: offset() == len("old\n"))
        append(log, "one\ntw")
        await until(lambda: lines(sink) == ["one"])
        append(log, "o\n\nthree\n")
        await until(lambda: lines(sink) == ["one", "two", "three"])

    follow(log, scene)


def test_tail_goes_on_after_a_restart_where_it_was(log: Path) -> None:
    append(log, "one\n")

    async def first(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        await until(lambda: lines(sink) == ["one"])

    async def second(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        await until(lambda: lines(sink) == ["two"])

    follow(log, first, start="begin")
    append(log, "two\n")
    follow(log, second)


def test_tail_reads_the_renamed_file_to_its_end_and_then_the_new_one(log: Path) -> None:
    append(log, "")

    async def scene(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        append(log, "one\n")
        await until(lambda: lines(sink) == ["one"])
        append(log, "two\n")
        log.rename(log.with_suffix(".1"))
        append(log.with_suffix(".1"), "three\n")
        append(log, "four\n")
        await until(lambda: lines(sink) == ["one", "two", "three", "four"])

    follow(log, scene, start="begin")


def test_tail_begins_anew_when_the_file_was_cut(log: Path) -> None:
    async def scene(sink: RecordingSink, offset: Callable[[], int | None]) -> None:
        append(log, "a long first line\n")
        await until(lambda: len(sink.payloads) == 1)
        os.truncate(log, 0)
        await until(lambda: offset() == 0)
        append(log, "short\n")
        await until(lambda: lines(sink)[1:] == ["short"])

    follow(log, scene, start="begin")


def test_tail_begins_anew_when_the_file_was_replaced_between_runs(log: Path) -> None:
    async def one_line(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        await until(lambda: len(sink.payloads) == 1)

    append(log, "one\n")
    follow(log, one_line, start="begin")
    log.rename(log.with_suffix(".1"))
    append(log, "of another file\n")
    assert lines(follow(log, one_line)) == ["of another file"]


def test_file_that_begins_to_exist_is_read_from_its_start(log: Path) -> None:
    async def scene(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        await asyncio.sleep(0.05)  # it looks for the file in vain
        append(log, "one\n")
        await until(lambda: lines(sink) == ["one"])

    follow(log, scene)


def test_endless_lines_are_refused_once_and_skipped(log: Path) -> None:
    append(log, "x" * (5 * MAX_BYTES) + "\nnext\n" + "y" * (MAX_BYTES - 1) + "\nlast\n")

    async def scene(sink: RecordingSink, _offset: Callable[[], int | None]) -> None:
        await until(lambda: "last" in lines(sink))

    sink = follow(log, scene, start="begin")
    assert lines(sink) == ["next", "y" * (MAX_BYTES - 1), "last"]
    assert sink.refused == {"message: too large": 1}


def test_replay_reads_all_once_each_time_and_ends(log: Path) -> None:
    expected = [str(number) for number in range(200)]
    append(log, "\n".join(expected))  # without an end of the last line

    async def main() -> RecordingSink:
        sink = RecordingSink()
        settings = FileSettings(name="file", path=str(log), mode="replay")
        await asyncio.wait_for(FileAdapter(settings, MAX_BYTES, Positions(log.parent)).run(sink), 5)
        return sink

    for _ in range(2):
        assert lines(asyncio.run(main())) == expected


def test_reading_waits_for_room(log: Path) -> None:
    append(log, "one\n" * 1000)

    async def scene(sink: RecordingSink, offset: Callable[[], int | None]) -> None:
        sink.room = False
        await until(lambda: offset() == 0)
        await asyncio.sleep(0.1)
        assert sink.payloads == []
        sink.room = True
        await until(lambda: len(sink.payloads) == 1000)

    follow(log, scene, start="begin")


def test_pipe_and_missing_replay_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, mode in (("pipe", "tail"), ("absent", "replay")):
        settings = FileSettings(name="file", path=str(tmp_path / name), mode=mode)  # type: ignore[arg-type]
        with pytest.raises(AdapterError, match=name):
            asyncio.run(FileAdapter(settings, MAX_BYTES, Positions(tmp_path)).run(RecordingSink()))


def test_positions_survive_and_damage_is_no_end(tmp_path: Path) -> None:
    positions = Positions(tmp_path)
    positions.set("a", Position("/log", 5, 77))
    earlier = positions.snapshot()
    positions.set("a", Position("/log", 5, 99))
    positions.save(earlier)
    assert Positions(tmp_path).get("a", "/log") == Position("/log", 5, 77)
    assert Positions(tmp_path).get("a", "/other") is None
    (tmp_path / "positions.json").write_text('{"a": [')
    assert Positions(tmp_path).get("a", "/log") is None
