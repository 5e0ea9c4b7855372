"""An aggregator that is stored and taken up again, at any point of any stream, equals one that never stopped."""

import zlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from roadside.core import snapshot
from roadside.core.aggregator import Aggregator
from roadside.core.errors import SnapshotError
from tests.property.gateway_streams import (
    IMPATIENT,
    UNJUDGED,
    Step,
    counts_of,
    feed,
    make_config,
    make_registry,
    output_as_dict,
    rows_at,
    streams,
    times,
)
from tests.property.naive_gateway import NaiveTimes
from tests.unit.roadside.core.builders import T0_MS, Row


def _store(stored: dict[str, bytes], taken: snapshot.Snapshot) -> None:
    """As the gateway's store does: write what changed, delete the windows that died."""
    stored.update(taken.changed)
    for name in [name for name in stored if name.startswith(snapshot.WINDOW_PREFIX) and name not in taken.live]:
        del stored[name]


def _resume_in_place(aggregator: Aggregator, steady_ms: int) -> None:
    """What a restart means to one that keeps its memory: a new process counts silence and delays from its own start."""
    aggregator.clock.rebase(steady_ms, same_clock=False)
    for grid in aggregator.grids.values():
        if grid.late_since_ms is not None:
            grid.late_since_ms = steady_ms


@settings(max_examples=150)
@given(times=times, stream=streams, data=st.data())
def test_a_restart_at_any_point_changes_no_output(times: NaiveTimes, stream: list[Step], data: st.DataObject) -> None:
    restarts = data.draw(st.lists(st.booleans(), min_size=len(stream), max_size=len(stream)))
    registry, config = make_registry(), make_config(times, health=data.draw(st.sampled_from([UNJUDGED, IMPATIENT])))
    running, stopping = Aggregator(registry, config), Aggregator(registry, config)
    stored: dict[str, bytes] = {}
    now_ms = 0
    for step, restart in zip(stream, restarts, strict=True):
        now_ms += step.after_ms
        for core in (running, stopping):
            feed(core, rows_at(step, now_ms), T0_MS + now_ms + step.wall_off_ms, now_ms)
        _store(stored, snapshot.take(stopping))
        if restart:
            stopping = snapshot.restore(stored, make_registry(), config, now_ms)
            _resume_in_place(running, now_ms)
        if step.readings is None:
            assert output_as_dict(stopping.advance(now_ms)) == output_as_dict(running.advance(now_ms))
            _store(stored, snapshot.take(stopping))
        assert counts_of(stopping) == counts_of(running)
        assert stopping.wake_at_steady_ms() == running.wake_at_steady_ms()
    assert output_as_dict(stopping.drain()) == output_as_dict(running.drain())
    assert counts_of(stopping) == counts_of(running)


def _pieces() -> dict[str, bytes]:
    core = Aggregator(make_registry(), make_config(NaiveTimes(3_000, 1_000, 2_000, 30_000, 0, 5_000, 2_000, 360)))
    feed(core, [Row(0, T0_MS), Row(0, T0_MS + 1), Row(2, T0_MS + 9_000)], T0_MS + 9_000, 0)
    core.advance(0)
    return dict(snapshot.take(core).changed)


PIECES = _pieces()
CONFIG = make_config(NaiveTimes(3_000, 1_000, 2_000, 30_000, 0, 5_000, 2_000, 360))


def _tells_the_same(damaged: bytes, piece: bytes) -> bool:
    """Whether the damage hit a reference of the compression into zeros, which lie elsewhere as well."""
    try:
        return zlib.decompress(damaged) == zlib.decompress(piece)
    except zlib.error:
        return False


@given(name=st.sampled_from(sorted(PIECES)), data=st.data())
def test_a_damaged_piece_is_refused_as_a_whole(name: str, data: st.DataObject) -> None:
    piece = PIECES[name]
    if data.draw(st.booleans()):
        damaged = piece[: data.draw(st.integers(0, len(piece) - 1))]
    else:
        bit = data.draw(st.integers(0, 8 * len(piece) - 1))
        damaged = bytes(byte ^ (1 << bit % 8 if i == bit // 8 else 0) for i, byte in enumerate(piece))
    assume(not _tells_the_same(damaged, piece))
    with pytest.raises(SnapshotError):
        snapshot.restore({**PIECES, name: damaged}, make_registry(), CONFIG, 0)


_json = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    name=st.sampled_from(sorted(PIECES)),
    written=st.one_of(st.binary(max_size=80), _json.map(lambda v: repr(v).encode())),
)
def test_a_piece_of_something_else_is_refused(name: str, written: bytes) -> None:
    with pytest.raises(SnapshotError):
        snapshot.restore({**PIECES, name: zlib.compress(written)}, make_registry(), CONFIG, 0)
