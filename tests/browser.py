"""A headless Chromium for tests, spoken to through two pipes (the DevTools protocol), and a server for its pages."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import itertools
import json
import os
import select
import shutil
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe", "about:blank",
)  # fmt: skip
_WAIT_S = 60.0


def find_chromium() -> str:
    """The program, or a skip with the reason."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    return pytest.skip(f"no browser is here: none of {', '.join(_NAMES)} is installed")


class Browser:
    """A Chromium process of its own; `page` opens an address."""

    def __init__(self, profile: Path, *flags: str) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # The protocol wants descriptors 3 and 4, which may be taken here: they are put there in two steps
        spare = [os.dup2(fd, 200 + index) for index, fd in enumerate((to_browser, from_browser))]
        moves = [(os.POSIX_SPAWN_DUP2, fd, 3 + index) for index, fd in enumerate(spare)]
        moves += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
        program = find_chromium()
        command = [program, f"--user-data-dir={profile}", *flags, *_FLAGS]
        self.process = os.posix_spawn(program, command, os.environ, file_actions=moves, setpgroup=0)
        for fd in (to_browser, from_browser, *spare):
            os.close(fd)
        self._ids, self._buffer, self.events = itertools.count(1), b"", list[dict[str, Any]]()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _WAIT_S
        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0], "the browser says nothing"
            block = os.read(self._in, 1 << 20)
            assert block, "the browser has ended"
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def page(self, url: str, width: int = 1280, height: int = 900, dark: bool = False, touch: bool = False) -> Page:
        """Open an address in a tab of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        page.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=url)
        page.wait("location.href !== 'about:blank' && document.readyState === 'complete'")
        return page

    def close(self) -> None:
        """End the process and those that it started."""
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        os.close(self._out)
        os.close(self._in)
        for _ in range(50):
            if os.waitpid(self.process, os.WNOHANG)[0]:
                return
            time.sleep(0.1)
        os.killpg(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def run(self, code: str) -> Any:
        """The value of an expression; of a promise what it comes to."""
        done = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str, seconds: float = _WAIT_S) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + seconds
        while not (value := self.run(condition)):
            assert time.monotonic() < end, f"{condition} is still {value!r}; {self.problems()}; {self.text('body')}"
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.run(f"(() => {{const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                       "return [b.x + b.width / 2, b.y + b.height / 2]})()")  # fmt: skip
        self.drag([box, box])

    def drag(self, points: list[list[float]]) -> None:
        """Move the pressed mouse along a line."""
        (x, y), button = points[0], {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **button)
        for x, y in points[1:]:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, **button)

    def key(self, name: str) -> None:
        """Press a key."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39}[name]
        text = {"Enter": "\r", " ": " "}.get(name)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name.strip() or "Space",
                  windowsVirtualKeyCode=code, **({"text": text} if text else {}))  # fmt: skip
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files in a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Write a picture of the page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def problems(self) -> list[str]:
        """Errors and warnings of the console so far, uncaught exceptions and refused resources."""
        self.run("1")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(str(details.get("exception", {}).get("description") or details["text"]))
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
                found.append(" ".join(str(one.get("value")) for one in parameters["args"]))
        return found

    def requests(self) -> list[str]:
        """The addresses that were asked for so far."""
        self.run("1")
        sent = [one for one in self.browser.events if one.get("method") == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in sent if one.get("sessionId") == self.session]

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class _Crossing(_Quiet):
    """Allows other pages to use its files, as a public CDN does."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@contextlib.contextmanager
def serving(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """Serve a folder on loopback as `python -m http.server` does; with a certificate as a CDN does."""
    handler = functools.partial(_Crossing if certificate else _Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
