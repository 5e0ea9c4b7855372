"""How long readings take to their table, by looking for some of them until they are there."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

SAMPLE_EVERY_S: Final = 0.2
LOOK_EVERY_S: Final = 0.05  # and so the error of what is measured, which is never too short
MAX_KEYS: Final = 100  # of one BatchGetItem


class TableProbe:
    """Looks for samples in a thread of its own. Use as a context manager.

    Parameters
    ----------
    dynamodb : client
    table : with the key sensor_id and timestamp_ms

    Attributes
    ----------
    latencies_s : from the instant at which a reading was due to when it was found in the table
    """

    def __init__(self, dynamodb: Any, table: str) -> None:
        self.latencies_s: list[float] = []
        self._dynamodb = dynamodb
        self._table = table
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], int] = {}  # -> when it was due, in ms; the oldest first
        self._last_s = 0.0
        self._trouble: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="table-probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def published(self, sensor_id: str, timestamp_ms: int, due_ms: int) -> None:
        """A reading is on its way, as it was due at `due_ms`; now and then one is looked for."""
        now_s = time.monotonic()
        if now_s >= self._last_s + SAMPLE_EVERY_S:
            self._last_s = now_s
            with self._lock:
                self._waiting[sensor_id, timestamp_ms] = due_ms

    @property
    def waiting(self) -> int:
        """Samples that are not in the table yet. Raises what kept the probe from looking."""
        with self._lock:
            if self._trouble is not None:
                raise self._trouble
            return len(self._waiting)

    @property
    def lag_s(self) -> float:
        """For how long the oldest of them has been due."""
        with self._lock:
            due_ms = next(iter(self._waiting.values()), None)
        return 0.0 if due_ms is None else max(0.0, time.time() - due_ms / 1000)

    def _look(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            with self._lock:
                keys = list(self._waiting)[:MAX_KEYS]
            if not keys:
                continue
            try:
                found = self._found(keys)
            except Exception as error:  # noqa: BLE001 - told to whoever asks for the lag next
                with self._lock:
                    self._trouble = error
                return
            now_s = time.time()
            with self._lock:
                self.latencies_s += [now_s - self._waiting.pop(key) / 1000 for key in found]

    def _found(self, keys: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        wanted = [{"sensor_id": {"S": sensor}, "timestamp_ms": {"N": str(at_ms)}} for sensor, at_ms in keys]
        answer = self._dynamodb.batch_get_item(
            RequestItems={self._table: {"Keys": wanted, "ProjectionExpression": "sensor_id, timestamp_ms"}}
        )
        return [(item["sensor_id"]["S"], int(item["timestamp_ms"]["N"])) for item in answer["Responses"][self._table]]
