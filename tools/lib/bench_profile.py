"""Where the server's CPU time goes, by perf. SPDX-License-Identifier: Apache-2.0

One more run of a scenario, measured by nothing else, with `perf record` on the server for the
window. Each row is a function with its share of the server's CPU time and the thread it ran on.
"""
import pathlib
import shutil
import signal
import subprocess
import tempfile

import bench_router
import common
from bench_result import Options

ROWS = 40
FREQUENCY = 1999


class Recorder:
    """perf on one process, between start and stop."""

    def __init__(self, folder: pathlib.Path):
        if not shutil.which("perf"):
            raise SystemExit("perf is not installed; on Debian 12: apt-get install linux-perf")
        self.data = folder / "perf.data"
        self.process: subprocess.Popen | None = None

    def start(self, pid: int) -> None:
        """Begins to sample every thread of the process. The clock works in virtual machines."""
        self.process = subprocess.Popen(
            ["perf", "record", "--event=cpu-clock", f"--freq={FREQUENCY}", f"--pid={pid}",
             f"--output={self.data}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """Ends sampling; perf writes its file then."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def rows(self) -> list[dict]:
        """The functions that cost most."""
        text = subprocess.run(
            ["perf", "report", f"--input={self.data}", "--stdio", "--sort=comm,dso,symbol",
             "--field-separator=\t", "--percent-limit=0.3"], capture_output=True, text=True,
            timeout=120, check=True).stdout
        return demangle(parse(text)[:ROWS])


def parse(text: str) -> list[dict]:
    """Rows of perf's report."""
    rows = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 4 or line.startswith("#") or not fields[0].rstrip("%"):
            continue
        rows.append({"share": f"{float(fields[0].rstrip('%')):.1f} %", "thread": fields[1],
                     "in": fields[2], "function": fields[3].split("] ", 1)[-1]})
    return rows


def demangle(rows: list[dict]) -> list[dict]:
    """Swift's symbols in words."""
    names = subprocess.run(
        [common.toolchain("swift-demangle"), "--simplified", "--compact"], text=True,
        input="\n".join(row["function"] for row in rows), capture_output=True,
        check=True).stdout.splitlines()
    return [{**row, "function": name} for row, name in zip(rows, names, strict=True)]


def take(options: Options, plan: bench_router.Meetings) -> list[dict]:
    """Profiles a scenario."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(pathlib.Path(folder))
        bench_router.run(options, plan, options.network == "private",
                         *bench_router.server_settings(None), watch=recorder)
        return recorder.rows()
