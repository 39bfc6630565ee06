"""Certificates that replace others for good, so that both name one back end.

A certificate is replaced where it is never seen again from the moment another, never seen before, appears. One *owner*
replaces its own at once: where subject, names and addresses are equal; or where the subject is, as in a renewal that
adds names, and no two certificates of that subject were ever in use side by side, as they are in a pool whose members
are all called alike. Otherwise it takes enough handshakes with each, and nobody else who may have been replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed

ROTATION_AT_LEAST = 8
"""Full handshakes with each of two certificates of different owners before one counts as the other's successor."""


def successors(members: Sequence[Observed], certificates: Mapping[bytes, ParsedCertificate]) -> dict[bytes, bytes]:
    """For each certificate that replaced another the first one of its line. ``members``: the connections of one
    service.
    """
    first: dict[bytes, int] = {}
    last: dict[bytes, int] = {}
    count: dict[bytes, int] = {}
    for observed in members:
        leaf, ns = observed.leaf, observed.hello_ns
        if leaf is None:
            session = observed.session
            if session is None or session.leaf not in last:
                continue
            leaf = session.leaf
        elif leaf not in first:
            first[leaf] = last[leaf] = ns
            count[leaf] = 0
        if ns > last[leaf]:
            last[leaf] = ns
        count[leaf] += 1
    in_order = sorted(first, key=lambda leaf: first[leaf])
    over = _Over(last, count, _owners(in_order, first, last, certificates))
    line: dict[bytes, bytes] = {}
    for new in in_order:
        over.advance(first[new])
        old = over.predecessor(new)
        if old is not None:
            line[new] = line.get(old, old)
    return line


def _owners(
    in_order: list[bytes],
    first: dict[bytes, int],
    last: dict[bytes, int],
    certificates: Mapping[bytes, ParsedCertificate],
) -> dict[bytes, object]:
    """What the certificates of one owner have in common; of some nothing is known."""
    by_subject: dict[tuple[str, str], list[bytes]] = {}
    for leaf in in_order:
        certificate = certificates.get(leaf)
        if certificate is not None and certificate.identity.subject:
            by_subject.setdefault((certificate.identity.subject, certificate.identity.issuer), []).append(leaf)
    owners: dict[bytes, object] = {}
    for subject, leaves in by_subject.items():
        in_turn = all(last[old] < first[new] for old, new in pairwise(leaves))
        for leaf in leaves:
            identity = certificates[leaf].identity
            owners[leaf] = subject if in_turn else (identity.subject, identity.dns_names, identity.ip_addresses)
    return owners


class _Over:
    """The certificates that are not seen again after a moment, and have no successor yet. The moment only moves on."""

    def __init__(self, last: dict[bytes, int], count: dict[bytes, int], owners: dict[bytes, object]) -> None:
        self._last = last
        self._count = count
        self._owners = owners
        self._waiting = sorted(last, key=lambda leaf: last[leaf], reverse=True)
        self._by_owner: dict[object, list[bytes]] = {}
        """Of each owner, the one that was seen last at the end."""
        self._often: dict[bytes, None] = {}

    def advance(self, ns: int) -> None:
        """Take those that were last seen before a time."""
        while self._waiting and self._last[self._waiting[-1]] < ns:
            leaf = self._waiting.pop()
            if leaf in self._owners:
                self._by_owner.setdefault(self._owners[leaf], []).append(leaf)
            if self._count[leaf] >= ROTATION_AT_LEAST:
                self._often[leaf] = None

    def predecessor(self, new: bytes) -> bytes | None:
        """The certificate that a new one replaces, which has a successor then."""
        same = self._by_owner.get(self._owners[new]) if new in self._owners else None
        if same:
            old = same.pop()
            self._often.pop(old, None)
            return old
        if len(self._often) != 1 or self._count[new] < ROTATION_AT_LEAST:
            return None
        old, _ = self._often.popitem()
        if old in self._owners:
            self._by_owner[self._owners[old]].remove(old)
        return old
