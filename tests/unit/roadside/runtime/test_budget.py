"""The day's bytes: which lane may go when, and what survives a restart and a clock that steps."""

from roadside.runtime.budget import CHUNK_BYTES, DailyBudget
from roadside.runtime.lanes import Lane

DAY_MS = 86_400_000
MIDNIGHT_MS = 20_000 * DAY_MS
MEGABYTE = 1_000_000


class MemoryLedger:
    def __init__(self) -> None:
        self.day, self.size_bytes = 0, 0
        self.writes = 0

    def spent(self) -> tuple[int, int]:
        return self.day, self.size_bytes

    def note_spent(self, day: int, size_bytes: int) -> None:
        self.day, self.size_bytes = day, size_bytes
        self.writes += 1


class Bench:
    """Wall and steady clock go together unless the wall steps."""

    def __init__(self, daily_bytes: int = 10 * MEGABYTE) -> None:
        self.ledger = MemoryLedger()
        self.daily_bytes = daily_bytes
        self.wall_ms, self.steady_ms = MIDNIGHT_MS, 5
        self.restart()

    def restart(self) -> None:
        self.budget = DailyBudget(self.ledger, self.daily_bytes)
        self.steady_ms = 7
        self.budget.look(self.wall_ms, self.steady_ms)

    def pass_time(self, by_ms: int, step_wall_ms: int = 0) -> None:
        self.wall_ms += by_ms + step_wall_ms
        self.steady_ms += by_ms
        self.budget.look(self.wall_ms, self.steady_ms)

    def spend(self, size_bytes: int) -> None:
        self.budget.spend(size_bytes)
        if self.budget.is_to_be_noted:
            self.budget.note()

    def allowed(self) -> list[str]:
        return [lane.name for lane in Lane if self.budget.allows(lane)]


def test_without_a_limit_everything_goes_and_is_counted() -> None:
    bench = Bench(daily_bytes=0)
    bench.spend(100 * MEGABYTE)
    assert bench.allowed() == ["EVENTS", "LIVE", "SENSORS", "BACKLOG"]
    assert bench.budget.spent_bytes == 100 * MEGABYTE


def test_backlog_and_sensor_summaries_keep_to_an_even_pace_and_live_windows_run_ahead() -> None:
    bench = Bench()
    bench.pass_time(DAY_MS // 4)
    bench.spend(2_400_000)
    assert bench.allowed() == ["EVENTS", "LIVE", "SENSORS", "BACKLOG"]
    bench.spend(200_000)
    assert bench.allowed() == ["EVENTS", "LIVE"]
    bench.pass_time(DAY_MS // 4)
    assert bench.allowed() == ["EVENTS", "LIVE", "SENSORS", "BACKLOG"]


def test_live_windows_leave_a_quarter_and_events_always_go() -> None:
    bench = Bench()
    bench.spend(7_500_000)
    assert bench.allowed() == ["EVENTS"]
    bench.spend(100 * MEGABYTE)
    assert bench.allowed() == ["EVENTS"]


def test_next_day_has_new_bytes() -> None:
    bench = Bench()
    bench.spend(9_000_000)
    bench.pass_time(DAY_MS)
    assert bench.budget.spent_bytes == 0
    assert "LIVE" in bench.allowed()


def test_a_wall_clock_that_steps_back_begins_no_day_anew() -> None:
    bench = Bench()
    bench.spend(9_000_000)
    bench.pass_time(1000, step_wall_ms=-3_600_000)
    assert bench.allowed() == ["EVENTS"]
    bench.restart()
    assert bench.allowed() == ["EVENTS"]


def test_a_day_of_the_future_ends_after_24_hours_at_the_latest() -> None:
    bench = Bench()
    bench.pass_time(0, step_wall_ms=1000 * DAY_MS)
    bench.spend(9_000_000)
    bench.pass_time(0, step_wall_ms=-1000 * DAY_MS)
    bench.pass_time(DAY_MS - 1)
    assert bench.allowed() == ["EVENTS"]
    bench.pass_time(1)
    assert bench.budget.spent_bytes == 0


def test_a_killed_process_has_noted_at_least_what_it_spent_and_at_most_a_chunk_more() -> None:
    bench = Bench()
    for _ in range(500):
        bench.spend(1000)
    assert bench.ledger.writes <= 500_000 // CHUNK_BYTES + 1
    bench.restart()
    assert 500_000 <= bench.budget.spent_bytes <= 500_000 + CHUNK_BYTES
