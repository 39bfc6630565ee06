"""Connections to a service that ask for no name (SNI), where others ask for one: what they got, and whether that is why
they fail. A server that is asked for none shows its default certificate, or refuses.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector import facts
from inspector.document import About, Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.compared import ComparedPool
from inspector.findings.finding import finding
from inspector.pool.alike import Alike
from inspector.pool.attributes import PoolAttribute
from inspector.pool.rates import is_more_often
from inspector.text.times import rfc3339
from inspector.tls.types import AlertDescription
from inspector.tracking.certificate_names import covers
from inspector.tracking.observed import Observed

MOST_NAMED = 20
"""Connections that a finding names."""

MOST_CERTIFICATES = 4

REFUSALS = frozenset(
    (AlertDescription.UNRECOGNIZED_NAME, AlertDescription.HANDSHAKE_FAILURE, AlertDescription.MISSING_EXTENSION)
)
"""What a server answers that wants a name (RFC 6066, section 3; RFC 8446, section 9.2)."""


class Nameless(NamedTuple):
    """``number`` connections without a name, of which ``failed`` were aborted, beside ``named`` with one, of which
    ``named_failed``. ``defaults``: certificates that those without one got, more than chance has it, and no other;
    ``alike``: others that they got.
    """

    number: int
    failed: int
    named: int
    named_failed: int
    defaults: tuple[bytes, ...]
    alike: tuple[bytes, ...]

    def is_why(self, observed: Observed) -> bool:
        """Whether a failed connection may have failed for want of a name: it got a default certificate, or was refused
        before it got any.
        """
        if not is_nameless(observed):
            return False
        alert = observed.fatal_alert
        is_refused = (
            alert is not None
            and not alert.from_client
            and alert.code in REFUSALS
            and not observed.client_leg.handshake.messages & facts.S_CERTIFICATE
        )
        return is_refused or observed.leaf in self.defaults


def is_nameless(observed: Observed) -> bool:
    """Whether the ClientHello was read to its end, and asks for no name."""
    return observed.offer is not None and not observed.offer.partial and observed.offer.server_name is None


def nameless(pool: ComparedPool) -> Nameless | None:
    """Those of a service; None where all ask for a name, or none does."""
    without = [group for group in pool.groups if is_nameless(group.sample)]
    number = sum(group.count for group in without)
    total, all_failed = pool.total
    if not pool.service.named or not number or number == total:
        return None
    failed = sum(group.failed for group in without)
    got, got_by_all = _leaves(without), _leaves(pool.groups)
    defaults = [
        leaf
        for leaf, times in got.items()
        if times == got_by_all[leaf]
        and is_more_often(times, times, got.total() - times, got_by_all.total() - times, looks=len(got_by_all))
    ]
    return Nameless(
        number,
        failed,
        total - number,
        all_failed - failed,
        tuple(defaults),
        tuple(leaf for leaf in got if leaf not in defaults),
    )


def _leaves(groups: Sequence[Alike]) -> Counter[bytes]:
    """How many connections got each certificate."""
    leaves: Counter[bytes] = Counter()
    for group in groups:
        if group.sample.leaf is not None:
            leaves[group.sample.leaf] += group.count
    return leaves


def drift_of_names(pool: ComparedPool) -> Iterator[Finding]:
    """``pool-drift`` in ``sni``: that there are such connections, and what they got."""
    without = nameless(pool)
    if without is None:
        return
    case, service = pool.case, pool.service
    members = [observed for observed in pool.members if is_nameless(observed)]
    where = f"{service.name}:{service.port}"
    beside = (
        f"They reach the same addresses as the {without.named} that ask for {service.name}, and count as this service."
    )
    shown = sorted({case.label(observed) for observed in members if observed.backend >= 0})
    yield finding(
        case,
        Rule.POOL_DRIFT,
        service.id,
        PoolAttribute.SNI,
        on=members[:MOST_NAMED],
        service=service,
        times=(members[0].first_ns, members[-1].first_ns),
        count=without.number,
        grade="inferred" if without.defaults else "observed",
        about=About(
            attribute=PoolAttribute.SNI,
            backend=None,
            value=value_words(case, without),
            others=service.name,
            since=rfc3339(members[0].first_ns),
            affected=without.failed,
            reached=without.number,
            elsewhere_affected=without.named_failed,
            elsewhere=without.named,
        ),
        title=f"{without.number} of {len(pool.members)} connections to {where} ask for no name (SNI)",
        what=f"Connections to {where} ask for no name (SNI)",
        matter=PoolAttribute.SNI,
        explanation=" ".join(
            [
                beside,
                *([f"They were answered by back end{'s' * (len(shown) > 1)} {', '.join(shown)}."] if shown else []),
                what_they_got(pool, without),
            ]
        ),
        remedies=name_remedies(pool, without) if without.defaults else [],
        evidence=[
            Evidence("nameless", observed.id, frames(observed.client_leg.handshake.hello_frame), "no server_name")
            for observed in members[:1]
        ],
    )


def value_words(case: Case, without: Nameless) -> str:
    """What they ask for, and the default certificates that they got."""
    return "; ".join(["no name", *(f"default certificate {_name(case, leaf)}" for leaf in without.defaults)])


def what_they_got(pool: ComparedPool, without: Nameless) -> str:
    """A sentence on their certificates."""
    case, name = pool.case, pool.service.name
    if not without.defaults and not without.alike:
        return "Which certificate they got is not visible."
    if not without.defaults:
        return "They got the same certificates as those with a name, so far as that shows."
    labels = {backend.leaf: backend.label for backend in case.pools[pool.service.index]}
    named = [
        f"{_name(case, leaf)} (here back end {labels[leaf]}, which may be another one's default)"
        if leaf in labels
        else _name(case, leaf)
        for leaf in without.defaults[:MOST_CERTIFICATES]
    ]
    lacking = [
        leaf for leaf in without.defaults if leaf in case.certificates and not covers(case.certificates[leaf], name)
    ]
    return (
        f"Only they got {', '.join(named)}: the default certificate of a server that chooses by name"
        f"{f'; it lacks the name {name}' if lacking else ''}."
    )


def name_remedies(pool: ComparedPool, without: Nameless) -> list[Remedy]:
    """For the clients, and for the servers."""
    case, name, port = pool.case, pool.service.name, pool.service.port
    clients = sorted({case.clients[o.client].ip for o in pool.members if is_nameless(o)})
    word = shlex.quote(name)
    return [
        Remedy(
            f"owners of the client{'s' * (len(clients) > 1)} {', '.join(clients[:MOST_CERTIFICATES])}",
            f"Connect by the name {name} and send it (SNI): not by an address, and not with an old library.",
            f"openssl s_client -connect {word}:{port} -servername {word} </dev/null | openssl x509 -noout -subject",
        ),
        Remedy(
            "owners of the pool",
            f"Let the default certificate be the one for {name}"
            + ("." if without.defaults else ", and let no server insist on a name."),
            f"openssl s_client -connect {word}:{port} -noservername </dev/null | openssl x509 -noout -subject",
        ),
    ]


def _name(case: Case, leaf: bytes) -> str:
    certificate = case.certificates.get(leaf)
    return certificate.known_as if certificate is not None else leaf.hex()[:12]
