"""Tickets as an attacker, or a test with the service's key, would make them.
SPDX-License-Identifier: Apache-2.0"""
import base64
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(ticket: str) -> dict:
    """What a ticket says."""
    return json.loads(_decode(ticket.split(".")[1]))


def header(ticket: str) -> dict:
    """How a ticket is signed."""
    return json.loads(_decode(ticket.split(".")[0]))


def sign(key: ec.EllipticCurvePrivateKey, head: dict, body: dict) -> str:
    """A ticket signed with ES256."""
    text = _encode(json.dumps(head).encode()) + "." + _encode(json.dumps(body).encode())
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return text + "." + _encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def foreign_key() -> ec.EllipticCurvePrivateKey:
    """A key that no service knows."""
    return ec.generate_private_key(ec.SECP256R1())


def write_key(path) -> None:
    """Writes a fresh P-256 key as PEM."""
    path.write_bytes(foreign_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    path.chmod(0o600)


def read_key(path) -> ec.EllipticCurvePrivateKey:
    """Reads a PEM key."""
    return serialization.load_pem_private_key(path.read_bytes(), None)


def changed(ticket: str, **members) -> str:
    """The ticket with other claims and the old signature."""
    parts = ticket.split(".")
    parts[1] = _encode(json.dumps(claims(ticket) | members).encode())
    return ".".join(parts)


def unsigned(ticket: str) -> str:
    """The ticket with "alg": "none"."""
    head = _encode(json.dumps(header(ticket) | {"alg": "none"}).encode())
    return f"{head}.{ticket.split('.')[1]}."
