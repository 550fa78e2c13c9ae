"""The control side of a meeting by the base packets alone. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import contextlib
import json

import pytest

from support import tickets
from support.meeting import Client
from support.node import Node
from support.rest import Api
from support.waiting import until

NODE_OPTIONS = ("--resume-window", "2")
RESUME_WINDOW_SECONDS = 2


async def connect_base(account, grant: dict, meeting_id: str) -> Client:
    """A socket of a client that knows the base packets only: the ticket is in the upgrade."""
    return await Client.connect(
        grant["server"], meeting_id, account.account_id, local_addr=(account.address, 0),
        additional_headers={"Authorization": f"Bearer {grant['ticket']}"})


@contextlib.asynccontextmanager
async def meeting(api: Api, guests: int = 1):
    """Accounts (the host first), their sockets, joined by base packets, and the meeting's id."""
    accounts = [await asyncio.to_thread(api.sign_up, f"Person {n}") for n in range(guests + 1)]
    grant = accounts[0].create_meeting()
    meeting_id = grant["meeting_id"]
    host = await connect_base(accounts[0], grant, meeting_id)
    await host.send("INIT", host=accounts[0].account_id)
    await host.expect("MEETING_USERS")
    clients = [host]
    for account in accounts[1:]:
        client = await connect_base(account, account.join_meeting(meeting_id), meeting_id)
        await client.send("JOIN", account_id=account.account_id)
        await client.expect("MEETING_USERS")
        clients.append(client)
        for other in clients[:-1]:
            await other.expect("JOIN", account_id=account.account_id)
    try:
        yield accounts, clients, meeting_id
    finally:
        await asyncio.gather(*[c.close() for c in clients])


async def test_base_packets_hold_a_whole_meeting(api):
    async with meeting(api, guests=2) as (accounts, clients, meeting_id):
        host, ann, ben = clients
        ids = [a.account_id for a in accounts]
        assert host.users == ids and ben.users == ids
        await ann.send("SUBSCRIBE", num_actions=2, subscriptions=[
            {"account_id": ids[0], "bitrate": 500000}, {"account_id": ids[2], "bitrate": 100000}])
        await ann.send("UNSUBSCRIBE", num_actions=[{"account_id": ids[0], "bitrate": 500000}])
        await ann.send("UNSUB_SUB", num_actions=2,
                       unsubscribe=[{"account_id": ids[2], "bitrate": 100000}],
                       subscribe=[{"account_id": ids[0], "bitrate": 200000}])
        assert await ann.is_open()
        await ben.send("LEAVE", account_id=ids[2])
        await host.expect("LEAVE", account_id=ids[2])
        await ann.expect("LEAVE", account_id=ids[2])
        await host.send("END")
        for client in (host, ann):
            await client.expect("END")
            assert await client.closed() == 1000
        errors = [p for c in (host, ben) for p in c.packets if p["content_type"] == "ERROR"]
        assert not errors


async def test_join_after_end_is_denied_everywhere(api):
    account = await asyncio.to_thread(api.sign_up, "Late")
    async with meeting(api) as (accounts, clients, meeting_id):
        grant = account.join_meeting(meeting_id)
        await clients[0].send("END")
        await clients[1].expect("END")

        def is_ended() -> bool:
            answer = api.call("POST", f"/meeting/join/{meeting_id}", headers=account.headers)
            return answer.status_code in (404, 410)
        await until(is_ended, 10, "POST /meeting/join to refuse")
        late = await connect_base(account, grant, meeting_id)
        await late.send("JOIN", account_id=account.account_id)
        await late.expect("JOIN_DENIED", meeting_id=meeting_id)
        await late.send("INIT", host=accounts[0].account_id)
        await late.expect("JOIN_DENIED", "ERROR")
        await late.close()


async def test_join_opens_the_meeting_before_the_host_does(api):
    host = await asyncio.to_thread(api.sign_up, "Host")
    guest = await asyncio.to_thread(api.sign_up, "Guest")
    grant = host.create_meeting()
    early = await Client.join(guest, grant["meeting_id"])
    assert early.users == [guest.account_id]
    late = await connect_base(host, grant, grant["meeting_id"])
    await late.send("INIT", host=host.account_id)
    users = await late.expect("MEETING_USERS")
    assert sorted(users["users"]) == sorted([guest.account_id, host.account_id])
    await early.expect("JOIN", account_id=host.account_id)
    await late.send("LEAVE", account_id=host.account_id)
    await early.expect("LEAVE", account_id=host.account_id)
    assert await early.is_open(), "a host who leaves does not end the meeting"
    await late.close()
    await early.close()


OTHER = "00000000-0000-4000-8000-000000000000"
REFUSED = {
    "unknown content_type": {"content_type": "DANCE"},
    "no content_type": {"content_type": None},
    "foreign meeting": {"content_type": "LEAVE", "meeting_id": "aaa-aaaa-aaa", "account_id": "$"},
    "no meeting_id": {"content_type": "LEAVE", "meeting_id": None, "account_id": "$"},
    "LEAVE for another": {"content_type": "LEAVE", "account_id": "$host"},
    "LEAVE without account": {"content_type": "LEAVE"},
    "END by a guest": {"content_type": "END"},
    "INIT again": {"content_type": "INIT", "host": "$host"},
    "INIT without host": {"content_type": "INIT"},
    "JOIN as another": {"content_type": "JOIN", "account_id": "$host"},
    "JOIN with a number": {"content_type": "JOIN", "account_id": 7},
    "RECORD_JOIN in the meeting": {"content_type": "RECORD_JOIN"},
    "SUBSCRIBE without a count": {
        "content_type": "SUBSCRIBE", "subscriptions": [{"account_id": "$host", "bitrate": 1}]},
    "SUBSCRIBE with a wrong count": {
        "content_type": "SUBSCRIBE", "num_actions": 2,
        "subscriptions": [{"account_id": "$host", "bitrate": 1}]},
    "SUBSCRIBE without a list": {"content_type": "SUBSCRIBE", "num_actions": 0},
    "SUBSCRIBE to nobody here": {
        "content_type": "SUBSCRIBE", "num_actions": 1,
        "subscriptions": [{"account_id": OTHER, "bitrate": 1}]},
    "SUBSCRIBE to oneself": {
        "content_type": "SUBSCRIBE", "num_actions": 1,
        "subscriptions": [{"account_id": "$", "bitrate": 1}]},
    "SUBSCRIBE without a bitrate": {
        "content_type": "SUBSCRIBE", "num_actions": 1, "subscriptions": [{"account_id": "$host"}]},
    "SUBSCRIBE with a text as bitrate": {
        "content_type": "SUBSCRIBE", "num_actions": 1,
        "subscriptions": [{"account_id": "$host", "bitrate": "1"}]},
    "SUBSCRIBE with a negative bitrate": {
        "content_type": "SUBSCRIBE", "num_actions": 1,
        "subscriptions": [{"account_id": "$host", "bitrate": -1}]},
    "UNSUBSCRIBE with a number only": {"content_type": "UNSUBSCRIBE", "num_actions": 1},
    "UNSUBSCRIBE of what is not subscribed": {
        "content_type": "UNSUBSCRIBE", "num_actions": [{"account_id": "$host", "bitrate": 1}]},
    "UNSUBSCRIBE with a wrong count": {
        "content_type": "UNSUBSCRIBE", "num_actions": 3,
        "subscriptions": [{"account_id": "$host", "bitrate": 1}]},
    "UNSUB_SUB with a wrong count": {
        "content_type": "UNSUB_SUB", "num_actions": 2, "unsubscribe": [],
        "subscribe": [{"account_id": "$host", "bitrate": 1}]},
    "UNSUB_SUB without one list": {
        "content_type": "UNSUB_SUB", "num_actions": 0, "unsubscribe": []},
    "JOIN_DENIED from a client": {"content_type": "JOIN_DENIED"},
    "ERROR from a client": {"content_type": "ERROR", "msg": "no"},
    "MEETING_USERS from a client": {"content_type": "MEETING_USERS", "users": []},
}


def filled(value, own: str, host: str):
    """A packet of the table with the accounts put in and None members left out."""
    if isinstance(value, dict):
        return {k: filled(v, own, host) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [filled(v, own, host) for v in value]
    return {"$": own, "$host": host}.get(value, value) if isinstance(value, str) else value


async def test_each_refused_packet_gets_error_and_changes_nothing(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        before = len(host.packets)
        for name, packet in REFUSED.items():
            whole = filled({"meeting_id": meeting_id} | packet,
                           guest.account_id, host.account_id)
            await guest.send_raw(json.dumps(whole))
            try:
                answer = await guest.expect("ERROR", "JOIN_DENIED", "MEETING_USERS")
            except AssertionError as problem:
                raise AssertionError(f"{name}: {problem}") from None
            assert answer["content_type"] == "ERROR", f"{name}: {answer}"
            assert answer["msg"], name
        assert await guest.is_open()
        assert len(host.packets) == before, host.packets[before:]
        await host.send("SUBSCRIBE", num_actions=1, subscriptions=[
            {"account_id": guest.account_id, "bitrate": 1000}])
        assert await host.is_open()


async def test_packets_before_joining_are_refused(api):
    account = await asyncio.to_thread(api.sign_up, "Outsider")
    grant = account.create_meeting()
    client = await Client.connect(grant["server"], grant["meeting_id"], account.account_id)
    for kind, members in (("LEAVE", {"account_id": account.account_id}), ("END", {}),
                          ("SUBSCRIBE", {"num_actions": 0, "subscriptions": []}),
                          ("UNSUBSCRIBE", {"num_actions": []}),
                          ("UNSUB_SUB", {"num_actions": 0, "unsubscribe": [], "subscribe": []})):
        await client.send(kind, **members)
        await client.expect("ERROR")
    await client.close()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '"x"', "{}garbage",
                                  '{"a": ' * 200, "\u0000"])
async def test_what_is_no_json_object_ends_the_socket(api, text):
    account = await asyncio.to_thread(api.sign_up, "Noise")
    grant = account.create_meeting()
    client = await Client.connect(grant["server"], grant["meeting_id"], account.account_id)
    await client.send_raw(text)
    await client.expect("ERROR")
    assert await client.closed() in (1002, 1003, 1007, 1008)


async def test_end_by_a_guest_is_refused_and_the_meeting_goes_on(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        await guest.send("END")
        assert "host" in (await guest.expect("ERROR"))["msg"]
        assert await host.is_open()
        assert accounts[1].join_meeting(meeting_id)["server"]


async def denied(grant: dict, account, meeting_id: str, ticket: str | None,
                 kind: str = "JOIN") -> dict:
    """The JOIN_DENIED that a ticket gets."""
    client = await Client.connect(grant["server"], meeting_id, account.account_id)
    members = {} if ticket is None else {"ticket": ticket}
    if kind == "JOIN":
        members["account_id"] = account.account_id
    elif kind == "INIT":
        members["host"] = account.account_id
    await client.send(kind, **members)
    answer = await client.expect("JOIN_DENIED", "MEETING_USERS")
    assert answer["content_type"] == "JOIN_DENIED", answer
    await client.close()
    return answer


async def test_a_wrong_or_foreign_ticket_is_denied(api):
    ann = await asyncio.to_thread(api.sign_up, "Ann")
    ben = await asyncio.to_thread(api.sign_up, "Ben")
    grant = ann.create_meeting()
    other = ben.create_meeting()
    meeting_id, ticket = grant["meeting_id"], grant["ticket"]
    forged = tickets.sign(tickets.foreign_key(), tickets.header(ticket), tickets.claims(ticket))
    wrong = {
        "no ticket": None, "no JWT": "ticket", "a forged signature": forged,
        "changed claims": tickets.changed(ticket, meeting_id=other["meeting_id"]),
        "a later expiry": tickets.changed(ticket, exp=4102444800),
        "alg none": tickets.unsigned(ticket), "the signature cut off": ticket[:-20],
    }
    for name, text in wrong.items():
        for kind in ("JOIN", "INIT", "RECORD_JOIN"):
            try:
                await denied(grant, ann, meeting_id, text, kind)
            except AssertionError as problem:
                raise AssertionError(f"{kind} with {name}: {problem}") from None
    await denied(grant, ann, meeting_id, other["ticket"])           # of another meeting
    await denied(grant, ben, meeting_id, ticket)                    # of another account
    await denied(grant, ann, other["meeting_id"], ticket)           # for another meeting
    await denied(grant, ann, meeting_id, ticket, "RECORD_JOIN")     # not a recorder's
    good = await Client.join(ann, meeting_id, grant)
    await good.close()


async def test_an_expired_ticket_is_denied(artefacts, request):
    node = Node(artefacts, "test_control.expiry", "--ticket-lifetime", "5")
    request.addfinalizer(node.close)
    api = Api(node.url)
    account = await asyncio.to_thread(api.sign_up, "Slow")
    grant = account.create_meeting()

    async def is_denied() -> bool:
        client = await Client.connect(grant["server"], grant["meeting_id"], account.account_id)
        await client.send("JOIN", account_id=account.account_id, ticket=grant["ticket"])
        answer = await client.expect("JOIN_DENIED", "MEETING_USERS")
        await client.close()
        return answer["content_type"] == "JOIN_DENIED" and "expired" in answer["reason"]
    await until(is_denied, 75, "the ticket to expire (with the leeway for clocks)", poll=1)


async def test_a_second_socket_of_an_account_replaces_the_first(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        second = await Client.join(accounts[1], meeting_id)
        await guest.expect("ERROR")
        assert await guest.closed() == 1008
        assert await second.is_open() and await host.is_open()
        assert second.users.count(accounts[1].account_id) == 1
        await second.close()


async def test_a_dropped_socket_becomes_a_leave_after_the_window(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        guest.drop()
        started = asyncio.get_running_loop().time()
        await host.expect("LEAVE", account_id=accounts[1].account_id, seconds=15)
        assert asyncio.get_running_loop().time() - started > RESUME_WINDOW_SECONDS * 0.8


async def test_resume_within_the_window_is_not_seen_by_others(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        session, before = guest.session, len(host.packets)
        assert session
        guest.drop()
        again = await Client.connect(
            api.url.replace("http", "ws", 1) + "/ws", meeting_id, accounts[1].account_id)
        await again.send("RESUME", session=session)
        users = await again.expect("MEETING_USERS")
        assert sorted(users["users"]) == sorted(a.account_id for a in accounts)
        await asyncio.sleep(RESUME_WINDOW_SECONDS * 2)
        assert await host.is_open()
        seen = [p for p in host.packets[before:] if p["content_type"] in ("LEAVE", "JOIN")]
        assert not seen, seen
        await again.send("RESUME", session="wrong")
        await again.expect("ERROR", "JOIN_DENIED")
        await again.close()


async def test_a_meeting_that_stays_empty_ends(artefacts, request):
    node = Node(artefacts, "test_control.empty", "--empty-meeting-timeout", "2")
    request.addfinalizer(node.close)
    api = Api(node.url)
    account = await asyncio.to_thread(api.sign_up, "Alone")
    grant = account.create_meeting()
    client = await Client.join(account, grant["meeting_id"], grant)
    await client.send("LEAVE", account_id=account.account_id)
    await client.close()

    def is_ended() -> bool:
        answer = api.call("GET", f"/meeting/{grant['meeting_id']}", headers=account.headers)
        return answer.status_code == 404 or answer.json()["server"] == ""
    await until(is_ended, 20, "the empty meeting to end")
    await denied(grant, account, grant["meeting_id"], grant["ticket"])


async def test_too_many_packets_a_second_end_the_socket(api):
    async with meeting(api) as (accounts, (host, guest), meeting_id):
        text = json.dumps({"meeting_id": meeting_id, "content_type": "DANCE"})
        with contextlib.suppress(Exception):
            for _ in range(2000):
                await guest.send_raw(text)
        assert await guest.closed() == 1008
        assert await host.is_open()
