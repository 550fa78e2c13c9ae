"""Firefox over WebDriver BiDi. SPDX-License-Identifier: Apache-2.0

Debian's Firefox has no driver program of its own; BiDi is spoken on its debugging port. Only what
the tests use: load a page, run a script, press keys, take a picture.
"""
import asyncio
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import websockets

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.navigator.audio.fake_frequency": 880,
    "media.getusermedia.insecure.enabled": False,
    "media.peerconnection.ice.loopback": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
}
START_SECONDS = 40


class ScriptError(Exception):
    """A script in the page threw."""


class Firefox:
    """One headless Firefox with one page. `await Firefox.start(log)` … `await firefox.close()`."""

    def __init__(self, process: subprocess.Popen, profile: str, link, context: str):
        self.process, self.profile, self.link, self.context = process, profile, link, context
        self.last_id = 0
        self.answers: dict[int, asyncio.Future] = {}
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, log: pathlib.Path) -> "Firefox":
        """Starts the program with a fresh profile and fake devices."""
        profile = tempfile.mkdtemp(prefix="roundhouse-firefox-")
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        pathlib.Path(profile, "user.js").write_text("\n".join(lines) + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with open(log, "w") as output:
            process = subprocess.Popen(
                ["firefox-esr", "--headless", "--no-remote", "--profile", profile,
                 "--remote-debugging-port", str(port), "about:blank"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=_environment(profile))
        try:
            link = await _connect(port, process)
            await _call(link, 0, "session.new", {"capabilities": {}})
            tree = await _call(link, 0, "browsingContext.getTree", {})
            return cls(process, profile, link, tree["contexts"][0]["context"])
        except BaseException:
            _end(process, profile)
            raise

    async def _read(self) -> None:
        async for text in self.link:
            message = json.loads(text)
            waiting = self.answers.pop(message.get("id", -1), None)
            if waiting and not waiting.done():
                waiting.set_result(message)

    async def call(self, method: str, **parameters):
        """One BiDi command."""
        self.last_id += 1
        number = self.last_id
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.link.send(json.dumps({"id": number, "method": method, "params": parameters}))
        message = await asyncio.wait_for(self.answers[number], 60)
        if message.get("type") == "error":
            raise ScriptError(f"{method}: {message.get('message')}")
        return message["result"]

    async def before_pages(self, function: str) -> None:
        """Runs a JavaScript function in each page before the page's own scripts."""
        await self.call("script.addPreloadScript", functionDeclaration=function)

    async def open(self, url: str) -> None:
        """Loads a page and waits until it is loaded."""
        await self.call("browsingContext.navigate", context=self.context, url=url,
                        wait="complete")

    async def evaluate(self, expression: str):
        """The value of a JavaScript expression (a promise is awaited), by way of JSON."""
        body = f"async () => JSON.stringify((await ({expression})) ?? null)"
        result = await self.call(
            "script.callFunction", functionDeclaration=body, awaitPromise=True,
            target={"context": self.context}, userActivation=True)
        if result["type"] == "exception":
            raise ScriptError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def type(self, text: str) -> None:
        """Presses keys into whatever has the focus."""
        actions = [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")]
        await self.call("input.performActions", context=self.context,
                        actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    async def picture(self, path: pathlib.Path) -> None:
        """Writes a PNG of the page."""
        shot = await self.call("browsingContext.captureScreenshot", context=self.context)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def close(self) -> None:
        """Ends the program and removes its profile."""
        self.reader.cancel()
        await self.link.close()
        _end(self.process, self.profile)


def _environment(profile: str) -> dict[str, str]:
    return os.environ | {"HOME": profile, "MOZ_HEADLESS_WIDTH": "1280",
                         "MOZ_HEADLESS_HEIGHT": "800", "MOZ_CRASHREPORTER_DISABLE": "1"}


async def _connect(port: int, process: subprocess.Popen):
    for _ in range(START_SECONDS * 4):
        if process.poll() is not None:
            raise RuntimeError(f"firefox-esr ended with {process.returncode}")
        try:
            return await websockets.connect(f"ws://127.0.0.1:{port}/session", max_size=None)
        except (OSError, websockets.WebSocketException):
            await asyncio.sleep(0.25)
    raise RuntimeError("firefox-esr opened no debugging port")


async def _call(link, number: int, method: str, parameters: dict):
    await link.send(json.dumps({"id": number, "method": method, "params": parameters}))
    while True:
        message = json.loads(await link.recv())
        if message.get("id") == number:
            return message["result"]


def _end(process: subprocess.Popen, profile: str) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(profile, ignore_errors=True)
