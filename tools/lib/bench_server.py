"""The server under test and the load tool against it. SPDX-License-Identifier: Apache-2.0

The server is a child process; its CPU time comes from the kernel, its counters from /metrics, both
read at the edges of the load tool's measured window. The load tool says on its standard error
where the edges are: lines `phase measuring` and `phase done`.
"""
import contextlib
import dataclasses
import json
import pathlib
import socket
import subprocess
import tempfile
import threading

import bench_machine
import bench_network
import bench_stats
import common
from bench_result import Options
from bench_stats import Sample, Usage

BUCKETS = 20
HISTOGRAM = "roundhouse_forward_latency_seconds_bucket"
# Beside the measured window: thousands of accounts take minutes to make, the first time.
LOAD_SECONDS_MAX = 900
SERVER_SECONDS = 20


@dataclasses.dataclass
class Reading:
    """A server at one moment."""
    usage: Usage
    resident_bytes: int
    metrics: dict[str, float]


class Server:
    """A running server of either kind: its process, where it is signalled, its metrics."""

    def __init__(self, process: subprocess.Popen, url: str, has_metrics: bool):
        self.process, self.url, self.has_metrics = process, url, has_metrics

    def read(self) -> Reading:
        """What it has used and counted so far. CPU first: reading metrics costs some itself."""
        usage = bench_machine.process_usage(self.process.pid)
        return Reading(usage, bench_machine.resident_bytes(self.process.pid),
                       bench_machine.metrics(self.url) if self.has_metrics else {})


@dataclasses.dataclass(frozen=True)
class Place:
    """Addresses of a server: pages and signalling, media, and the words that run a client."""
    signalling: str = "127.0.0.1"
    media: str = "127.0.0.1"
    client_words: tuple[str, ...] = ()


def place_of(network: str, client_words: tuple[str, ...] = ()) -> Place:
    """Where a server is reached. Always the same address, since accounts belong to a URL."""
    if network == "private":
        return Place(bench_network.SIGNALLING, bench_network.MEDIA, client_words)
    return Place()


@contextlib.contextmanager
def roundhouse(options: Options, place: Place, *settings: str):
    """Runs `roundhouse up`. Its data and its port are the run's. Away from loopback it speaks
    TLS only."""
    note = options.folder / "port"
    if not note.exists():
        note.write_text(str(free_port(place.signalling)))
    port, log = note.read_text(), options.folder / "server.log"
    command = [options.server, "up", "--host", place.signalling, "--port", port,
               "--data", str(options.folder / "data"), "--announce", place.media,
               "--web", str(common.ROOT / "Sources/WebClient"), *settings]
    url = f"http://{place.signalling}:{port}"
    if not place.signalling.startswith("127."):
        command.append("--self-signed")
        url = url.replace("http", "https")
    with bench_machine.running(command, log) as process:
        try:
            bench_machine.await_url(f"{url}/readyz", process, SERVER_SECONDS)
        except SystemExit as error:
            raise SystemExit(f"{error}\n{log.read_text()[-2000:]}") from None
        yield Server(process, url, True)


def free_port(address: str) -> int:
    """A TCP port that nobody has now."""
    with socket.create_server((address, 0)) as listener:
        return listener.getsockname()[1]


@dataclasses.dataclass
class Loaded:
    """What one run of the load tool gave: its report and the server when the first joined and at
    both edges of the window."""
    report: dict
    joining: Reading | None
    before: Reading
    after: Reading

    @property
    def usage(self) -> Usage:
        """CPU of the server in the window."""
        return self.after.usage - self.before.usage

    @property
    def counters(self) -> dict[str, float]:
        """What the server counted in the window."""
        return bench_stats.difference(self.after.metrics, self.before.metrics)


class Load:
    """One run of `roundhouse load`, watched for its phases."""

    def __init__(self, command: list[str], server: Server, on_phase=None):
        self.command, self.server, self.on_phase = command, server, on_phase
        self.readings: dict[str, Reading] = {}
        self.lines: list[str] = []
        measured = dict(zip(command, command[1:])).get("--duration", "0")
        self.seconds_max = LOAD_SECONDS_MAX + float(measured)

    def run(self) -> Loaded:
        """Runs it to its end. Raises SystemExit when it fails or says nothing of its phases."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "load.json"
            process = subprocess.Popen([*self.command, "--json", str(path)], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            timer = threading.Timer(self.seconds_max, process.kill)
            timer.start()
            try:
                for line in process.stderr:
                    self.see(line.strip())
                process.wait()
            finally:
                timer.cancel()
                bench_machine.end(process)
            missing = {"measuring", "done"} - self.readings.keys()
            if missing or not path.exists():
                raise SystemExit(f"{' '.join(self.command)}: status {process.returncode}\n"
                                 + "\n".join(self.lines[-20:]))
            report = json.loads(path.read_text())
        return Loaded(report, self.readings.get("joining"), self.readings["measuring"],
                      self.readings["done"])

    def see(self, line: str) -> None:
        """One line of the tool's progress."""
        self.lines = [*self.lines[-100:], line]
        word, _, phase = line.partition(" ")
        if word != "phase":
            return
        if self.on_phase:
            self.on_phase(phase)
        if phase in ("joining", "measuring", "done"):
            self.readings[phase] = self.server.read()


def histogram(metrics: dict[str, float]) -> list[float]:
    """The forward-latency histogram as counts of buckets 2^i to 2^(i+1) us: Prometheus' buckets
    are cumulative and their bounds are seconds."""
    edges = sorted((float(name.split('"')[1].replace("+Inf", "inf")), count)
                   for name, count in metrics.items() if name.startswith(HISTOGRAM))
    counts, before = [], 0.0
    for _, cumulative in edges:
        counts.append(cumulative - before)
        before = cumulative
    return counts[:BUCKETS - 1] + [sum(counts[BUCKETS - 1:])] if counts else []


def counter(counters: dict[str, float], name: str) -> float:
    """A counter of the media plane."""
    return counters.get(f"roundhouse_media_{name}_total", 0.0)


def server_figures(loaded: Loaded) -> Sample:
    """A sample from our own server's counters."""
    counters = loaded.counters
    sample = bench_stats.figures(counter(counters, "forwarded_packets"), loaded.usage)
    sample |= bench_stats.sending({name: counter(counters, name) for name in (
        "sent_packets", "sent_messages", "sent_bytes", "segmented_packets", "padding_bytes")})
    latency = histogram(counters)
    sample |= bench_stats.bucket_delays(latency, "forward")
    sample["server_dropped_packets"] = sum(counter(counters, name) for name in (
        "dropped_packets", "send_dropped_packets", "kernel_dropped_packets",
        "relay_dropped_packets"))
    sample["resident_bytes"] = loaded.after.resident_bytes
    return sample
