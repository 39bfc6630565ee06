"""Types of facts within bounds: what the program writes passes, whatever is larger does not."""

from __future__ import annotations

import contextlib
import random
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType

import msgspec
import pytest
from msgspec import Struct

from inspector.extract.bounded_types import Bounds, bounded, bounded_decoder
from inspector.extract.journal import values
from inspector.extract.journal.database import DamagedError
from inspector.extract.journal.values import BOUNDS, PackedConnection
from inspector.extract.processes import extract
from inspector.facts import PREFIX_BYTES, CaptureFacts
from inspector.tls.extensions import AnswerShape, HelloShape
from tests.conftest import find

CAPTURES = Path(__file__).parent.parent / "captures"
SMALL = Bounds(number=100, length=4, items=3)
Moment = NewType("Moment", int)


class Colour(StrEnum):
    RED = "a name that is long"


class Inner(NamedTuple):
    number: int
    text: str = ""


class Outer(Struct, array_like=True):
    number: int
    maybe: int | None = None
    octets: bytes = b""
    listed: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    inner: Inner | None = None
    flag: bool = False
    choice: Literal["a choice that is long"] | None = None
    colour: Colour | None = None
    moment: Moment = Moment(0)
    many: list[Inner] = []


class One(Struct, tag=True, array_like=True):
    number: int


class Other(Struct, tag=True, array_like=True):
    text: str


PASSES: list[tuple[Any, Any]] = [
    (int, 100),
    (int, -100),
    (bytes, b"1234"),
    (tuple[int, ...], (1, 2, 3)),
    (Outer, Outer(1)),
    (Outer, Outer(1, 2, b"3", (4,), (5, "6"), Inner(7), True, "a choice that is long", Colour.RED, Moment(8), [])),
    (One | Other, Other("text")),
    (One | Other | str, "text"),
    (float, 0.5),
    (dict[Inner, int], {Inner(1): 1}),
]
FAILS: list[tuple[Any, Any]] = [
    (int, 101),
    (int, -101),
    (int, 1 << 63),
    (bytes, b"12345"),
    (str, "12345"),
    (tuple[int, ...], (1, 2, 3, 4)),
    (tuple[int, str], (101, "")),
    (Outer, Outer(101)),
    (Outer, Outer(1, 101)),
    (Outer, Outer(1, octets=b"12345")),
    (Outer, Outer(1, listed=(1, 101))),
    (Outer, Outer(1, pair=(1, "12345"))),
    (Outer, Outer(1, inner=Inner(101))),
    (Outer, Outer(1, moment=Moment(101))),
    (Outer, Outer(1, many=[Inner(1, "12345")])),
    (float, 101.0),
    (dict[Inner, int], {Inner(101): 1}),
    (Inner, (1, "", 3)),
    (Outer, Outer(1, inner=(1, "", 3))),  # type: ignore[arg-type]
    (dict[int, int], {1: 101}),
    (dict[int, int], {1: 1, 2: 2, 3: 3, 4: 4}),
    (One | Other, One(101)),
    (One | Other, Other("12345")),
]


@pytest.mark.parametrize(("kind", "value"), PASSES, ids=str)
def test_within(kind: Any, value: Any) -> None:
    bounded_decoder(kind, SMALL).decode(msgspec.msgpack.encode(value))


@pytest.mark.parametrize(("kind", "value"), FAILS, ids=str)
def test_beyond(kind: Any, value: Any) -> None:
    with pytest.raises(msgspec.MsgspecError):
        bounded_decoder(kind, SMALL).decode(msgspec.msgpack.encode(value))


def test_a_field_may_be_narrower() -> None:
    decoder = msgspec.msgpack.Decoder(bounded(Outer, SMALL, {(Outer, "number"): Annotated[int, msgspec.Meta(ge=1)]}))
    assert decoder.decode(msgspec.msgpack.encode(Outer(1000))).number == 1000
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(msgspec.msgpack.encode(Outer(0)))


@pytest.mark.parametrize("name", ["jdk17-abort", "puppet-tls13", "mutual-tls"])
def test_whatever_is_let_in_can_be_unpacked(name: str) -> None:
    """A connection is decoded once, within bounds: nothing that its own type refuses may pass."""
    facts, dice, passed = extract([str(find(name))]), random.Random(1), 0
    for packed in [*facts.connections] * 300:
        octets = bytearray(packed)
        octets[dice.randrange(PREFIX_BYTES, len(octets))] = dice.randrange(256)
        with contextlib.suppress(DamagedError):
            facts.unpack(values.connection("x", bytes(octets), facts, 1))
            passed += 1
    assert passed


def test_a_type_without_bounds_is_refused() -> None:
    """So that no field of the facts can be of a kind that is not looked at."""
    with pytest.raises(TypeError, match="no bounds"):
        bounded(set[int], SMALL)
    with pytest.raises(TypeError, match="no bounds"):
        bounded(tuple[complex, ...], SMALL)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*.gz")), ids=lambda path: path.name.split(".")[0])
def test_what_is_extracted_is_within(path: Path) -> None:
    facts = extract([str(path)])
    decode = bounded_decoder(PackedConnection, BOUNDS).decode
    for packed in facts.connections:
        decode(packed[PREFIX_BYTES:])
    for kind, written in (
        (CaptureFacts, facts.captures),
        (HelloShape, facts.offers.values()),
        (AnswerShape, facts.answers.values()),
    ):
        for value in written:
            bounded_decoder(kind, BOUNDS).decode(msgspec.msgpack.encode(value))
