"""Bundled captures, opened with what opens them, for tests."""

from __future__ import annotations

from functools import lru_cache

from inspector.document import Connection, Document
from inspector.secrets.inputs import read_inputs
from tests.build import document_of
from tests.conftest import CAPTURES, find
from tests.replay import given_for

KEYS = [str(CAPTURES / f"renegotiations.{name}.key") for name in ("same", "renewed", "other")]


def no_passphrase(prompt: str) -> str:
    raise AssertionError(prompt)


@lru_cache(maxsize=8)
def opened(name: str, how: str = "keylog") -> Document:
    by = given_for(name) if how == "keylog" else read_inputs([], KEYS, no_passphrase) if how == "rsa" else None
    return document_of(find(name), given=by)


def at_port(document: Document, port: int) -> list[Connection]:
    return [c for c in document.connections if c.server_endpoint.port == port]
