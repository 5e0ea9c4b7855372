"""Who fell behind, and at what rate: nobody for a moment's lag; for a lasting one who is nearest to the sensor."""

from __future__ import annotations

import pytest

from simulator.run.saturation import Bottleneck, Lags, saturation


def lags(published: int, *, client_s: float = 0.0, broker_s: float = 0.0, table_s: float = 0.0) -> Lags:
    return Lags(
        published, published, client_s, broker_s, table_s, cloud_cores=1.0 if broker_s > 1 else 0.5, client_cores=0.2
    )


def test_who_is_not_behind_at_the_end_has_kept_up() -> None:
    spike = [lags(100), lags(200, broker_s=4.0, table_s=4.0), lags(300, broker_s=3.0, table_s=3.0), lags(400)]
    found = saturation(spike)
    assert found.bottleneck is None
    assert (found.asked_per_s, found.reached_per_s, found.cloud_cores) == (100.0, 100.0, 0.75)


@pytest.mark.parametrize(
    ("behind", "who"),
    [
        ({"broker_s": 2.0, "table_s": 2.1}, Bottleneck.BROKER),
        ({"broker_s": 0.1, "table_s": 2.1}, Bottleneck.FUNCTION),
        ({"client_s": 2.0, "broker_s": 1.5, "table_s": 2.1}, Bottleneck.CLIENT),
    ],
)
def test_a_lag_that_lasts_names_who_causes_it(behind: dict[str, float], who: Bottleneck) -> None:
    seconds = [lags(100), *(lags(100 * n, **behind) for n in (2, 3, 4))]
    assert saturation(seconds).bottleneck is who
    assert saturation(seconds).from_s == 1


def test_the_rate_that_was_reached_is_that_of_arrivals_while_behind() -> None:
    """1,000 a second are asked; the lag grows by half a second each second, so 500 a second arrive."""
    kept_up = [lags(1000 * n) for n in range(1, 11)]
    fell_behind = [lags(1000 * n, broker_s=0.5 * (n - 10), table_s=0.5 * (n - 10)) for n in range(11, 31)]
    found = saturation([*kept_up, *fell_behind])
    assert found.bottleneck is Bottleneck.BROKER
    assert found.from_s == 12  # the first second that ended more than a second behind
    assert found.asked_per_s == 1000.0
    assert found.reached_per_s == pytest.approx(500.0)
    assert found.cloud_cores == 1.0
