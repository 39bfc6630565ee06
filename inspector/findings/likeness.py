"""Which certificates of a pool count as one server with a given one, by Java's identity rule (``jsse.equivalence``).

Asked pair by pair a pool of a thousand takes a million answers. But what makes two alike is a value that both have: so
each certificate is entered under its values, and whoever asks for the like of one looks its values up. Certificates
that share the same values with others are of one *group*: what holds for one of them holds for all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import product

from inspector.findings.jsse import Generation, equivalence
from inspector.tracking.certificates import Identity

Value = tuple[Hashable, ...]
"""By which certificates are alike."""


class Likeness:
    """``identity_of``: of a leaf certificate by digest, None where it is not known. ``pool``: the certificates among
    which the like of one is looked for.
    """

    def __init__(
        self,
        identity_of: Callable[[bytes], Identity | None],
        pool: Iterable[bytes],
        generation: Generation = "current",
    ) -> None:
        self._identity_of = identity_of
        self._generation = generation
        self._equal: dict[tuple[bytes, bytes], bool | None] = {}
        self._groups: dict[bytes, Hashable] = {}
        self._alike: dict[Hashable, frozenset[bytes]] = {}
        self._pool = frozenset(pool)
        self._entered: dict[Value, list[bytes]] = {}
        for leaf in self._pool:
            for value in self._values(leaf, _entered):
                self._entered.setdefault(value, []).append(leaf)

    def equal(self, old: bytes | None, new: bytes | None) -> bool | None:
        """Whether two are one server; None where that is not known."""
        if old is None or new is None:
            return None
        pair = old, new
        if pair not in self._equal:
            first, second = self._identity_of(old), self._identity_of(new)
            step = equivalence(first, second, self._generation) if first and second else None
            self._equal[pair] = True if old == new else None if step is None else step != "none"
        return self._equal[pair]

    def group(self, leaf: bytes) -> Hashable:
        """Equal for certificates that the same ones of the pool are like; itself where no other is."""
        group = self._groups.get(leaf)
        if group is None:
            values = self._values(leaf, _sought)
            shared = tuple(value for value in values if self._entered.get(value, [leaf]) != [leaf])
            group = self._groups[leaf] = shared or leaf
        return group

    def alike(self, leaf: bytes) -> frozenset[bytes]:
        """Those of the pool that are known to be one server with it; itself is one."""
        group = self.group(leaf)
        if isinstance(group, bytes):
            return frozenset({leaf})
        alike = self._alike.get(group)
        if alike is None:
            assert isinstance(group, tuple)
            entered = [self._entered[value] for value in group]
            is_all = any(len(leaves) == len(self._pool) for leaves in entered)  # one set for all of these groups
            alike = self._pool if is_all else frozenset(other for leaves in entered for other in leaves)
            self._alike[group] = alike
        return alike | {leaf} if leaf not in alike else alike

    def is_known(self, leaf: bytes) -> bool:
        """Whether anything can be said of its likeness to others."""
        identity = self._identity_of(leaf)
        return identity is not None and identity.is_known

    def _values(self, leaf: bytes, of: Callable[[Identity, Generation], Iterator[Value]]) -> list[Value]:
        identity = self._identity_of(leaf)
        return [*dict.fromkeys(of(identity, self._generation))] if identity is not None and identity.is_known else []


def _entered(identity: Identity, generation: Generation) -> Iterator[Value]:
    """Under what a certificate is found."""
    if generation == "current":
        yield from _sought(identity, generation)
        return
    kind = bool(identity.ip_addresses), bool(identity.dns_names)
    if identity.ip_addresses:
        yield (*kind, "ip", identity.ip_addresses[0])
    if identity.dns_names:
        yield (*kind, "dns", identity.dns_names[0])
    if identity.subject:
        yield (*kind, "name", identity.subject, identity.issuer)


def _sought(identity: Identity, generation: Generation) -> Iterator[Value]:
    """Under what those are found that are like it. The ``first`` generation compares by what both have, so that it
    depends on the other one's kind.
    """
    if generation == "current":
        yield from (("ip", address) for address in identity.ip_addresses)
        yield from (("dns", name.lower()) for name in identity.dns_names)
        if identity.subject:
            yield ("name", identity.subject, identity.issuer)
        return
    for has_address, has_name in product((False, True), repeat=2):
        if identity.ip_addresses and has_address:
            yield (has_address, has_name, "ip", identity.ip_addresses[0])
        elif identity.dns_names and has_name:
            yield (has_address, has_name, "dns", identity.dns_names[0])
        elif identity.subject:
            yield (has_address, has_name, "name", identity.subject, identity.issuer)
