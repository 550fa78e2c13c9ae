"""Starts and ends Roundhouse processes. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import httpx


ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("SYSTEM_TEST_BINARY", ROOT / ".build/release/roundhouse"))
READY = "Roundhouse is ready: "
START_SECONDS = 30
STOP_SECONDS = 20


def free_udp_port() -> int:
    """A UDP port that nothing uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One `roundhouse` process: its words go to a log; `url` is where it says it is ready."""

    def __init__(self, log: pathlib.Path, arguments: list[str], program=(str(BINARY),)):
        self.log = log
        self.lines: list[str] = []
        self.errors = open(log.with_suffix(".err.log"), "ab")
        self.process = subprocess.Popen(
            [*program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, cwd=ROOT, start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("ROUNDHOUSE_")})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with open(self.log, "a") as output:
            for line in self.process.stdout or []:
                self.lines.append(line.rstrip())
                output.write(line)
                output.flush()

    def ready(self, seconds: float = START_SECONDS) -> str:
        """Waits for the ready line; returns the URL in it, without the last slash."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines:
                if line.startswith(READY):
                    return line[len(READY):].strip().rstrip("/")
            if self.process.poll() is not None:
                raise AssertionError(
                    f"ended with {self.process.returncode} at start:\n{self.words()}")
            time.sleep(0.02)
        raise AssertionError(f"not ready after {seconds:.0f} s:\n{self.words()}")

    def words(self) -> str:
        """The end of what it said on both channels."""
        errors = pathlib.Path(self.errors.name).read_text(errors="replace")
        return "\n".join([*self.lines[-20:], errors[-4000:]])

    def signal(self, number: int) -> None:
        """Sends a signal to the process."""
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for the end; returns the exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()

    def stop(self) -> int:
        """Asks it to stop and waits; ends it at once when it does not. Returns the status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop in {STOP_SECONDS} s:\n{self.words()}") from None
        finally:
            self.errors.close()


class Node:
    """A whole system: `roundhouse up` on a free port with a data folder of its own."""

    def __init__(self, artefacts: pathlib.Path, name: str, *options: str):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="roundhouse-test-"))
        self.log = artefacts / f"{name}.log"
        self.options = options
        self.url = ""
        self.start()

    def start(self) -> None:
        """Starts the process; after a stop the same port and data are taken again."""
        port = self.url.rsplit(":", 1)[1] if self.url else "0"
        self.process = Process(
            self.log, ["up", "--port", port, "--data", str(self.folder), *self.options])
        try:
            self.url = self.process.ready()
        except AssertionError:
            self.process.kill()
            raise

    @property
    def socket_url(self) -> str:
        """The WebSocket's address."""
        return self.url.replace("http", "ws", 1) + "/ws"

    def stop(self) -> int:
        """Stops the process and keeps the data."""
        return self.process.stop()

    def close(self) -> None:
        """Stops it and removes the data; it must have ended well."""
        try:
            status = self.process.wait(0) if self.process.process.poll() is not None else None
            status = self.stop() if status is None else status
            assert status == 0, f"ended with {status}:\n{self.process.words()}"
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def metrics(self) -> dict[str, float]:
        """The counters of /metrics, summed over their labels."""
        totals: dict[str, float] = {}
        for line in httpx.get(self.url + "/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                base = name.split("{", 1)[0]
                totals[base] = totals.get(base, 0.0) + float(value)
        return totals


async def stop_quietly(processes: list[Process]) -> None:
    """Stops several processes at once."""
    await asyncio.gather(*[asyncio.to_thread(p.stop) for p in processes])
