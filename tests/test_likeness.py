"""Certificates looked up by what makes them alike: the same as asking the rule of each pair."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from inspector.findings.jsse import Generation, equivalence
from inspector.findings.likeness import Likeness
from inspector.findings.recorded import RecordedConnections
from inspector.findings.replay import Change, Member, Replayer, are_one_server
from inspector.tracking.certificates import Identity

few = st.sampled_from(["a", "b", "C", "c"])
identities = st.builds(
    Identity,
    sha256=st.binary(min_size=32, max_size=32),
    ip_addresses=st.lists(few, max_size=2).map(tuple),
    dns_names=st.lists(few, max_size=2).map(tuple),
    subject=st.sampled_from(["", "s", "t"]),
    issuer=st.sampled_from(["i", "j"]),
    is_known=st.sampled_from([True, True, True, False]),
)
generations = st.sampled_from(["current", "first"])


def of(pool: list[Identity]) -> Callable[[bytes], Identity | None]:
    return {identity.sha256: identity for identity in pool}.get


pools = st.lists(identities, max_size=9, unique_by=lambda identity: identity.sha256)


@given(pools, st.integers(0, 2), generations)
def test_as_asked_pair_by_pair(pool: list[Identity], strangers: int, generation: Generation) -> None:
    """Also of certificates that are not of the pool, and of one that nobody knows."""
    foreign, pool = pool[:strangers], pool[strangers:]
    likeness = Likeness(of([*pool, *foreign]), [identity.sha256 for identity in pool], generation)
    for one in [*pool, *foreign]:
        expected = {m.sha256 for m in pool if equivalence(one, m, generation) not in (None, "none")} | {one.sha256}
        assert likeness.alike(one.sha256) == expected
        for other in pool:
            step = equivalence(one, other, generation)
            assert likeness.equal(one.sha256, other.sha256) == (None if step is None else step != "none")
            if likeness.group(one.sha256) == likeness.group(other.sha256):
                assert likeness.alike(one.sha256) - {one.sha256} <= likeness.alike(other.sha256)
    assert likeness.alike(b"?") == {b"?"}
    assert likeness.equal(b"?", b"?") is True
    assert likeness.equal(b"?", b"!") is likeness.equal(None, b"?") is None


@given(pools.filter(bool), generations)
def test_one_server_is_each_the_like_of_each(pool: list[Identity], generation: Generation) -> None:
    likeness = Likeness(of(pool), [identity.sha256 for identity in pool], generation)
    members = [Member(index, ems=False, leaves=(identity.sha256,)) for index, identity in enumerate(pool)]
    expected = all(likeness.equal(one.sha256, other.sha256) for one in pool for other in pool)
    assert are_one_server(Change(likeness), members) == expected


class Asked(dict[bytes, Identity]):
    """Counts how often anybody asks."""

    count = 0

    def __call__(self, leaf: bytes) -> Identity | None:
        self.count += 1
        return self.get(leaf)


SHAPES: dict[str, Callable[[int], Identity]] = {
    "nobody can read": lambda n: Identity(n.to_bytes(32, "big"), (), (), "", "", is_known=False),
    "a name each": lambda n: Identity(n.to_bytes(32, "big"), (), (f"n{n}",), f"s{n}", "i"),
    "one name": lambda n: Identity(n.to_bytes(32, "big"), (), (f"n{n}", "pool"), f"s{n}", "i"),
    "two of three names": lambda n: Identity(
        n.to_bytes(32, "big"), (), tuple({0: "ab", 1: "bc", 2: "ca"}[n % 3]), "", ""
    ),
    "one subject": lambda n: Identity(n.to_bytes(32, "big"), (), (), "s", "i"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_pool_is_asked_about_in_few_words(shape: str) -> None:
    """Whether one of the others would make a client abort, of each certificate: work grows as their number does."""
    counts = []
    for size in (100, 200):
        asked = Asked({identity.sha256: identity for identity in map(SHAPES[shape], range(size))})
        members = [Member(index, ems=False, leaves=(leaf,)) for index, leaf in enumerate(asked)]
        likeness = Likeness(asked, asked)
        run = Replayer(RecordedConnections(), members)
        replay = run.play_through(Change(likeness))
        assert not replay.exposed
        exposed = [len(likeness.alike(leaf)) < size for leaf in asked]
        assert all(exposed) if shape in ("nobody can read", "a name each") else not any(exposed)
        counts.append(asked.count)
    assert counts[1] <= 2.2 * counts[0]
