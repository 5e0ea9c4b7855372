"""Takes secrets out of what leaves the gateway for support. Pure, standard library only.

Message contents (`payload` in a log) are hidden as secrets are. Better a harmless value too many than a secret too few:
what a key's name calls secret is hidden whole.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "(hidden)"
_SECRET_NAME: Final = re.compile(r"pass(?:word|wd|phrase)?$|secret|token|credential|private|svcuid|api_?key|key$", re.I)
_PATTERNS: Final = (
    re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*PRIVATE KEY-----|\Z)", re.S),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS access key ids
    re.compile(r"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)"),  # user:password@ in an address
    re.compile(r"(?i)(?<=bearer )[\w\-.~+/=]{8,}"),
    # name=value, "name": "value" and the like
    re.compile(r"(?i)((?:password|passwd|passphrase|secret|token|credential|svcuid|api_?key|payload)[\w-]*[\"']?\s*[=:]\s*)"
               r"(?:\"[^\"]*\"|'[^']*'|[^\s,;}\"']+)"),
)  # fmt: skip


def redact_tree(value: Any, name: str = "") -> Any:
    """A configuration with its secrets hidden; mappings and lists are followed."""
    if isinstance(value, Mapping):
        return {key: redact_tree(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact_tree(part, name) for part in value]
    if value is not None and _SECRET_NAME.search(name):
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """A log or other text with what looks like a secret hidden."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: (match[1] if match.lastindex else "") + HIDDEN, text)
    return text
