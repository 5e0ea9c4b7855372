"""How a run was made, so that it can be made again. Pure."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulator.report import words
from simulator.report.run_folder import RunFolder

MAX_TEXT: Final = 160
# Of report.json: what was asked for, where run.json does not say it.
_ASKED: Final = ("seed", "sensors", "gateways", "gateways_real", "duration_s", "window_s", "profile", "mode", "target")


def making(folder: RunFolder) -> str:
    """The command, the options, and the versions that it ran with."""
    made = folder.recording.made if folder.recording else {}
    command = made.get("command")
    line = f"<pre><code>{words.escape(shlex.join(command))}</code></pre>" if command else ""
    rows = "".join(
        f'<tr><th scope="row">{words.escape(name)}</th><td>{words.escape(value)}</td></tr>'
        for name, value in _facts(folder, made)
    )
    return f'{line}<div class="facts"><table><tbody>{rows}</tbody></table></div>'


def _facts(folder: RunFolder, made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    asked = folder.options.get("options")
    options = asked if isinstance(asked, Mapping) else {key: folder.report.get(key) for key in _ASKED}
    for name, value in {**options, **made}.items():
        if value is not None and name != "command":
            yield name.replace("_", " "), _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        if any(isinstance(each, Mapping) for each in value):
            return f"{len(value)}, see run.json"
        text = ", ".join(_text(each) for each in value) or "none"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
    else:
        text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ..., see run.json"
