"""tools/run and the program's life: start, ready line, Ctrl-C, restart.
SPDX-License-Identifier: Apache-2.0"""
import asyncio
import os
import signal
import subprocess

import httpx
import pytest

from support.meeting import Client
from support.node import BINARY, READY, ROOT, Node, Process
from support.rest import PASSWORD, Api


class Terminal(Process):
    """tools/run in a process group of its own, as a shell starts it."""

    def __init__(self, log, arguments):
        super().__init__(log, arguments, (str(ROOT / "tools/run"),))

    def ctrl_c(self) -> None:
        """What the terminal does on Ctrl-C: SIGINT to the foreground group."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                                  capture_output=True, text=True, check=False)
        # setsid forks only when it leads a group already.
        leader = next(iter(children.stdout.split()), self.process.pid)
        os.killpg(int(leader), signal.SIGINT)


@pytest.mark.timeout(180)
async def test_run_prints_one_url_serves_and_stops_on_ctrl_c(artefacts, tmp_path):
    terminal = Terminal(artefacts / "test_run.log", ["--port", "0", "--data", str(tmp_path)])
    try:
        url = await asyncio.to_thread(terminal.ready, 150)
        assert [line for line in terminal.lines if READY in line] == [f"{READY}{url}/"]
        assert httpx.get(url + "/").status_code == 200
        api = Api(url)
        account = await asyncio.to_thread(api.sign_up, "First")
        grant = account.create_meeting()
        client = await Client.join(account, grant["meeting_id"], grant)
        terminal.ctrl_c()
        assert await client.closed() in (1000, 1001)
        assert await asyncio.to_thread(terminal.wait) == 0, terminal.words()
    finally:
        terminal.kill()


def test_nothing_is_lost_across_a_restart(artefacts):
    node = Node(artefacts, "test_run.restart")
    try:
        api = Api(node.url)
        account = api.sign_up("Kept")
        meeting = account.create_meeting()
        api.close()
        assert node.stop() == 0
        node.start()
        again = Api(node.url).sign_in(account.email, account.account_id)
        found = again.api.call("GET", f"/meeting/{meeting['meeting_id']}", expect=200,
                               headers=account.headers)
        assert found.json()["host"] == account.account_id
    finally:
        node.close()


def test_two_systems_run_side_by_side(artefacts):
    nodes = [Node(artefacts, f"test_run.side{n}") for n in range(2)]
    try:
        assert nodes[0].url != nodes[1].url
        for node in nodes:
            Api(node.url).sign_up("Same").create_meeting()
    finally:
        for node in nodes:
            node.close()


def test_a_taken_port_is_an_error_that_says_so(node, tmp_path):
    port = node.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [str(BINARY), "up", "--port", port, "--data", str(tmp_path)], capture_output=True,
        text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert port in done.stderr and "in use" in done.stderr


@pytest.mark.parametrize("arguments, named", [
    (["--port", "70000"], "port"), (["--announce", "nowhere"], "announce"),
    (["--log-level", "loud"], "log-level"), (["--tls-cert", "/nonexistent"], "tls"),
    (["--host", "0.0.0.0"], "tls-cert"), (["--no-such-option"], "no-such-option")])
def test_a_bad_option_is_named(arguments, named, tmp_path):
    done = subprocess.run(
        [str(BINARY), "up", "--port", "0", "--data", str(tmp_path), *arguments],
        capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert named in done.stderr, done.stderr


def test_self_signed_serves_tls(artefacts):
    node = Node(artefacts, "test_run.tls", "--self-signed")
    try:
        assert node.url.startswith("https://")
        api = Api(node.url)
        assert api.sign_up("Secret").create_meeting()["server"].startswith("wss://")
    finally:
        node.close()


def test_config_shows_where_values_come_from_and_hides_secrets(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("port: 9001\nworkers: 3\n")
    done = subprocess.run(
        [str(BINARY), "config", "--config", str(file), "--workers", "4"], capture_output=True,
        text=True, timeout=30, stdin=subprocess.DEVNULL,
        env={"ROUNDHOUSE_LOG_LEVEL": "debug", "PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    for value in ("9001", "4", "debug"):
        assert value in done.stdout
    assert PASSWORD not in done.stdout and "BEGIN" not in done.stdout
    file.write_text("prot: 9001\n")
    wrong = subprocess.run([str(BINARY), "config", "--config", str(file)], capture_output=True,
                           text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert wrong.returncode != 0 and "prot" in wrong.stderr
