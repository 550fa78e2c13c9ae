"""A bad network between peers and node: builds and runs impair.c.
SPDX-License-Identifier: Apache-2.0

Works in the test run's own namespace, on what loopback delivers to and from given UDP ports.
"""
import contextlib
import itertools
import json
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("impair.c")
_queues = itertools.count(1)


def build(folder: pathlib.Path) -> pathlib.Path:
    """Compiles the tool."""
    program = folder / "impair"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-o",
                        str(program), "-lnetfilter_queue"], check=True)
    return program


@contextlib.contextmanager
def impaired(program: pathlib.Path, port: int, *options: str):
    """Both directions of a node's UDP port are bad while this lasts, each in its own queue.

    Yields a dict that holds, afterwards, the counts of "to" and "from" the node."""
    counts: dict[str, dict] = {}
    rules, tools = [], []
    try:
        for name, match in (("to", "--dport"), ("from", "--sport")):
            queue = str(next(_queues))
            tool = subprocess.Popen(
                [str(program), "-q", queue, "-s", queue, *options], stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL, text=True)
            tools.append((name, tool))
            assert tool.stdout.readline() == "ready\n", "impair did not start"
            rule = ["INPUT", "-p", "udp", match, str(port), "-j", "NFQUEUE", "--queue-num", queue]
            subprocess.run(["iptables", "-A", *rule], check=True)
            rules.append(rule)
        yield counts
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-D", *rule], check=True)
        for name, tool in tools:
            tool.terminate()
            counts[name] = json.loads(tool.stdout.read() or "{}")
            tool.wait()
