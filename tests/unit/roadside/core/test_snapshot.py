"""What a snapshot holds, what it leaves out, and whose it is. Equality with an uninterrupted run is a property test."""

from dataclasses import replace

import numpy as np
import pytest

from roadside.core import snapshot
from roadside.core.aggregator import Aggregator, AggregatorConfig
from roadside.core.contrast_profile import BINS
from roadside.core.errors import SnapshotError
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of

CONFIG = AggregatorConfig()
FIRST, SECOND = (f"{snapshot.WINDOW_PREFIX}{T0_MS + ms}" for ms in (0, 10_000))


def fed(*rows: Row) -> Aggregator:
    core = Aggregator(registry_of(2), CONFIG)
    core.feed(batch_of(rows), T0_MS + 20_000, 0)
    return core


def test_only_the_head_and_changed_windows_are_written() -> None:
    core = fed(Row(0, T0_MS), Row(0, T0_MS + 10_000))
    assert set(snapshot.take(core).changed) == {snapshot.HEAD, snapshot.PROFILE, FIRST, SECOND}
    assert set(snapshot.take(core).changed) == {snapshot.HEAD}
    core.feed(batch_of([Row(1, T0_MS + 10_000)]), T0_MS + 20_000, 0)
    taken = snapshot.take(core)
    assert set(taken.changed) == {snapshot.HEAD, SECOND}
    assert taken.live == {snapshot.HEAD, snapshot.PROFILE, FIRST, SECOND}


def test_the_profile_is_written_only_once_it_has_learned_something_or_was_not_stored() -> None:
    core = fed(Row(0, T0_MS))
    assert snapshot.PROFILE in snapshot.take(core).changed
    assert snapshot.PROFILE not in snapshot.take(core).changed
    core.incidents.profile.teach(0, np.full((1, BINS), 20, dtype=np.int8))
    stored = snapshot.take(core).changed
    restored = snapshot.restore(stored, registry_of(2), CONFIG, 0)
    assert restored.incidents.profile.is_learned(0)
    assert snapshot.PROFILE not in snapshot.take(restored).changed
    snapshot.undo(core)
    assert set(snapshot.take(core).changed) == {snapshot.HEAD, snapshot.PROFILE, FIRST}


def test_a_snapshot_that_knows_no_incidents_is_taken_up_and_they_begin_anew() -> None:
    core = Aggregator(registry_of(2, 2, in_a_row=True), CONFIG)
    core.feed(batch_of([Row(0, T0_MS)]), T0_MS + 20_000, 0)
    stored = dict(snapshot.take(core).changed)
    head, arrays = snapshot._unpack(stored[snapshot.HEAD])
    old = {name: array for name, array in arrays.items() if not name.startswith(("incidents/", "profile/"))}
    assert len(old) < len(arrays)
    stored[snapshot.HEAD] = snapshot._pack(head, old)
    del stored[snapshot.PROFILE]
    restored = snapshot.restore(stored, registry_of(2, 2, in_a_row=True), CONFIG, 0)
    assert restored.next_start_ms == core.next_start_ms
    assert not restored.incidents.profile.is_learned(0)


def test_a_gateway_without_pairs_carries_no_memory_of_incidents() -> None:
    _, arrays = snapshot._unpack(snapshot.take(fed(Row(0, T0_MS))).changed[snapshot.HEAD])
    assert not [name for name in arrays if name.startswith(("incidents/", "profile/"))]


def test_a_refused_reading_alone_changes_its_window() -> None:
    core = fed(Row(0, T0_MS))
    snapshot.take(core)
    core.feed(batch_of([Row(1, T0_MS, vehicles=-1)]), T0_MS + 20_000, 0)
    stored = snapshot.take(core).changed
    assert FIRST in stored
    restored = snapshot.restore(stored, registry_of(2), CONFIG, 0)
    assert restored.grids[T0_MS].rejected.tolist() == [1]


def test_a_retired_window_is_no_longer_named() -> None:
    core = fed(Row(0, T0_MS))
    core.advance(10**9)
    assert FIRST not in snapshot.take(core).live


@pytest.mark.parametrize(
    ("registry", "config", "named"),
    [
        (registry_of(3), CONFIG, "registry"),
        (registry_of(2, free_flow_kmh=90.0), CONFIG, "registry"),
        (registry_of(2), replace(CONFIG, window_ms=20_000), "window_ms"),
        (registry_of(2), replace(CONFIG, reading_interval_ms=500), "reading_interval_ms"),
    ],
)
def test_a_snapshot_of_another_layout_is_refused_and_says_what_differs(
    registry: object, config: AggregatorConfig, named: str
) -> None:
    stored = snapshot.take(fed(Row(0, T0_MS))).changed
    with pytest.raises(SnapshotError, match=named):
        snapshot.restore(stored, registry, config, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [snapshot.HEAD])
def test_pieces_without_a_head_are_refused(missing: str) -> None:
    stored = dict(snapshot.take(fed(Row(0, T0_MS))).changed)
    del stored[missing]
    with pytest.raises(SnapshotError):
        snapshot.restore(stored, registry_of(2), CONFIG, 0)


def test_a_new_process_counts_silence_from_its_own_start() -> None:
    core = snapshot.restore(snapshot.take(fed(Row(0, T0_MS + 5_000))).changed, registry_of(2), CONFIG, 777_000)
    assert core.wake_at_steady_ms() == 777_000 + 9_000
    assert not core.advance(777_000 + 8_999)
    assert core.advance(777_000 + 9_000)
