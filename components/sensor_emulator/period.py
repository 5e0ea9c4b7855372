"""When a run began, kept over restarts: a forgotten emulator must come to an end, however often the gateway boots."""

import json
import os
from pathlib import Path
from typing import Final

FILE_NAME: Final = "run.json"
_MINUTE_MS: Final = 60_000


class Period:
    """Runs by name. A name that was used before goes on with its own time, or is over.

    Parameters
    ----------
    directory : the component's own
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE_NAME

    def end_ms(self, run: str, minutes: int, now_ms: int) -> int:
        """Wall time at which the run is over; a new name begins a run now.

        Raises
        ------
        OSError
            Its beginning cannot be kept, so it must not begin.
        """
        began_ms = self._began_ms(run)
        if began_ms is None or began_ms > now_ms:  # a clock that was set back would make it longer
            began_ms = now_ms
            self._write(run, began_ms)
        return began_ms + minutes * _MINUTE_MS

    def _began_ms(self, run: str) -> int | None:
        try:
            noted = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:  # torn by a power cut: the run of then is over rather than begun again
            return 0
        began_ms = noted.get(run) if isinstance(noted, dict) else 0
        return began_ms if began_ms is None or type(began_ms) is int else 0

    def _write(self, run: str, began_ms: int) -> None:
        temporary = self._file.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({run: began_ms}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._file)
