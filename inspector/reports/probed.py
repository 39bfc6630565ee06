"""What a probe met, in words: who answered at each address, in what order, and what may have been missed."""

from __future__ import annotations

from inspector.document import Document, ProbedAddress, Service
from inspector.reports.overview import counted
from inspector.text.hostport import joined
from inspector.text.safe import safe_text


def lines_of(document: Document, service: Service) -> list[str]:
    """What a probe met, a line for each address, and what Java would have done."""
    if service.probed is None:
        return []
    labels = {b.id: b.label for b in document.backends}
    lines = [
        f"{_answering(address, [labels[b] for b in address.backends], service)}{_missed(address)}"
        for address in service.probed.addresses
    ]
    if service.probed.model:
        lines.append(f"all of this is for a JVM such as {safe_text(service.probed.model)}: others may fare otherwise")
    if service.other_flows:
        lines.append(f"{counted(service.other_flows, 'flow')} without TLS: reset, refused or in clear before a hello")
    if declined := service.probed.declined:
        count = service.probed.would_abort
        lines.append(
            f"a Java client that asks as the probe did gives up on {count:,} of {counted(declined, 'declined offer')}"
            f" ({100 * count / declined:.0f} %)"
        )
    return lines


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
    return f"{start}, {', '.join(labels)} in no fixed order"


def _missed(address: ProbedAddress) -> str:
    if address.missed is None or address.unseen_share is None:
        return ""
    return (
        f"; one more with an equal share would have been missed with a chance of {_percent(address.missed)}, and those"
        f" not met get under {_percent(address.unseen_share)} of connections (95 %), if each is placed by itself"
    )


def _percent(share: float) -> str:
    return "under 0.001 %" if share < 0.00001 else f"{100 * share:.2g} %"
