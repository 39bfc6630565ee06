"""Replacements are made from one key: what is equal stays equal, shapes and lengths stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from inspector.redaction import keys
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from tests.build import certificate

KEY = b"k" * 32


def test_bundles_of_one_key_can_be_compared() -> None:
    first, second, other = Disguise(KEY), Disguise(KEY), Disguise(b"another key, not that one")
    assert first.fingerprint == second.fingerprint != other.fingerprint
    for text in ("puppetdb.example.com", "CN=Puppet CA: puppet", "10.0.0.5"):
        assert first.name(text) == second.name(text) != other.name(text)
    der = certificate("a", ("a.example.com",))
    assert Remaker(first).certificate(der) == Remaker(second).certificate(der) != Remaker(other).certificate(der)


def test_the_key_is_kept_by_its_owner(tmp_path: Path) -> None:
    place = tmp_path / "some" / "key"
    key, where, is_new = keys.load(str(place))
    assert (where, is_new, len(key)) == (place, True, 64)
    assert place.stat().st_mode & 0o777 == 0o600
    assert keys.load(str(place)) == (key, place, False)
    place.write_text("short")
    with pytest.raises(Exception, match="no key"):
        keys.load(str(place))


@given(st.text(max_size=40))
@settings(max_examples=300)
def test_text_keeps_its_shape_and_length(text: str) -> None:
    new = Disguise(KEY).text(text)
    assert len(new.encode("utf-8", "surrogatepass")) == len(text.encode("utf-8", "surrogatepass"))
    assert re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", new if text.isascii() else ""))) == (
        re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", text))) if text.isascii() else ""
    )
    for old_word, new_word in zip(re.findall("[A-Za-z0-9]+", text), re.findall("[A-Za-z0-9]+", new), strict=True):
        assert old_word != new_word
    assert Disguise(KEY).text(text.swapcase()) == new.swapcase() or not text.isascii()


@given(st.integers(1, 70), st.data())
@settings(max_examples=200)
def test_numbers_are_permuted_without_fixed_points(count: int, data: st.DataObject) -> None:
    disguise = Disguise(data.draw(st.binary(min_size=1, max_size=4)))
    new = [disguise.number(i, count, "x") for i in range(count)]
    assert sorted(new) == list(range(count))
    assert count == 1 or all(i != n for i, n in enumerate(new))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_addresses_keep_common_prefixes(first: int, second: int) -> None:
    disguise = Disguise(KEY)
    a, b = (int.from_bytes(disguise.address(v.to_bytes(4, "big")), "big") for v in (first, second))
    assert (first ^ second).bit_length() == (a ^ b).bit_length()
