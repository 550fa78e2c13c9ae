"""The machine under the benchmarks: its name, CPU and memory of processes, metrics, progress.
SPDX-License-Identifier: Apache-2.0
"""
import collections
import contextlib
import os
import pathlib
import platform
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.request

from bench_stats import Usage
from common import ROOT

# For servers that we started ourselves a moment ago.
UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE


def say(*words: object) -> None:
    """Progress, apart from the result."""
    print(*words, file=sys.stderr, flush=True)


def machine() -> str:
    """Processor, cores and kernel."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(),
                          re.M)
        if found:
            return (f"{found.group(1).strip()}, {os.cpu_count()} cores, {platform.machine()}, "
                    f"Linux {platform.release()}")
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def commit() -> str:
    """The commit of the tree; with -dirty when something is changed beside it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude", "*"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def process_usage(pid: int) -> Usage:
    """CPU time of a process since it began, of threads that ended, too. The total is the kernel's
    in ns; user and system are shares of it as counted at clock ticks."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    user, system = int(fields[11]), int(fields[12])
    # The clock of another process: CPUCLOCK_SCHED of include/linux/posix-timers.h.
    total = time.clock_gettime_ns((~pid << 3) | 2)
    share = user / (user + system) if user + system else 1.0
    return Usage(total * share, total * (1 - share), time.monotonic_ns())


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", text, re.M)
    return int(found.group(1)) * 1024 if found else 0


def parse_metrics(text: str) -> dict[str, float]:
    """Sums of the samples of each metric in Prometheus' text format over all label sets; for a
    histogram its buckets are kept apart, as NAME_bucket{le="…"}."""
    totals: dict[str, float] = collections.defaultdict(float)
    for line in text.splitlines():
        found = re.match(r"([A-Za-z_:][\w:]*)(\{.*\})?\s+(\S+)", line)
        if not found or line.startswith("#"):
            continue
        name, labels, value = found.groups()
        edge = re.search(r'\ble="([^"]+)"', labels or "")
        totals[f'{name}{{le="{edge.group(1)}"}}' if edge else name] += float(value)
    return dict(totals)


def metrics(url: str) -> dict[str, float]:
    """A server's metrics."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10, context=UNVERIFIED) as answer:
        return parse_metrics(answer.read().decode())


def await_url(url: str, process: subprocess.Popen, seconds: float) -> None:
    """Returns when the URL answers; raises when the process ends or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended at once with status {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(
                url, timeout=1, context=UNVERIFIED):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer in {seconds} s")


def end(process: subprocess.Popen, seconds: float = 10) -> None:
    """Ends a process that we started: asks, waits, then kills."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


@contextlib.contextmanager
def running(command: list[str], log: pathlib.Path, **options):
    """Runs a process for as long as the block lasts; its output goes into the log."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        end(process)
