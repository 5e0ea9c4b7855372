"""The windows that a run found stored, beside its report: what a comparison looks at when the cloud is gone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from roadside.contract.codec import decode_window, encode_window
from roadside.contract.errors import ContractError
from roadside.contract.summary import WindowSummary
from simulator.verification.archive import ArchiveError

FILE: Final = "windows.npz"
MAX_WINDOWS: Final = 100_000  # of a run that is so long that nobody compares it, none are kept


def keep_windows(folder: Path, stored: Mapping[tuple[str, int], Sequence[WindowSummary]]) -> None:
    """Write them as the bytes that gateways send, one after the other."""
    windows = [window for of_key in stored.values() for window in of_key]
    if len(windows) > MAX_WINDOWS:
        return
    payloads = [encode_window(window) for window in windows]
    lengths = np.array([len(payload) for payload in payloads], dtype=np.int64)
    np.savez(folder / FILE, payloads=np.frombuffer(b"".join(payloads), dtype=np.uint8), lengths=lengths)


def kept_windows(folder: Path) -> dict[tuple[str, int], list[WindowSummary]]:
    """What `keep_windows` wrote, by gateway and window start. Raises ArchiveError."""
    path = folder / FILE
    found: dict[tuple[str, int], list[WindowSummary]] = defaultdict(list)
    try:
        with np.load(path, allow_pickle=False) as kept:
            payloads, ends = kept["payloads"].tobytes(), np.cumsum(kept["lengths"]).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            window = decode_window(payloads[start:end])
            found[window.gateway, window.window_start_ms].append(window)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path}: no such file; give the --out of a finished run with gateways") from error
    except (OSError, ValueError, KeyError, EOFError, ContractError) as error:
        raise ArchiveError(f"{path} cannot be read ({error}); run again") from error
    return found
