"""What is said of the member of a pool at which connections fail, and what its owners must do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from inspector.document import About, Remedy
from inspector.findings.attributed import is_odd, speaks_proxy
from inspector.findings.blame import Blame
from inspector.findings.case import Case
from inspector.findings.compared import ComparedPool
from inspector.findings.differing import telltale_words, values_in_words
from inspector.findings.finding import Raised
from inspector.findings.nameless import name_remedies, what_they_got
from inspector.findings.signs import Weighed
from inspector.pool.attributes import PoolAttribute
from inspector.pool.odd_one import PoolDifference
from inspector.text.times import rfc3339
from inspector.text.zones import UTC
from inspector.tracking.backends import BackendGroup
from inspector.tracking.certificate_names import authority
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.services import server_name

MOST_NAMED = 8
"""Members that a remedy names at most."""


def located(case: Case, blame: Blame | None, members: Sequence[Observed]) -> str:
    """`` at back end B``, where all of some failures are at the odd members; else empty."""
    if blame is None or not blame.backends or any(observed.backend not in blame.backends for observed in members):
        return ""
    return f" at {_labels(case, sorted({observed.backend for observed in members}))}"


def _labels(case: Case, backends: Sequence[int]) -> str:
    """``back end B``, ``back ends B, D``."""
    return f"back end{'s' * (len(backends) > 1)} {', '.join(case.backends[index].label for index in backends)}"


def expired_leaf(pool: ComparedPool, blame: Blame) -> bytes | None:
    """The certificate of an odd member, where it is not valid and connections fail because of that."""
    if blame.attribute is not PoolAttribute.VALIDITY:
        return None
    odd = [backend for backend in blame.backends if is_odd(pool, PoolAttribute.VALIDITY, backend)]
    return next((observed.leaf for observed in blame.failed if observed.backend in odd), None)


def counted(pool: ComparedPool, blame: Blame) -> str:
    """How many failed of those that came there, and elsewhere."""
    case, failed, reached = pool.case, blame.affected, blame.reached
    if blame.without is not None:
        return (
            f"{failed} of the {reached} connections without a name (SNI) failed so, none of the"
            f" {blame.elsewhere} that ask for {pool.service.name}. {what_they_got(pool, blame.without)}"
        )
    if blame.backends:
        there = f"connections that reached {_labels(case, blame.backends)}"
        share = f"All {failed} {there}" if failed == reached else f"{failed} of the {reached} {there}"
        elsewhere = f"{blame.elsewhere_failed or 'none'} of the {blame.elsewhere} elsewhere"
        return f"{share} failed so, {elsewhere}."
    if blame.telltales:
        shared = " or ".join(telltale_words(telltale)[0] for telltale in blame.telltales)
        share = f"All {failed} connections" if failed == reached else f"{failed} of the {reached} connections"
        return (
            f"{share} that were answered alike failed so ({shared}), {blame.elsewhere_failed or 'none'} of the"
            f" {blame.elsewhere} others: one member of the pool, or several that are alike; which is not visible."
        )
    if blame.is_everywhere:
        return f"None of the {reached} connections succeeded."
    if blame.is_spell:
        first, last = blame.failed[0].first_ns, blame.failed[-1].first_ns
        shown = UTC.over(*case.extent)
        return (
            f"From {shown.clock(first)} to {shown.clock(last)} UTC nobody succeeded: {failed} connections, and not one"
            " member alone."
        )
    if failed == reached:
        return (
            f"{failed} of {reached + blame.elsewhere} connections failed so, though such clients succeed elsewhere; at"
            " which back end is not visible."
        )
    return f"{failed} of {reached + blame.elsewhere} connections failed so, at more than one back end."


def member_remedies(pool: ComparedPool, blame: Blame) -> list[Remedy]:
    """For the owners of the odd member; empty where nothing is known of it."""
    case, attribute = pool.case, blame.attribute
    if blame.without is not None:
        return name_remedies(pool, blame.without)
    if attribute is PoolAttribute.PROXY:
        return _proxy_remedies(pool, blame)
    if blame.backend < 0:
        return _nameless_remedies(pool, blame)
    backend = case.backends[blame.backend]
    owners, who = f"owners of back end {backend.label}", member_called(case, backend)
    sample = next(observed for observed in blame.failed if observed.backend == blame.backend)
    difference = pool.difference(attribute)
    if attribute is PoolAttribute.CHAIN:
        return _chain_remedies(pool, backend, sample, difference)
    if difference is None or not is_odd(pool, attribute, blame.backend):
        return _accept_issuer(pool, backend, sample) if attribute is PoolAttribute.CLIENT_AUTHORITIES else []
    words = values_in_words(case, pool, difference)
    common = words.get(difference.common, "") if difference.common is not None else ""
    if attribute is PoolAttribute.CLIENT_AUTHORITIES:
        own_words = next((words[h.value] for h in difference.holders if h.backend == blame.backend), "")
        return [
            Remedy(
                owners,
                f"Let {who} accept the same CAs for client certificates as the other back ends: it {own_words}; the"
                f" others: {common}.",
                _check(pool, backend, sample, "-tls1_2") + " | grep -A4 'client certificate CA names'",
            )
        ]
    return []


def _chain_remedies(
    pool: ComparedPool, backend: BackendGroup, sample: Observed, difference: PoolDifference | None
) -> list[Remedy]:
    """Where the member sends no intermediate certificate and others do, or has its certificate from another CA."""
    case, check = pool.case, _check(pool, backend, sample, "-showcerts")
    owners, who = f"owners of back end {backend.label}", member_called(case, backend)
    others = [other for other in case.pools[pool.service.index] if other.index != backend.index]
    shown = case.certificates.get(sample.leaf or b"")
    read = [certificate for other in others if (certificate := case.certificates.get(other.leaf or b"")) is not None]
    issuers = dict.fromkeys(authority(certificate) for certificate in read)
    if shown is None or not all(issuers):
        return []
    if difference is not None and not sample.shown.behind and not shown.self_issued:
        words = values_in_words(case, pool, difference)
        issuer = authority(shown)
        sent = next((word for word in words.values() if word == issuer or word.startswith(f"{issuer}, ")), issuer)
        return [Remedy(owners, f"Let {who} send {sent} with its own certificate, as the other back ends do.", check)]
    if authority(shown) in issuers or not issuers:
        return []
    listed = " or ".join(list(issuers)[:MOST_NAMED])
    text = f"Give {who} a certificate issued by {listed}, as the other back ends have"
    return [Remedy(owners, f"{text}; or its clients the CA {authority(shown)}.", check)]


def _proxy_remedies(pool: ComparedPool, blame: Blame) -> list[Remedy]:
    """Where a PROXY header is sent to servers that do not know it; or, without one, everybody answers in plain text."""
    name, port = shlex.quote(pool.service.name), pool.service.port
    if any(speaks_proxy(observed) for observed in blame.failed):
        return [
            Remedy(
                "balancer",
                "Send no PROXY header to these servers (HAProxy: take send-proxy off the server line), or let them"
                " expect one (nginx: listen … ssl proxy_protocol).",
                f"openssl s_client -connect {name}:{port} -servername {name} </dev/null",
            )
        ]
    return [
        Remedy(
            "owners of the service",
            "Switch TLS on at this port, or point the client at the port that speaks TLS; where the server expects a"
            " PROXY header first, let the balancer send one (HAProxy: send-proxy).",
            f"curl -v http://{name}:{port}/; curl -kv --haproxy-protocol https://{name}:{port}/",
        )
    ]


def _accept_issuer(pool: ComparedPool, backend: BackendGroup, sample: Observed) -> list[Remedy]:
    """Where the member refuses a client certificate that others accept, and asks for the same CAs as they do."""
    case = pool.case
    certificate = next(
        (case.certificates[d] for d in sample.client_leg.handshake.client_chain[:1] if d in case.certificates), None
    )
    if certificate is None:
        return []
    return [
        Remedy(
            f"owners of back end {backend.label}",
            f"Let {member_called(case, backend)} accept the CA {authority(certificate)}, which issued the client's"
            f" certificate {certificate.known_as}, as the other back ends do.",
            _check(pool, backend, sample, "-cert client.pem -key client.key"),
        )
    ]


def _nameless_remedies(pool: ComparedPool, blame: Blame) -> list[Remedy]:
    """Where the member is not visible: how to see which it is, and what to do there."""
    is_one = not blame.is_everywhere and not blame.is_spell and all(observed.backend < 0 for observed in blame.failed)
    if not is_one or blame.attribute not in WHAT_TO_DO:
        return []
    name = server_name(blame.failed[0].offer) or pool.service.name
    well = [
        backend
        for backend in pool.case.pools[pool.service.index]
        if any(group.backend == backend.index and group.sample.outcome == "established" for group in pool.groups)
    ]
    others = [f"{backend.label} ({host_of(pool.case, backend)})" for backend in well[:MOST_NAMED]]
    others += [f"{len(well) - MOST_NAMED} more"] if len(well) > MOST_NAMED else []
    which = (
        f"Find the back end that is not {' or '.join(others)}, which answered such clients"
        if well
        else "Ask each back end by its own address which of them it is"
    )
    return [
        Remedy(
            "owners of the pool",
            f"{which}, and {WHAT_TO_DO[blame.attribute]}.",
            f"for b in {'OTHER-BACKENDS' if well else 'BACKEND1 BACKEND2'}; do openssl s_client -connect"
            f" $b:{pool.service.port} -servername {shlex.quote(name)} </dev/null 2>&1 | grep -E"
            " 'Protocol|Cipher|alert|errno'; done",
        )
    ]


WHAT_TO_DO: dict[PoolAttribute, str] = {
    PoolAttribute.CHAIN: "compare its certificate and chain with those of the others",
    PoolAttribute.CIPHER: "let it accept the suites of the others",
    PoolAttribute.VERSIONS: "let it speak the versions of the others",
    PoolAttribute.REACHABILITY: "start it, or take it out of the pool: the balancer accepts for who is not there",
    PoolAttribute.PROTOCOL: "switch TLS on at its port, or point the balancer at the port that speaks TLS",
    PoolAttribute.VALIDITY: "renew its certificate",
    PoolAttribute.FLIGHT: "compare its certificate, chain and names with those of the others",
    PoolAttribute.CLIENT_AUTHORITIES: "let it accept the same CAs for client certificates as the others",
}


def host_of(case: Case, backend: BackendGroup) -> str:
    """What a member is called by the balancer's log, else by its certificate; empty where neither says."""
    certificate: ParsedCertificate | None = case.certificates.get(backend.leaf or b"")
    return backend.server or (certificate.common_name if certificate is not None else "")


HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
"""What a command can connect to: no wildcard, no name of a person."""


def asked_at(case: Case, backend: BackendGroup) -> str:
    """The host at which one member of several can be asked itself; empty where no name says."""
    name = host_of(case, backend)
    return name if len(case.pools[backend.service]) > 1 and HOST_NAME.fullmatch(name) else ""


def member_called(case: Case, backend: BackendGroup) -> str:
    """``back end B (db2.example.com)``."""
    name = host_of(case, backend)
    return f"back end {backend.label} ({name})" if name else f"back end {backend.label}"


def until_then(pool: ComparedPool, blame: Blame) -> list[Remedy]:
    """What the balancer can do meanwhile, where members are the odd ones and all goes well at others."""
    case = pool.case
    if not blame.backends or not blame.elsewhere or blame.elsewhere_failed or blame.affected < blame.reached:
        return []
    who = ", ".join(member_called(case, case.backends[index]) for index in blame.backends)
    return [
        Remedy(
            "balancer",
            f"Until then take {who} out of the pool: all {blame.reached} connections fail there, none elsewhere. Let"
            " health checks shake hands as clients do (HAProxy: check-ssl verify required).",
            "inspector diff before.pcap after.pcap",
        )
    ]


def _check(pool: ComparedPool, backend: BackendGroup, sample: Observed, options: str) -> str:
    """A command that asks the member itself."""
    host = asked_at(pool.case, backend) or pool.service.name
    name = server_name(sample.offer) or pool.service.name
    return (
        f"openssl s_client -connect {shlex.quote(host)}:{pool.service.port} -servername {shlex.quote(name)} {options}"
        " </dev/null"
    )


def attribute_aborts(pools: Sequence[ComparedPool], aborts: Sequence[Raised[Weighed]]) -> None:
    """Say of aborts because of a changed certificate at which member they are, where that one alone lacks EMS."""
    for pool in pools:
        difference = pool.difference(PoolAttribute.EMS) if aborts else None
        alone = difference.odd_one if difference is not None else None
        if alone is None or alone.backend < 0 or alone.value is not False:
            continue
        confirmed = [a for a in aborts if a.is_confirmed and a.on[-1].service == pool.service.index]
        here = [raised for raised in confirmed if raised.on[-1].backend == alone.backend]
        reached = pool.reached(alone.backend)[0]
        for raised in here:
            raised.finding.about = About(
                attribute=PoolAttribute.EMS,
                backend=pool.case.backends[alone.backend].id,
                value="no EMS",
                others="EMS",
                since=rfc3339(alone.since_ns),
                affected=len(here),
                reached=reached,
                elsewhere_affected=len(confirmed) - len(here),
                elsewhere=pool.total[0] - reached,
                changed=alone.has_changed,
            )
