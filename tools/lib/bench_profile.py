"""Where the server's CPU time goes, by perf. SPDX-License-Identifier: Apache-2.0

One more run of a scenario, measured by nothing else, with `perf record` on the server for the
window. Each row is a function with its share of the server's CPU time and the thread it ran on.
"""
import collections
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import bench_router
import common
from bench_result import Options

Costs = collections.Counter[tuple[str, str, str]]
ROWS = 40
PART_SHARE_MIN = 0.5
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
        """What each part of the program costs, then the functions that cost most."""
        text = subprocess.run(
            ["perf", "report", f"--input={self.data}", "--stdio", "--sort=comm,dso,symbol",
             "--field-separator=\t"], capture_output=True, text=True, timeout=120,
            check=True).stdout
        costs = parse(text)
        parts: Costs = collections.Counter()
        for (thread, part, _), share in costs.items():
            parts[thread, part, "(all)"] += share
        return as_rows(parts, PART_SHARE_MIN) + demangle(as_rows(costs, 0.0)[:ROWS])


def parse(text: str) -> Costs:
    """Shares by thread, part and function from perf's report. Threads of a kind are one: worker-0
    and worker-1 are worker."""
    costs: Costs = collections.Counter()
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 4 or line.startswith("#") or not fields[0].rstrip("%"):
            continue
        thread = re.sub(r"[-#\d]+$", "", fields[1])
        costs[thread, fields[2], fields[3].split("] ", 1)[-1]] += float(fields[0].rstrip("%"))
    return costs


def as_rows(costs: Costs, share_min: float) -> list[dict]:
    """Rows for people, the costliest first."""
    return [{"share": f"{share:.1f} %", "thread": thread, "in": part, "function": function}
            for (thread, part, function), share in costs.most_common() if share >= share_min]


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
