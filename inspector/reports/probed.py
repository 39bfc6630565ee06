"""What a probe met, in words: who answered at each address, in what order, what may have been missed, and how each JVM
fares that it stood for.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.document import Document, ProbedAddress, ProbedAs, Service
from inspector.reports.overview import counted
from inspector.text.hostport import joined
from inspector.text.safe import safe_text


def lines_of(document: Document, service: Service) -> list[str]:
    """What a probe met: a line for each address, and one for each JVM that it stood for."""
    if service.probed is None:
        return []
    labels = {b.id: b.label for b in document.backends}
    lines = [
        f"{_answering(address, [labels[b] for b in address.backends], service)}{_missed(address)}"
        for address in service.probed.addresses
    ]
    if same := _elsewhere(document, service):
        lines.append(same)
    if service.other_flows:
        lines.append(f"{counted(service.other_flows, 'flow')} without TLS: reset, refused or in clear before a hello")
    return [*lines, *(_fares(met, labels) for met in service.probed.models)]


def _elsewhere(document: Document, service: Service) -> str:
    """Which back ends of other services that were probed too show the certificate of one of this: back ends that were
    asked directly, at another port.
    """
    labels = {b.id: b.label for b in document.backends}
    mine = {b.leaf: b.label for b in document.backends if b.id in service.backends and b.leaf}
    leaves = {b.id: b.leaf for b in document.backends}
    alike = []
    for other in document.services:
        if other.id == service.id or other.probed is None:
            continue
        for address in other.probed.addresses:
            end = joined(address.ip, address.port)
            alike += [
                (mine[leaf], f"{labels[b]} at {end}" if len(address.backends) > 1 else end)
                for b in address.backends
                if (leaf := leaves[b]) in mine
            ]
    if not alike:
        return ""
    return "the same certificate is shown by " + ", ".join(f"{label} and {there}" for label, there in sorted(alike))


RULES = {
    "nothing_completed": "no handshake was completed",
    "suspect": "too little was seen",
    "no_server_hello": "no ServerHello came",
    "tls13": "all of its connections use TLS 1.3",
    "no_certificate": "no certificate was seen",
    "one_certificate": "one certificate alone was seen",
    "equivalent": "the certificates count as one server",
    "ems": "extended master secret (EMS) in every handshake",
    "never_resumed": "no session was resumed",
    "otherwise": "a resumed session and a certificate that differs without EMS were never met together",
}
"""What protects a JVM, or why nothing is known, by the row of the verdict."""


def _fares(met: ProbedAs, labels: Mapping[str, str]) -> str:
    """How one JVM fares that was stood for."""
    name = f"{safe_text(met.model)}" if met.model else "a JVM that asks as the probe did"
    if met.state == "exposed":
        verdict = "exposed"
    else:
        state = "cannot tell" if met.state == "unknown" else "protected"
        things = " as things stand" if met.state == "protected" and met.grade != "observed" else ""
        why = RULES.get(met.rule, "")
        verdict = f"{state}{things}{': ' if why else ''}{why}{_resting(met, labels)}"
    failed = met.connections - met.established
    lacking = f", {failed:,} of {counted(met.connections, 'connection')} not established" if failed else ""
    if not met.declined:
        return f"{name}: {verdict}{lacking}; {counted(met.resumed, 'session')} resumed, none declined"
    return (
        f"{name}: {verdict}{lacking}; gives up on {met.would_abort:,} of {counted(met.declined, 'declined offer')}"
        f" ({100 * met.would_abort / met.declined:.0f} %)"
    )


def _resting(met: ProbedAs, labels: Mapping[str, str]) -> str:
    """At which back ends, where each of them matters."""
    backends = {"tls13": met.tls13, "ems": met.ems}.get(met.rule, [])
    if not backends:
        return ""
    return f", at {', '.join(labels[b] for b in backends)}, unless one loses it"


FEW = 5
"""Below so many answers nothing is said of an order."""


def _answering(address: ProbedAddress, labels: list[str], service: Service) -> str:
    """Who answered at one address, and in what order."""
    failed = f", {address.failed:,} of them not established" if address.failed else ""
    start = f"probed at {joined(address.ip, address.port)}: {counted(address.connections, 'connection')}{failed}"
    if address.unanswered == address.connections:
        return f"{start}; no ServerHello came"
    if address.order is None:
        return f"{start}; not all that answered can be told apart"
    if address.connections - address.unanswered < FEW:
        return f"{start}, answered by {', '.join(labels)}"
    if address.order == "one":
        others = len(service.backends) - len(labels)
        why = f"; {counted(others, 'other')} answered elsewhere" if others else ""
        always = "where answered, always" if address.unanswered else "always"
        return (
            f"{start}, {always} {labels[0]}{why}: alone there, or several that show one certificate, or the balancer"
            " keeps this client at it"
        )
    if address.order == "in_turn":
        gap = " and a place from which no ServerHello comes" if address.fails_in_turn else ""
        beyond = ", flows without TLS left out" if service.other_flows else ": no other place was met"
        return f"{start}, {', '.join(labels)}{gap} in strict turn{beyond}"
    order = ", too few to tell whether in turn" if address.order == "too_few" else " in no fixed order"
    return f"{start}, {', '.join(labels)}{order}"


def _missed(address: ProbedAddress) -> str:
    if address.missed is None or address.unseen_share is None:
        return ""
    return (
        f"; one more with an equal share would have been missed with a chance of {_percent(address.missed)}, and none"
        f" not met gets over {_percent(address.unseen_share)} of connections (95 %), if each is placed by itself"
    )


def _percent(share: float) -> str:
    return "under 0.001 %" if share < 0.00001 else f"{100 * share:.2g} %"
