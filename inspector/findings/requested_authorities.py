"""Whose client certificates back ends ask for, and in which names they differ: the difference is told, not two long
lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from inspector import document as doc
from inspector.facts import HandshakeFacts
from inspector.findings.case import Case
from inspector.tracking.authorities import Accepted, Authority, read_authorities

NAMED = 4
"""Names that a sentence holds; the rest is counted."""


@dataclass(frozen=True, slots=True)
class RequestedAuthorities:
    """What a server asks of its clients; equal where the same names stand in two lists, in whatever order. ``keys``:
    those that Java compares, None where no list is known. ``digest``: of the list, where ``keys`` do not say all; empty
    as well where no certificate is asked for.
    """

    keys: frozenset[str] | None
    digest: bytes
    accepted: Accepted = field(default=Accepted((), 0), compare=False)


def requested(case: Case, handshake: HandshakeFacts) -> RequestedAuthorities:
    """What a full handshake asks of the client."""
    digest = handshake.authorities or b""
    listed = case.facts.authorities.get(digest)
    if listed is None:
        return RequestedAuthorities(None, digest)
    accepted = read_authorities(listed)
    return RequestedAuthorities(
        frozenset(authority.key for authority in accepted.authorities), digest if accepted.more else b"", accepted
    )


def differences(requests: Sequence[RequestedAuthorities]) -> tuple[list[str], str]:
    """What each asks for that not all do, in words, and a sentence on what all do; empty where there is nothing to say
    of that.
    """
    listed = [one for one in requests if one.keys is not None]
    shared = frozenset[str]()
    if len(listed) > 1:
        shared = frozenset.intersection(*(one.keys for one in listed if one.keys is not None))
    encodings: defaultdict[str | None, set[str]] = defaultdict(set)
    for one in listed:
        for authority in one.accepted.authorities:
            encodings[authority.name].add(authority.key)
    return [_difference(one, shared, encodings) for one in requests], _in_common(
        listed, shared, len(listed) == len(requests)
    )


Encodings = Mapping[str | None, Set[str]]
"""By what names read as: the keys that Java compares."""


def _difference(one: RequestedAuthorities, shared: frozenset[str], encodings: Encodings) -> str:
    if one.keys is None:
        return (
            f"asks for CAs of which the names were not kept, only the digest {one.digest.hex()[:12]}"
            if one.digest
            else "asks for no client certificate"
        )
    accepted = one.accepted
    own_authorities = [authority for authority in accepted.authorities if authority.key not in shared]
    called = [_called(authority) + _alike(authority, encodings) for authority in own_authorities[:NAMED]]
    called += [f"{len(own_authorities) - NAMED} more"] if len(own_authorities) > NAMED else []
    called += [f"{accepted.more} that were not read"] if accepted.more else []
    if not called:
        return "asks for no other" if shared else "asks for a certificate of any CA"
    return f"asks {'also ' if shared else ''}for {' and '.join(called)}"


def _in_common(listed: list[RequestedAuthorities], shared: frozenset[str], is_all: bool) -> str:
    if not shared:
        return ""
    common = [_called(authority) for authority in listed[0].accepted.authorities if authority.key in shared]
    who = "all" if is_all else "all that name any"
    return f"{common[0]} is asked for by {who}." if len(common) == 1 else f"{len(common)} CAs are asked for by {who}."


def _called(authority: Authority) -> str:
    if authority.name is None:
        return f"a name of {authority.size} bytes that cannot be read"
    return authority.name or "an empty name"


def _alike(authority: Authority, encodings: Encodings) -> str:
    """What tells a name from one that reads the same elsewhere, and that Java does not take for it."""
    return " (in another encoding)" if authority.name and encodings[authority.name] != {authority.key} else ""


def authorities(case: Case) -> list[doc.AcceptedAuthorities]:
    """Each list that servers sent, by digest."""
    described = []
    for digest, listed in sorted(case.facts.authorities.items()):
        accepted = read_authorities(listed)
        names = accepted.names
        described.append(
            doc.AcceptedAuthorities(digest.hex(), names, len(accepted.authorities) - len(names), accepted.more)
        )
    return described
