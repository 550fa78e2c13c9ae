"""The REST interface; every answer is checked against the OpenAPI document.
SPDX-License-Identifier: Apache-2.0"""
import dataclasses
import itertools
import json
import re
import secrets

import httpx
import jsonschema
import referencing
import referencing.jsonschema

PASSWORD = "correct horse battery staple"


class Contract:
    """The OpenAPI document of a running system."""

    def __init__(self, document: dict):
        self.document = document
        self.operations = [
            (re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path, operations)
            for path, operations in document["paths"].items()]
        self.operations.sort(key=lambda operation: "{" in operation[1])
        resource = referencing.Resource.from_contents(
            document, default_specification=referencing.jsonschema.DRAFT202012)
        self.registry = referencing.Registry().with_resource("urn:openapi", resource)

    def _resolve(self, node: dict) -> dict:
        while "$ref" in node:
            found: object = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def check(self, response: httpx.Response) -> None:
        """Fails when an answer is not one that the document describes."""
        request = response.request
        path, method = request.url.path, request.method.lower()
        found = next((o for p, _, o in self.operations if p.match(path)), None)
        assert found and method in found, f"{method} {path} is not in the OpenAPI document"
        answers = found[method]["responses"]
        answer = answers.get(str(response.status_code)) or answers.get("default")
        assert answer, (f"{method} {path} answered {response.status_code}, which the OpenAPI"
                        f" document does not have: {response.text[:300]}")
        content = self._resolve(answer).get("content")
        if not content:
            assert not response.content, f"{method} {path}: an unexpected body"
            return
        kind = response.headers.get("content-type", "").split(";")[0]
        assert kind in content, f"{method} {path}: content type {kind!r}, expected {list(content)}"
        schema = content[kind].get("schema", {})
        pointer = json.loads(json.dumps(schema).replace('"#/', '"urn:openapi#/'))
        validator = jsonschema.Draft202012Validator(pointer, registry=self.registry)
        problem = jsonschema.exceptions.best_match(validator.iter_errors(response.json()))
        assert problem is None, f"{method} {path}: {problem.message} in {response.text[:300]}"


@dataclasses.dataclass
class Account:
    """Somebody who is signed up and signed in."""
    api: "Api"
    account_id: str
    email: str
    token: str
    address: str

    @property
    def headers(self) -> dict[str, str]:
        """What proves who is calling."""
        return {"Authorization": f"Bearer {self.token}"}

    def create_meeting(self) -> dict:
        """A new meeting with this account as its host: meeting_id, server, ticket."""
        return self.api.call("POST", "/meeting", headers=self.headers, json={}, expect=201).json()

    def join_meeting(self, meeting_id: str) -> dict:
        """server and ticket for a meeting."""
        return self.api.call("POST", f"/meeting/join/{meeting_id}", headers=self.headers,
                             expect=200).json()


_addresses = itertools.count(2)


def fresh_address() -> str:
    """A loopback address that no one used: limits are kept for each address."""
    number = next(_addresses)
    return f"127.{1 + number // 60000}.{number // 250 % 240}.{1 + number % 250}"


class Api:
    """Calls a system's REST interface from one address."""

    def __init__(self, url: str, address: str | None = None, contract: Contract | None = None):
        self.url = url
        self.address = address or fresh_address()
        self.client = httpx.Client(
            base_url=url, timeout=20, verify=False,
            transport=httpx.HTTPTransport(local_address=self.address, verify=False))
        self.contract = contract or Contract(self.client.get("/openapi.json").json())

    def elsewhere(self) -> "Api":
        """The same interface called from another address."""
        return Api(self.url, contract=self.contract)

    def call(self, method: str, path: str, expect: int | None = None,
             **options) -> httpx.Response:
        """One request; the answer is checked against the contract and, if given, the status."""
        response = self.client.request(method, path, **options)
        self.contract.check(response)
        if expect is not None:
            assert response.status_code == expect, (
                f"{method} {path}: {response.status_code}, expected {expect}: {response.text}")
        return response

    def sign_up(self, name: str = "Somebody") -> Account:
        """A fresh account, signed in, that calls from an address of its own."""
        email = f"{name.lower().replace(' ', '.')}.{secrets.token_hex(5)}@example.org"
        body = {"email": email, "password": PASSWORD, "name": name}
        api = self.elsewhere()
        account = api.call("POST", "/account", json=body, expect=201).json()
        return api.sign_in(email, account["account_id"])

    def sign_in(self, email: str, account_id: str) -> Account:
        """Signs in with the tests' password."""
        answer = self.call("POST", "/account/login", expect=200,
                           json={"email": email, "password": PASSWORD}).json()
        return Account(self, account_id, email, answer["token"], self.address)

    def close(self) -> None:
        """Closes its connections."""
        self.client.close()
