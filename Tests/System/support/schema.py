"""Checks packets against packets.schema.json. SPDX-License-Identifier: Apache-2.0"""
import functools
import json

import jsonschema

from support.node import ROOT

SCHEMA = ROOT / "API/packets.schema.json"


@functools.cache
def _validator() -> jsonschema.protocols.Validator:
    schema = json.loads(SCHEMA.read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def check(packet: object) -> None:
    """Fails when a packet is not one of the schema's."""
    problem = jsonschema.exceptions.best_match(_validator().iter_errors(packet))
    assert problem is None, f"{problem.message} at {list(problem.absolute_path)} in {packet}"
