"""Certificates of a pool judged before they are deployed: who is equivalent to whom for Java, and the smallest fix.

Equivalence is not transitive (A may share one name with B and B another with C), so a pool is safe only where every
pair is equivalent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from inspector.findings.jsse import Generation, Step, equivalence
from inspector.tracking.certificates import Identity, ParsedCertificate

MOST_TRIES = 20_000
"""Combinations that the search for the smallest fix looks at before it takes the best that it has."""

PLACEHOLDER = "NAME-OF-THE-SERVICE"
"""Proposed where no certificate has a DNS name that could be shared."""

Kind = Literal["DNS", "IP"]


class Addition(NamedTuple):
    """A name for one certificate, by its place in the pool. ``first``: it must stand before all others of its kind."""

    certificate: int
    kind: Kind
    name: str
    first: bool


class Fix(NamedTuple):
    """``smallest``: no set of fewer additions would do."""

    additions: tuple[Addition, ...]
    smallest: bool


class CertificatePair(NamedTuple):
    """Two certificates by place, and the deciding step under each rule; None where one of them cannot be read."""

    old: int
    new: int
    current: Step | None
    first: Step | None


class Comparison(NamedTuple):
    """``fixes``: None where all that can be read are equivalent already."""

    generation: Generation
    certificates: tuple[ParsedCertificate, ...]
    sources: tuple[str, ...]
    pairs: tuple[CertificatePair, ...]
    fixes: dict[Generation, Fix | None]

    def unequal(self, generation: Generation) -> list[CertificatePair]:
        """The pairs that are not equivalent under a rule."""
        return [p for p in self.pairs if (p.current if generation == "current" else p.first) == "none"]

    def unknown(self) -> list[CertificatePair]:
        """The pairs of which one cannot be read, whatever the rule."""
        return [p for p in self.pairs if p.current is None]

    def equivalent(self, generation: Generation) -> bool | None:
        """Whether all are equivalent; None where that is not known."""
        return False if self.unequal(generation) else None if self.unknown() else True


def compare(
    certificates: Sequence[ParsedCertificate], sources: Sequence[str], generation: Generation = "current"
) -> Comparison:
    """Compare every pair under both rules. ``sources``: where each certificate came from; ``generation``: the rule that
    decides.
    """
    identities = [c.identity for c in certificates]
    pairs = tuple(
        CertificatePair(
            a,
            b,
            equivalence(identities[a], identities[b], "current"),
            equivalence(identities[a], identities[b], "first"),
        )
        for a, b in combinations(range(len(identities)), 2)
    )
    fixes: dict[Generation, Fix | None] = {
        "current": _smallest(identities) if any(p.current == "none" for p in pairs) else None,
        "first": _in_front(identities) if any(p.first == "none" for p in pairs) else None,
    }
    return Comparison(generation, tuple(certificates), tuple(sources), pairs, fixes)


def applied(identities: Sequence[Identity], fix: Fix) -> list[Identity]:
    """The identities with the names of a fix in them."""
    changed = list(identities)
    for addition in fix.additions:
        old = changed[addition.certificate]
        kept = tuple(n for n in (old.dns_names if addition.kind == "DNS" else old.ip_addresses) if n != addition.name)
        names = (addition.name, *kept) if addition.first else (*kept, addition.name)
        changed[addition.certificate] = (
            old._replace(sha256=b"", dns_names=names)
            if addition.kind == "DNS"
            else old._replace(sha256=b"", ip_addresses=names)
        )
    return changed


Name = tuple[Kind, str]


def _smallest(identities: Sequence[Identity]) -> Fix:
    """For the current rule: the fewest additions after which every pair is equivalent. A wildcard of another
    certificate is never proposed, nor a name of what cannot be read.
    """
    names: list[set[Name]] = [
        {("DNS", n.lower()) for n in i.dns_names} | {("IP", a) for a in i.ip_addresses} if i.is_known else set()
        for i in identities
    ]
    proposed = sorted({name for name_set in names for name in name_set if not name[1].startswith("*")})
    unequal = [
        (a, b)
        for a, b in combinations(range(len(identities)), 2)
        if equivalence(identities[a], identities[b]) == "none"
    ]
    best = _one_name(names, unequal)
    tries = 0

    def search(added: list[tuple[int, Name]], left: list[tuple[int, int]]) -> None:
        nonlocal best, tries
        tries += 1
        if not left:
            best = added
        elif tries <= MOST_TRIES and len(added) + 1 < len(best):
            for certificate in left[0]:
                for name in proposed:
                    if name not in names[certificate]:
                        names[certificate].add(name)
                        search([*added, (certificate, name)], [(x, y) for x, y in left if not names[x] & names[y]])
                        names[certificate].discard(name)

    search([], unequal)
    return Fix(
        tuple(Addition(certificate, kind, name, False) for certificate, (kind, name) in sorted(best)),
        tries <= MOST_TRIES,
    )


def _one_name(names: list[set[Name]], unequal: list[tuple[int, int]]) -> list[tuple[int, Name]]:
    """The DNS name that has to be added least often, put into every certificate that is unequal to any."""
    concerned = sorted({c for pair in unequal for c in pair})
    counts = Counter(name for c in concerned for name in names[c] if name[0] == "DNS" and not name[1].startswith("*"))
    name = min(counts, key=lambda n: (-counts[n], len(n[1]), n), default=("DNS", PLACEHOLDER))
    return [(c, name) for c in concerned if name not in names[c]]


def _in_front(identities: Sequence[Identity]) -> Fix:
    """For the first rule: one DNS name in front of all others; where several certificates have IP addresses, one of
    these too.
    """
    additions: list[Addition] = []
    known = [(c, i) for c, i in enumerate(identities) if i.is_known]
    addresses = Counter(i.ip_addresses[0] for _, i in known if i.ip_addresses)
    if len(addresses) > 1:
        address = min(addresses, key=lambda a: (-addresses[a], a))
        additions += [
            Addition(c, "IP", address, True) for c, i in known if i.ip_addresses and i.ip_addresses[0] != address
        ]
    firsts = Counter(i.dns_names[0] for _, i in known if i.dns_names)
    changed = applied(identities, Fix(tuple(additions), False))
    if any(equivalence(a, b, "first") == "none" for a, b in combinations(changed, 2)):
        name = min(firsts, key=lambda n: (-firsts[n], n.startswith("*"), len(n), n), default=PLACEHOLDER)
        additions += [Addition(c, "DNS", name, True) for c, i in known if not i.dns_names or i.dns_names[0] != name]
    return Fix(tuple(additions), False)
