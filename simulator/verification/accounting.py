"""Where every reading of a run ended, by gateway: each in exactly one place, told by whoever must know.

    sent           what the sensors made, and what was repeated on the way          the feed
    lost_on_the_way  by a declared loss or at a gateway without power               the feed
    aggregated     in a stored window                                               the windows table
    excluded       of a sensor that its gateway declared not to believe             its events, and the oracle
    shed           in windows that the gateway gave up for want of room             the gateway's books, and the oracle
    duplicates, rejected, late_beyond_correction                                    the gateway's books
    lost_in_crash  taken in the second before an end, and in no journal             the gateway's books before and after

The sum must be what was sent, for each gateway; a remainder of either sign is a failure that names the gateway and the
windows that differ. Of a gateway that is a process nobody can read the books in the instant of its end: what it lost is
what was handed to it and is not in its books, and that must lie between nothing and what was handed over in the
seconds before its ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from roadside.contract.summary import WindowSummary

TOO_LATE: Final = "too_late"
MAX_WINDOWS_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one gateway's readings, each number from its own source.

    Parameters
    ----------
    made, repeated, lost_on_the_way : of the feed
    refusable : of the feed, by reason, what the gateway had to refuse
    accepted, duplicates, rejected, windows_given_up : of the gateway's books
    lost_by_books : what its books missed after its ends, where they could be read in that instant; else None
    at_risk : readings handed over in the second before an end; 0 if it never ended
    stored : readings in its stored windows
    excludable : of the oracle, readings of sensors that it declared to leave out; some of those may have been at risk
    excludable_at_risk : how many
    window_gaps : by start of a window, how many readings more the oracle knows than are stored
    """

    gateway: str
    made: int
    repeated: int
    lost_on_the_way: int
    refusable: Mapping[str, int]
    accepted: int
    duplicates: int
    rejected: Mapping[str, int]
    windows_given_up: int
    lost_by_books: int | None
    at_risk: int
    stored: int
    excludable: int = 0
    excludable_at_risk: int = 0
    window_gaps: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """Where the readings of a gateway, or of all, ended. `remainder` is what nobody can tell of, or was told twice."""

    sent: int = 0
    aggregated: int = 0
    duplicates: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    late_beyond_correction: int = 0
    excluded: int = 0
    shed: int = 0
    lost_on_the_way: int = 0
    lost_in_crash: int = 0

    @property
    def remainder(self) -> int:
        return self.sent - (
            self.aggregated
            + self.duplicates
            + sum(self.rejected.values())
            + self.late_beyond_correction
            + self.excluded
            + self.shed
            + self.lost_on_the_way
            + self.lost_in_crash
        )


@dataclass(frozen=True, slots=True)
class Accounting:
    """The account of a run: of each gateway, and what is wrong with it, a line each."""

    by_gateway: Mapping[str, Account]
    problems: Sequence[str]

    @property
    def total(self) -> Account:
        accounts = list(self.by_gateway.values())

        def total(name: str) -> int:
            return sum(getattr(account, name) for account in accounts)

        reasons = sorted({reason for account in accounts for reason in account.rejected})
        return Account(
            **{name: total(name) for name in Account.__dataclass_fields__ if name != "rejected"},
            rejected={reason: sum(account.rejected.get(reason, 0) for account in accounts) for reason in reasons},
        )

    def report(self) -> dict[str, Any]:
        """For report.json: the whole, and every gateway on its own."""
        return {
            **_told(self.total),
            "gateways": {name: _told(account) for name, account in self.by_gateway.items()},
        }


def account(told: Iterable[Told]) -> Accounting:
    """Add up what every source says of every gateway."""
    accounts: dict[str, Account] = {}
    problems: list[str] = []
    for one in told:
        accounts[one.gateway] = _account(one)
        problems += _problems(one, accounts[one.gateway])
    return Accounting(accounts, problems)


def _account(told: Told) -> Account:
    in_books = told.accepted + told.duplicates + sum(told.rejected.values())
    handed = told.made + told.repeated - told.lost_on_the_way
    lost = told.lost_by_books
    if lost is None:
        lost = min(max(0, handed - in_books), told.at_risk)
    missing = max(0, told.accepted - told.stored)
    excluded = min(max(missing, told.excludable - told.excludable_at_risk), told.excludable)
    gone = sum(gap for gap in told.window_gaps.values() if gap > 0)
    return Account(
        sent=told.made + told.repeated,
        aggregated=told.stored,
        duplicates=told.duplicates,
        rejected={reason: count for reason, count in told.rejected.items() if reason != TOO_LATE and count},
        late_beyond_correction=told.rejected.get(TOO_LATE, 0),
        excluded=excluded,
        shed=min(missing - excluded, gone) if told.windows_given_up and missing > excluded else 0,
        lost_on_the_way=told.lost_on_the_way,
        lost_in_crash=lost,
    )


def _problems(told: Told, found: Account) -> list[str]:
    problems = []
    if found.remainder:
        what = "nobody can tell of" if found.remainder > 0 else "were counted twice"
        places = [f"{start_ms} ({gap:+,})" for start_ms, gap in sorted(told.window_gaps.items()) if gap]
        named = f"; windows that miss readings: {', '.join(places[:MAX_WINDOWS_NAMED])}" if places else ""
        problems.append(f"account of {told.gateway}: {abs(found.remainder):,} of {found.sent:,} readings {what}{named}")
    if not 0 <= found.lost_in_crash <= told.at_risk:
        problems.append(
            f"account of {told.gateway}: its books miss {found.lost_in_crash:,} readings after its ends, but at most "
            f"{told.at_risk:,} were at risk"
        )
    for reason in sorted({*told.refusable, *told.rejected}):
        planned, did = told.refusable.get(reason, 0), told.rejected.get(reason, 0)
        if not max(0, planned - told.at_risk) <= did <= planned:
            problems.append(
                f"account of {told.gateway}: it refused {did:,} readings as {reason}, {planned:,} were to be refused"
            )
    return problems


def _told(account: Account) -> dict[str, Any]:
    return {**asdict(account), "remainder": account.remainder}


def readings_by_window(windows: Iterable[WindowSummary]) -> dict[int, int]:
    """Readings in one gateway's stored windows, by start; several epochs of a window are one."""
    counts: Counter[int] = Counter()
    for window in windows:
        counts[window.window_start_ms] += sum(segment.readings_accepted for segment in window.segments)
    return dict(counts)


def gaps(expected: Mapping[int, int], windows: Sequence[WindowSummary]) -> dict[int, int]:
    """How many readings more are expected of each window than are stored, where that is any; negative for too many.

    Parameters
    ----------
    expected : readings by start of the oracle's windows; a stored window may be a coarser one
    """
    left: Counter[int] = Counter()
    spans = sorted({(window.window_start_ms, window.window_end_ms) for window in windows})
    for start_ms, count in expected.items():
        place = next((first for first, end in spans if first <= start_ms < end), start_ms)
        left[place] += count
    left.subtract(readings_by_window(windows))
    return {start_ms: gap for start_ms, gap in left.items() if gap}
