"""A headless Chromium over its DevTools protocol, spoken through two pipes: no port, no driver, no other library.

The browser is the one that `make test` unpacks (`tests/browser/unpack.mjs`). It shares nothing with the user's own: its
profile, its fonts and its home lie in a folder of the test.
"""

import base64
import fcntl
import json
import os
import platform
import select
import signal
import time
from pathlib import Path
from typing import Any, Final, Self

UNPACKED: Final = Path(__file__).parent / "node_modules" / ".browser"
PROGRAM: Final = UNPACKED / "chromium"
ANSWER_S: Final = 20.0


def _why_not() -> str | None:
    if platform.machine() != "x86_64":
        return "the packaged browser is for x86-64"
    return None if PROGRAM.exists() else "no browser (run: make test)"


WHY_NOT: Final = _why_not()
"""Why there is no browser here; None if there is one."""

_SWITCHES: Final = (
    "--headless=old",
    "--no-sandbox",  # containers have no user namespaces; the pages are our own
    "--no-zygote",
    "--single-process",
    "--disable-gpu",
    "--in-process-gpu",
    "--use-gl=disabled",
    "--disable-software-rasterizer",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_FONTS: Final = """<?xml version="1.0"?><fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>"""


class BrowserError(Exception):
    """The browser ended, was silent for too long, or refused what it was asked."""


class Chromium:
    """One browser with one page. Use as a context manager: leaving it ends the browser.

    Attributes
    ----------
    events : what the browser told by itself, in order
    """

    def __init__(self, folder: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._heard = b""
        self._asked = 0
        self._session = ""
        self._folder = folder
        self._log = folder / "chromium.log"
        fonts = folder / "fonts.conf"
        fonts.write_text(_FONTS.format(fonts=UNPACKED / "fonts", cache=folder / "font-cache"), encoding="utf-8")

    def __enter__(self) -> Self:
        from_us, self._to = os.pipe()
        self._from, to_us = os.pipe()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT)
        # The protocol is spoken on descriptors 3 and 4. First out of the way what may have these numbers here.
        given = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (from_us, to_us, log, log)]
        self._pid = os.posix_spawn(
            PROGRAM,
            [str(PROGRAM), *_SWITCHES, f"--user-data-dir={self._folder / 'profile'}", "about:blank"],
            {
                "HOME": str(self._folder),
                "TMPDIR": str(self._folder),
                "PATH": "/usr/bin:/bin",
                "LD_LIBRARY_PATH": str(UNPACKED / "libraries" / "lib"),
                "FONTCONFIG_FILE": str(self._folder / "fonts.conf"),
            },
            file_actions=[
                (os.POSIX_SPAWN_DUP2, each, number) for each, number in zip(given, (3, 4, 1, 2), strict=True)
            ],
        )
        for each in (from_us, to_us, log, *given):
            os.close(each)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._to)
        os.close(self._from)

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1.0) -> None:
        """As if the page were looked at on such a screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, page: Path) -> None:
        """Load a file and wait until it has loaded all that it wants."""
        told = len(self.events)
        self.call("Page.navigate", url=page.absolute().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[told:]):
            self.events.append(self._hear())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's when it is kept."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A picture as PNG of what is seen, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def complaints(self) -> list[str]:
        """Errors and warnings on the console, exceptions, and requests that failed or left the machine."""
        found = []
        for event in self.events:
            what, told = event["method"], event["params"]
            if what == "Runtime.exceptionThrown":
                found.append(f"exception: {told['exceptionDetails']}")
            elif what == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
                found.append(f"console: {told['args']}")
            elif what == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {told['entry']}")
            elif what == "Network.loadingFailed":
                found.append(f"failed: {told}")
            elif what == "Network.requestWillBeSent" and not told["request"]["url"].startswith(("file:", "data:")):
                found.append(f"request: {told['request']['url']}")
        return found

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and return what it answers."""
        self._asked += 1
        message: dict[str, Any] = {"id": self._asked, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._hear()
            if answer.get("id") == self._asked:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _hear(self) -> dict[str, Any]:
        deadline_s = time.monotonic() + ANSWER_S
        while b"\0" not in self._heard:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._from], [], [], left_s)[0]:
                raise BrowserError(f"no word from the browser for {ANSWER_S:g} s; see {self._log}")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise BrowserError(f"the browser ended; see {self._log}")
            self._heard += part
        message, self._heard = self._heard.split(b"\0", 1)
        heard: dict[str, Any] = json.loads(message)
        return heard
