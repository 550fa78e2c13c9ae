"""The private network of the benchmarks. SPDX-License-Identifier: Apache-2.0

tools/bench starts itself anew in a network namespace of its own (`unshare`), so its traffic meets
nobody else's and all of it is gone when the run ends. In it:

    lo     as everywhere
    sink   an `ifb` device, which drops what it is given in its driver and so stands for a network
           card; segments of UDP_SEGMENT reach it whole. 10.100.0.0/16 lies behind it
    media  another `ifb` device whose only use is its addresses: some programs offer no loopback
           address to their clients. Packets to one's own addresses go through `lo`

A second namespace can be joined for the load tool (`Clients`): two pairs of veth devices, one for
signalling and one for media, so that media to the clients can be turned into the sink at any
moment while signalling goes on.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

INSIDE = "BENCH_PRIVATE_NETWORK"
SINK_NETWORK = "10.100.0.0/16"
ADDRESS = "10.77.0.1"
SIGNALLING, SIGNALLING_CLIENT = "10.78.0.1", "10.78.0.2"
MEDIA, MEDIA_CLIENT = "10.79.0.1", "10.100.0.1"


def command(*words: str) -> None:
    """Runs one of the network's commands; its words are the message when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")


def unshare_command() -> list[str] | None:
    """How this user makes a network namespace; None where the system forbids it."""
    for words in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run(
                [*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    return None


def enter() -> bool:
    """Replaces this process by itself inside a private network. In there it prepares the network
    and returns True; False when the system forbids namespaces and nothing was changed."""
    if os.environ.get(INSIDE) != "1":
        words = unshare_command()
        if not words:
            return False
        sys.stdout.flush()
        os.execvpe(words[0], [*words, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    command("ip", "link", "set", "lo", "up")
    for name in ("sink", "media"):
        command("ip", "link", "add", name, "type", "ifb")
        command("ip", "link", "set", name, "up")
    command("tc", "qdisc", "replace", "dev", "sink", "root", "noqueue")
    for address in (ADDRESS, SIGNALLING, MEDIA):
        command("ip", "addr", "add", f"{address}/32", "dev", "media")
    # Sent from an address that is not that of lo.
    command("ip", "route", "add", SINK_NETWORK, "dev", "sink", "src", ADDRESS)
    return True


class Clients:
    """A second namespace for clients whose media can be dropped.

    Programs run in it by `words` before their command. The clients reach signalling at SIGNALLING
    and media at MEDIA; their own media address is MEDIA_CLIENT."""

    def __init__(self) -> None:
        # Its standard input is the namespace's life: closing it ends the process.
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL)
        self.words = ["nsenter", f"--target={self.holder.pid}", "--net"]

    def __enter__(self) -> "Clients":
        self.await_namespace()
        for ours, theirs in (("sig", "sigc"), ("med", "medc")):
            command("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs,
                    "netns", str(self.holder.pid))
            command("ip", "link", "set", ours, "up")
            command(*self.words, "ip", "link", "set", theirs, "up")
        command("ip", "route", "add", SIGNALLING_CLIENT, "dev", "sig", "src", SIGNALLING)
        command(*self.words, "ip", "link", "set", "lo", "up")
        for far, device, address in ((SIGNALLING, "sigc", SIGNALLING_CLIENT),
                                     (MEDIA, "medc", MEDIA_CLIENT)):
            command(*self.words, "ip", "addr", "add", f"{address}/32", "dev", device)
            command(*self.words, "ip", "route", "add", far, "dev", device, "src", address)
        self.deliver()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(SystemExit):
            command("ip", "link", "del", "sig")
            command("ip", "link", "del", "med")
            command("ip", "route", "replace", SINK_NETWORK, "dev", "sink", "src", ADDRESS)
        self.holder.stdin.close()
        try:
            self.holder.wait(5)
        except subprocess.TimeoutExpired:
            self.holder.kill()
            self.holder.wait()

    def await_namespace(self) -> None:
        """Returns when the holder has left our namespace."""
        own = os.readlink("/proc/self/ns/net")
        for _ in range(100):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{self.holder.pid}/ns/net") != own:
                    return
            time.sleep(0.02)
        raise SystemExit("the clients' network namespace did not appear")

    def deliver(self) -> None:
        """Media reaches the clients."""
        command("ip", "route", "replace", SINK_NETWORK, "dev", "med", "src", MEDIA)

    def drop(self) -> None:
        """Media to the clients goes into the sink; what they send still arrives."""
        command("ip", "route", "replace", SINK_NETWORK, "dev", "sink", "src", MEDIA)


def dropped_packets() -> int:
    """Messages that the sink has taken; one with many segments counts once."""
    listing = subprocess.run(["ip", "-json", "-stats", "link", "show", "sink"], check=True,
                             capture_output=True, text=True, timeout=10).stdout
    return json.loads(listing)[0]["stats64"]["rx"]["dropped"]
