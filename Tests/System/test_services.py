"""Each role as a process of its own; ends are delivered whatever is down.
SPDX-License-Identifier: Apache-2.0"""
import asyncio
import contextlib
import pathlib
import shutil
import signal
import socket
import tempfile

import httpx
import pytest

from support import namespace, tickets
from support.meeting import Client
from support.node import Process
from support.rest import Api
from support.waiting import until


def free_port() -> int:
    """A TCP port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fleet:
    """account, meeting, router and gateway, each with its own port and data folder."""

    ROLES = ("account", "meeting", "router", "gateway")

    def __init__(self, artefacts: pathlib.Path, name: str):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="roundhouse-fleet-"))
        self.artefacts, self.name = artefacts, name
        self.ports = {role: free_port() for role in self.ROLES}
        self.running: dict[str, Process] = {}
        tickets.write_key(self.folder / "service.pem")

    def url(self, role: str) -> str:
        """Where a role listens."""
        return f"http://127.0.0.1:{self.ports[role]}"

    def start(self, *roles: str) -> None:
        """Starts roles and waits until each is ready."""
        account, meeting = self.url("account"), self.url("meeting")
        options = {
            "account": [], "meeting": ["--account-url", account],
            "router": ["--meeting-url", meeting, "--announce", namespace.ADDRESS,
                       "--resume-window", "2"],
            "gateway": ["--account-url", account, "--meeting-url", meeting],
        }
        for role in roles:
            self.running[role] = Process(
                self.artefacts / f"{self.name}.{role}.log",
                [role, "--port", str(self.ports[role]), "--data", str(self.folder / role),
                 "--service-key", str(self.folder / "service.pem"), *options[role]])
            self.running[role].ready()

    def stop(self, *roles: str) -> None:
        """Asks roles to stop; each must end well."""
        for role in roles:
            assert self.running.pop(role).stop() == 0, role

    def crash(self, role: str) -> None:
        """Ends a role without a word."""
        self.running.pop(role).kill()

    def close(self) -> None:
        """Ends what runs and removes the data."""
        for process in self.running.values():
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def fleet(artefacts, request):
    """A fleet with every role running and its node registered."""
    fleet = Fleet(artefacts, request.node.name)
    try:
        fleet.start(*Fleet.ROLES)
        yield fleet
    finally:
        fleet.close()


async def meet(fleet: Fleet):
    """The interface through the gateway, two accounts, and their sockets in one meeting."""
    api = Api(fleet.url("gateway"))
    await until(lambda: httpx.get(fleet.url("router") + "/readyz").status_code == 200, 20,
                "the node to be registered")
    host = await asyncio.to_thread(api.sign_up, "Host")
    guest = await asyncio.to_thread(api.sign_up, "Guest")
    grant = host.create_meeting()
    assert str(fleet.ports["router"]) in grant["server"]
    clients = [await Client.join(host, grant["meeting_id"], grant),
               await Client.join(guest, grant["meeting_id"])]
    return api, (host, guest), clients, grant["meeting_id"]


async def test_roles_in_processes_of_their_own_hold_a_meeting(fleet):
    api, (host, guest), clients, meeting_id = await meet(fleet)
    await clients[0].expect("JOIN", account_id=guest.account_id)
    await clients[1].send("LEAVE", account_id=guest.account_id)
    await clients[0].expect("LEAVE", account_id=guest.account_id)
    await clients[0].send("END")
    await clients[0].expect("END")
    await until(lambda: gone(api, host, meeting_id), 10, "the meeting's end at the service")
    for client in clients:
        await client.close()
    fleet.stop(*reversed(Fleet.ROLES))


def gone(api: Api, account, meeting_id: str) -> bool:
    """Whether the meeting service knows that a meeting is over."""
    answer = api.client.get(f"/meeting/{meeting_id}", headers=account.headers)
    return answer.status_code == 404 or (
        answer.status_code == 200 and answer.json()["server"] == "")


@pytest.mark.parametrize("node_ends_by", ["a stop", "a crash"])
async def test_an_end_is_delivered_though_service_and_node_were_down(fleet, node_ends_by):
    api, (host, guest), clients, meeting_id = await meet(fleet)
    fleet.stop("meeting")
    await clients[0].send("END")
    for client in clients:
        await client.expect("END")
        assert await client.closed() == 1000
    if node_ends_by == "a stop":
        fleet.stop("router")
    else:
        fleet.crash("router")
    fleet.start("router")       # knows its ticket keys from disk; the service is still down
    fleet.start("meeting")
    await until(lambda: gone(api, host, meeting_id), 60,
                "POST /meeting/end to be delivered after the restarts", poll=0.5)
    answer = api.client.post(f"/meeting/join/{meeting_id}", headers=guest.headers)
    assert answer.status_code in (404, 410)


async def test_the_node_serves_its_meetings_while_every_service_is_down(fleet):
    api, (host, guest), clients, meeting_id = await meet(fleet)
    late = await asyncio.to_thread(api.sign_up, "Late")
    grant = late.join_meeting(meeting_id)
    fleet.stop("gateway", "meeting", "account")
    third = await Client.join(late, meeting_id, grant)
    await clients[0].expect("JOIN", account_id=late.account_id)
    assert third.users == [host.account_id, guest.account_id, late.account_id]
    for client in (*clients, third):
        assert await client.is_open()
        await client.close()


async def test_the_gateway_says_so_when_a_service_is_down(fleet):
    api = Api(fleet.url("gateway"))
    account = await asyncio.to_thread(api.sign_up, "Anyone")
    fleet.stop("meeting")
    answer = api.client.post("/meeting", headers=account.headers, json={})
    assert answer.status_code in (502, 503)
    assert answer.headers["content-type"].startswith("application/problem+json")
    me = api.client.get("/account", headers=account.headers)
    assert me.status_code == 200
    fleet.start("meeting")
    await until(lambda: api.client.post(
        "/meeting", headers=account.headers, json={}).status_code in (201, 503), 20,
        "the gateway to use the service again")


async def test_a_stopped_node_tells_its_clients(fleet):
    _, _, clients, _ = await meet(fleet)
    process = fleet.running["router"]
    process.signal(signal.SIGTERM)
    for client in clients:
        assert await client.closed() in (1000, 1001)
    assert await asyncio.to_thread(process.wait) == 0
    with contextlib.suppress(KeyError):
        del fleet.running["router"]
