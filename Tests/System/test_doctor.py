"""`roundhouse doctor`: what it prints and the status it ends with.
SPDX-License-Identifier: Apache-2.0"""
import json
import os
import socket
import subprocess

import pytest

from support.node import BINARY

CHECKS = {"socket-buffers", "descriptors", "udp-segment", "udp-gro", "cipher", "cores",
          "clock-source", "time", "kernel-losses", "announced", "ports", "data"}
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=doctor"]


def doctor(*arguments: str, status: int) -> dict[str, dict]:
    """The findings by check; of several of one check the first that is not ok."""
    done = subprocess.run([str(BINARY), "doctor", "--json", *arguments], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    findings = report["findings"]
    assert report["problems"] == sum(f["verdict"] == "problem" for f in findings)
    assert all(f.get("advice") for f in findings if f["verdict"] != "ok")
    found = {}
    for finding in sorted(findings, key=lambda f: f["verdict"] == "ok"):
        found.setdefault(finding["check"], finding)
    return found


@pytest.fixture
def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_everything_is_examined(tmp_path, free_port):
    found = doctor("--data", str(tmp_path), "--port", str(free_port), status=0)
    assert CHECKS <= set(found)
    assert found["data"]["verdict"] == "ok"
    assert os.listdir(tmp_path) == []


def test_the_table_is_for_people(tmp_path, free_port):
    done = subprocess.run(
        [str(BINARY), "doctor", "--data", str(tmp_path), "--port", str(free_port)],
        capture_output=True, text=True, timeout=30, check=True)
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("0 problems, ")
    assert any(line.startswith("ok") and "udp-segment" in line for line in lines)


def test_taken_ports_are_problems(tmp_path):
    with socket.socket() as listener, socket.socket(type=socket.SOCK_DGRAM) as media:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = doctor("--data", str(tmp_path), "--port", str(port), status=1)
        assert found["ports"]["verdict"] == "problem" and str(port) in found["ports"]["text"]
        media.bind(("127.0.0.1", 0))
        port = media.getsockname()[1]
        found = doctor("--data", str(tmp_path), "--port", "0", "--media-port", str(port),
                       "--workers", "1", status=1)
        assert f"UDP port {port}" in found["ports"]["text"]


def test_a_folder_that_cannot_be_written_is_a_problem():
    found = doctor("--data", "/proc/nowhere", "--port", "0", status=1)
    assert found["data"]["verdict"] == "problem"


@pytest.mark.parametrize("days, verdict", [("90", "ok"), ("5", "warning")])
def test_certificates_are_read(tmp_path, days, verdict):
    files = str(tmp_path / "c.pem"), str(tmp_path / "k.pem")
    subprocess.run([*CERTIFICATE, "-days", days, "-out", files[0], "-keyout", files[1]],
                   capture_output=True, check=True)
    arguments = ("--data", str(tmp_path), "--port", "0", "--tls-cert", files[0])
    found = doctor(*arguments, "--tls-key", files[1], status=0)
    assert found["certificate"]["verdict"] == verdict
    (tmp_path / "c.pem").write_text("no certificate")
    found = doctor(*arguments, "--tls-key", files[1], status=1)
    assert "cannot be used" in found["certificate"]["text"]
