"""Hellos that differ only in their names are read once, and say what each says when it is read by itself."""

from __future__ import annotations

import random

import pytest

from inspector.tls import messages
from inspector.tls.hello_patterns import without_name
from inspector.tls.message_cache import MessageCache
from inspector.tls.messages import ClientHello
from inspector.tls.reader import Malformed
from tests.build import client_hello, extension, numbered, sni, vector

HELLOS = 4000


def body(rng: random.Random) -> bytes:
    """A ClientHello, mostly one of a few kinds with one of many names, some of them damaged."""
    name = "h" * rng.randrange(12) + rng.choice(("", "x", ".example.com", "\N{LATIN SMALL LETTER E WITH ACUTE}"))
    more = rng.choice(((), (), (sni("second"),), (extension(0), sni(name)), (extension(0, vector(2, b"\1\0\1x")),)))
    hello = bytearray(
        client_hello(
            numbered(rng.randrange(9)),
            rng.choice((b"", numbered(4))),
            name=name,
            ems=rng.random() < 0.5,
            ticket=rng.choice((None, b"", b"t" * 9)),
            java=rng.random() < 0.5,
            alpn=rng.choice(("", "server_name=None", "h2")),
            more=more,
        )[4:]
    )
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        at = rng.randrange(30, len(hello))
        match rng.randrange(4):
            case 0:
                hello[at] = rng.randrange(256)
            case 1:
                del hello[at : at + 2]
            case 2:
                hello[at:at] = bytes((rng.randrange(256),))
            case _:
                del hello[at:]
                break
    return bytes(hello)


def read(hello: bytes) -> ClientHello | str:
    try:
        return messages.client_hello(hello)
    except Malformed as problem:
        return str(problem)


def alone(hello: bytes) -> ClientHello | str:
    try:
        return messages._client_hello(hello)
    except Malformed as problem:
        return str(problem)


def test_hellos_with_other_names_say_what_each_says_by_itself() -> None:
    rng = random.Random(1)
    hellos = [body(rng) for _ in range(HELLOS)]
    assert [read(hello) for hello in hellos] == [alone(hello) for hello in hellos]
    parted = [without_name(hello[:2] + hello[35 + hello[34] :]) for hello in hellos if len(hello) > 34]
    assert len({each.rest for each in parted if each is not None}) < len({each for each in parted if each is not None})


@pytest.mark.parametrize("java", [True, False], ids=["jsse", "openssl"])
def test_a_known_hello_with_another_name_is_not_read_again(java: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_clients", MessageCache())
    monkeypatch.setattr(messages, "_patterns", MessageCache())
    first = messages.client_hello(client_hello(numbered(1), name="one.example.com", java=java)[4:])
    monkeypatch.delattr(messages, "_client_hello")
    other = messages.client_hello(client_hello(numbered(2), name="another.example.org", java=java)[4:])
    assert other.shape.server_name == b"another.example.org"
    assert other.shape.key != first.shape.key
    assert other.shape.cipher_suites is first.shape.cipher_suites
    assert (other.shape.ja3, other.shape.ja4) == (first.shape.ja3, first.shape.ja4)
