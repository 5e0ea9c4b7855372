"""What the Monitor leaves on disk for a support bundle: its last heartbeat, and everybody's configuration without
secrets. The bundle is made by another process, which cannot ask the nucleus."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from monitor.redaction import redact_tree

HEARTBEAT_FILE: Final = "heartbeat.json"
CONFIGURATIONS_FILE: Final = "configurations.json"

_log = logging.getLogger(__name__)


class Notebook:
    """Two files in the component's own folder. A disk that fails is told once a minute and stops nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._configurations = ""

    def note_heartbeat(self, payload: bytes) -> None:
        """Keep the last heartbeat, sent or not."""
        self._write(HEARTBEAT_FILE, payload)

    def note_configurations(self, configurations: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the configurations by component, secrets hidden; the same again is not written again."""
        text = json.dumps(redact_tree(configurations), indent=1, sort_keys=True, default=repr)
        if text != self._configurations:
            self._configurations = text
            self._write(CONFIGURATIONS_FILE, text.encode())

    def _write(self, name: str, content: bytes) -> None:
        file = self._directory / name
        temporary = file.with_suffix(".new")
        try:
            temporary.write_bytes(content)
            temporary.replace(file)
        except OSError as error:
            _log.warning("cannot keep notes for support", extra={"reason": repr(error)})
