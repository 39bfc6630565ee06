"""Certificates re-made: whatever their bytes are, they become others of the same length that name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from tests.build import certificate

KEY = b"k" * 32


@given(st.binary(max_size=300))
def test_any_bytes_become_others_of_the_same_length(data: bytes) -> None:
    disguise = Disguise(KEY)
    made = Remaker(disguise).certificate(data)
    assert len(made) == len(data)
    assert made != data or not data
    assert len(disguise.raw(data)) == len(data)


@pytest.mark.parametrize("tag", [0x05, 0x06, 0x17, 0x18])
def test_a_name_under_a_tag_that_names_nobody_is_replaced(tag: int) -> None:
    """NULL, OBJECT IDENTIFIER and times are left as they are, where they are that by their content too."""
    der = certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",))
    for name in (b"a.example.com", b"b.example.com"):
        at = der.index(name) - 2
        made = Remaker(Disguise(KEY)).certificate(der[:at] + bytes([tag]) + der[at + 1 :])
        assert len(made) == len(der)
        assert b"example" not in made


@pytest.mark.parametrize("tag", [0x00, 0x02, 0x06, 0x13, 0x16, 0x88])
def test_no_name_survives_a_wrong_byte_wherever_it_stands(tag: int) -> None:
    der = certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",))
    for at in range(len(der)):
        made = Remaker(Disguise(KEY)).certificate(der[:at] + bytes([tag]) + der[at + 1 :])
        assert b"example" not in made, at


@given(st.data())
@settings(max_examples=60)
def test_mutated_certificates_become_others(data: st.DataObject) -> None:
    der = bytearray(certificate("a", ("a.example.com", "b.example.com"), ("10.0.0.1",)))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    made = Remaker(Disguise(KEY)).certificate(bytes(der))
    assert len(made) == len(der)
    assert b"example" not in made
