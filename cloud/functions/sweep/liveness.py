"""Whether a gateway lives, by whatever shows it: windows, heartbeats, the broker's word. Pure.

People shall hear within 90 s of a gateway that fell silent, and passes are a minute apart. So a gateway that has been
silent for 25 s is looked at again within the pass, and one that is silent for 40 s then, four windows, is offline.
Heartbeats come every five minutes: they can show life, and their absence alone shows nothing for long.
"""

from dataclasses import dataclass, replace
from typing import Final

from cloud.functions.sweep.gateway import Gateway
from roadside.contract.bus import GatewayNotice
from roadside.contract.event_fields import OfflineReason
from roadside.contract.heartbeat import INTERVAL_S

DOUBT_MS: Final = 25_000  # longer would let the next pass come too late
SILENT_MS: Final = 40_000
_DOUBT_WINDOWS: Final = 2.5
_SILENT_WINDOWS: Final = 4
RECONNECT_MS: Final = 20_000  # a gateway that changes its network is back by then
WITHOUT_WINDOWS_MS: Final = 2500 * INTERVAL_S  # two heartbeats and a half; the broker's word comes within seconds
FEWEST_FOR_STALLED: Final = 3  # gateways; fewer may well fall silent together


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence may last, by the length of the fleet's windows.

    Parameters
    ----------
    doubt_ms : from here on a gateway is looked at again
    silent_ms : from here on it is offline
    """

    doubt_ms: int = DOUBT_MS
    silent_ms: int = SILENT_MS

    @classmethod
    def for_windows(cls, window_s: int) -> "Patience":
        return cls(
            max(DOUBT_MS, round(1000 * _DOUBT_WINDOWS * window_s)), max(SILENT_MS, 1000 * _SILENT_WINDOWS * window_s)
        )


@dataclass(frozen=True, slots=True)
class Life:
    """What a pass found of one gateway.

    Parameters
    ----------
    gateway : with its new status
    notice : what is to be announced, or None
    look_again_ms : when it must be looked at again before anything can be said; None if that is not so
    """

    gateway: Gateway
    notice: GatewayNotice | None = None
    look_again_ms: int | None = None


def last_sign_ms(gateway: Gateway, window_received_ms: int) -> int:
    """When the gateway last showed life; 0 for never."""
    return max(gateway.heartbeat_ms, gateway.connected_ms, window_received_ms)


def stalled(last_windows_ms: list[int], now_ms: int, patience: Patience = Patience()) -> bool:
    """Whether windows of all gateways stopped at once: then our own way is shut, and their absence shows nothing.

    Parameters
    ----------
    last_windows_ms : of each gateway that is not known to be offline, when its newest window arrived
    """
    return len(last_windows_ms) >= FEWEST_FOR_STALLED and now_ms - max(last_windows_ms) >= patience.doubt_ms


def judge(
    gateway: Gateway,
    window_received_ms: int,
    now_ms: int,
    *,
    windows_stalled: bool = False,
    patience: Patience = Patience(),
) -> Life:
    """What the signs say.

    Parameters
    ----------
    window_received_ms : when the newest window arrived, 0 for none
    windows_stalled : nobody's windows arrive, so that only heartbeats and the broker's word count
    """
    sign_ms = last_sign_ms(gateway, window_received_ms)
    if not sign_ms:
        return Life(gateway)  # announced by somebody and never heard: not installed yet
    if gateway.status == "offline":
        return _judge_offline(gateway, sign_ms, now_ms, patience)
    if gateway.disconnected_ms > sign_ms:
        return _judge_disconnected(gateway, sign_ms, now_ms)
    if windows_stalled:
        unheard = gateway.heartbeat_ms and now_ms - gateway.heartbeat_ms >= WITHOUT_WINDOWS_MS
        return _offline(gateway, "silent", sign_ms, now_ms) if unheard else Life(gateway)
    return _judge_online(gateway, sign_ms, now_ms, patience)


def _judge_offline(gateway: Gateway, sign_ms: int, now_ms: int, patience: Patience) -> Life:
    back = sign_ms > max(gateway.seen_ms, gateway.disconnected_ms) and now_ms - sign_ms < patience.silent_ms
    if not back:
        return Life(gateway)
    notice = GatewayNotice("GatewayOnline", gateway.name, "silent", now_ms, gateway.seen_ms)
    return Life(replace(gateway, status="online", seen_ms=0), notice)


def _judge_disconnected(gateway: Gateway, sign_ms: int, now_ms: int) -> Life:
    if now_ms - gateway.disconnected_ms < RECONNECT_MS:
        return Life(gateway, look_again_ms=gateway.disconnected_ms + RECONNECT_MS)
    return _offline(gateway, "disconnected", sign_ms, now_ms)


def _judge_online(gateway: Gateway, sign_ms: int, now_ms: int, patience: Patience) -> Life:
    silence_ms = now_ms - sign_ms
    if silence_ms >= patience.silent_ms:
        return _offline(gateway, "silent", sign_ms, now_ms)
    if silence_ms >= patience.doubt_ms:
        return Life(gateway, look_again_ms=sign_ms + patience.silent_ms)
    return Life(replace(gateway, status="online"))


def _offline(gateway: Gateway, reason: OfflineReason, sign_ms: int, now_ms: int) -> Life:
    notice = GatewayNotice("GatewayOffline", gateway.name, reason, now_ms, sign_ms)
    return Life(replace(gateway, status="offline", seen_ms=sign_ms), notice)
