"""The REST interface against its OpenAPI document. SPDX-License-Identifier: Apache-2.0"""
import concurrent.futures
import json
import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import sys
import time

import httpx
import openapi_spec_validator

from support.node import ROOT
from support.rest import PASSWORD

RACERS = 20


def test_the_document_is_openapi(api):
    openapi_spec_validator.validate(api.contract.document)
    assert api.contract.document["openapi"].startswith("3.1")


def test_an_account_from_sign_up_to_deletion(api):
    account = api.sign_up("Grace Hopper")
    api = account.api
    me = api.call("GET", "/account", headers=account.headers, expect=200).json()
    assert me["account_id"] == account.account_id
    assert me["email"] == account.email and me["name"] == "Grace Hopper"
    verified = api.call("GET", "/account/verify", headers=account.headers, expect=200).json()
    assert verified["account_id"] == account.account_id
    second = api.sign_in(account.email, account.account_id)
    changed = api.call("PATCH", "/account", headers=account.headers, expect=200,
                       json={"name": "Amazing Grace"}).json()
    assert changed["name"] == "Amazing Grace"
    api.call("PATCH", "/account", headers=account.headers, expect=200,
             json={"password": PASSWORD + "!", "current_password": PASSWORD})
    api.call("GET", "/account", headers=second.headers, expect=401)
    api.call("GET", "/account", headers=account.headers, expect=200)
    api.call("POST", "/account/login", expect=401,
             json={"email": account.email, "password": PASSWORD})
    api.call("POST", "/account/logout", headers=account.headers)
    api.call("GET", "/account", headers=account.headers, expect=401)
    again = api.call("POST", "/account/login", expect=200,
                     json={"email": account.email, "password": PASSWORD + "!"}).json()
    headers = {"Authorization": f"Bearer {again['token']}"}
    api.call("DELETE", "/account", headers=headers)
    api.call("GET", "/account", headers=headers, expect=401)


def test_what_sign_up_refuses(api):
    api = api.elsewhere()
    good = {"email": "a.person@example.org", "password": PASSWORD, "name": "A"}
    for change in ({"email": "nobody"}, {"email": ""}, {"email": 7}, {"password": "short"},
                   {"password": ""}, {"password": None}, {"name": 7}, {"email": "a@b\r\nc"}):
        answer = api.call("POST", "/account", json=good | change)
        assert answer.status_code in (400, 422), (change, answer.status_code)
    answer = api.call("POST", "/account", content=b"{", headers={
        "content-type": "application/json"})
    assert answer.status_code == 400
    taken = api.sign_up("Taken")
    for email in (taken.email, taken.email.upper()):
        api.call("POST", "/account", expect=409, json=good | {"email": email})


def test_a_race_for_one_email_makes_one_account(api):
    body = {"email": "race@example.org", "password": PASSWORD, "name": "Racer"}
    callers = [api.elsewhere() for _ in range(RACERS)]
    with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(lambda c: c.call("POST", "/account", json=body), callers))
    statuses = sorted(a.status_code for a in answers)
    assert statuses == [201] + [409] * (RACERS - 1)
    created = next(a for a in answers if a.status_code == 201).json()["account_id"]
    me = callers[0].sign_in("race@example.org", created)
    found = callers[0].call("GET", "/account", headers=me.headers, expect=200).json()
    assert found["account_id"] == created


def test_passwords_and_tokens_are_stored_as_hashes(node, api):
    account = api.sign_up("Stored")
    stored = b""
    for path in pathlib.Path(node.folder).rglob("*sqlite*"):
        stored += path.read_bytes()
    assert PASSWORD.encode() not in stored
    assert account.token.encode() not in stored
    with sqlite3.connect(f"file:{node.folder}/accounts.sqlite?mode=ro", uri=True) as database:
        tables = [r[0] for r in database.execute(
            "select name from sqlite_master where type = 'table'")]
        table = next(t for t in tables if any(
            c[1] == "password_hash" for c in database.execute(f"pragma table_info({t})")))
        hashes = [r[0] for r in database.execute(f"select password_hash from {table}")]
    assert hashes
    for text in hashes:
        parameters = re.match(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$", text)
        assert parameters, text[:30]
        assert int(parameters[1]) >= 19456 and int(parameters[2]) >= 2


def test_an_unknown_email_is_answered_like_a_wrong_password(api):
    account = api.sign_up("Timing")

    def answer(email: str) -> tuple[float, httpx.Response]:
        caller = api.elsewhere()
        started = time.perf_counter()
        found = caller.call("POST", "/account/login", expect=401,
                            json={"email": email, "password": "wrong password"})
        return time.perf_counter() - started, found
    known = [answer(account.email) for _ in range(4)]
    unknown = [answer(f"nobody.{n}@example.org") for n in range(4)]
    bodies = {json.dumps({k: v for k, v in a.json().items() if k != "instance"}, sort_keys=True)
              for _, a in known + unknown}
    assert len(bodies) == 1, bodies
    times = [statistics.median(t for t, _ in answers) for answers in (known, unknown)]
    assert min(times) > max(times) / 4, times  # an answer without a hash would be 50 times faster


def test_guessing_a_password_is_slowed_down(api):
    account = api.sign_up("Guessed")
    callers = [api.elsewhere() for _ in range(40)]
    answers = [c.call("POST", "/account/login",
                      json={"email": account.email, "password": "guess"}) for c in callers]
    limited = [a for a in answers if a.status_code == 429]
    assert limited, "40 wrong passwords for one account were all tried"
    assert int(limited[0].headers["retry-after"]) > 0


def test_a_meeting_from_creation_to_leaving(api):
    host, guest = api.sign_up("Host"), api.sign_up("Guest")
    grant = host.create_meeting()
    assert re.fullmatch(r"[a-z]{3}-[a-z]{4}-[a-z]{3}", grant["meeting_id"])
    assert grant["server"].startswith("ws://")
    path = f"/meeting/{grant['meeting_id']}"
    found = guest.api.call("GET", path, headers=guest.headers, expect=200).json()
    assert found["host"] == host.account_id and found["recording"] is False
    joined = guest.join_meeting(grant["meeting_id"])
    assert joined["server"] == grant["server"] and joined["ticket"]
    guest.api.call("POST", f"/meeting/leave/{grant['meeting_id']}", headers=guest.headers)
    for method, where in (("GET", "/meeting/aaa-aaaa-aaa"), ("POST", "/meeting/join/aaa-aaaa-aaa"),
                          ("GET", "/meeting/no-such-meeting")):
        guest.api.call(method, where, headers=guest.headers, expect=404)


def test_calls_without_the_right_credential_are_refused(api):
    account = api.sign_up("Curious")
    grant = account.create_meeting()
    meeting_id = grant["meeting_id"]
    wrong = ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"})
    for headers in wrong:
        for method, path in (("GET", "/account"), ("POST", "/meeting"), ("DELETE", "/account"),
                             ("GET", f"/meeting/{meeting_id}"),
                             ("POST", f"/meeting/join/{meeting_id}"), ("GET", "/account/verify")):
            api.call(method, path, headers=headers, expect=401)
    services = (("POST", f"/meeting/end/{meeting_id}", None),
                ("DELETE", f"/meeting/{meeting_id}", None),
                ("GET", f"/meeting/record/recipients/{meeting_id}", None),
                ("PUT", "/meeting/server/evil", {
                    "address": "ws://127.0.0.1:1/ws", "capacity": 1}))
    for headers in (*wrong, account.headers, {"Authorization": f"Bearer {grant['ticket']}"}):
        for method, path, body in services:
            answer = api.call(method, path, headers=headers, json=body)
            assert answer.status_code in (401, 403), (method, path, answer.status_code)


def test_operators_endpoints(node):
    with httpx.Client(base_url=node.url) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        metrics = client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "roundhouse_meetings" in metrics.text
        schema = client.get("/schema/packets.json").json()
        source = json.loads((ROOT / "API/packets.schema.json").read_text())
        assert schema == source


def test_the_web_client_is_served(node):
    with httpx.Client(base_url=node.url) as client:
        page = client.get("/")
        assert "text/html" in page.headers["content-type"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert client.get("/m/abc-defg-hij").text == page.text
        script = client.get("/js/main.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert client.get("/js/no-such-file.js").status_code == 404
        for path in ("/../Package.swift", "/%2e%2e/Package.swift", "/js/..%2f..%2fPackage.swift",
                     "//etc/passwd"):
            answer = client.get(path)
            assert "swift-tools-version" not in answer.text and "root:" not in answer.text


def test_schemathesis_finds_nothing(node, api, artefacts):
    account = api.sign_up("Fuzzed")
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [str(program), "run", f"{node.url}/openapi.json", "--header",
         f"Authorization: Bearer {account.token}", "--max-examples", "25", "--seed", "7",
         "--workers", "1", "--request-timeout", "20", "--no-color",
         "--exclude-checks", "missing_required_header",
         # These would end the tokens that the others need; /ws is no REST call.
         "--exclude-operation-id", "deleteAccount", "--exclude-operation-id", "signOut",
         "--exclude-path", "/ws",
         "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"],
        capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL,
        cwd=artefacts, env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(artefacts)})
    (artefacts / "test_api.schemathesis.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
